"""One market of a live stream: its door, its book and its features, a message at a time.

Invariant  the same messages give the same rows, bit for bit, as a dataset built from their capture: both pass
           the one door (``data/market_data/door.py``). No row reaches a kernel that the door did not admit.
Grid       a market whose grid no source declares begins on whole cents and moves to the coarsest known grid
           that holds the prices it shows, as importing infers the grid from all of them.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from kalshi_platform.data.features.resolution import Resolutions
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.stream import FeatureStream
from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.history import known_facts
from kalshi_platform.data.market_data.schema import FLAG_LAST, MarketRows, take
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts


class LiveMarket:
    """One market as its messages come."""

    def __init__(self, spec: MarketSpec, declared: bool, resolutions: Resolutions | None = None) -> None:
        """Begin without a book; ``declared``: a source names the grid of ``spec``."""
        self._door = Door(spec, declared)
        self._spec_before_facts = spec
        self._known = [known_facts(spec, MarketFacts(), None)]
        self._stream = FeatureStream(spec, resolutions, self._known)
        self._tick_e4 = spec.tick_e4

    @property
    def spec(self) -> MarketSpec:
        """Specification as it is known now, with the grid in force."""
        return self._door.spec

    @property
    def known(self) -> KnownFacts:
        """Facts as they are known now, with the grid in force."""
        return self._known[-1].replace(price_ranges=self.spec.price_ranges)

    def apply(self, rows: MarketRows, number: int, counters: Counter[str]) -> Iterator[Rows]:
        """Row after each message in ``rows``, in a buffer that the next row overwrites.

        ``number`` is that of the frame, for messages. DataError where the door refuses a message: an
        invalid row comes first, and the book is invalid until the next snapshot.
        """
        origin = Origin("stream", "frame", number)
        for message in _messages(rows):
            try:
                admitted = self._door.admit(message, origin, counters)
            except DataError:
                gap = self._door.lose(message)
                if gap is not None:
                    yield self._stream.push(gap)
                raise
            self._follow_grid()
            if admitted is message:
                yield self._stream.push(message)
                continue
            for part in _messages(admitted):
                yield self._stream.push(part)

    def take_facts(self, facts: MarketFacts, recv_ns: int) -> None:
        """Hold the facts of a lifecycle frame for true from the next message on, which is its FACTS row."""
        self._door.take_facts(facts)
        self._known.append(known_facts(self._spec_before_facts, facts, recv_ns))
        self._stream.learn(self._known)
        self._follow_grid()

    def _follow_grid(self) -> None:
        """Move the book to the finer ladder that the door has gone over to."""
        if self._tick_e4 != self._door.tick_e4:
            self._tick_e4 = self._door.tick_e4
            self._stream.regrid(self._tick_e4)


def _messages(rows: MarketRows) -> Iterator[MarketRows]:
    """Messages in ``rows``, one by one."""
    if rows.kind.size == 1:
        yield rows
        return
    begin = 0
    for end in (np.flatnonzero(rows.flags & FLAG_LAST) + 1).tolist():
        yield take(rows, slice(begin, end))
        begin = end
