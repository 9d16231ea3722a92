"""Rows of one market written by hand, a message a nanosecond; line numbers count from 101."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    QUOTE,
    TICKER,
    TRADE,
    MarketRows,
    take,
)
from kalshi_platform.domain.market import MarketSpec, PriceBand

SPEC = MarketSpec(ticker="M-1", event="M")


def bands(*cuts_and_steps: int) -> tuple[PriceBand, ...]:
    """Price bands from start, step, cut, step, ... , end: ``bands(0, 10, 1_000, 100, 10_000)``."""
    cuts, steps = cuts_and_steps[::2], cuts_and_steps[1::2]
    return tuple(
        PriceBand(start_e4=start, end_e4=end, step_e4=step)
        for (start, end), step in zip(pairwise(cuts), steps, strict=True)
    )


CENTS, TENTHS = bands(0, 100, 10_000), bands(0, 10, 10_000)
TAPERED = bands(0, 10, 1_000, 100, 9_000, 10, 10_000)


class MadeMarket:
    """Collects rows; every method adds one message and returns the market."""

    def __init__(self) -> None:
        self.buffer = RowBuffer()
        self.at = 0

    def _next(self) -> tuple[int, int]:
        self.at += 1
        return self.at, 100 + self.at

    def snapshot(self, yes: list[tuple[int, int]], no: list[tuple[int, int]] | None = None) -> "MadeMarket":
        at, line = self._next()
        self.buffer.add_snapshot(at, 1, at, yes, no or [], line)
        return self

    def gap(self, missing: int = 2) -> "MadeMarket":
        at, line = self._next()
        self.buffer.add_gap(at, 1, at, missing, line)
        return self

    def add(self, kind: int, side: int, price: int, qty: int, flags: int = FLAG_LAST) -> "MadeMarket":
        at, line = self._next()
        self.buffer.add(at, -1, 1, at, kind, side, price, qty, flags, line)
        return self

    def delta(self, side: int, price: int, qty: int) -> "MadeMarket":
        return self.add(DELTA, side, price, qty)

    def wait(self, ms: int) -> "MadeMarket":
        """Let time pass before the next message."""
        self.at += ms * 10**6
        return self

    def print(self, taker: int, price: int, flags: int = FLAG_LAST) -> "MadeMarket":
        return self.add(TRADE, taker, price, 100, flags)

    def ticker(self, bid: int, ask: int) -> "MadeMarket":
        """Best prices on the YES scale; -1: none."""
        at, line = self._next()
        for side, price in ((0, bid), (1, 10_000 - ask if ask >= 0 else -1)):
            flags = FLAG_LAST if side else 0
            self.buffer.add(at, -1, 1, at, TICKER, side, price, 0, flags, line)
        return self

    def quote(self, bid: int, ask: int) -> "MadeMarket":
        """A record of both best prices on the YES scale."""
        at, line = self._next()
        for side, price in ((0, bid), (1, 10_000 - ask)):
            self.buffer.add(at, -1, -1, -1, QUOTE, side, price, -1, FLAG_LAST if side else 0, line)
        return self

    def fill(self, side: int, price: int, qty: int) -> "MadeMarket":
        """A print and its delta, one message; ``side`` and ``price`` are those of the resting bid."""
        at, line = self._next()
        yes = 10_000 - price if side else price
        self.buffer.add(at, -1, 1, at, TRADE, 1 - side, yes, qty, 0, line)
        self.buffer.add(at, -1, 1, at, DELTA, side, price, -qty, FLAG_LAST | FLAG_FILL, line)
        return self

    def rows(self) -> MarketRows:
        return self.buffer.rows()[0]

    def origin(self) -> Origin:
        return Origin("f.jsonl", "line", self.buffer.rows()[1])

    def admit(self, spec: MarketSpec = SPEC, declared: bool = True) -> tuple[MarketRows, Counter[str]]:
        """What a door of ``spec`` lets pass of all rows at once, and its counters."""
        counters: Counter[str] = Counter()
        return Door(spec, declared).admit(self.rows(), self.origin(), counters), counters


def messages_of(rows: MarketRows) -> Iterator[slice]:
    """Where each message of ``rows`` lies."""
    for begin, end in pairwise([0, *(np.flatnonzero(rows.flags & FLAG_LAST) + 1).tolist()]):
        yield slice(begin, end)


def stretches(rows: MarketRows, cuts: list[int]) -> Iterator[MarketRows]:
    """``rows`` cut before the messages numbered ``cuts``."""
    starts = [m.start for m in messages_of(rows)]
    at = sorted({starts[cut % len(starts)] for cut in cuts} | {0, rows.kind.size})
    for begin, end in pairwise(at):
        yield take(rows, slice(begin, end))
