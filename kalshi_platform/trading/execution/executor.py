"""The executor: intents in, orders out, reports back; the one place that sends an order.

Order of work   limits -> journal on disk -> request -> outcome -> journal. A process that dies between two of
                them finds the order in its journal and asks the exchange what became of it.
Unknown         while the outcome of any write is unknown, ``submit`` refuses and cancels still go out.
Thread          one event loop; every method runs on it, and none blocks it: the journal's sync has its own
                thread. A halt or an unknown outcome that came up meanwhile, or while the order waited for
                the client's tokens, stops the order before it is sent.
Made by         ``open_executor`` (opening.py).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.trading.exchange.account_answers import PlacedOrder
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.exchange.new_orders import NewOrder
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, WriteOutcome
from kalshi_platform.trading.execution.control import OrderPort, TradingControl
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order, event_of_answer
from kalshi_platform.trading.execution.orders.positions import fill_cash_out_e6
from kalshi_platform.trading.execution.orders.reports import (
    FillReport,
    fill_of_stream,
    order_of_stream,
)
from kalshi_platform.trading.execution.orders.states import OrderEvent, OrderState
from kalshi_platform.trading.execution.reconcile.differences import ReconcileReport
from kalshi_platform.trading.execution.results import Results
from kalshi_platform.trading.execution.risk.exposure import ExposureBook, MarketKin, fee_bound_e6
from kalshi_platform.trading.execution.risk.gate import RiskGate
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.risk.refusals import RiskRefusal
from kalshi_platform.trading.execution.snapshot import ExecutionSnapshot, Submitted
from kalshi_platform.trading.execution.upkeep import Upkeep
from kalshi_platform.trading.execution.view import snapshot_of


class Executor:
    """Orders of one account: ``submit``, ``cancel``, reports in, upkeep about every second."""

    def __init__(
        self,
        keeper: LedgerKeeper,
        gate: RiskGate,
        exposures: ExposureBook,
        control: TradingControl,
        results: Results,
        upkeep: Upkeep,
        orders: OrderPort,
        clock: ExchangeClock,
    ) -> None:
        self._keeper, self._gate, self._exposures = keeper, gate, exposures
        self._control, self._results, self._upkeep = control, results, upkeep
        self._orders, self._clock = orders, clock
        self.counts: Counter[str] = Counter()
        self.on_order: Callable[[Order], None] = lambda _order: None
        self.on_fill: Callable[[Order | None, FillReport], None] = lambda _order, _fill: None
        keeper.on_order = self._moved
        keeper.on_fill = self._filled

    @property
    def ledger(self) -> OrderLedger:
        """Orders, positions and cash; for reading."""
        return self._keeper.ledger

    # Orders

    async def submit(
        self, intent: Intent, view: MarketAtOrder, view_now: Callable[[], MarketAtOrder] | None = None
    ) -> Submitted:
        """Send one order if every limit lets it out; the journal has it before it leaves.

        view_now: the market when that is asked; an order that waited for disk or tokens leaves only where its
        book is still known then.
        A refusal leaves nothing behind. The order's state says what became of it: UNKNOWN where its outcome
        was lost; reports decide it. ContractError for an intent that no exchange could take.
        """
        self.counts["intents"] += 1
        self.know(view.ticker, view.event, view.category, view.exchange_index)
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        refusals = self._refusals(intent, view, wall_ns, mono_ns)
        if refusals:
            self.counts.update(f"refused:{each.limit}" for each in refusals)
            return Submitted(None, refusals)
        journal = self._keeper.journal
        wanted = _request_of(intent, journal.next_client_id, view.exchange_index)
        order = Order(
            number=journal.last_number + 1,
            client_order_id=wanted.client_order_id,
            intent=intent,
            exchange_index=view.exchange_index,
            created_ns=wall_ns,
            fee_bound_e6=self._gate.fees_e6(intent, view),
        )
        latest = view_now or (lambda: view)
        try:
            self._keeper.add_order(order)
            self._results.sending(view.ticker, view.bid_e4, view.ask_e4)  # in one transaction with it
            self._gate.pace.sent(mono_ns)  # before anything is awaited: the next order is held to it
            self._gate.day.at(wall_ns).orders += 1
            await self._keeper.on_disk()
            refusals = self._late_refusals(order, latest())
        except StorageError as err:
            self._control.halt("the journal cannot be written")
            self._drop(order, "the journal cannot be written")
            return Submitted(None, (RiskRefusal("journal_failed", 1, 0, "", str(err)),))
        except BaseException:
            self._drop(order, "not sent: the sending was stopped")
            raise
        if refusals:
            self.counts.update(f"refused:{each.limit}" for each in refusals)
            self._drop(order, f"not sent: {refusals[0].words}")
            return Submitted(None, refusals)
        refusals = await self._send(order, wanted, latest)
        if refusals:
            self.counts.update(f"refused:{each.limit}" for each in refusals)
            return Submitted(None, refusals)
        self.counts["orders"] += 1
        return Submitted(order)

    def _late_refusals(self, order: Order, view: MarketAtOrder) -> tuple[RiskRefusal, ...]:
        """Reasons that came up while disk or tokens were waited for: a halt, age, the journal."""
        self._upkeep.watch()
        wall_ns = self._clock.wall_ns()
        refusals = self._gate.check_again(order.intent, view, wall_ns) + self._journal_refusals()
        if order.state is not OrderState.PENDING or order.cancel_wanted:
            refusals += (RiskRefusal("cancelled", 1, 0, "", "it was cancelled before it was sent"),)
        return refusals

    def _drop(self, order: Order, why: str) -> None:
        """End an order that was written and never sent; one that could not be written is nowhere."""
        if order.client_order_id in self.ledger.orders and not order.is_ended:
            self._keeper.step(order, OrderEvent.REFUSED, why)

    def _refusals(
        self, intent: Intent, view: MarketAtOrder, wall_ns: int, mono_ns: int
    ) -> tuple[RiskRefusal, ...]:
        """Every reason why the order does not go out."""
        self._upkeep.watch()
        refusals = self._gate.check(intent, view, wall_ns, mono_ns)
        shard = self.ledger.market(view.ticker, view.exchange_index).exchange_index
        if intent.ticker != view.ticker or shard != view.exchange_index:
            words = f"the intent is for {intent.ticker} on shard {shard}, the view of {view.ticker} on "
            words += f"shard {view.exchange_index}"
            refusals += (RiskRefusal("another_market", 1, 0, "", words),)
        return refusals + self._journal_refusals()

    def _journal_refusals(self) -> tuple[RiskRefusal, ...]:
        """Refusal where the journal failed: what it lacks then is not known."""
        failed = self._keeper.failed
        return () if failed is None else (RiskRefusal("journal_failed", 1, 0, "", failed),)

    async def _send(
        self, order: Order, wanted: NewOrder, latest: Callable[[], MarketAtOrder]
    ) -> tuple[RiskRefusal, ...]:
        """Send a journaled order once, and note its outcome.

        An end of this before the order was let out leaves it unsent, a later one leaves it unknown.
        Returns reasons against the order that came up while it waited for the client's tokens: it was not
        sent then.
        """
        outcome: WriteOutcome[PlacedOrder] | None = None
        found: tuple[RiskRefusal, ...] | None = None  # () once it was let out

        def hindrance() -> str:
            nonlocal found
            found = self._late_refusals(order, latest())
            order.is_let_out = not found
            return found[0].words or found[0].limit if found else ""

        try:
            outcome = await self._orders.create(wanted, hindrance)
        finally:
            if outcome is None and found != ():
                self._drop(order, "not sent: the sending was stopped")
            else:
                self._sent(order, outcome)
        return found or ()

    def _sent(self, order: Order, outcome: WriteOutcome[PlacedOrder] | None) -> None:
        """Take the outcome of a create; None: nobody waited for it."""
        if isinstance(outcome, Accepted):
            placed = outcome.answer
            self._keeper.accepted(order, placed.order_id, placed.filled_e2, event_of_answer(order, placed))
        elif isinstance(outcome, Refused) and not outcome.is_duplicate:
            self._keeper.step(order, OrderEvent.REFUSED, outcome.reason)
            self.counts["refused_by_exchange" if outcome.sent else "not_sent"] += 1
        else:
            if isinstance(outcome, Refused):  # of an id that was never sent before: somebody else used it
                self.ledger.surprises["duplicate_client_id"] += 1
            self._keeper.step(order, OrderEvent.LOST, getattr(outcome, "why", "the sending was stopped"))
            self.counts["outcomes_lost"] += 1
            self._upkeep.look_soon()

    async def cancel(self, client_order_id: str) -> Order:
        """Cancel one order; one whose id the exchange has not told yet is cancelled as soon as it is.

        KeyError where the journal has no such order.
        """
        order = self.ledger.of(client_order_id, None)
        if order is None:
            raise KeyError(client_order_id)
        await self._control.cancel(order)
        if order.is_undecided:
            self._upkeep.look_soon()
        return order

    def end_leftovers(self) -> None:
        """Let upkeep cancel every order that is left of an earlier process: nobody here decides about it."""
        for order in self.ledger.live.values():
            order.cancel_wanted = True
        self._upkeep.wake()

    # Mode

    @property
    def mode(self) -> RiskMode:
        """Mode of trading now."""
        return self._control.state.mode

    @property
    def mode_why(self) -> str:
        """Reason of the mode."""
        return self._control.state.mode_why

    async def halt(self, why: str) -> None:
        """Halt trading, and cancel everything: ``upkeep`` goes on until nothing rests."""
        self._control.halt(why)
        await self._upkeep.see_to_orders()

    def request_halt(self, why: str) -> None:
        """Halt trading at once; the next round of upkeep cancels everything. For signals and callbacks."""
        self._control.halt(why)
        self._upkeep.wake()

    def reduce(self, why: str) -> None:
        """Let out only orders that make positions smaller; LimitError where a halt may not end yet."""
        self._control.reduce(why)

    def resume(self, why: str, *, accept_losses: bool = False) -> None:
        """Trade again; LimitError says what stands against it. Orders that no list shows any more end here.

        ``accept_losses``: count day, drawdown and streak anew from the present result.
        """
        seen = {"contradictions"} | ({"losses", "streak"} if accept_losses else set())
        self._control.resume(why, seen, self._upkeep.missing)
        self._upkeep.end_missing()
        self._upkeep.accept_surprises()
        if accept_losses:
            self._results.accept(self._clock.wall_ns())

    # Reports

    def take_message(self, message: Mapping[str, Any]) -> None:
        """Take one parsed frame of the stream: fills, orders, positions, lifecycle; others are ignored.

        A frame that cannot be read is counted, and the lists are asked for soon.
        """
        kind, msg = message.get("type"), message.get("msg")
        take = _TAKEN.get(kind) if isinstance(kind, str) else None
        if take is None or not isinstance(msg, Mapping):
            return
        try:
            take(self, msg)
        except DataError as err:
            self.counts["unreadable_reports"] += 1
            self._keeper.note(self._clock.wall_ns(), "unreadable", {"type": str(kind), "why": str(err)})
            self._upkeep.look_soon()

    def _take_fill(self, msg: Mapping[str, Any]) -> None:
        fill = fill_of_stream(msg)
        is_new = self._keeper.take_fill(fill) is not None
        if fill.key in self.ledger.waiting:
            self._upkeep.look_soon()
        elif not is_new:
            self.counts["repeated_fills"] += 1

    def _take_order(self, msg: Mapping[str, Any]) -> None:
        report = order_of_stream(msg)
        order = self._keeper.take_report(report)
        if order is None:
            self._upkeep.look_soon()
        elif order.is_ended and report.exch_ns is not None:
            self.ledger.saw(report.exch_ns, self._clock.wall_ns())

    def _take_lifecycle(self, msg: Mapping[str, Any]) -> None:
        if (
            msg.get("event_type") in ("determined", "settled")
            and msg.get("market_ticker") in self.ledger.markets
        ):
            self._upkeep.look_soon()  # the list of settlements says what was paid

    def _moved(self, order: Order) -> None:
        """Hand a changed order on; one of unknown outcome, or one no more, changes the losses."""
        self._results.ordered(self._clock.wall_ns())
        self.on_order(order)

    def _filled(self, order: Order | None, fill: FillReport) -> None:
        """Count a fill that was booked."""
        self.counts["fills"] += 1
        self.ledger.saw(fill.exch_ns, self._clock.wall_ns())
        day = self._gate.day.at(self._clock.wall_ns())
        day.contracts_e2 += fill.qty_e2
        day.spend_e6 += fill_cash_out_e6(fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6)
        self._results.filled(fill.ticker, self._clock.wall_ns())
        self.on_fill(order, fill)

    def disconnected(self, why: str) -> None:
        """Take note that reports may be missing: no order goes out until lists were compared again."""
        self._upkeep.doubt(f"the stream is away: {why}")

    def reconnected(self) -> None:
        """Let no order out until lists were compared: frames may have been lost up to now."""
        self._upkeep.doubt("the stream is back: reports may have been missed")

    # Markets

    def know(self, ticker: str, event: str, category: str, shard: int) -> None:
        """Take note which event, category and shard a market belongs to; positions count there too."""
        if self._exposures.know(ticker, MarketKin(event, category, shard)):
            self._keeper.add_facts(ticker, event, category, shard)

    def event_of(self, ticker: str) -> str:
        """Event of a market, also of an earlier session; empty where nobody told it."""
        facts = self._exposures.facts.get(ticker)
        return "" if facts is None else facts.event

    def know_rate(self, ticker: str, rate_e6: int) -> None:
        """Take a fee rate of a market: the bounds of its live orders rise to it; they never fall."""
        for order in self.ledger.live_in(ticker):
            bound_e6 = fee_bound_e6(order.intent, rate_e6)
            if bound_e6 > order.fee_bound_e6:
                self.counts["fee_bounds_raised"] += 1
                self._keeper.bound_fees(order, bound_e6)

    def mark(self, ticker: str, bid_e4: int | None, ask_e4: int | None, wall_ns: int) -> None:
        """Take the best prices of a market: positions are worth what could be had for them."""
        self._results.mark(ticker, bid_e4, ask_e4, wall_ns)

    # Upkeep

    async def maintain(self) -> None:
        """Do one round of upkeep: call it about every second, or let ``run`` do so."""
        await self._upkeep.maintain()

    async def run(self) -> None:
        """Do upkeep until cancelled."""
        await self._upkeep.run()

    async def reconcile(self) -> ReconcileReport:
        """Compare with the exchange now."""
        return await self._upkeep.reconcile()

    def snapshot(self) -> ExecutionSnapshot:
        """Stand of everything."""
        counts = self.counts + self._upkeep.counts
        counts += Counter({f"surprise:{name}": n for name, n in self.ledger.surprises.items()})
        return snapshot_of(
            self._clock.wall_ns(), self._keeper, self._gate, self._exposures, self._control.state,
            self._results, counts, self._upkeep.last,
        )  # fmt: skip

    async def close(self) -> None:
        """Write what is left and let the account go; orders that rest stay (halt first to end them)."""
        self.save()
        self._keeper.journal.close()

    def save(self) -> None:
        """Write results and marks as they are now."""
        self._results.save()


def _request_of(intent: Intent, client_order_id: str, shard: int) -> NewOrder:
    """Return the request of an intent; ContractError where the exchange knows no such order."""
    return NewOrder.parse({
        "ticker": intent.ticker,
        "side": intent.side,
        "price_e4": intent.price_e4,
        "qty_e2": intent.qty_e2,
        "time_in_force": intent.time_in_force,
        "client_order_id": client_order_id,
        "post_only": intent.post_only,
        "reduce_only": intent.reduce_only,
        "expires_s": intent.expires_s,
        "exchange_index": shard,
    })  # fmt: skip


_TAKEN: dict[str, Callable[[Executor, Mapping[str, Any]], None]] = {
    "fill": Executor._take_fill,
    "user_order": Executor._take_order,
    "market_lifecycle_v2": Executor._take_lifecycle,
}
