"""Follower of a recording: its books, their proof and its notes, from the lines alone.

The live recorder feeds it what the journal accepted; ``record status`` feeds it what the files hold. Both
give the same coverage, because nothing else is looked at.
"""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kalshi_platform.data.market_data.capture import ConnectionNote, Frame
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.schema import NO_SEQ, SNAPSHOT
from kalshi_platform.data.market_data.sequence import Stream
from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder.follow.coverage import RecordingCoverage
from kalshi_platform.trading.recorder.follow.live_book import LiveBook
from kalshi_platform.trading.recorder.segments import lines

#: Notes that are a hole in the recording, one row each.
HOLES: Final = frozenset({
    sink.GAP, sink.DISCONNECTED, sink.TERMINAL, sink.OVERFLOW, sink.UNREADABLE,
    lines.DISK_OVERFLOW, lines.RUN_STARTED, lines.DAMAGED,
})  # fmt: skip
#: Notes that change books or their proof; the others leave the rows so far for the next drain.
_ABOUT_BOOKS: Final = HOLES | {
    sink.SUBSCRIBED, sink.UPDATED, sink.HALF_OPEN, sink.SILENT, sink.REFUSED, lines.MISMATCH,
    lines.RUN_STOPPED,
}  # fmt: skip
#: Word of the stream for a connection that it closed because it was told to stop.
STOPPED: Final = "stopped"
_REMEMBERED: Final = 200
#: Holes kept as rows; all are counted.
_REMEMBERED_HOLES: Final = 10_000
#: Code that the WebSocket library gives a connection whose other end sent no closing frame.
_NO_CLOSING_FRAME: Final = 1006


class _LastNumber(NamedTuple):
    """Last number of a subscription."""

    seq: int
    recv_ns: int


class NoteRow(NamedTuple):
    """One note of a recording."""

    recv_ns: int
    conn: int
    kind: str
    detail: Mapping[str, Any]

    @property
    def is_hole(self) -> bool:
        """True where frames may be missing from here on.

        The first run of a folder lost nothing, and the end of a stopped stream belongs to the hole that the
        next run begins with.
        """
        if self.kind == lines.RUN_STARTED:
            return "since_ns" in self.detail
        return self.kind in HOLES and not self.is_stop

    @property
    def is_stop(self) -> bool:
        """True for the end of a connection that this recorder closed because it stops."""
        return self.kind == sink.DISCONNECTED and self.detail.get("why") == STOPPED


class HoleRow(NamedTuple):
    """One hole: frames may be missing between two times of the recording."""

    kind: str  # of the note that tells it
    since_ns: int  # from where on frames may be missing: nothing is missing before
    shown_ns: int  # when it showed; from then on frames are whole, books from their next snapshots on
    conn: int

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return dict(self._asdict())


