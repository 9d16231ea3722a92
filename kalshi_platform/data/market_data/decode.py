"""Frames of one recording to rows, market by market; stateful, fed in order of arrival.

Owns       the connection and subscription that carries the book of each market, and the counters.
Invariant  a GAP row precedes a book that may be stale: after a hole in the numbers, an ``unsubscribed``,
           or a reconnection.
Counted    unknown message types and fields, private frames, repeats, every frame left out. Nothing is
           lost by that: the capture keeps every frame as received.
Not here   the check of the rows (``door.py``): the decoder passes on deltas between a GAP and the next
           SNAPSHOT, and the door drops them.

The decoder takes a connection for dead once a new one has appeared and until the old one speaks again.
Parallel connections therefore work, and a trade that arrives on a new connection never meets a stale book.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.capture import Frame, read_frames
from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.price_levels import is_at_edge
from kalshi_platform.data.market_data.row_buffer import Levels, RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_LAST,
    NO,
    NO_SEQ,
    STATUS_ACTIVE,
    STATUS_DETERMINED,
    STATUS_PAUSED,
    STATUS_SETTLED,
    TRADE,
    MarketRows,
)
from kalshi_platform.data.market_data.sequence import UNCOUNTABLE, Arrival, SequenceTracker, Stream
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import settlement_value_e4
from kalshi_platform.domain.units import DOLLAR_E4, parse_price

#: Trades remembered so that a repeated one is known; repeats come with a reconnection, soon or never.
_TRADES_REMEMBERED: Final = 100_000
_TRADE_ID_CHARS: Final = 64
_MAX_SEQ: Final = 1 << 62
_MAX_SID: Final = 1 << 31

_PRIVATE: Final = frozenset({
    "fill", "user_order", "user_orders", "market_position", "order_group_updates",
    "rfq_created", "rfq_deleted", "quote_created", "quote_accepted", "quote_executed",
})  # fmt: skip
#: Understood, of no use for a replay.
_IGNORED: Final = frozenset(
    {"ticker", "event_lifecycle", "event_fee_update", "multivariate_market_lifecycle"}
)
_STATUS: Final = {
    "activated": STATUS_ACTIVE,
    "deactivated": STATUS_PAUSED,
    "determined": STATUS_DETERMINED,
    "settled": STATUS_SETTLED,
}


class Decoder:
    """Decoder of one recording: one file, or several that follow one another."""

    def __init__(self, use_yes_price: bool = False) -> None:
        """Begin without markets.

        ``use_yes_price`` says how the recorder subscribed the book channel; a capture does not tell.
        """
        self.markets: dict[str, RowBuffer] = {}
        self.facts: dict[str, MarketFacts] = {}
        self.counters: Counter[str] = Counter()
        self._use_yes_price = use_yes_price
        self._sequence = SequenceTracker()
        self._carrier: dict[str, Stream] = {}  # market -> the stream that keeps its book
        self._alive: dict[int, bool] = {}  # connection -> heard of since the newest one appeared
        self._trade_ids: set[str] = set()
        self._trade_order: deque[str] = deque()
        self._touched: dict[str, None] = {}  # markets with rows since the last drain, in order
        self._handlers: dict[str, Callable[[Frame, int, int, dict[str, Any]], None]] = {
            "orderbook_snapshot": self._snapshot,
            "orderbook_delta": self._delta,
            "trade": self._trade,
            "market_lifecycle_v2": self._lifecycle,
        }

    def feed_files(self, paths: Iterable[Path]) -> None:
        """Decode capture files that follow one another in time; DataError names file and line."""
        for path in paths:
            self._sequence.start_file()
            for frame in read_frames(path):
                try:
                    self.feed(frame)
                except DataError as err:
                    raise DataError(
                        f"{path}: line {frame.line}: {err}; "
                        "remove the line to import the rest (a gap is then recorded)"
                    ) from None

    def feed(self, frame: Frame) -> None:
        """Decode one frame; DataError where a known message lacks a field or holds an impossible value."""
        try:
            message = from_json(frame.raw)
        except ValueError:
            message = None
        if isinstance(message, dict):
            self.feed_message(frame, message)
            return
        self.counters["frames"] += 1
        self._hear(frame.conn)
        self.counters["frames_not_json_objects"] += 1

    def feed_message(self, frame: Frame, message: dict[str, Any]) -> None:
        """Decode one frame whose text was parsed to ``message``; errors as :meth:`feed`.

        A refused frame counts as lost: the books that the frame may have changed are spoilt
        (:meth:`refuse_message`).
        """
        self.counters["frames"] += 1
        self._hear(frame.conn)
        sid, seq = _numbers(message)
        if seq != NO_SEQ and not self._arrive(frame, sid, seq):
            return
        try:
            self._dispatch(frame, str(message.get("type")), sid, seq, message.get("msg"))
        except DataError:
            self._spoil_by(frame, message, sid, seq)
            raise

    def refuse_message(self, frame: Frame, message: dict[str, Any]) -> None:
        """Count a frame that was not fed as lost, and use up the frame's number.

        The book of the market that ``message`` names is spoilt; where ``message`` names no known market,
        every book of the subscription is. DataError where ``sid`` or ``seq`` cannot be: the number of the
        next frame then shows the loss.
        """
        sid, seq = _numbers(message)
        if seq == NO_SEQ or self._arrive(frame, sid, seq):
            self._spoil_by(frame, message, sid, seq)

    def _spoil_by(self, frame: Frame, message: dict[str, Any], sid: int, seq: int) -> None:
        """Put a GAP into every book that a refused frame may have changed."""
        self.counters["refused_frames"] += 1
        msg = message.get("msg")
        ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
        if not isinstance(ticker, str) or ticker not in self.markets:
            stream = (frame.conn, sid)
            self._spoil(self._sequence.tickers(stream), stream, seq, UNCOUNTABLE, frame)
        elif message.get("type") != "trade":  # a trade changes no book
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)

    def drain(self) -> Iterator[tuple[str, MarketRows, list[Told]]]:
        """(market, its rows, the facts told among them) since the last call; empties the buffers."""
        touched, self._touched = self._touched, {}
        for ticker in touched:
            buffer = self.markets[ticker]
            rows, _ = buffer.rows()
            told = list(buffer.told)
            buffer.clear()
            yield ticker, rows, told

    @property
    def n_streams(self) -> int:
        """Number of subscriptions and connections that the decoder remembers."""
        return len(self._sequence) + len(self._alive)

    def _arrive(self, frame: Frame, sid: int, seq: int) -> bool:
        """Take the frame's number; False where the frame is a repeat."""
        arrival, missing = self._sequence.observe((frame.conn, sid), seq)
        if arrival is Arrival.REPEAT:
            self.counters["repeated_frames"] += 1
            return False
        if arrival is Arrival.GAP:
            self._lose((frame.conn, sid), seq, missing, frame)
        return True

    def _dispatch(self, frame: Frame, kind: str, sid: int, seq: int, msg: Any) -> None:
        """Hand a message to the method for its type; count a message of any other type."""
        handler = self._handlers.get(kind)
        if handler is not None:
            if not isinstance(msg, dict):
                raise DataError(f"{kind} without a msg object")
            for name in msg.keys() - wire.KNOWN_FIELDS[kind]:
                self.counters[f"unknown_field:{kind}.{name}"] += 1
            handler(frame, sid, seq, msg)
        elif kind in ("ok", "subscribed", "unsubscribed", "error"):
            self._control(frame, kind, sid, msg)
        elif kind in _PRIVATE:
            self.counters[f"private_frames:{kind}"] += 1
        elif kind in _IGNORED:
            self.counters[f"ignored_frames:{kind}"] += 1
        else:
            self.counters[f"unknown_type:{kind}"] += 1

    # Connections and subscriptions

    def _hear(self, conn: int) -> None:
        """Take ``conn`` for alive and, if it is new, every other connection for dead."""
        if conn not in self._alive:
            for other in self._alive:
                self._alive[other] = False
        self._alive[conn] = True

    def _lose(self, stream: Stream, seq: int, missing: int, frame: Frame) -> None:
        """Count messages of a stream as lost and spoil every book that the stream carries."""
        self.counters["sequence_gaps"] += 1
        if missing > 0:
            self.counters["messages_missing"] += missing
        self._spoil(self._sequence.tickers(stream), stream, seq, missing, frame)

    def _spoil(self, tickers: Iterable[str], stream: Stream, seq: int, missing: int, frame: Frame) -> None:
        """Put a GAP into the books of those ``tickers`` that ``stream`` carries."""
        for ticker in sorted(tickers):
            if self._carrier.get(ticker) == stream:
                self._add_gap(ticker, frame, stream[1], seq, missing)

    def _add_gap(self, ticker: str, frame: Frame, sid: int, seq: int, missing: int) -> None:
        """Add a GAP of ``missing`` messages to the rows of a market."""
        self._touched[ticker] = None
        self.markets[ticker].add_gap(frame.recv_ns, sid, seq, missing, frame.line)

    def _control(self, frame: Frame, kind: str, sid: int, msg: Any) -> None:
        """Take an answer of the exchange to a command: a subscription may begin or end."""
        self.counters[f"control_frames:{kind}"] += 1
        if kind == "subscribed" and isinstance(msg, dict) and type(msg.get("sid")) is int:
            sid = msg["sid"]  # a subscription begins: whatever used this number before has ended
        elif kind != "unsubscribed":
            return
        stream = (frame.conn, sid)
        ended = self._sequence.end(stream)
        self._spoil(ended, stream, NO_SEQ, UNCOUNTABLE, frame)
        for ticker in ended:
            if self._carrier.get(ticker) == stream:
                del self._carrier[ticker]

    # Messages

    def _buffer(self, msg: dict[str, Any]) -> tuple[str, RowBuffer]:
        """Ticker that a message names and the buffer of that market."""
        ticker = msg.get("market_ticker")
        if not isinstance(ticker, str) or not ticker:
            raise DataError(f"market_ticker = {ticker!r}; expected a market's ticker")
        buffer = self.markets.get(ticker)
        if buffer is None:
            buffer = self.markets[ticker] = RowBuffer()
        self._touched[ticker] = None
        return ticker, buffer

    def _snapshot(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Add a whole book to the rows of its market."""
        ticker, buffer = self._buffer(msg)
        yes, no = self._tradable(wire.levels_of(msg, "yes")), self._tradable(wire.levels_of(msg, "no"))
        if self._use_yes_price:
            no = _mirrored(no)
        stream = (frame.conn, sid)
        before = self._carrier.get(ticker)
        if before is not None and before[0] != frame.conn:
            self.counters["reconnections"] += 1
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)
        self._carrier[ticker] = stream
        self._sequence.carry(stream, ticker)
        buffer.add_snapshot(frame.recv_ns, sid, seq, yes, no, frame.line)

    def _tradable(self, levels: Levels) -> Levels:
        """Those of ``levels`` at which somebody can trade; the others are counted."""
        inside = [level for level in levels if not is_at_edge(level[0])]
        self.counters["levels_outside_0_1"] += len(levels) - len(inside)
        return inside

    def _delta(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Add a change of one price level to the rows of its market."""
        ticker, buffer = self._buffer(msg)
        if self._carrier.setdefault(ticker, (frame.conn, sid)) != (frame.conn, sid):
            self.counters["deltas_of_another_subscription"] += 1
            return
        self._sequence.carry((frame.conn, sid), ticker)
        side = wire.side_of(msg)
        price_e4 = wire.price_of(msg, "price_dollars", "price")
        if self._use_yes_price and side == NO:
            price_e4 = DOLLAR_E4 - price_e4
        qty_e2 = wire.qty_of(msg, "delta_fp", "delta")
        exch_ns = wire.exchange_time_ns(msg)
        if is_at_edge(price_e4):
            self.counters["levels_outside_0_1"] += 1
            return
        buffer.add(frame.recv_ns, exch_ns, sid, seq, DELTA, side, price_e4, qty_e2, FLAG_LAST, frame.line)

    def _trade(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Add a trade to the rows of its market, unless it is a repeat."""
        ticker, buffer = self._buffer(msg)
        trade_id = msg.get("trade_id")
        if isinstance(trade_id, str) and self._is_repeated(trade_id):
            self.counters["repeated_trades"] += 1
            return
        carrier = self._carrier.get(ticker)
        if carrier is not None and not self._alive[carrier[0]]:
            self.counters["reconnections"] += 1
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)
            del self._carrier[ticker]
        taker = wire.taker_of(msg)
        price_e4 = wire.price_of(msg, "yes_price_dollars", "yes_price")
        qty_e2 = wire.qty_of(msg, "count_fp", "count")
        flags = FLAG_LAST | (FLAG_BLOCK if msg.get("is_block_trade") else 0)
        exch_ns = wire.exchange_time_ns(msg)
        if is_at_edge(price_e4):
            self.counters["prints_outside_0_1"] += 1
            return
        buffer.add(frame.recv_ns, exch_ns, sid, seq, TRADE, taker, price_e4, qty_e2, flags, frame.line)
        buffer.trade_ids.append(trade_id if isinstance(trade_id, str) else None)

    def _is_repeated(self, trade_id: str) -> bool:
        """True for a trade seen before.

        Remembers any other trade, and forgets the oldest one beyond the bound.
        """
        if trade_id in self._trade_ids:
            return True
        if len(trade_id) > _TRADE_ID_CHARS:
            raise DataError(f"trade_id of {len(trade_id)} characters; expected at most {_TRADE_ID_CHARS}")
        self._trade_ids.add(trade_id)
        self._trade_order.append(trade_id)
        if len(self._trade_order) > _TRADES_REMEMBERED:
            self._trade_ids.discard(self._trade_order.popleft())
        return False

    def _lifecycle(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Take the facts that a lifecycle message tells; add a row where the trading state changes."""
        ticker, buffer = self._buffer(msg)
        before = self.facts.get(ticker, MarketFacts())
        facts = replace(before, **_told(msg))
        self.facts[ticker] = facts
        if facts != before:
            buffer.tell(frame.recv_ns, facts, frame.line)
        event_type = msg.get("event_type")
        status = _STATUS.get(event_type) if isinstance(event_type, str) else None
        if status is None:
            self.counters[f"lifecycle_without_row:{event_type}"] += 1
            return
        exch_ns = wire.exchange_time_ns(msg)
        buffer.add_status(frame.recv_ns, exch_ns, sid, seq, status, frame.line)


def _told(msg: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of MarketFacts that one lifecycle message gives, by name; others are absent.

    DataError where the message holds an impossible value.
    """
    told: dict[str, Any] = {
        "open_ns": wire.seconds_ns(msg, "open_ts") or None,
        "close_ns": wire.seconds_ns(msg, "close_ts") or None,
        "determined_ns": wire.seconds_ns(msg, "determination_ts") or None,
    }
    more = msg.get("additional_metadata")
    if isinstance(more, dict) and isinstance(more.get("event_ticker"), str):
        told["event"] = more["event_ticker"]
    if msg.get("price_ranges"):
        told["price_ranges"] = wire.price_bands(msg["price_ranges"])
    value = msg.get("settlement_value")
    if value is not None or msg.get("result"):
        told["settlement_e4"] = settlement_value_e4(
            msg.get("result"), parse_price(value) if value is not None else None
        )
    return {name: value for name, value in told.items() if value is not None}


def _numbers(message: dict[str, Any]) -> tuple[int, int]:
    """(sid, seq) of a message, NO_SEQ where it has none; DataError where one of them cannot be."""
    sid, seq = message.get("sid"), message.get("seq")
    if type(sid) is not int:
        return NO_SEQ, NO_SEQ
    if not 0 <= sid < _MAX_SID:
        raise DataError(f"sid = {sid}; expected 0..{_MAX_SID - 1}")
    if type(seq) is not int:
        return sid, NO_SEQ
    if not 0 <= seq < _MAX_SEQ:
        raise DataError(f"seq = {seq}; expected 0..{_MAX_SEQ - 1}")
    return sid, seq


def _mirrored(levels: Levels) -> Levels:
    """Price levels moved from the YES scale to the own scale of NO."""
    return [(DOLLAR_E4 - price_e4, qty_e2) for price_e4, qty_e2 in levels]
