"""Frames of one recording to rows, market by market; stateful, fed in order of arrival.

Owns       the connection and subscription that carries the book of each market, and the counters.
Invariant  a GAP row precedes a book that may be stale: after a hole in the numbers, an ``unsubscribed``,
           a reconnection, or a subscription that took the place of another one.
Counted    unknown message types and fields, private frames, repeats, every frame left out.
Scale      of NO prices: as a note or a recorded ``subscribe`` of the connection says, else as the caller
           says, else the own scale of NO (``importers/price_scale.py`` finds out what that made of it).
Not here   the check of the rows (``door.py``): the decoder passes on deltas between a GAP and the next
           SNAPSHOT, and the door drops them.

The decoder takes a connection for dead once a new one has appeared and until the old one speaks again.
Parallel connections therefore work, and a trade that arrives on a new connection never meets a stale book.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from pydantic_core import from_json

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data import lifecycle
from kalshi_platform.data.market_data.capture import ConnectionEnd, ConnectionNote, Frame
from kalshi_platform.data.market_data.facts import BookConnection, Told
from kalshi_platform.data.market_data.market_meta import check_ticker
from kalshi_platform.data.market_data.price_levels import is_at_edge
from kalshi_platform.data.market_data.row_buffer import Levels, RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    FLAG_LAST,
    NO,
    NO_SEQ,
    TRADE,
    MarketRows,
)
from kalshi_platform.data.market_data.sequence import (
    UNCOUNTABLE,
    Arrival,
    SequenceTracker,
    Stream,
    Weight,
    weight_of,
)
from kalshi_platform.data.market_data.trade_memory import TradeMemory
from kalshi_platform.domain.bounded import OTHERS, counter_name, shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4

#: Errors after which the exchange sends no more of a subscription.
_TERMINAL: Final = frozenset({10, 25})
_PRIVATE: Final = frozenset({
    "fill", "user_order", "user_orders", "market_position", "order_group_updates",
    "rfq_created", "rfq_deleted", "quote_created", "quote_accepted", "quote_executed",
})  # fmt: skip
#: Of no use for a replay, or not where they are empty.
_OPTIONAL: Final = frozenset(
    {"ticker", "event_lifecycle", "event_fee_update", "multivariate_market_lifecycle"}
)
_CONTROL: Final = frozenset({"ok", "subscribed", "unsubscribed", "error"})
#: Counters after which new names of strangers are counted together; a live session ends at fewer.
MAX_COUNTERS: Final = 2_000


class Decoder:
    """Decoder of one recording: one file, or several that follow one another."""

    def __init__(self, use_yes_price: bool | None = None) -> None:
        """Begin without markets.

        ``use_yes_price``: how the book channel of connections that do not tell was subscribed, if known.
        """
        self.markets: dict[str, RowBuffer] = {}
        self.counters: Counter[str] = Counter()
        self._told = lifecycle.ToldFacts(self.counters)
        self.facts, self.event_fees = self._told.facts, self._told.fees
        self._use_yes_price = use_yes_price
        self._yes_scale: dict[int, bool] = {}  # connection -> what the recording says of it
        self._file = 0
        self._sequence = SequenceTracker()
        self._carrier: dict[str, Stream] = {}  # market -> the stream that keeps its book
        self._alive: dict[int, bool] = {}  # connection -> heard of since the newest one appeared
        self._trades = TradeMemory()
        self._touched: dict[str, None] = {}  # markets with rows since the last drain, in order
        self._handlers: dict[str, Callable[[Frame, int, int, dict[str, Any]], None]] = {
            "orderbook_snapshot": self._snapshot,
            "orderbook_delta": self._delta,
            "trade": self._trade,
            "ticker": self._ticker,
            "market_lifecycle_v2": self._lifecycle,
            "event_lifecycle": self._event_lifecycle,
            "event_fee_update": self._event_fee,
        }

    def start_file(self) -> None:
        """Begin a further file of the same recording."""
        self._sequence.start_file()
        self._file += 1

    def take_note(self, note: ConnectionNote) -> None:
        """Hold what a recorder says of a connection for true from here on."""
        if note.conn is None:
            self._use_yes_price = note.use_yes_price
        else:
            self._yes_scale[note.conn] = note.use_yes_price

    def end_connection(self, end: ConnectionEnd) -> None:
        """Put a GAP into every book that the ended connection carries, or any where it names none.

        The GAP has the time of the end, or of the market's last row where that came later.
        """
        for stream in self._sequence.books_of(end.conn):
            for ticker in sorted(self._sequence.end(stream)):
                if self._carrier.get(ticker) != stream:
                    continue
                del self._carrier[ticker]
                self.counters["books_of_ended_connections"] += 1
                at_ns = max(end.recv_ns, self.markets[ticker].last_ns)
                self._add_gap(ticker, Frame(end.line, at_ns, stream[0], ""), stream[1], NO_SEQ, UNCOUNTABLE)

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
        if not self._alive.get(frame.conn):
            self._hear(frame.conn)
        kind = message.get("type")
        sid: Any = message.get("sid")
        seq: Any = message.get("seq")
        if not wire.are_plain(sid, seq):
            sid, seq = self._numbers(message)
        if seq != NO_SEQ and not self._arrive(frame, kind, sid, seq):
            return
        try:
            if kind is None and "cmd" in message:
                self._command(frame, message)
            else:
                self._dispatch(frame, str(kind), sid, seq, message.get("msg"))
        except DataError:
            self._spoil_by(frame, message, sid, seq)
            raise

    def refuse_message(self, frame: Frame, message: dict[str, Any]) -> None:
        """Count a frame that was not fed as lost, and use up the frame's number.

        The book of the market that ``message`` names is spoilt; where ``message`` names no known market,
        every book of the subscription is. DataError where ``sid`` or ``seq`` cannot be: the number of the
        next frame then shows the loss.
        """
        sid, seq = self._numbers(message)
        if seq == NO_SEQ or self._arrive(frame, message.get("type"), sid, seq):
            self._spoil_by(frame, message, sid, seq)

    def _numbers(self, message: dict[str, Any]) -> tuple[int, int]:
        """(sid, seq) of a message, NO_SEQ where none can be read; DataError where one fits no column."""
        plain: Any = message.get("sid"), message.get("seq")
        if wire.are_plain(*plain):
            return plain
        try:
            sid, seq = wire.sid_of(message), wire.seq_of(message)
        except DataError:
            self.counters["refused_frames"] += 1
            raise
        if sid == NO_SEQ:
            return NO_SEQ, NO_SEQ
        if seq is None:
            self.counters["seq_unreadable"] += 1  # the next number shows a hole
            return sid, NO_SEQ
        return sid, seq

    def _spoil_by(self, frame: Frame, message: dict[str, Any], sid: int, seq: int) -> None:
        """Put a GAP into every book that a refused frame may have changed."""
        self.counters["refused_frames"] += 1
        msg = message.get("msg")
        ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
        if not isinstance(ticker, str) or ticker not in self.markets:
            stream = (frame.conn, sid)
            self._spoil(self._sequence.tickers(stream), stream, seq, UNCOUNTABLE, frame)
        elif message.get("type") not in ("trade", "ticker"):  # these change no book
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)

    def spoil_all(self, frame: Frame) -> None:
        """Put a GAP into the book of every market: nobody knows what ``frame`` has changed."""
        self.counters["refused_frames"] += 1
        for ticker in sorted(self.markets):
            self._add_gap(ticker, frame, NO_SEQ, NO_SEQ, UNCOUNTABLE)

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

    def _arrive(self, frame: Frame, kind: Any, sid: int, seq: int) -> bool:
        """Take the frame's number; False where the frame is a repeat."""
        weight = weight_of(kind) if isinstance(kind, str) else Weight.PLAIN
        stream = (frame.conn, sid)
        arrival, missing = self._sequence.observe(stream, seq, hash(frame.raw), weight)
        if arrival is Arrival.REPEAT:
            self.counters["repeated_frames"] += 1
            return False
        if arrival is Arrival.LATE:  # a trade counts whenever it comes, a book does not
            self.counters["late_frames"] += 1
            return weight is Weight.TRADE
        if arrival is not Arrival.NEXT:
            self.counters["sequence_gaps" if arrival is Arrival.GAP else "sequence_restarts"] += 1
            if missing > 0:
                self.counters["messages_missing"] += missing
            self._spoil(self._sequence.tickers(stream), stream, seq, missing, frame)
        return True

    def _dispatch(self, frame: Frame, kind: str, sid: int, seq: int, msg: Any) -> None:
        """Hand a message to the method for its type; count a message of any other type."""
        handler = self._handlers.get(kind)
        if handler is not None and not (kind in _OPTIONAL and msg is None):
            if not isinstance(msg, dict):
                raise DataError(f"{kind} without a msg object")
            known = wire.KNOWN_FIELDS[kind]
            if not known.issuperset(msg):
                for name in msg.keys() - known:
                    self._count("unknown_field", f"{kind}.{name}")
            handler(frame, sid, seq, msg)
        elif kind in _CONTROL:
            self._control(frame, kind, sid, msg if isinstance(msg, dict) else {})
        elif kind in _PRIVATE:
            self.counters[f"private_frames:{kind}"] += 1
        elif kind in _OPTIONAL:
            self.counters[f"ignored_frames:{kind}"] += 1
        else:
            self._count("unknown_type", kind)

    def _count(self, kind: str, name: Any) -> None:
        """Count something that a stranger named; beyond MAX_COUNTERS such names are counted together."""
        counter = counter_name(kind, name)
        if counter not in self.counters and len(self.counters) >= MAX_COUNTERS:
            counter = counter_name(kind, OTHERS)
        self.counters[counter] += 1

    # Connections and subscriptions

    def _hear(self, conn: int) -> None:
        """Take ``conn`` for alive and, if it is new, every other connection for dead."""
        if conn not in self._alive:
            for other in self._alive:
                self._alive[other] = False
        self._alive[conn] = True

    def _yes_scale_of(self, conn: int) -> bool | None:
        """True where NO prices of the connection stand on the YES scale, None where nobody said."""
        return self._yes_scale.get(conn, self._use_yes_price)

    def _spoil(self, tickers: Iterable[str], stream: Stream, seq: int, missing: int, frame: Frame) -> None:
        """Put a GAP into the books of those ``tickers`` that ``stream`` carries."""
        for ticker in sorted(tickers):
            if self._carrier.get(ticker) == stream:
                self._add_gap(ticker, frame, stream[1], seq, missing)

    def _add_gap(self, ticker: str, frame: Frame, sid: int, seq: int, missing: int) -> None:
        """Add a GAP of ``missing`` messages to the rows of a market."""
        self._touched[ticker] = None
        self.markets[ticker].add_gap(frame.recv_ns, sid, seq, missing, frame.line)

    def _command(self, frame: Frame, message: dict[str, Any]) -> None:
        """Take a command that the recorder sent and recorded: it tells the scale of the book channel."""
        name, params = message["cmd"], message.get("params")
        self._count("commands", name)
        if name != "subscribe" or not isinstance(params, dict):
            return
        channels, scale = params.get("channels"), params.get("use_yes_price")
        if isinstance(channels, list) and "orderbook_delta" in channels and isinstance(scale, bool):
            self._yes_scale[frame.conn] = scale

    def _control(self, frame: Frame, kind: str, sid: int, msg: dict[str, Any]) -> None:
        """Take an answer of the exchange to a command: a subscription may begin or end."""
        self.counters[f"control_frames:{kind}"] += 1
        named = wire.whole_number(msg.get("sid"))
        if kind == "subscribed" and named is not None:
            self._end((frame.conn, named), frame)  # whatever used this number before has ended
            self._sequence.begin((frame.conn, named))
        elif kind == "unsubscribed":
            self._end((frame.conn, named if sid == NO_SEQ and named is not None else sid), frame)
        elif kind == "error" and (code := wire.whole_number(msg.get("code"))) in _TERMINAL:
            carriers = self._sequence.books_of(frame.conn)
            only = named if sid == NO_SEQ else sid
            if only is not None:  # books without a sid may be those that the error names
                carriers = [s for s in carriers if s[1] in (only, NO_SEQ)] or [(frame.conn, only)]
            for stream in carriers:
                self.counters[f"subscriptions_ended:error_{code}"] += 1
                self._end(stream, frame)

    def _end(self, stream: Stream, frame: Frame) -> None:
        """Forget a subscription that ended, and spoil the books that it carried."""
        ended = self._sequence.end(stream)
        self._spoil(ended, stream, NO_SEQ, UNCOUNTABLE, frame)
        for ticker in ended:
            if self._carrier.get(ticker) == stream:
                del self._carrier[ticker]

    def _leave_dead(self, ticker: str, frame: Frame, sid: int, seq: int) -> None:
        """Put a GAP into a book whose connection has not been heard of since a newer one appeared."""
        carrier = self._carrier.get(ticker)
        if carrier is not None and not self._alive[carrier[0]]:
            self.counters["reconnections"] += 1
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)
            del self._carrier[ticker]

    # Messages

    def _buffer(self, msg: dict[str, Any]) -> tuple[str, RowBuffer]:
        """Ticker that a message names and the buffer of that market."""
        ticker = msg.get("market_ticker")
        if not isinstance(ticker, str) or not ticker:
            raise DataError(f"market_ticker = {shown_value(ticker)}; expected a market's ticker")
        buffer = self.markets.get(ticker)
        if buffer is None:
            buffer = self.markets[check_ticker(ticker, "frame")] = RowBuffer()
        self._touched[ticker] = None
        return ticker, buffer

    def _take_over(self, ticker: str, stream: Stream, buffer: RowBuffer) -> None:
        """Note that ``stream`` carries the book of a market from here on."""
        self._carrier[ticker] = stream
        buffer.carried_by(BookConnection(self._file, stream[0], self._yes_scale_of(stream[0])))

    def _snapshot(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Add a whole book to the rows of its market."""
        ticker, buffer = self._buffer(msg)
        yes, no = self._tradable(wire.levels_of(msg, "yes")), self._tradable(wire.levels_of(msg, "no"))
        if no and self._yes_scale_of(frame.conn):
            no = [(DOLLAR_E4 - price_e4, qty_e2) for price_e4, qty_e2 in no]
        stream = (frame.conn, sid)
        if seq == NO_SEQ:
            self.counters["book_frames_without_seq"] += 1
        before = self._carrier.get(ticker)
        if before is not None and before != stream:
            self.counters["resubscriptions" if before[0] == frame.conn else "reconnections"] += 1
            self._add_gap(ticker, frame, sid, seq, UNCOUNTABLE)
        self._take_over(ticker, stream, buffer)
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
        stream = (frame.conn, sid)
        carrier = self._carrier.get(ticker)
        if carrier is None:
            self._take_over(ticker, stream, buffer)
            self._sequence.carry(stream, ticker)
        elif carrier != stream:
            self.counters["deltas_of_another_subscription"] += 1
            return
        if seq == NO_SEQ:
            self.counters["book_frames_without_seq"] += 1
        side = wire.side_of(msg)
        price_e4 = wire.price_of(msg, "price_dollars", "price")
        if side == NO and self._yes_scale_of(frame.conn):
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
        trade_id = msg.get("trade_id") or None  # an empty text is none
        if isinstance(trade_id, str) and self._trades.knows(ticker, trade_id):
            self.counters["repeated_trades"] += 1
            return
        self._leave_dead(ticker, frame, sid, seq)
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

    def _ticker(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Add the top of the book that a ticker tells, for a market that has a book to hold it against."""
        ticker = msg.get("market_ticker")
        if isinstance(ticker, str):
            self._leave_dead(ticker, frame, sid, seq)
        if not isinstance(ticker, str) or ticker not in self._carrier:
            self.counters["ignored_frames:ticker"] += 1
            return
        try:
            top = wire.top_of_ticker(msg)
            exch_ns = wire.exchange_time_ns(msg)
        except DataError:  # it changes no book
            self.counters["ticker_frames_unreadable"] += 1
            return
        if top is None:
            self.counters["ignored_frames:ticker"] += 1
            return
        _, buffer = self._buffer(msg)
        buffer.add_ticker(frame.recv_ns, exch_ns, sid, seq, *top, frame.line)

    def _lifecycle(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Take the facts that a lifecycle message tells; add a row where the trading state changes."""
        ticker, buffer = self._buffer(msg)
        self._told.take_market(ticker, frame, msg, self.markets)
        status = lifecycle.status_of(msg)
        if status is None:
            self._count("lifecycle_without_row", msg.get("event_type"))
            return
        buffer.add_status(frame.recv_ns, lifecycle.time_of(msg, self.counters), sid, seq, status, frame.line)

    def _event_lifecycle(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Take the facts of an event."""
        self._touched |= dict.fromkeys(self._told.take_event(frame, msg, self.markets))

    def _event_fee(self, frame: Frame, sid: int, seq: int, msg: dict[str, Any]) -> None:
        """Take the fee of an event from here on."""
        self._told.take_fee(frame, msg)
