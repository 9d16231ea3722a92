"""Control of the mode: halt, reduce, resume. One cancel of all, and what follows from it.

Halt     takes effect at once: no order passes the gate any more. Then everything is cancelled, until reports
         or lists show that nothing rests; fills, settlements and exits are watched on.
Minute   the exchange says that a cancel of all may hit orders of the next minute too: before it is over, and
         while the outcome of any write is unknown, there is no way back.
Kept     mode and reason are in the journal, and whether the cancel of all is still due: a process that starts
         again is as halted as the one before.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from kalshi_platform.domain.errors import DataError, LimitError, StorageError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.account_answers import CancelledOrder, PlacedOrder
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.exchange.new_orders import NewOrder
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, WriteOutcome
from kalshi_platform.trading.execution.journal.journal import damaged
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.states import WORKING, OrderEvent, OrderState
from kalshi_platform.trading.execution.risk.gate import RiskState
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode

#: No proof of anything: the exchange denies orders that just filled.
_LONG = 1_000  # characters of the reasons of a halt, after which no further one is told
_NOT_FOUND = 404
#: Values of the journal: mode, its reason, when the last cancel of all was sent, whether one is due.
MODE, WHY, CANCELLED_ALL, CANCEL_DUE = "mode", "mode_why", "cancel_all_wall_ns", "cancel_all_due"


class OrderPort(Protocol):
    """Writes that execution makes; ``exchange.order_calls.OrderCalls`` is one."""

    async def create(self, order: NewOrder, hindrance: Callable[[], str]) -> WriteOutcome[PlacedOrder]:
        """Place one order, once; not where ``hindrance`` has words against it right before it leaves."""

    async def cancel(self, order_id: str, ticker: str, shard: int | None) -> WriteOutcome[CancelledOrder]:
        """Cancel one order."""

    async def cancel_all(self) -> WriteOutcome[None]:
        """Cancel every order of the account."""


class TradingControl:
    """Mode of one account's trading."""

    def __init__(
        self, keeper: LedgerKeeper, state: RiskState, orders: OrderPort, clock: ExchangeClock, holds_s: float
    ) -> None:
        self._keeper, self.state, self._orders, self._clock = keeper, state, orders, clock
        self._holds_ns = round(holds_s * NS_PER_SECOND)
        self._held_until_ns = 0  # mono
        self._wants_cancel_all = False
        self.stops: dict[
            str, Callable[[], str | None]
        ] = {}  # name -> why trading may not go on; None: it may
        self.before_leaving: Callable[[], None] = lambda: None  # done before a halt ends

    def restore(self, gone: Collection[str]) -> None:
        """Take mode and minute of the process before; a new journal begins ACTIVE.

        A cancel of all that is still due is due again. ``gone``: client ids of orders that no list shows any
        more; they alone are no reason for another one: at every start it would stand against the resume that
        ends them.
        """
        journal, state = self._keeper.journal, self.state
        word = journal.meta(MODE) or RiskMode.ACTIVE.value
        if word not in set(RiskMode):
            raise DataError(f"{journal.path}: {damaged(f'its mode is {word!r}')}")
        state.mode = RiskMode(word)
        state.mode_why = journal.meta(WHY) or STARTED
        told_ns = journal.meta_ns(CANCELLED_ALL) or 0
        left_ns = min(max(told_ns + self._holds_ns - self._clock.wall_ns(), 0), self._holds_ns)
        self._held_until_ns = self._clock.mono_ns() + left_ns
        working = [order for order in self._working() if order.client_order_id not in gone]
        is_due = bool(working) or bool(journal.meta(CANCEL_DUE))
        self._wants_cancel_all = state.mode is RiskMode.HALTED and is_due

    # Modes

    def halt(self, why: str) -> None:
        """Halt at once; ``cancel_everything`` is due from now on."""
        self._wants_cancel_all = True  # first: whatever writing the mode meets, the cancels are due
        before = self.state.mode_why if self.state.mode is RiskMode.HALTED else ""
        # A further reason is told beside the first: figures behind the colon may change at every look.
        told = {each.partition(":")[0] for each in before.split("; ")}
        if not before or (why.partition(":")[0] not in told and len(before) < _LONG):
            self._set(RiskMode.HALTED, f"{before}; {why}" if before else why)
        self._keeper.set_meta(CANCEL_DUE, "yes")

    def reduce(self, why: str) -> None:
        """Let out only orders that make positions smaller; LimitError where a halt may not end yet."""
        if self.state.mode is RiskMode.HALTED:  # else the next look would halt again what was said to reduce
            self._require_calm([stop for name, stop in self.stops.items() if name != "streak"])
            self._leave()
        self._set(RiskMode.REDUCING, why)

    def resume(self, why: str, seen: Collection[str] = (), gone: Collection[str] = ()) -> None:
        """Trade again; LimitError says what stands against it.

        ``seen``: stops that a person takes; ``gone``: client ids of orders that no list shows any more.
        """
        self._require_calm([stop for name, stop in self.stops.items() if name not in seen], gone)
        self._leave()
        self._set(RiskMode.ACTIVE, why)

    def _leave(self) -> None:
        """Do what must be done before a halt ends; LimitError where that fails."""
        try:
            self.before_leaving()
        except StorageError as err:
            raise LimitError(f"trading stays {self.state.mode.upper()}: {err}") from None

    def _require_calm(self, stops: Iterable[Callable[[], str | None]], gone: Collection[str] = ()) -> None:
        """Raise LimitError where something stands against leaving the present mode."""
        resting = [order for order in self._working() if order.client_order_id not in gone]
        unknown = [o for o in self._keeper.ledger.undecided() if o.client_order_id not in gone]
        left_s = (self._held_until_ns - self._clock.mono_ns()) / NS_PER_SECOND
        reasons = []
        if left_s > 0:
            reasons.append(f"a cancel of all orders may hit new ones for {left_s:.0f} s more")
        if self.state.mode is RiskMode.HALTED and (self._wants_cancel_all or resting):
            reasons.append("orders still rest or their cancels are under way")
        if self.state.write_unknown or unknown:
            reasons.append("the outcome of a write is unknown")
        if not self.state.is_reconciled:
            reasons.append(self.state.reconciled_why)
        reasons += [words for stop in stops if (words := stop()) is not None]
        if reasons:
            raise LimitError(f"trading stays {self.state.mode.upper()}: {'; '.join(reasons)}")

    def _set(self, mode: RiskMode, why: str) -> None:
        """Set the mode and write it; upkeep brings it to disk: a disk that hangs must not hold a halt up."""
        self.state.mode, self.state.mode_why = mode, why
        self._keeper.note(self._clock.wall_ns(), "mode", {"mode": mode.value, "why": why})
        self._keeper.set_meta(MODE, mode.value)
        self._keeper.set_meta(WHY, why)

    # Cancels

    @property
    def wants_cancel_all(self) -> bool:
        """True where a cancel of all orders is due."""
        return self._wants_cancel_all

    async def cancel_everything(self) -> None:
        """Send one cancel of all orders; where its outcome is lost, another one is due."""
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        self._held_until_ns = mono_ns + self._holds_ns
        self._keeper.set_meta(CANCELLED_ALL, str(wall_ns))
        for order in self._working():
            order.cancel_wanted = True
            order.writes += 1
            self._keeper.step(order, OrderEvent.CANCEL_SENT)
        self.state.write_unknown = 1
        outcome = await self._sent_cancel_all()
        # The minute runs from the exchange's own work, which lies somewhere before the answer.
        self._held_until_ns = self._clock.mono_ns() + self._holds_ns
        if isinstance(outcome, Refused):
            self.state.write_unknown = 0
            self._step_all(OrderEvent.CANCEL_REFUSED)
        else:
            # Accepted says nothing of one order: reports and lists say which ones ended.
            self._step_all(OrderEvent.CANCEL_LOST)
        if isinstance(outcome, Accepted):
            self.state.write_unknown = 0
            if not self._wants_cancel_all:
                self._keeper.set_meta(CANCEL_DUE, "")
        words = outcome.reason if isinstance(outcome, Refused) else type(outcome).__name__
        self._keeper.note(self._clock.wall_ns(), "cancel_all", {"outcome": words})

    async def _sent_cancel_all(self) -> WriteOutcome[None]:
        """Outcome of a cancel of all; another is due where it is not accepted, or was wanted meanwhile."""
        self._wants_cancel_all, is_accepted = False, False
        try:
            await self._keeper.on_disk_or_late()
            outcome = await self._orders.cancel_all()
            is_accepted = isinstance(outcome, Accepted)
        finally:
            self._wants_cancel_all |= not is_accepted
        return outcome

    async def cancel(self, order: Order) -> None:
        """Send one cancel; an order whose id is not known yet is cancelled once it is."""
        order.cancel_wanted = True
        if order.is_ended or order.order_id is None or order.state is OrderState.CANCELLING:
            return
        order.writes += 1
        self._keeper.step(order, OrderEvent.CANCEL_SENT)
        outcome: WriteOutcome[CancelledOrder] | None = None
        try:
            await self._keeper.on_disk_or_late()
            outcome = await self._orders.cancel(order.order_id, order.intent.ticker, order.exchange_index)
        finally:
            if isinstance(outcome, Accepted) and outcome.answer.reduced_e2:
                if outcome.answer.exch_ns is not None:  # what it had reserved is free from then on
                    self._keeper.ledger.saw(outcome.answer.exch_ns, self._clock.wall_ns())
                self._keeper.cancelled(order, outcome.answer.reduced_e2)
            elif isinstance(outcome, Refused) and outcome.status != _NOT_FOUND:
                self._keeper.step(order, OrderEvent.CANCEL_REFUSED)
            else:  # also where it took nothing: the order had ended, perhaps by fills that nobody told yet
                self._keeper.step(order, OrderEvent.CANCEL_LOST)

    def _step_all(self, event: OrderEvent) -> None:
        for order in list(self._keeper.ledger.live.values()):
            if order.state is OrderState.CANCELLING:
                self._keeper.step(order, event)

    def _working(self) -> list[Order]:
        return [order for order in self._keeper.ledger.live.values() if order.state in WORKING]
