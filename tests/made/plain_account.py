"""An exchange's account written plainly from its documented rules, for tests of execution.

It shares no code with ``trading/execution``: YES and NO contracts are counted apart, and a pair is paid one
dollar when it is complete. Answers are bodies as on the wire. ``next_create`` and ``next_cancel`` say how the
next writes go wrong; messages of the stream wait in ``sent`` until a test delivers, repeats or drops them.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kalshi_platform.domain.errors import ExchangeError
from kalshi_platform.trading.exchange import account_answers as answers
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, Unknown
from kalshi_platform.trading.exchange.pages import PageSet

S = 1_000_000_000
START_NS = 1_795_400_000 * S


def dollars(amount: int, scale: int) -> str:
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    digits = len(str(scale)) - 1
    return f"{sign}{amount // scale}.{amount % scale:0{digits}d}"


def rfc3339(time_ns: int) -> str:
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(time_ns // S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{time_ns % S:09d}Z"


class HandClock:
    """A clock that moves by hand, and by what somebody sleeps."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.off_ns = 0  # of the wall clock: somebody set it

    def wall_ns(self) -> int:
        return self.now_ns + self.off_ns

    def mono_ns(self) -> int:
        return self.now_ns - START_NS + 5 * S

    async def sleep(self, seconds: float) -> None:
        self.now_ns += max(round(seconds * S), 1)


@dataclass
class PlainOrder:
    order_id: str
    client_order_id: str
    ticker: str
    side: str
    price_e4: int
    initial_e2: int
    shard: int = 0
    filled_e2: int = 0
    status: str = "resting"
    updated_ns: int = 0
    fees_e6: int = 0

    @property
    def left_e2(self) -> int:
        return self.initial_e2 - self.filled_e2 if self.status == "resting" else 0


