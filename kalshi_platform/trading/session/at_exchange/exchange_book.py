"""Account of a session at an exchange: what the exchange says is shown to the policy, actions become orders.

Owns       which market stands in which slot, and what an action asks of it.
Semantics  of an action are those of training (``exchange_kernel.py``): the action of the resting order keeps
           it; another one cancels it and sends a new order once the cancel is answered; a taker's order is
           immediate-or-cancel at its limit, a maker's is post-only. A book that is lost ends its order.
Busy       a slot has no choice while something is on its way, and while fills are missing that a report has
           counted: its position would be shown too small, and the same order be sent again.
Group      begins with the model's capital, as in training, whatever the account holds; the account's limits
           and cash decide over every order (``trading/execution``).
Opening    a position of before is shown with its own cost and age; the session's result counts it from the
           first price that the session's books give it (``session/opening_positions.py``).
Life       of a resting order ends here after ``order_ttl_ms`` since the action last kept it. Where this
           process dies, an order ends at the exchange after that time and MARGIN_S more.
Not here   the sending itself (order_sender.py), the rows of fills (fill_ledger.py).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.rows import INVALID, Rows
from kalshi_platform.domain.actions import ACTION_NAMES, HOLD
from kalshi_platform.domain.fee_schedule import FeeStep
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE, RESTING
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.at_exchange.exchange_kernel import (
    END,
    KEEP,
    NEW,
    PLAN_DTYPE,
    plan_actions,
)
from kalshi_platform.trading.session.at_exchange.fill_ledger import FillLedger
from kalshi_platform.trading.session.at_exchange.order_sender import MARGIN_S, OrderSender, PlannedOrder
from kalshi_platform.trading.session.at_exchange.traded_market import (
    TradedMarket,
    worth_e6,
)
from kalshi_platform.trading.session.core import OpenPosition
from kalshi_platform.trading.session.ledger import LedgerRow
from kalshi_platform.trading.session.opening_positions import OpeningPosition, OpeningPositions, price_or_none
from kalshi_platform.trading.session.restraint import restrained, working_actions

#: An order whose cancel's outcome is unknown is cancelled again after so long: lists decide it, not haste.
_CANCEL_AGAIN_NS: Final = NS_PER_SECOND


class ExchangeBook:
    """SessionAccount whose orders an executor sends."""

    def __init__(
        self,
        config: TradingConfig,
        executor: Executor,
        note: Callable[[str, dict[str, object]], None],
        told_shard: Callable[[str], int | None],
        model_ns: Callable[[], int],
        fail: Callable[[BaseException], None],
        left: Callable[[str, int], None],
        known_ns: Callable[[], int],
        *,
        frame_mono_ns: Callable[[], int] = lambda: 0,
        expires: bool = True,
    ) -> None:
        """Begin with what the executor holds.

        ``told_shard``: shard of a market as REST told it; ``frame_mono_ns``: when the newest frame left the
        socket; ``model_ns``: when the model was last known to be well; ``fail`` takes an error of the
        sending; ``left`` takes what is left of an order that filled or ended; ``known_ns``: time by the
        recording's clock; ``expires``: False where the exchange's clock is another one than ours.
        """
        self._config, self.executor = config, executor
        self._params, self._sending = config.execution, config.sending
        self._told_shard, self._model_ns = told_shard, model_ns
        self.sender = OrderSender(config, executor, note, fail, known_ns, frame_mono_ns, expires=expires)
        self._fills = FillLedger(executor.ledger.markets, note)
        self._held: dict[tuple[int, int], TradedMarket] = {}
        self._by_ticker: dict[str, TradedMarket] = {}
        self._brought: dict[int, int] = {}  # group -> cash that markets brought which left their slots
        self._plans = np.zeros(config.n_slots, PLAN_DTYPE)
        self._opening = OpeningPositions(sum(executor.ledger.cash_e6.values()), {
            ticker: OpeningPosition(market.held_e2, market.mark_e4 or 0, market.cost_e6, market.opened_ns)
            for ticker, market in executor.ledger.markets.items() if market.held_e2
        })  # fmt: skip
        self._unexplained_e6 = executor.ledger.unexplained_e6
        self._n_forbidden = 0
        self._left = left
        self._told_left: dict[str, int] = {}  # client id of a live order -> what is left of it, once told
        executor.on_fill = self._filled
        executor.on_order = self._moved

    def opening(self) -> dict[str, object]:
        """Cash and positions with which the session begins, by market."""
        return self._opening.as_note()

    # What the books say

    def placed(self, place: LivePlace, ticker: str) -> None:
        """Give a slot to a market."""
        market = self.executor.ledger.markets.get(ticker)
        held = TradedMarket(ticker, "")
        if market is not None:
            held.base_e6, held.fees_base_e6 = market.cash_e6, market.fees_e6
        self._held[place.group, place.slot] = self._by_ticker[ticker] = held

    def described(
        self, place: LivePlace, spec: MarketSpec, known: KnownFacts, fees: tuple[FeeStep, ...], at_ns: int
    ) -> None:
        """Take the facts of a market."""
        held = self._held[place.group, place.slot]
        held.spec, held.event, held.fees = spec, spec.event, fees
        shard = self._shard_of(spec.ticker)
        if shard is not None:
            self.executor.know(spec.ticker, spec.event, spec.category or "", shard)
            self.executor.know_rate(spec.ticker, max(self._rates_e6(held, at_ns)))

    def row(self, place: LivePlace, row: Rows, exch_ns: int) -> None:
        """Tell the executor what positions are worth; end the order of a book that is lost."""
        held = self._held[place.group, place.slot]
        held.is_valid = bool(row.valid[0] != INVALID)
        if not held.is_valid:
            held.bid_e4 = held.ask_e4 = None
            if held.working is not None and held.busy == HOLD:
                self.sender.start_cancel(held, held.working)
            return
        bid, ask = price_or_none(int(row.bid_px_e4[0, 0])), price_or_none(int(row.ask_px_e4[0, 0]))
        if (bid, ask) != (held.bid_e4, held.ask_e4):
            held.bid_e4, held.ask_e4 = bid, ask
            self.executor.mark(held.ticker, bid, ask, int(row.recv_ns[0]))
            self._opening.see(held.ticker, bid, ask)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Hand a frame to the executor, which knows those that concern it."""
        self.executor.take_message(message)

    def told(self, kind: str, why: str) -> None:
        """Take note that the stream went or came back."""
        if kind == "disconnected":
            self.executor.disconnected(why)
        elif kind == "connected":
            self.executor.reconnected()

    # What the policy sees and does

    def show(self, books: LiveBooks, group: int, now_ns: int) -> None:
        """Show in a group what the exchange and the executor know of its account."""
        shown = books.groups[group]
        cash, reserved = self._config.capital_e6 + self._brought.get(group, 0), 0
        for s in range(shown.n_slots):
            held = self._held.get((group, s))
            slot = shown.slots[0, s]
            if held is None:
                continue
            market = self.executor.ledger.markets.get(held.ticker)
            slot.position_e2, slot.cost_e6, slot.opened_ns = 0, 0, 0
            if market is not None and market.held_e2:
                slot.position_e2, slot.cost_e6 = market.held_e2, market.cost_e6
                slot.opened_ns = market.opened_ns
            cash += 0 if market is None else market.cash_e6 - held.base_e6
            held.let_go()
            order = held.working
            slot.order_state = IDLE if order is None else RESTING
            if order is not None:
                slot.order_action, slot.order_price_e4 = held.action, order.intent.price_e4
                slot.order_qty_e2, slot.placed_qty_e2 = order.left_e2, order.intent.qty_e2
                if ACTION_NAMES[held.action].startswith("BUY"):
                    reserved += order.intent.own_e4 * order.left_e2
                self._end_where_old_or_blind(held, order)
            slot.sent_action = self._under_way(held)
        shown.set_cash(cash, reserved)

    def act(self, books: LiveBooks, group: int, now_ns: int, actions: np.ndarray) -> np.ndarray:
        """Make orders and cancels of actions (S,) i1; returns those that were open to the account.

        Halted, nothing is made of them: the executor cancels by itself.
        """
        shown, state = books.groups[group], self.executor.mode
        asked = np.array(restrained(state, actions, working_actions(shown.slots)), np.int8)
        if state is RiskMode.HALTED:
            return asked
        self._n_forbidden += int(
            plan_actions(
                shown.bank, shown.envs, shown.slots, now_ns, asked, self._params, self._sending, self._plans
            )
        )
        for s, plan in enumerate(self._plans):
            if plan["what"] == KEEP:
                self._held[group, s].kept_ns = time.time_ns()
            elif plan["what"] == END:
                held = self._held[group, s]
                if held.working is not None:
                    self.sender.start_cancel(held, held.working)
            elif plan["what"] == NEW:
                self._send(books, group, s, now_ns, plan)
        return asked

    def _send(self, books: LiveBooks, group: int, s: int, now_ns: int, plan: np.void) -> None:
        """Send the new order of a slot's plan."""
        held = self._held[group, s]
        wanted = PlannedOrder(
            int(plan["action"]), int(plan["price_e4"]), int(plan["qty_e2"]), decided_ns=time.time_ns()
        )
        told: dict[str, object] = {
            "group": group, "slot": s, "now_ns": now_ns, "ticker": held.ticker,
            "action": ACTION_NAMES[wanted.action], "price_e4": wanted.price_e4, "qty_e2": wanted.qty_e2,
            "client_id": "",
        }  # fmt: skip
        shard = self._shard_of(held.ticker)
        if shard is None:
            self.sender.refuse(told, f"shard_unknown: the exchange has not told the shard of {held.ticker}")
            return
        self.sender.start_order(held, self._view(books, held, group, s, shard), wanted, told)

    def end_old(self) -> None:
        """Cancel orders whose time to live is over, also in markets without news: nothing is decided there.

        One cancel each: those that the exchange refuses are repeated by the executor's upkeep.
        """
        for held in self._held.values():
            if held.working is not None and not held.working.cancel_wanted:
                self._end_where_old_or_blind(held, held.working)

    def _end_where_old_or_blind(self, held: TradedMarket, order: Order) -> None:
        """Cancel an order that no action has kept for its time to live, or whose book is lost."""
        is_old = time.time_ns() - held.kept_ns > self._config.order_ttl_ms * NS_PER_MS
        if (is_old or not held.is_valid) and self._under_way(held) == HOLD:
            self.sender.start_cancel(held, order)

    def _under_way(self, held: TradedMarket) -> int:
        """Action, or CANCEL, of which the slot waits to see the whole effect; HOLD where it may act."""
        if held.busy != HOLD:
            return held.busy
        if held.awaits_fills:
            return held.action
        order, cancelled_ns = held.working, held.cancelled_ns
        if order is None or order.state is not OrderState.CANCEL_UNKNOWN or cancelled_ns is None:
            return HOLD
        return CANCEL if time.monotonic_ns() - cancelled_ns < _CANCEL_AGAIN_NS else HOLD

    def pay(self, books: LiveBooks, ticker: str, value_e4: int, at_ns: int) -> None:
        """Let go of a market's slot; the exchange itself pays, and the executor reads it in its lists."""
        place = books.places[ticker]
        held = self._held.pop((place.group, place.slot))
        held.is_valid = False  # what is on its way goes out no more, or is cancelled: no slot would keep it
        market = self.executor.ledger.markets.get(ticker)
        if market is None:
            return
        paid_e6 = 0 if market.value_e4 is not None else worth_e6(market.position_e2, value_e4)
        self._brought[place.group] = (
            self._brought.get(place.group, 0) + market.cash_e6 + paid_e6 - held.base_e6
        )

    def _shard_of(self, ticker: str) -> int | None:
        """Shard of a market; None where neither REST nor the account's lists told it."""
        return self.executor.ledger.shard_of(ticker, self._told_shard(ticker))

    def _view(self, books: LiveBooks, held: TradedMarket, group: int, s: int, shard: int) -> MarketAtOrder:
        """Return a market as limits see it: a quiet book is as young as its connection's last frame."""
        spec, terms = books.specification(held.ticker), books.groups[group].bank.terms[s]
        taker_rate_e6, maker_rate_e6 = self._rates_e6(held, books.now_ns)
        return MarketAtOrder(
            ticker=held.ticker, event=spec.event, category=spec.category or "",
            exchange_index=shard, bid_e4=held.bid_e4, ask_e4=held.ask_e4,
            is_valid=held.is_valid, book_ns=books.now_ns, model_ns=self._model_ns(),
            taker_rate_e6=taker_rate_e6, maker_rate_e6=maker_rate_e6,
            is_open=books.now_ns < int(terms["close_ns"]),
        )  # fmt: skip

    def _rates_e6(self, held: TradedMarket, now_ns: int) -> tuple[int, int]:
        """Highest fee rates (taker, maker) while an order sent now may rest."""
        return held.rates_e6(
            now_ns, now_ns + self._config.order_ttl_ms * NS_PER_MS + MARGIN_S * NS_PER_SECOND
        )

    def order_name(self, group: int, slot: int) -> str:
        """Client id of the order that works in a slot; empty where none does."""
        held = self._held.get((group, slot))
        order = None if held is None else held.working
        return "" if order is None else order.client_order_id

    def _moved(self, order: Order) -> None:
        """Tell what is left of an order whenever it becomes less."""
        left_e2 = 0 if order.is_ended else order.left_e2
        if left_e2 < self._told_left.get(order.client_order_id, order.intent.qty_e2):
            self._told_left[order.client_order_id] = left_e2
            self._left(order.client_order_id, left_e2)
        if order.client_order_id not in self.executor.ledger.live:
            self._told_left.pop(order.client_order_id, None)

    def _filled(self, order: Order | None, fill: FillReport) -> None:
        """Write a fill into ledger and recording."""
        action = "" if order is None else self.sender.actions.get(order.client_order_id, "")
        self._fills.take(order, fill, self._by_ticker.get(fill.ticker), action)

    # Figures

    def _value_e6(self) -> int:
        """Value of all open positions at their marks."""
        return sum(market.worth_e6 for market in self.executor.ledger.markets.values())

    def figures(self) -> dict[str, Any]:
        """Cash, equity and fees of the account, 1e-6 dollar, and counts."""
        ledger = self.executor.ledger
        cash = sum(ledger.cash_e6.values())
        return {
            "cash_e6": cash, "equity_e6": cash + self._value_e6(), "capital_e6": self._opening.capital_e6,
            "paid_in_e6": ledger.unexplained_e6 - self._unexplained_e6,
            "reserved_e6": sum(o.intent.own_e4 * o.left_e2 for o in ledger.live.values()),
            "fees_e6": self._fills.fees_e6, "fills": len(self._fills.rows),
            "forbidden": self._n_forbidden, **self.sender.counts,
        }  # fmt: skip

    def ledger(self, last: int | None = None) -> list[LedgerRow]:
        """Every fill so far in the order in which they were told, or the ``last`` ones."""
        rows = self._fills.rows
        return rows[:] if last is None else rows[-last:]

    def holdings(self, books: LiveBooks, group: int) -> list[dict[str, int]]:
        """Position, cost and working order of each slot of a group."""
        marks = books.groups[group].slots["mark2_e4"][0].tolist()
        empty = TradedMarket("", "")
        return [self._holding(self._held.get((group, s), empty), mark) for s, mark in enumerate(marks)]

    def positions(self) -> list[OpenPosition]:
        """Every open position of the account, by ticker."""
        return [
            OpenPosition(
                ticker, self.executor.event_of(ticker), market.held_e2, market.cost_e6,
                None if market.mark_e4 is None else market.worth_e6,
                market.cash_e6, market.fees_e6,
            )
            for ticker, market in sorted(self.executor.ledger.markets.items()) if market.held_e2
        ]  # fmt: skip

    def _holding(self, held: TradedMarket, mark2: int) -> dict[str, int]:
        """Position, cost and working order of one slot."""
        market, order = self.executor.ledger.markets.get(held.ticker), held.working
        return {
            "position_e2": 0 if market is None else market.held_e2,
            "cost_e6": market.cost_e6 if market is not None and market.held_e2 else 0,
            "slot_cash_e6": 0 if market is None else market.cash_e6 - held.base_e6,
            "fees_e6": 0 if market is None else market.fees_e6 - held.fees_base_e6, "mark2_e4": mark2,
            "order_state": IDLE if order is None else RESTING, "order_action": held.action,
            "order_price_e4": 0 if order is None else order.intent.price_e4,
            "order_qty_e2": 0 if order is None else order.left_e2, "sent_action": self._under_way(held),
        }  # fmt: skip

    def risk(self) -> dict[str, Any]:
        """State of the limits, of what is not known, and of the last comparison with the exchange."""
        snapshot = self.executor.snapshot()
        last = snapshot.last_reconcile
        return {
            "mode": snapshot.mode.value, "why": snapshot.mode_why, "undecided": list(snapshot.undecided),
            "is_reconciled": snapshot.is_reconciled, "reconciled_why": snapshot.reconciled_why,
            "cash_doubts": list(() if last is None else last.doubts),
            "day_loss_e6": snapshot.day_loss_e6, "drawdown_e6": snapshot.drawdown_e6,
            "used": [asdict(each) for each in snapshot.used], "counts": dict(snapshot.counts),
        }  # fmt: skip

    def finish(self) -> None:
        """Nothing is left to be done: the exchange knows the account."""

    async def stop(self) -> None:
        """Cancel what works, then what was on its way, compare with the exchange, and cancel what that found.

        In this order: one order whose answer is late must not keep all others at rest.
        """
        self.sender.end()
        await asyncio.gather(self._cancel_working(), self.settle_down())
        await self._cancel_working()
        await self.executor.reconcile()
        await self._cancel_working()

    async def _cancel_working(self) -> None:
        """Cancel every order of the account that has not ended, with or without a slot."""
        live = self.executor.ledger.live.values()
        await asyncio.gather(*(self.executor.cancel(o.client_order_id) for o in live if not o.is_ended))

    async def close(self) -> None:
        """End what is still on its way: what was let out stays unknown, as the journal says."""
        await self.sender.close()

    async def settle_down(self) -> None:
        """Wait for orders and cancels that are on their way."""
        await self.sender.settle_down()
