"""One market of a live stream: its door, its book and its features, a message at a time.

Invariant  the same messages give the same rows, bit for bit, as a dataset built from their capture: both pass
           the one door (``data/market_data/door.py``). No row reaches a kernel that the door did not admit.
Own        orders of the session's own account are left out behind the door, which holds tickers and sizes of
           the exchange against the book as the exchange has it (``own_orders.py``).
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
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    MarketRows,
    empty,
    take,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.domain.units import NO_TIME
from kalshi_platform.serving.live.own_orders import OwnOrders, PutBack


class LiveMarket:
    """One market as its messages come."""

    def __init__(
        self,
        spec: MarketSpec,
        declared: bool,
        resolutions: Resolutions | None = None,
        own: OwnOrders | None = None,
    ) -> None:
        """Begin without a book; ``declared``: a source names the grid of ``spec``; ``own``: left out."""
        self._own = own
        self._door = Door(spec, declared)
        self._spec_before_facts = spec
        self._known = [known_facts(spec, MarketFacts(), None)]
        self._stream = FeatureStream(spec, resolutions, self._known)
        self._tick_e4 = spec.tick_e4
        self.exch_ns = NO_TIME  # the exchange's time of the message whose row was yielded last

    @property
    def spec(self) -> MarketSpec:
        """Specification as it is known now, with the grid in force."""
        return self._door.spec

    @property
    def known(self) -> KnownFacts:
        """Facts as they are known now, with the grid in force."""
        return self._known[-1].replace(price_ranges=self.spec.price_ranges)

    def apply(
        self, rows: MarketRows, number: int, counters: Counter[str], cause: str | None = None
    ) -> Iterator[Rows]:
        """Row after each message in ``rows``, in a buffer that the next row overwrites.

        ``number`` is that of the frame, for messages; ``cause``: own order that caused it. A message that
        only moves own orders has no row. DataError where the door refuses a message: an
        invalid row comes first, and the book is invalid until the next snapshot.
        """
        origin = Origin("stream", "frame", number)
        for message in _messages(rows):
            try:
                admitted = self._door.admit(message, origin, counters)
            except DataError:
                gap = self._door.lose(message)
                if gap is not None:
                    self.exch_ns = int(gap.exch_ns[-1])
                    yield self._stream.push(gap)
                raise
            self._follow_grid()
            for part in (message,) if admitted is message else _messages(admitted):
                shown = part if self._own is None else self._without_own(self._own, part, cause)
                if shown is not None:
                    self.exch_ns = int(shown.exch_ns[-1])
                    yield self._stream.push(shown)

    def _without_own(self, own: OwnOrders, message: MarketRows, cause: str | None) -> MarketRows | None:
        """Message without own orders; None where nothing is left of it."""
        raw_e2 = None
        if message.kind[0] == DELTA:
            raw_e2 = self._door.size_e2(int(message.side[0]), int(message.price_e4[0]))
        return own.take_out(self.spec.ticker, message, cause, raw_e2)

    def put_back(self, given: PutBack, recv_ns: int) -> Rows:
        """Row after others got back what was taken from their size at a price."""
        row = empty(1)
        row.recv_ns[:], row.exch_ns[:], row.kind[:], row.flags[:] = recv_ns, given.exch_ns, DELTA, FLAG_LAST
        row.side[:], row.price_e4[:], row.qty_e2[:] = given.place.side, given.place.price_e4, given.qty_e2
        self.exch_ns = given.exch_ns
        return self._stream.push(row)

    def take_facts(self, facts: MarketFacts, recv_ns: int) -> None:
        """Hold the facts of a lifecycle frame for true from the next message on, which is its FACTS row."""
        self._door.take_facts(facts)
        self._known.append(known_facts(self._spec_before_facts, facts, recv_ns))
        self._stream.learn(self._known)
        self._follow_grid()

    def learn(self, resolutions: Resolutions) -> None:
        """Know these outcomes of other markets, each from its own time on."""
        self._stream.take_facts(resolutions)

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
