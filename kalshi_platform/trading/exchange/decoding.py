"""A sink that decodes: frames through the one decoder and the one door, to rows of each market.

Owns       the decoder of one stream, a door for each market, and the knowledge which books can be believed.
Invariant  rows equal those that importing the same frames gives (data/market_data: decode.py, door.py).
Invalid    a book is invalid until its first snapshot, and from a GAP to its next one. The stream asks by
           itself for books that a hole in the numbers spoilt; of those that only the decoder or the door
           found wrong it knows nothing: hand ``spoilt`` to its ``request_books``.
Refused    a frame that the decoder cannot read, a message that the door refuses: counted, the books they may
           have changed are invalid.
Not here   features (serving/live), files (trading/recorder).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kalshi_platform.data.market_data.capture import ConnectionEnd, ConnectionNote, Frame
from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.facts import Told
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.market_meta import unknown_market
from kalshi_platform.data.market_data.schema import GAP, SNAPSHOT, MarketRows, take
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.trading.exchange import sink as kinds


class DecodingSink:
    """Sink of one stream; ``rows`` gives what passed the doors since its last call."""

    def __init__(self, specs: Mapping[str, MarketSpec] | None = None) -> None:
        """``specs``: facts known of markets beforehand, their grids declared."""
        self._specs = specs or {}
        self._decoder = Decoder()
        self._doors: dict[str, Door] = {}
        self._ready: list[tuple[str, MarketRows]] = []
        self._number = 0
        self.counters: Counter[str] = self._decoder.counters
        self.valid: set[str] = set()  # markets whose book can be believed, as of the last ``rows``
        self.spoilt: set[str] = set()  # markets whose book became invalid; the caller empties it

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        """Decode one frame."""
        self._number = number = self._number + 1
        try:
            self._decoder.feed(Frame(number, recv_ns, conn, raw.decode("utf-8", "replace")))
        except DataError:
            self.counters["frames_refused_here"] += 1

    def message(
        self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: dict[str, Any] | None
    ) -> None:
        """Decode one frame whose JSON is parsed already."""
        if message is None:
            self.frame(conn, recv_ns, mono_ns, raw)
            return
        self._number = number = self._number + 1
        try:
            self._decoder.feed_message(Frame(number, recv_ns, conn, raw.decode("utf-8", "replace")), message)
        except DataError:
            self.counters["frames_refused_here"] += 1

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        """Take the price scale of a subscription, and the end of a connection."""
        params = detail.get("params")
        scale = params.get("use_yes_price") if isinstance(params, dict) else None
        if kind == kinds.SUBSCRIBED and isinstance(scale, bool):
            self._decoder.take_note(ConnectionNote(conn, scale))
        elif kind == kinds.DISCONNECTED:
            self._decoder.end_connection(ConnectionEnd(conn, recv_ns, self._number))
            self._ready += self._passed()  # before the end: what they say of books ends with the connection
            self.spoilt |= self.valid
            self.valid.clear()

    def rows(self) -> Iterator[tuple[str, MarketRows]]:
        """(market, its rows that passed the door) since the last call."""
        ready, self._ready = self._ready, []
        yield from ready
        yield from self._passed()

    def door(self, ticker: str) -> Door:
        """Door of a market."""
        found = self._doors.get(ticker)
        if found is None:
            spec = self._specs.get(ticker)
            known = spec if spec is not None else unknown_market(ticker).spec
            found = self._doors[ticker] = Door(known, declared=spec is not None)
        return found

    def _passed(self) -> Iterator[tuple[str, MarketRows]]:
        """Rows decoded and not yet handed out, past their doors."""
        for ticker, rows, told in self._decoder.drain():
            for part in self._admitted(ticker, rows, told):
                self._judge_book(ticker, part)
                yield ticker, part

    def _admitted(self, ticker: str, rows: MarketRows, told: list[Told]) -> Iterator[MarketRows]:
        """Rows of one market past its door, which learns each told fact at the fact's own row."""
        door, begin = self.door(ticker), 0
        for each in [*told, None]:
            end = rows.kind.size if each is None else each.row
            if end > begin:
                part = rows if end - begin == rows.kind.size else take(rows, slice(begin, end))
                origin = Origin("stream", "frame", self._number)
                admitted, refusals = door.admit_recording(part, origin, self.counters)
                self.counters["messages_refused"] += len(refusals)
                yield admitted
            if each is not None:
                door.take_facts(each.facts)
            begin = end

    def _judge_book(self, ticker: str, rows: MarketRows) -> None:
        """Believe the book of a market again from its last snapshot, and no longer from its last GAP."""
        marks = rows.kind[(rows.kind == GAP) | (rows.kind == SNAPSHOT)]
        if not marks.size:
            return
        if np.int64(marks[-1]) == SNAPSHOT:
            self.valid.add(ticker)
            self.spoilt.discard(ticker)
        else:
            self.valid.discard(ticker)
            self.spoilt.add(ticker)