@dataclass
class PlainAccount:
    """One account at an exchange with two shards; markets of tickers that begin with Z are on shard 1."""

    clock: HandClock
    cash_e6: dict[int, int] = field(default_factory=lambda: {0: 1_000_000_000, 1: 500_000_000})
    fee_e6: int = 200  # of every fill
    orders: dict[str, PlainOrder] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    yes_e2: dict[str, int] = field(default_factory=dict)
    no_e2: dict[str, int] = field(default_factory=dict)
    cost_e6: dict[str, int] = field(default_factory=dict)
    settled: list[dict[str, Any]] = field(default_factory=list)
    paid: set[str] = field(default_factory=set)
    sent: list[dict[str, Any]] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)  # client ids, as they arrived
    cancel_alls: int = 0
    next_create: deque[str] = field(default_factory=deque)
    next_cancel: deque[str] = field(default_factory=deque)
    away: bool = False  # nobody can be reached
    while_it_waits: Callable[[], object] = lambda: None  # what happens before an order has its tokens
    cut: set[str] = field(default_factory=set)  # lists that come incomplete
    unnamed: set[str] = field(default_factory=set)  # answers that leave the shard out
    lag_ns: int = 0  # of the lists behind the writes
    region_expires_ns: int | None = None

    # The exchange's own doing

    def shard_of(self, ticker: str) -> int:
        return 1 if ticker.startswith("Z") else 0

    def place(self, client_id: str, ticker: str, side: str, price_e4: int, qty_e2: int) -> PlainOrder:
        order = PlainOrder(
            f"o-{len(self.orders) + 1}", client_id, ticker, side, price_e4, qty_e2, self.shard_of(ticker),
            updated_ns=self.clock.now_ns,
        )  # fmt: skip
        self.orders[order.order_id] = order
        self.tell(order)
        return order

    def fill(self, order: PlainOrder, qty_e2: int, price_e4: int | None = None) -> None:
        price = order.price_e4 if price_e4 is None else price_e4
        qty = min(qty_e2, order.left_e2)
        if qty <= 0:
            return
        own = price if order.side == "bid" else 10_000 - price
        held, other = (self.yes_e2, self.no_e2) if order.side == "bid" else (self.no_e2, self.yes_e2)
        held[order.ticker] = held.get(order.ticker, 0) + qty
        pairs = min(held[order.ticker], other.get(order.ticker, 0))
        held[order.ticker] -= pairs
        other[order.ticker] = other.get(order.ticker, 0) - pairs
        self.cash_e6[order.shard] += pairs * 10_000 - own * qty - self.fee_e6
        self.cost_e6[order.ticker] = self.cost_e6.get(order.ticker, 0) + own * qty
        order.filled_e2 += qty
        order.fees_e6 += self.fee_e6
        order.updated_ns = self.clock.now_ns
        if order.filled_e2 == order.initial_e2:
            order.status = "executed"
        self.trades.append({
            "trade_id": f"t-{len(self.trades) + 1}", "order_id": order.order_id,
            "market_ticker": order.ticker,
            "ticker": order.ticker, "book_side": order.side, "yes_price_dollars": dollars(price, 10_000),
            "count_fp": dollars(qty, 100), "fee_cost": dollars(self.fee_e6, 1_000_000), "is_taker": False,
            "exchange_index": order.shard, "created_time": rfc3339(self.clock.now_ns),
            "ts_ms": self.clock.now_ns // 1_000_000, "client_order_id": order.client_order_id,
        })  # fmt: skip
        self.sent.append({"type": "fill", "msg": dict(self.trades[-1])})
        self.tell(order)

    def end(self, order: PlainOrder, reason: str = "CloseCancel") -> int:
        left = order.left_e2
        if order.status == "resting":
            order.status, order.updated_ns = "canceled", self.clock.now_ns
            self.tell(order, reason)
        return left

    def settle(self, ticker: str, value_e4: int) -> None:
        """Pay a market, once; what rests there ends."""
        if ticker in self.paid:
            return
        for order in self.orders.values():
            if order.ticker == ticker:
                self.end(order)
        yes, no = self.yes_e2.pop(ticker, 0), self.no_e2.pop(ticker, 0)
        self.paid.add(ticker)
        if not (yes or no):
            return
        revenue = yes * value_e4 + no * (10_000 - value_e4)
        self.cash_e6[self.shard_of(ticker)] += revenue
        self.settled.append({
            "ticker": ticker, "market_result": "yes" if value_e4 else "no", "yes_count_fp": dollars(yes, 100),
            "no_count_fp": dollars(no, 100), "revenue": revenue // 10_000, "fee_cost": "0.000000",
            "value": value_e4 // 100, "settled_time": rfc3339(self.clock.now_ns),
        })  # fmt: skip

    def tell(self, order: PlainOrder, reason: str = "") -> None:
        self.sent.append({"type": "user_order", "msg": self.body(order, reason)})

    def body(self, order: PlainOrder, reason: str = "") -> dict[str, Any]:
        return {
            "order_id": order.order_id, "client_order_id": order.client_order_id, "ticker": order.ticker,
            "book_side": order.side, "status": order.status,
            "yes_price_dollars": dollars(order.price_e4, 10_000),
            "initial_count_fp": dollars(order.initial_e2, 100),
            "fill_count_fp": dollars(order.filled_e2, 100),
            "remaining_count_fp": dollars(order.left_e2, 100), "exchange_index": order.shard,
            "last_updated_ts_ms": order.updated_ns // 1_000_000,
            "last_update_time": rfc3339(order.updated_ns), "last_update_reason": reason,
            "taker_fees_dollars": dollars(order.fees_e6, 1_000_000),
        }  # fmt: skip

    def position_e2(self, ticker: str) -> int:
        return self.yes_e2.get(ticker, 0) - self.no_e2.get(ticker, 0)

    # Writes, as execution makes them

    async def create(self, order: Any, hindrance: Callable[[], str]) -> Any:
        self.while_it_waits()
        if words := hindrance():
            return Refused(f"not sent: {words}", None, None, sent=False)
        how = self.next_create.popleft() if self.next_create else "accepted"
        if self.away or how == "not_sent":
            return Refused("not sent: no address", None, None, sent=False)
        body = order.body()
        self.creates.append(body["client_order_id"])
        if how == "refused":
            return Refused("400 invalid_order", 400, "invalid_order")
        if how == "limited":
            return Refused("429 too many requests", 429, None)
        if how == "duplicate" or any(
            o.client_order_id == body["client_order_id"] for o in self.orders.values()
        ):
            return Refused("409 order_already_exists", 409, "order_already_exists")
        if how == "lost":
            return Unknown("no answer within 5 s")
        price, qty = round(float(body["price"]) * 10_000), round(float(body["count"]) * 100)
        placed = self.place(body["client_order_id"], body["ticker"], body["side"], price, qty)
        if how == "fill_first":
            self.fill(placed, placed.initial_e2 // 2 or 1)
        if how == "filled":
            self.fill(placed, placed.initial_e2)
        if body["time_in_force"] != "good_till_canceled":
            self.end(placed, "")
        if how == "lost_accepted":
            return Unknown("503", 503)
        told = {
            "order_id": placed.order_id, "client_order_id": placed.client_order_id,
            "fill_count": dollars(placed.filled_e2, 100), "remaining_count": dollars(placed.left_e2, 100),
        }  # fmt: skip
        return Accepted(answers.read_placed(AnswerFields(told, "create")), 201)

    async def cancel(self, order_id: str, ticker: str, shard: int | None) -> Any:
        how = self.next_cancel.popleft() if self.next_cancel else "accepted"
        if self.away or how == "not_sent":
            return Refused("not sent: no address", None, None, sent=False)
        if how == "lost":
            return Unknown("no answer within 5 s")
        if how == "refused":
            return Refused("400 MARKET_INACTIVE", 400, "MARKET_INACTIVE")
        order = self.orders.get(order_id)
        if order is None or order.status != "resting" or how == "not_found":
            return Refused("404 not_found", 404, "not_found")
        left = self.end(order, "")
        if how == "lost_accepted":
            return Unknown("503", 503)
        at_ms = self.clock.now_ns // 1_000_000
        told = {"order_id": order_id, "reduced_by": dollars(left, 100), "ts_ms": at_ms}
        return Accepted(answers.read_cancelled(AnswerFields(told, "cancel")), 200)

    async def cancel_all(self) -> Any:
        how = self.next_cancel.popleft() if self.next_cancel else "accepted"
        if self.away or how == "not_sent":
            return Refused("not sent: no address", None, None, sent=False)
        self.cancel_alls += 1
        if how == "lost":
            return Unknown("no answer within 5 s")
        for order in self.orders.values():
            self.end(order, "")
        return Unknown("503", 503) if how == "lost_accepted" else Accepted(None, 204)

    # Reads

    def _named(self, name: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [b for b in bodies if name not in self.unnamed or b.pop("exchange_index", True) is not None]

    def _reach(self) -> None:
        if self.away:
            raise ExchangeError("ConnectError: no address", is_passing=True)

    def _pages(self, name: str, items: list[Any]) -> PageSet[Any]:
        self._reach()
        if name in self.cut:
            return PageSet(tuple(items[: len(items) // 2]), False, "page 2 failed", 1, 0)
        return PageSet(tuple(items), True, None, 1, 0)

    async def as_of_ns(self) -> int:
        self._reach()
        return self.clock.now_ns - self.lag_ns

    async def balance(self) -> answers.BalanceAnswer:
        self._reach()
        return answers.read_balance(AnswerFields(self.balance_body(), "balance"))

    def balance_body(self) -> dict[str, Any]:
        free = {shard: cash - self._reserved(shard) for shard, cash in self.cash_e6.items()}
        body = {
            "balance": sum(free.values()) // 10_000,
            "balance_dollars": dollars(sum(free.values()), 1_000_000),
            "balance_breakdown": [
                {"exchange_index": s, "balance": dollars(f, 1_000_000)} for s, f in free.items()
            ],
        }  # fmt: skip
        if "balance" in self.unnamed:
            del body["balance_breakdown"]
        return body

    async def market_shard(self, ticker: str) -> int | None:
        self._reach()
        return None if "market" in self.unnamed else self.shard_of(ticker)

    def _reserved(self, shard: int) -> int:
        total = 0
        for ticker in {o.ticker for o in self.orders.values() if o.shard == shard}:
            for side, closes in (("bid", self.no_e2), ("ask", self.yes_e2)):
                mine = [o for o in self.orders.values() if (o.ticker, o.side) == (ticker, side)]
                cost = sum((o.price_e4 if side == "bid" else 10_000 - o.price_e4) * o.left_e2 for o in mine)
                closing = min(closes.get(ticker, 0), sum(o.left_e2 for o in mine))
                total += max(cost - 10_000 * closing, 0)
        return total

    async def keys(self) -> answers.ApiKeysAnswer:
        self._reach()
        return answers.ApiKeysAnswer((), self.region_expires_ns)

    async def positions(self, *, settled: str = "unsettled") -> PageSet[Any]:
        bodies = self.position_bodies()
        return self._pages("positions", [answers.read_position(AnswerFields(b, "p")) for b in bodies])

    def position_bodies(self) -> list[dict[str, Any]]:
        bodies: list[dict[str, Any]] = [
            {
                "ticker": ticker, "position_fp": dollars(self.position_e2(ticker), 100),
                "market_exposure_dollars": dollars(self.cost_e6.get(ticker, 0), 1_000_000),
                "realized_pnl_dollars": "0.000000", "fees_paid_dollars": "0.000000",
                "exchange_index": self.shard_of(ticker),
            }
            for ticker in {*self.yes_e2, *self.no_e2} - self.paid
        ]  # fmt: skip
        return self._named("positions", bodies)

    async def fills(self, *, since_ns: int | None = None) -> PageSet[Any]:
        seen = [answers.read_fill(AnswerFields(body, "f")) for body in self.fill_bodies(since_ns or 0)]
        return self._pages("fills", seen)

    def fill_bodies(self, since_ns: int) -> list[dict[str, Any]]:
        until_ns = self.clock.now_ns - self.lag_ns
        bodies = [
            {name: value for name, value in each.items() if name != "client_order_id"}
            for each in self.trades
            if since_ns // S * S <= each["ts_ms"] * 1_000_000 <= until_ns
        ]
        return self._named("fills", bodies)

    async def orders_list(self, status: str | None, ticker: str | None, since_ns: int) -> list[Any]:
        return [
            answers.read_order(AnswerFields(self.body(o), "o"))
            for o in self.orders.values()
            if status in (None, o.status) and ticker in (None, o.ticker) and o.updated_ns >= since_ns
        ]

    async def settlements(self, *, since_ns: int | None = None) -> PageSet[Any]:
        return self._pages(
            "settlements", [answers.read_settlement(AnswerFields(b, "s")) for b in self.settled]
        )


class PlainReports:
    """The reads of an account; apart, since its ``orders`` is a call."""

    def __init__(self, account: PlainAccount) -> None:
        self._account = account

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)

    async def orders(
        self, *, status: str | None = None, ticker: str | None = None, since_ns: int | None = None
    ) -> PageSet[Any]:
        listed = await self._account.orders_list(status, ticker, since_ns or 0)
        return self._account._pages("orders", listed)
