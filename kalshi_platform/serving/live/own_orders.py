"""Orders of our own that rest in the books of a stream, and the rows of those books without them.

Why        no policy ever saw an order of its own in a book while it learned, and a replay adds its own order
           to the book that it reads: ours must not stand there a second time.
Known by   frames: a delta names the order that caused it; ``fill`` and ``user_order`` frames tell what is
           left of an order; :meth:`OwnOrders.tell_left` adds what REST told. The same frames and tellings, in
           the same order, take out the same, so that a session and its replay see one book.
Taken out  what each order still *shows*: what deltas added for it, less what deltas took. A delta that only
           moves our size becomes no row at all; one that moves ours and others' becomes the others' part; a
           snapshot loses what is ours, and a level that was ours alone.
Stay       prints, also those that filled our orders: somebody sold or bought there; sizes that our takers
           took from others.
Ambiguous  a delta without a name takes from a level where an order of ours shows. Counted by how it was
           decided: ``own_told``: a report had told that so much of ours is gone; ``own_inferred``: others had
           not as much there; ``others``: all others', unless a report of the same millisecond says later that
           it was ours: then ``put_back``, a row that gives the others back what they never lost.
           ``not_in_snapshot``: a snapshot has less at a price than should rest there of ours.
           ``told_by_rest``: only REST told that something was gone: the next delta or snapshot there sets the
           sizes right.
Bounds     sizes of others are never below zero. Units: price 1e-4 dollar (own side), size 1e-2 contract, ns.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    NO,
    SNAPSHOT,
    YES,
    MarketRows,
    take,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4, NO_TIME, NS_PER_MS, NS_PER_SECOND

#: Orders that ended and are remembered: reports may come before the delta that they explain.
_MOST_ENDED: Final = 1_000
#: A report explains deltas that are at most so much older.
_LATE_NS: Final = 2 * NS_PER_SECOND
#: Reasons of a report whose delta our own command caused.
_NAMED: Final = (None, "", "Decrease", "Amend")


@dataclass(slots=True)
class _OwnOrder:
    """One order: ``shown_e2`` stands in the books; ``left_e2`` is what reports say, None before the first."""

    ticker: str
    side: int
    price_e4: int
    shown_e2: int = 0
    left_e2: int | None = None
    is_assumed: bool = False  # what it shows comes of a snapshot, not of deltas
    fills: set[str] = field(default_factory=set)

    @property
    def place(self) -> "OwnLevel":
        return OwnLevel(self.ticker, self.side, self.price_e4)

    @property
    def owed_e2(self) -> int:
        """Size that a report says is gone and that no delta has taken yet."""
        return 0 if self.left_e2 is None else max(self.shown_e2 - self.left_e2, 0)


class OwnLevel(NamedTuple):
    """One price level: ``side`` and own-side bid price."""

    ticker: str
    side: int
    price_e4: int


class PutBack(NamedTuple):
    """Size that is others' again at a place, and the exchange's time of the report that said so."""

    place: OwnLevel
    qty_e2: int
    exch_ns: int


class OwnOrders:
    """Own orders in the books of one session."""

    def __init__(self) -> None:
        """Begin without orders."""
        self.counts: Counter[str] = Counter()
        self._orders: dict[str, _OwnOrder] = {}
        self._shown: dict[OwnLevel, list[_OwnOrder]] = {}  # orders that show something, oldest first
        self._markets: Counter[str] = Counter()  # number of such orders by market
        self._taken: dict[OwnLevel, list[tuple[int, int]]] = {}  # (exchange's time, size) taken as others'

    def shown_e2(self, ticker: str, side: int, price_e4: int) -> int:
        """Own size that stands in the book at a price."""
        return sum(order.shown_e2 for order in self._shown.get(OwnLevel(ticker, side, price_e4), ()))

    def hear(self, message: Mapping[str, Any]) -> tuple[str | None, list[PutBack]]:
        """Take a frame before the books do: (own order that caused it, what its report gives back)."""
        msg = message.get("msg")
        if not isinstance(msg, Mapping):
            return None, []
        kind = message.get("type")
        if kind == "orderbook_delta":
            cause = msg.get("client_order_id")
            return (cause if isinstance(cause, str) and cause else None), []
        if kind not in ("user_order", "fill"):
            return None, []
        try:
            return None, self._report(msg) if kind == "user_order" else self._fill(msg)
        except (DataError, ValueError):
            self.counts["unreadable_reports"] += 1
            return None, []

    def _report(self, msg: Mapping[str, Any]) -> list[PutBack]:
        """Take what is left of an order."""
        client_id, ticker, side = msg.get("client_order_id"), msg.get("ticker"), msg.get("outcome_side")
        if not isinstance(client_id, str) or not isinstance(ticker, str) or side not in ("yes", "no"):
            raise DataError("a user_order frame names no order, market or side")
        yes_e4 = wire.price_of(msg, "yes_price_dollars", "yes_price")
        left_e2 = wire.qty_of(msg, "remaining_count_fp", "remaining_count")
        if msg.get("status") != "resting":
            left_e2 = 0
        told_ms = msg.get("last_updated_ts_ms")
        exch_ns = told_ms * NS_PER_MS if isinstance(told_ms, int) else NO_TIME
        own_e4 = yes_e4 if side == "yes" else DOLLAR_E4 - yes_e4
        order = self._order(client_id, OwnLevel(ticker, YES if side == "yes" else NO, own_e4))
        will_name = msg.get("last_update_reason") in _NAMED  # the delta of our own cancel names its order
        return self._told(order, left_e2, exch_ns, may_be_late=not will_name)

    def _fill(self, msg: Mapping[str, Any]) -> list[PutBack]:
        """Take a fill of an order that rested; a repeated one counts once."""
        order, trade_id = self._orders.get(str(msg.get("client_order_id"))), str(msg.get("trade_id"))
        if order is None or order.shown_e2 == 0 or msg.get("is_taker") or trade_id in order.fills:
            return []
        order.fills.add(trade_id)
        before_e2 = order.shown_e2 if order.left_e2 is None else order.left_e2
        left_e2 = max(before_e2 - wire.qty_of(msg, "count_fp", "count"), 0)
        return self._told(order, left_e2, wire.exchange_time_ns(msg), may_be_late=True)

    def tell_left(self, client_id: str, left_e2: int) -> None:
        """Take what the account knows to be left of an order; nothing where no frame ever named it."""
        order = self._orders.get(client_id)
        if order is not None:
            owed_e2 = order.owed_e2
            self._told(order, left_e2, NO_TIME, may_be_late=False)
            self._count(told_by_rest=order.owed_e2 - owed_e2)

    def take_out(
        self, ticker: str, rows: MarketRows, cause: str | None, raw_e2: int | None = None
    ) -> MarketRows | None:
        """Rows of one message without our orders; None where nothing of it is others'.

        ``cause``: own order that the frame names. ``raw_e2``: size that the book has after a delta at its
        price.
        """
        kind = int(rows.kind[0])
        if kind == SNAPSHOT:
            return self._of_snapshot(ticker, rows)
        if kind != DELTA or raw_e2 is None or (cause is None and not self._markets[ticker]):
            return rows
        place = OwnLevel(ticker, int(rows.side[0]), int(rows.price_e4[0]))
        change_e2 = int(rows.qty_e2[0])
        if change_e2 > 0:
            others_e2 = change_e2 if cause is None else self._rest(cause, place, change_e2)
        else:
            others_e2 = -self._take(place, -change_e2, cause, raw_e2, int(rows.exch_ns[0]))
        if others_e2 == change_e2:
            return rows
        if others_e2 == 0:
            self.counts["rows_of_ours"] += 1
            return None
        self.counts["rows_changed"] += 1
        rows = take(rows, np.array([0]))
        rows.qty_e2[0] = others_e2
        return rows

    # How it is known

    def _order(self, client_id: str, place: OwnLevel) -> _OwnOrder:
        """Order of that id; where it shows nothing it stands at ``place`` from now on."""
        order = self._orders.get(client_id)
        if order is None:
            order = self._orders[client_id] = _OwnOrder(*place)
            self._forget()
        elif order.shown_e2 == 0:
            order.ticker, order.side, order.price_e4 = place
        return order

    def _forget(self) -> None:
        """Forget the oldest orders that ended, where there are many."""
        if len(self._orders) <= 2 * _MOST_ENDED:
            return
        ended = [name for name, o in self._orders.items() if o.shown_e2 == 0 and not o.left_e2]
        for name in ended[:_MOST_ENDED]:
            del self._orders[name]

    def _show(self, order: _OwnOrder, shown_e2: int) -> None:
        """Let an order show so much from now on."""
        was, order.shown_e2 = order.shown_e2, shown_e2
        if bool(was) == bool(shown_e2):
            return
        place = order.place
        if shown_e2:
            self._shown.setdefault(place, []).append(order)
            self._markets[order.ticker] += 1
            return
        self._shown[place].remove(order)
        self._markets[order.ticker] -= 1
        if not self._shown[place]:
            del self._shown[place]
            self._taken.pop(place, None)

    def _rest(self, cause: str, place: OwnLevel, qty_e2: int) -> int:
        """Take that an own order added to the book; returns what is others' of it."""
        order = self._order(cause, place)
        own_e2 = qty_e2
        if order.is_assumed and order.left_e2 is not None:  # a snapshot was taken to hold it already
            own_e2 = min(max(order.left_e2 - order.shown_e2, 0), qty_e2)
        order.is_assumed = False
        self._show(order, order.shown_e2 + own_e2)
        return qty_e2 - own_e2

    def _take(self, place: OwnLevel, qty_e2: int, cause: str | None, raw_e2: int, exch_ns: int) -> int:
        """Take that a level lost ``qty_e2``; returns what of it was others'."""
        orders = self._shown.get(place)
        if not orders:
            return qty_e2
        others_before_e2 = raw_e2 + qty_e2 - sum(order.shown_e2 for order in orders)
        left_e2 = qty_e2
        mine = None if cause is None else self._orders.get(cause)
        if mine is not None and mine.place == place:
            left_e2 -= self._lose([mine], left_e2)
        told_e2 = self._lose_told(orders, left_e2)
        left_e2 -= told_e2
        sure_e2 = min(max(left_e2 - max(others_before_e2, 0), 0), left_e2)
        inferred_e2 = self._lose(orders, sure_e2)
        left_e2 -= inferred_e2
        self._count(own_told=told_e2, own_inferred=inferred_e2)
        if left_e2 and place in self._shown:
            self._count(others=left_e2)
            kept = [t for t in self._taken.get(place, ()) if exch_ns - t[0] <= _LATE_NS]
            self._taken[place] = [*kept, (exch_ns, left_e2)]
        return left_e2

    def _count(self, **sizes_e2: int) -> None:
        """Count each way of deciding that decided something."""
        self.counts.update(name for name, size_e2 in sizes_e2.items() if size_e2 > 0)

    def _lose(self, orders: Iterable[_OwnOrder], most_e2: int) -> int:
        """Let orders show less, the oldest first; returns how much less."""
        lost_e2 = 0
        for order in list(orders):
            part = min(order.shown_e2, most_e2 - lost_e2)
            self._show(order, order.shown_e2 - part)
            lost_e2 += part
        return lost_e2

    def _lose_told(self, orders: Iterable[_OwnOrder], most_e2: int) -> int:
        """Let orders show less that reports told to be gone; returns how much less."""
        lost_e2 = 0
        for order in list(orders):
            part = min(order.owed_e2, most_e2 - lost_e2)
            self._show(order, order.shown_e2 - part)
            lost_e2 += part
        return lost_e2

    def _told(self, order: _OwnOrder, left_e2: int, exch_ns: int, *, may_be_late: bool) -> list[PutBack]:
        """Hold that so much is left of an order; a delta of that moment that took it was ours.

        ``may_be_late``: the delta may have come before, without a name.
        """
        if order.left_e2 is not None and left_e2 > order.left_e2:
            return []  # older than what is known
        order.left_e2 = left_e2
        place, taken = order.place, self._taken.get(order.place)
        if not may_be_late or not taken or not order.owed_e2:
            return []
        found: list[PutBack] = []
        for k, (at_ns, qty_e2) in enumerate(taken):
            is_cause = NO_TIME in (at_ns, exch_ns) or at_ns == exch_ns
            part = min(qty_e2, order.owed_e2) if is_cause else 0
            if part:
                taken[k] = (at_ns, qty_e2 - part)
                self._show(order, order.shown_e2 - part)
                self.counts["put_back"] += 1
                found.append(PutBack(place, part, at_ns))
        return found

    def _of_snapshot(self, ticker: str, rows: MarketRows) -> MarketRows:
        """Rows of a snapshot without our orders; they show what reports say is left of them."""
        raw = {
            (int(s), int(p)): int(q)
            for s, p, q, f in zip(rows.side, rows.price_e4, rows.qty_e2, rows.flags, strict=True)
            if not f & FLAG_START
        }
        own: Counter[tuple[int, int]] = Counter()
        for order in [o for o in self._orders.values() if o.ticker == ticker]:
            wanted_e2 = order.shown_e2 if order.left_e2 is None else order.left_e2
            there_e2 = raw.get((order.side, order.price_e4), 0) - own[order.side, order.price_e4]
            self._count(not_in_snapshot=wanted_e2 - there_e2)
            order.is_assumed = order.shown_e2 == 0
            self._show(order, min(wanted_e2, there_e2))
            own[order.side, order.price_e4] += order.shown_e2
        for place in [p for p in self._taken if p.ticker == ticker]:
            del self._taken[place]
        if not any(own.values()):
            return rows
        rows = take(rows, slice(None))
        rows = MarketRows(*(column.copy() for column in rows))
        keep = np.ones(rows.kind.size, bool)
        for k in range(rows.kind.size):
            if not rows.flags[k] & FLAG_START:
                rows.qty_e2[k] -= own.pop((int(rows.side[k]), int(rows.price_e4[k])), 0)
                keep[k] = rows.qty_e2[k] > 0
        rows = take(rows, keep)
        rows.flags[-1] |= FLAG_LAST
        return rows
