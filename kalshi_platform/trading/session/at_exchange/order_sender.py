"""Sender of a session's orders: cancels and orders that actions ask for, each in a task beside the frames.

Replaces   an order that works is cancelled first; the new one goes out once that is answered, at the size
           that the position allows by then, as in training (``replay/execution.py: arrive``).
Age        of an order counts from its decision, however long the cancel before it took.
End        once the session ends (``end``), no order follows the cancel of the one before it.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from kalshi_platform.domain.actions import ACTION_NAMES, HOLD
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.replay.execution import CANCEL
from kalshi_platform.simulation.replay.planning import raises_position, wanted_qty_e2
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.at_exchange.timed_orders import FRAME_MONO_NS
from kalshi_platform.trading.session.at_exchange.traded_market import TradedMarket

#: An order outlives its keeper's death by so long at most.
MARGIN_S: Final = 60
#: Actions of ended orders that are remembered: a fill may come after the end was told.
_MOST_ENDED: Final = 1_000


class PlannedOrder(NamedTuple):
    """Order that an action asks for: price on the YES scale, size, and when that was decided (wall clock)."""

    action: int
    price_e4: int
    qty_e2: int
    decided_ns: int


class OrderSender:
    """Orders and cancels of one session, on their way to the executor."""

    def __init__(
        self,
        config: TradingConfig,
        executor: Executor,
        note: Callable[[str, dict[str, object]], None],
        fail: Callable[[BaseException], None],
        known_ns: Callable[[], int],
        frame_mono_ns: Callable[[], int],
        *,
        expires: bool,
    ) -> None:
        """Send nothing yet; see ``ExchangeBook`` for the arguments."""
        self._config, self._executor, self._note, self._fail = config, executor, note, fail
        self._known_ns, self._frame_mono_ns, self._expires = known_ns, frame_mono_ns, expires
        self.tasks: set[asyncio.Task[None]] = set()
        self.actions: dict[str, str] = {}  # client id -> action, of orders that may still fill
        self.counts = {"orders": 0, "refused": 0}
        self._is_ending = False

    def start_cancel(self, held: TradedMarket, order: Order) -> None:
        """Cancel the order of a slot that is not busy."""
        self._start(held, self._cancel(held, order), CANCEL)

    def start_order(
        self, held: TradedMarket, view: MarketAtOrder, wanted: PlannedOrder, told: dict[str, object]
    ) -> None:
        """Send an order in place of the one that works; ``told``: what its note says of the decision."""
        self._start(held, self._replace(held, view, wanted, told), wanted.action)

    def refuse(self, told: dict[str, object], words: str) -> None:
        """Note an order that did not go out."""
        self.counts["refused"] += 1
        self._note(notes.SESSION_ORDER, told | {"words": words})

    def end(self) -> None:
        """Send no order any more; cancels go out."""
        self._is_ending = True

    async def settle_down(self) -> None:
        """Wait for orders and cancels that are on their way."""
        while self.tasks:
            await asyncio.wait(set(self.tasks))

    async def close(self) -> None:
        """End what is still on its way: what was let out stays unknown, as the journal says."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _start(self, held: TradedMarket, work: Any, busy: int) -> None:
        """Do ``work`` beside the frames; the slot is busy until it is done."""
        held.busy = busy
        FRAME_MONO_NS.set(self._frame_mono_ns())  # the task takes a copy of this context
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._done(held, done))

    def _done(self, held: TradedMarket, task: "asyncio.Task[None]") -> None:
        """Free a slot; an error ends the session."""
        held.busy = HOLD
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _cancel(self, held: TradedMarket, order: Order) -> None:
        """Cancel the order of a slot."""
        held.cancelled_ns = time.monotonic_ns()
        await self._executor.cancel(order.client_order_id)

    async def _replace(
        self, held: TradedMarket, view: MarketAtOrder, wanted: PlannedOrder, told: dict[str, object]
    ) -> None:
        """Cancel what works in the slot, then send a new order; one whose cancel is not certain is not
        followed."""
        before = held.working
        told["replaces"] = before is not None
        if before is not None:
            await self._cancel(held, before)
            if not before.is_ended:
                self._note(notes.SESSION_ORDER, told | {"words": "the order before it is not ended yet"})
                return
            view = _now(view, held)
        if self._is_ending:
            self.refuse(told, "ending: the session ends, and sends no order any more")
            return
        qty_e2 = min(wanted.qty_e2, self._room_e2(held, before, wanted.action))
        if qty_e2 == 0:
            self.refuse(told, "position_moved: fills since the decision leave no room for this order")
            return
        told["qty_e2"] = qty_e2
        await self._submit(held, view, wanted._replace(qty_e2=qty_e2), told)

    def _room_e2(self, held: TradedMarket, before: Order | None, action: int) -> int:
        """Size that the position allows now; fills of the order before that were only counted are in it."""
        market = self._executor.ledger.markets.get(held.ticker)
        position_e2 = 0 if market is None else market.held_e2
        if before is not None:
            is_bid = before.intent.side is BookSide.BID
            position_e2 += before.fills_missing_e2 if is_bid else -before.fills_missing_e2
        return int(wanted_qty_e2(position_e2, action, self._config.execution))

    async def _submit(
        self, held: TradedMarket, view: MarketAtOrder, wanted: PlannedOrder, told: dict[str, object]
    ) -> None:
        """Send one order, and note what became of it."""
        held.kept_ns = time.time_ns()
        sent_ns, begun_ns = self._known_ns(), time.monotonic_ns()
        intent = self._intent(held, wanted, told)
        submitted = await self._executor.submit(intent, view, lambda: _now(view, held))
        took_ms = (time.monotonic_ns() - begun_ns) / NS_PER_MS
        if submitted.order is None:
            self.refuse(told, "; ".join(f"{r.limit}: {r.words}" for r in submitted.refusals)[:300])
            return
        self.counts["orders"] += 1
        held.order, held.action, held.cancelled_ns = submitted.order, wanted.action, None
        self._remember(submitted.order, ACTION_NAMES[wanted.action])
        self._note(notes.SESSION_ORDER, told | {
            "client_id": submitted.order.client_order_id, "state": submitted.order.state.value,
            "took_ms": round(took_ms, 3), "words": submitted.order.reason,
            "sent_ns": sent_ns, "answered_ns": self._known_ns(),
        })  # fmt: skip
        if not held.is_valid and held.working is not None:  # the book was lost meanwhile
            await self._cancel(held, held.working)

    def _intent(self, held: TradedMarket, wanted: PlannedOrder, told: dict[str, object]) -> Intent:
        """Intent of a wanted order: a maker's is post-only and expires, a taker's immediate-or-cancel."""
        maker, now_s = self._config.order_style == "maker", time.time_ns() // NS_PER_SECOND
        ttl_s = self._config.order_ttl_ms // 1_000 + MARGIN_S
        return Intent(
            ticker=held.ticker, side=BookSide.BID if raises_position(wanted.action) else BookSide.ASK,
            price_e4=wanted.price_e4, qty_e2=wanted.qty_e2, decided_ns=wanted.decided_ns,
            time_in_force=TimeInForce.GOOD_TILL_CANCELED if maker else TimeInForce.IMMEDIATE_OR_CANCEL,
            post_only=maker, expires_s=now_s + ttl_s if maker and self._expires else None,
            decision=f"{told['group']}/{told['slot']}/{told['now_ns']}",
        )  # fmt: skip

    def _remember(self, order: Order, action: str) -> None:
        """Keep the action of an order until no fill of it can come any more."""
        live = self._executor.ledger.live
        if len(self.actions) > 2 * _MOST_ENDED + len(live):
            newest = set(list(self.actions)[-_MOST_ENDED:])
            self.actions = {name: a for name, a in self.actions.items() if name in newest or name in live}
        self.actions[order.client_order_id] = action


def _now(view: MarketAtOrder, held: TradedMarket) -> MarketAtOrder:
    """``view`` of a decision with the book as it is now."""
    return dataclasses.replace(view, bid_e4=held.bid_e4, ask_e4=held.ask_e4, is_valid=held.is_valid)
