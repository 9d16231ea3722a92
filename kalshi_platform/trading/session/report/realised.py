"""Orders as the exchange realised them, read from a session's recording: times of each stage, the queue.

Times     ``decided_ns`` newest frame at the decision; ``sent_ns``, ``answered_ns`` of the request;
          ``seen_ns`` the first frame that names the order, from which on it is in the books as we see them;
          ``ended_ns`` when nothing of it was left. All by the recording's clock; None where nothing told.
Queue     of an order that rests: others' size at its price when it joined (``ahead_e2``), and until its first
          fill the prints there against its side and what else others took away. Price and time have priority,
          so that what stood ahead and was not printed was cancelled (``cancelled_ahead_e2``).
Units     price 1e-4 dollar on the YES scale, size 1e-2 contract, time ns UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kalshi_platform.data.features.rows import INVALID, LEVELS, Rows
from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_TIME, NS_PER_MS

#: Others' size at a price that lies deeper than the levels of a row.
_UNSEEN: Final = -1


@dataclass(slots=True)
class QueuePlace:
    """Place of one resting order, from when it joined to its first fill."""

    ahead_e2: int  # others' size at its price when it joined
    shown_e2: int  # others' size there at the last row
    burst_ns: int = NO_TIME  # exchange's time of the last row
    printed_e2: int = 0  # before the last burst, against its side at its price
    taken_e2: int = 0  # others' size that went away there, before the last burst
    burst_printed_e2: int = 0  # the same in the last burst
    burst_taken_e2: int = 0
    print_e2: int = 0  # size of the last print
    is_known: bool = True  # False: the price lay deeper than the levels of a row, or the book was lost

    def begin_burst(self, exch_ns: int) -> None:
        """Add the burst that is over."""
        if exch_ns != self.burst_ns:
            self.printed_e2 += self.burst_printed_e2
            self.taken_e2 += self.burst_taken_e2
            self.burst_printed_e2 = self.burst_taken_e2 = 0
            self.burst_ns = exch_ns

    def sample(self, fill_e2: int) -> tuple[int, int] | None:
        """(cancelled ahead, cancelled in all at its price) at a first fill; None where that is not known."""
        if not self.is_known or self.print_e2 < fill_e2:
            return None
        printed_e2 = self.printed_e2 + self.burst_printed_e2 - fill_e2
        cancelled_e2 = self.taken_e2 - self.printed_e2
        ahead_e2 = self.ahead_e2 - printed_e2
        if cancelled_e2 <= 0 or not 0 <= ahead_e2 <= cancelled_e2:
            return None if cancelled_e2 or ahead_e2 else (0, 0)
        return ahead_e2, cancelled_e2


@dataclass(slots=True)
class RealisedOrder:
    """One order at the exchange."""

    client_id: str
    ticker: str = ""
    side: int = YES  # YES: a bid
    price_e4: int = 0
    decided_ns: int | None = None
    sent_ns: int | None = None
    answered_ns: int | None = None
    seen_ns: int | None = None
    joined_ns: int | None = None  # its size came into the book
    ended_ns: int | None = None
    first_fill_ns: int | None = None
    filled_e2: int = 0
    replaces: bool = False  # a cancel had to be answered before it was sent
    why_ended: str = ""
    place: QueuePlace | None = None
    queue: tuple[int, int] | None = None  # sample at the first fill

    def waited_ms(self, since: str, until: str) -> float | None:
        """Time between two of its times, ms; None where one is not known."""
        begin, end = getattr(self, since), getattr(self, until)
        return None if begin is None or end is None else (end - begin) / NS_PER_MS


class RealisedOrders:
    """Orders of one session by client id; frames, notes and rows in the order of the recording."""

    def __init__(self, opening_e2: Mapping[str, int] | None = None) -> None:
        """``opening_e2``: positions as the session began, by market; None: its recording does not say."""
        self.by_id: dict[str, RealisedOrder] = {}
        self._resting: dict[str, dict[str, RealisedOrder]] = {}  # market -> client id -> order
        self._rows: dict[str, tuple[list[int], ...]] = {}  # market -> bid prices, sizes, ask prices, sizes
        self.row_times: dict[str, list[int]] = {}  # market -> receive times of its rows
        self.knows_opening = opening_e2 is not None
        #: Market -> position with which the session began; where nothing noted it, as first fills tell it.
        self.opening_e2 = dict(opening_e2 or {})

    def order(self, client_id: str) -> RealisedOrder:
        """Order of that id."""
        return self.by_id.setdefault(client_id, RealisedOrder(client_id))

    def note(self, detail: Mapping[str, Any]) -> None:
        """Take a note of an order; one that a limit held back has no id and is none."""
        if not detail["client_id"]:
            return
        order = self.order(str(detail["client_id"]))
        order.decided_ns = int(detail["now_ns"])
        order.replaces = bool(detail.get("replaces", False))
        order.sent_ns, order.answered_ns = detail.get("sent_ns"), detail.get("answered_ns")

    def left(self, client_id: str, left_e2: int, at_ns: int) -> None:
        """Take what is left of an order, told by REST."""
        if left_e2 == 0 and client_id in self.by_id:
            self._end(self.by_id[client_id], at_ns)

    def frame(self, recv_ns: int, message: Mapping[str, Any]) -> None:
        """Take one frame after the books did."""
        kind, msg = message.get("type"), message.get("msg")
        if not isinstance(msg, Mapping):
            return
        client_id = msg.get("client_order_id")
        if not isinstance(client_id, str) or not client_id:
            return
        order = self.order(client_id)
        if order.seen_ns is None:
            order.seen_ns = recv_ns
        try:
            if kind == "orderbook_delta" and wire.qty_of(msg, "delta_fp", "delta") > 0:
                self._join(order, recv_ns, msg)
            elif kind == "user_order":
                self._report(order, recv_ns, msg)
            elif kind == "fill":
                self._fill(order, recv_ns, msg)
        except DataError:
            return  # counted where the account reads it

    def _report(self, order: RealisedOrder, recv_ns: int, msg: Mapping[str, Any]) -> None:
        """Take a report of an order."""
        order.ticker = str(msg.get("ticker"))
        order.side = YES if msg.get("outcome_side") == "yes" else NO
        order.price_e4 = wire.price_of(msg, "yes_price_dollars", "yes_price")
        if msg.get("status") != "resting":
            order.why_ended = str(msg.get("last_update_reason") or msg.get("status"))
            self._end(order, recv_ns)

    def _join(self, order: RealisedOrder, recv_ns: int, msg: Mapping[str, Any]) -> None:
        """Take that the order's size came into the book; prices stand on the YES scale there too."""
        if order.joined_ns is not None:
            return
        order.ticker, order.side = str(msg.get("market_ticker")), wire.side_of(msg)
        order.price_e4 = wire.price_of(msg, "price_dollars", "price")
        order.joined_ns = recv_ns
        shown_e2 = self._shown(order)
        order.place = QueuePlace(shown_e2, shown_e2, is_known=shown_e2 != _UNSEEN)
        self._resting.setdefault(order.ticker, {})[order.client_id] = order

    def _fill(self, order: RealisedOrder, recv_ns: int, msg: Mapping[str, Any]) -> None:
        """Take a fill."""
        qty_e2 = wire.qty_of(msg, "count_fp", "count")
        if order.first_fill_ns is None:
            order.first_fill_ns = recv_ns
            if order.place is not None and not msg.get("is_taker"):
                order.queue = order.place.sample(qty_e2)
        order.filled_e2 += qty_e2
        self._take_position(msg, qty_e2)

    def _take_position(self, msg: Mapping[str, Any], qty_e2: int) -> None:
        """Take the position before the first fill of a market, where no note told it."""
        if not self.knows_opening and "post_position_fp" in msg and msg.get("book_side") in ("bid", "ask"):
            signed = qty_e2 if msg["book_side"] == "bid" else -qty_e2
            after = wire.qty_of(msg, "post_position_fp", "post_position")
            self.opening_e2.setdefault(str(msg.get("market_ticker")), after - signed)

    def _end(self, order: RealisedOrder, at_ns: int) -> None:
        """Take that nothing is left of an order."""
        if order.ended_ns is None:
            order.ended_ns = at_ns
        self._resting.get(order.ticker, {}).pop(order.client_id, None)

    def row(self, ticker: str, row: Rows, exch_ns: int) -> None:
        """Take the row after a message of a market, our own orders left out."""
        self.row_times.setdefault(ticker, []).append(int(row.recv_ns[0]))
        if row.valid[0] == INVALID:
            self._rows.pop(ticker, None)
        else:
            self._rows[ticker] = tuple(
                column[0].tolist()
                for column in (row.bid_px_e4, row.bid_qty_e2, row.ask_px_e4, row.ask_qty_e2)
            )
        orders = self._resting.get(ticker)
        if not orders:
            return
        price_e4, qty_e2, side = int(row.print_px_e4[0]), int(row.print_qty_e2[0]), int(row.print_side[0])
        for order in orders.values():
            place = order.place
            if place is None or order.first_fill_ns is not None:
                continue
            place.begin_burst(exch_ns)
            if price_e4 == order.price_e4 and side != order.side:
                place.burst_printed_e2 += qty_e2
                place.print_e2 = qty_e2
            shown_e2 = self._shown(order)
            place.is_known &= shown_e2 != _UNSEEN
            place.burst_taken_e2 += max(place.shown_e2 - shown_e2, 0)
            place.shown_e2 = shown_e2

    def _shown(self, order: RealisedOrder) -> int:
        """Others' size at the order's price; _UNSEEN where no row tells."""
        levels = self._rows.get(order.ticker)
        if levels is None:
            return _UNSEEN
        prices, sizes = levels[:2] if order.side == YES else levels[2:]
        for price_e4, size_e2 in zip(prices, sizes, strict=True):
            if price_e4 == order.price_e4:
                return int(size_e2)
            better = price_e4 > order.price_e4 if order.side == YES else price_e4 < order.price_e4
            if price_e4 < 0 or not better:
                return 0
        return _UNSEEN if prices[LEVELS - 1] >= 0 else 0
