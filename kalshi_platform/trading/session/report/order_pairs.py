"""Orders of a session and of its replay side by side: what each of one decision asked, filled and paid.

Slippage  of a fill: what was paid beyond the YES price of the other, per contract, + where live paid more.
Units     price 1e-4 dollar, size 1e-2 contract, cash 1e-6 dollar, time ns UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kalshi_platform.trading.session.paper.paper_records import PaperOrder
from kalshi_platform.trading.session.report.courses import Course
from kalshi_platform.trading.session.report.explaining import Key
from kalshi_platform.trading.session.report.session_replay import ReplayedSession
from kalshi_platform.trading.session.report.watched_book import ReplayEnd, Rested

_BUYS: Final = ("BUY_YES", "BUY_NO")


@dataclass(frozen=True, slots=True)
class OrderSide:
    """One side of a pair: an order and what became of it."""

    price_e4: int
    qty_e2: int
    filled_e2: int
    cash_e6: int
    fee_e6: int
    words: str = ""  # state at the exchange, or why it was not sent

    @property
    def yes_price_e4(self) -> float | None:
        """Mean price of its own outcome before fees, 1e-4 dollar a contract; None without a fill."""
        return abs(self.cash_e6 + self.fee_e6) / self.filled_e2 if self.filled_e2 else None


@dataclass(frozen=True, slots=True)
class OrderPair:
    """The same decision at the exchange and in the replay."""

    sent_ns: int
    ticker: str
    action: str
    live: OrderSide | None
    replay: OrderSide | None
    why: str  # explanation of the difference; SAME where there is none
    detail: str = ""  # figures behind it
    number: int = 0  # of the order, from 1
    cause: int = 0  # number of the order with the cause of the difference; 0: there is no difference

    @property
    def differs(self) -> bool:
        """True where the two sides filled or paid differently."""
        found = [(0, 0) if s is None else (s.filled_e2, s.cash_e6) for s in (self.live, self.replay)]
        return found[0] != found[1]

    @property
    def is_cause(self) -> bool:
        """True where the order differs by itself, not because of another one."""
        return self.cause != 0 and self.cause == self.number

    @property
    def slippage_e4(self) -> float | None:
        """Price that live paid beyond the replay, 1e-4 dollar a contract; None unless both filled."""
        mine, theirs = (None if s is None else s.yes_price_e4 for s in (self.live, self.replay))
        if mine is None or theirs is None:
            return None
        return mine - theirs if self.action in _BUYS else theirs - mine

    def as_row(self) -> dict[str, Any]:
        """Plain values of a row."""
        return {
            "number": self.number, "cause": self.cause, "sent_ns": self.sent_ns, "ticker": self.ticker,
            "action": self.action, "why": self.why, "detail": self.detail,
            "live": self.live, "replay": self.replay, "slippage_e4": self.slippage_e4,
        }  # fmt: skip


def live_side(order: Mapping[str, Any], fills: list[dict[str, Any]]) -> OrderSide:
    """Side of an order at the exchange; one that never got there asked for nothing."""
    asked_e2 = int(order["qty_e2"]) if order["client_id"] else 0
    return OrderSide(
        int(order["price_e4"]), asked_e2, sum(int(f["qty_e2"]) for f in fills),
        sum(int(f["cash_e6"]) for f in fills), sum(int(f["fee_e6"]) for f in fills),
        str(order.get("words", "")),
    )  # fmt: skip


class Replayed(NamedTuple):
    """One order of the replay."""

    order: PaperOrder
    side: OrderSide
    course: Course


def replayed_orders(played: ReplayedSession) -> dict[Key, Replayed]:
    """Orders of the replay by decision."""
    found: dict[Key, Replayed] = {}
    for group, account in enumerate(played.book.accounts):
        lines = account.fills[account.fills["settlement"] == 0]
        for order in account.orders:
            mine = lines[(lines["slot"] == order.s) & (lines["order"] == order.number)]
            side = OrderSide(
                order.price_e4, order.qty_e2, int(mine["qty_e2"].sum()), int(mine["cash_e6"].sum()),
                int(mine["fee_e6"].sum()),
            )  # fmt: skip
            fills = tuple(zip(mine["at_ns"].tolist(), mine["qty_e2"].tolist(), strict=True))
            name = (group, order.s, order.number)
            course = _course(order, fills, played.book.rested.get(name), played.book.ends.get(name))
            found[group, order.s, order.sent_ns] = Replayed(order, side, course)
    return found


def _course(
    order: PaperOrder, fills: tuple[tuple[int, int], ...], rested: Rested | None, end: ReplayEnd | None
) -> Course:
    """Way of an order of the replay."""
    course = Course(order.arrival_ns, None, fills)
    if rested is not None:
        course = course._replace(rested_e2=rested.qty_e2, ahead_e2=rested.ahead_e2)
    if fills and course.filled_e2 >= (order.qty_e2 if rested is None else rested.qty_e2):
        return course._replace(ended_ns=fills[-1][0])
    if end is None:
        return course
    return course._replace(ended_ns=order.arrival_ns if end.at_ns is None else end.at_ns, why_ended=end.why)