class Follower:
    """Books, coverage and counts of one recording; feed it in the order of the lines."""

    def __init__(self) -> None:
        self.books: dict[str, LiveBook] = {}
        self.coverage = RecordingCoverage()
        self.notes: deque[NoteRow] = deque(maxlen=_REMEMBERED)
        self.kinds: Counter[str] = Counter()  # notes by kind
        self.hole_rows: deque[HoleRow] = deque(maxlen=_REMEMBERED_HOLES)
        self.holes = self.frames = 0
        self.last_ns = 0
        self._decoder = Decoder()
        self._heard_ns: dict[int, int] = {}  # connection -> recv_ns of its last frame
        self._silent: set[int] = set()  # connections that sent nothing for too long
        self._numbers: dict[Stream, _LastNumber] = {}
        self._gap_since_ns: dict[Stream, int] = {}  # hole in the numbers -> last frame before it
        self._carried: dict[Stream, set[str]] = {}  # subscription -> markets whose books it sent

    @property
    def counters(self) -> Counter[str]:
        """Counts of the decoder (docs/formats.md)."""
        return self._decoder.counters

    def frame(self, recv_ns: int, conn: int, raw: str, message: Any) -> None:
        """Take one frame; one that cannot be read is counted, its books are lost until their snapshots."""
        self.frames += 1
        self.last_ns = self._heard_ns[conn] = recv_ns
        self._silent.discard(conn)
        stream = self._number(recv_ns, conn, message)
        frame = Frame(self.frames, recv_ns, conn, raw)
        try:
            if isinstance(message, dict):
                self._decoder.feed_message(frame, message)
            else:
                self._decoder.feed(frame)
        except DataError:
            return  # counted as refused_frames, and a GAP stands in the rows
        ticker = _ticker_of_snapshot(message)
        if ticker is not None:
            for other, tickers in self._carried.items():
                if other != stream:
                    tickers.discard(ticker)
            self._carried.setdefault(stream, set()).add(ticker)

    def note(self, row: NoteRow) -> None:
        """Take one note."""
        if row.kind in _ABOUT_BOOKS:  # the rows before it belong to what was proven then
            self.drain()
        since_ns = self._since(row)
        self.last_ns = max(self.last_ns, row.recv_ns)
        self.kinds[row.kind] += 1
        self.notes.append(row)
        if row.is_hole:
            self.holes += 1
            self.hole_rows.append(HoleRow(row.kind, since_ns, row.recv_ns, row.conn))
        detail = row.detail
        if row.kind in (sink.SUBSCRIBED, sink.UPDATED):
            self._subscription(row)
        elif row.kind in (sink.HALF_OPEN, sink.DISCONNECTED) and not row.is_stop:
            self._lose(row.conn, since_ns)
            if row.kind == sink.DISCONNECTED:  # its numbers never come again
                self._numbers = {s: last for s, last in self._numbers.items() if s[0] != row.conn}
        elif row.kind == sink.SILENT:
            self._silent.add(row.conn)
        elif row.kind == sink.TERMINAL and type(sid := detail.get("sid")) is int:
            self._lose_stream((row.conn, sid), since_ns)
        elif row.kind in (sink.UNREADABLE, sink.OVERFLOW):  # about any book: the stream asks for all of them
            self._lose(row.conn, since_ns)
        elif row.kind == sink.REFUSED:
            self._refusal(row)
        elif row.kind == lines.DISK_OVERFLOW:
            for stream in list(self._carried):
                self._lose_stream(stream, since_ns)
        elif row.kind == lines.DAMAGED:
            self._lose_all(since_ns)
        elif row.kind == lines.MISMATCH and detail.get("drift"):
            self._drifted(row)
        elif row.kind == lines.RUN_STARTED:
            self._forget_connections()
            self.coverage.start_run(since_ns if row.is_hole else None)

    def miss(self) -> None:
        """Take that lines are missing here: no book is proven after the last one."""
        self.drain()
        self._lose_all(self.last_ns)

    def drain(self) -> None:
        """Apply the rows of the frames taken since the last call to books and coverage."""
        for ticker, rows, _ in self._decoder.drain():
            book = self.books.get(ticker)
            if book is None:
                if not (rows.kind == SNAPSHOT).any():
                    continue  # a market of the lifecycle channel that nobody records
                book = self.books[ticker] = LiveBook()
            for change in book.apply(rows):
                self.coverage.change(ticker, change)
                if change.ended:
                    self.books.pop(ticker, None)

    def line(self, record: Mapping[str, Any]) -> None:
        """Take one parsed line of a segment."""
        if "raw" in record:
            self.frame(record["recv_ns"], record["conn"], record["raw"], lines.parsed(record["raw"].encode()))
        else:
            self.note(NoteRow(record["recv_ns"], record["conn"], record["note"], record.get("detail", {})))

    def _subscription(self, row: NoteRow) -> None:
        """Take that markets were added to, or deleted from, the book channel."""
        if row.detail.get("channel") != "orderbook_delta":
            return
        params = row.detail.get("params")
        if not isinstance(params, Mapping):
            return
        scale = params.get("use_yes_price")
        if isinstance(scale, bool):
            self._decoder.take_note(ConnectionNote(row.conn, scale))
        is_given_up = row.detail.get("action") == "unsubscribe"
        tickers = tickers_of(row.detail if is_given_up else params)
        if is_given_up or row.detail.get("action") == "delete_markets":
            self.coverage.unwant(tickers, row.recv_ns)
            for ticker in tickers:  # its book goes stale; the market may come back
                self.books.pop(ticker, None)
        elif row.kind == sink.SUBSCRIBED or row.detail.get("action") == "add_markets":
            self.coverage.want(tickers, row.recv_ns)

    def _refusal(self, row: NoteRow) -> None:
        """Take that the exchange did not subscribe markets: they are wanted, and not covered."""
        params = row.detail.get("params")
        if not isinstance(params, Mapping):
            return
        channels = params.get("channels")
        is_book = isinstance(channels, list) and "orderbook_delta" in channels
        if is_book or params.get("action") == "add_markets":
            self.coverage.want(tickers_of(params), row.recv_ns)

    def _number(self, recv_ns: int, conn: int, message: Any) -> Stream:
        """Take the number of a frame, and return its subscription.

        A missing number ends the proof at the last frame of the subscription: the lost message may have come
        right after it, however late the hole showed.
        """
        sid, seq = (message.get("sid"), message.get("seq")) if isinstance(message, dict) else (None, None)
        stream = (conn, sid if type(sid) is int else NO_SEQ)
        if type(sid) is int and type(seq) is int:
            last = self._numbers.get(stream)
            if last is not None and seq > last.seq + 1:
                self._gap_since_ns[stream] = last.recv_ns
                if stream in self._carried:
                    self.drain()
                    self._lose_stream(stream, last.recv_ns)
            if last is None or seq > last.seq:
                self._numbers[stream] = _LastNumber(seq, recv_ns)
        return stream

    def _since(self, row: NoteRow) -> int:
        """Time from which on a hole's frames may be missing, ns; of another note its own time.

        It lies before the note wherever the loss showed late: at the last frame before a missing number, at
        the last frame of a connection that broke off or fell silent.
        """
        sid = row.detail.get("sid")
        stream = (row.conn, sid if type(sid) is int else NO_SEQ)
        if row.kind == sink.GAP:
            return self._gap_since_ns.pop(stream, row.recv_ns)
        if row.kind in (sink.HALF_OPEN, sink.DISCONNECTED):
            return row.recv_ns if self._said_goodbye(row) else self._heard_ns.get(row.conn, row.recv_ns)
        if row.kind == sink.TERMINAL:
            last = self._numbers.get(stream)
            return row.recv_ns if last is None else last.recv_ns
        if row.kind in (sink.OVERFLOW, lines.DISK_OVERFLOW):
            return int(row.detail["first_recv_ns"])
        if row.kind == lines.DAMAGED:
            return self.last_ns
        if row.kind == lines.RUN_STARTED:  # later than the last line here where files are missing
            return min(int(row.detail.get("since_ns", row.recv_ns)), self.last_ns or row.recv_ns)
        return row.recv_ns

    def _drifted(self, row: NoteRow) -> None:
        """Take that REST contradicted a book twice: proven it was when both agreed last, and not since."""
        ticker, agreed_ns = row.detail.get("ticker"), row.detail.get("agreed_ns")
        if isinstance(ticker, str) and (book := self.books.get(ticker)) is not None:
            book.proven = False
            self.coverage.lose([ticker], agreed_ns if isinstance(agreed_ns, int) else 0)

    def _said_goodbye(self, row: NoteRow) -> bool:
        """True where a connection ended with the exchange's own closing frame: it had sent all it had to."""
        if row.kind != sink.DISCONNECTED or row.conn in self._silent:
            return False
        return row.detail.get("code") not in (None, _NO_CLOSING_FRAME)

    def _lose_all(self, since_ns: int) -> None:
        """End the proof of every book, and take nothing for known of any connection."""
        self.coverage.lose(list(self.books), since_ns)
        self._forget_connections()

    def _forget_connections(self) -> None:
        """Begin without connections and without a proven book."""
        for book in self.books.values():
            book.proven = False
        self._carried.clear()
        self._gap_since_ns.clear()
        self._numbers.clear()
        self._heard_ns.clear()
        self._silent.clear()

    def _lose(self, conn: int, since_ns: int) -> None:
        """End the proof of every book that a connection carries."""
        for stream in [each for each in self._carried if each[0] == conn]:
            self._lose_stream(stream, since_ns)

    def _lose_stream(self, stream: Stream, since_ns: int) -> None:
        """End the proof of every book that a subscription carries, until each one's next snapshot."""
        tickers = self._carried.pop(stream, set())
        for ticker in tickers & self.books.keys():
            self.books[ticker].proven = False
        self.coverage.lose(tickers, since_ns)


def _ticker_of_snapshot(message: Any) -> str | None:
    """Market whose whole book a message tells; None where it is another message."""
    if not isinstance(message, dict) or message.get("type") != "orderbook_snapshot":
        return None
    msg = message.get("msg")  # a repeat is not decoded: its msg may be anything
    ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
    return ticker if isinstance(ticker, str) else None


def tickers_of(params: Mapping[str, Any]) -> list[str]:
    """Markets that the params of a command name."""
    many, one = params.get("market_tickers"), params.get("market_ticker")
    found = many if isinstance(many, list) else [one]
    return [ticker for ticker in found if isinstance(ticker, str)]
