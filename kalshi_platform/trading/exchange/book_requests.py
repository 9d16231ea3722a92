"""Whole books that a connection waits for: asked for after a gap, and again until they come.

Owns     for each market of the book channel, whether its snapshot is awaited, since when, and how often it
         was asked for. A book is valid again from its own snapshot on, and only then.
Pace     one round of requests in ``resync_pause_s``; a book that did not come is asked for again after
         ``snapshot_timeout_s``, then after twice as long, up to ten minutes: a market may have no book any
         more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kalshi_platform.domain.units import NS_PER_SECOND

_LONGEST_WAIT_NS: Final = 600 * NS_PER_SECOND
#: Requests without an answer after which the book is reported.
TRIES_BEFORE_TOLD: Final = 3


@dataclass(slots=True)
class Awaited:
    """One awaited snapshot."""

    asked_ns: int | None  # None: not asked for yet
    tries: int


class BookRequests:
    """Awaited snapshots of one connection."""

    def __init__(self, pause_s: float, timeout_s: float) -> None:
        self._pause_ns, self._timeout_ns = round(pause_s * NS_PER_SECOND), round(timeout_s * NS_PER_SECOND)
        self._awaited: dict[str, Awaited] = {}
        self._next_round_ns = 0

    def __len__(self) -> int:
        """Number of markets whose snapshot is awaited."""
        return len(self._awaited)

    def __contains__(self, ticker: str) -> bool:
        """True where the snapshot of ``ticker`` is awaited."""
        return ticker in self._awaited

    def clear(self) -> None:
        """Forget all: a new connection sends its own."""
        self._awaited.clear()
        self._next_round_ns = 0

    def will_come(self, tickers: Iterable[str], now_ns: int) -> None:
        """Await the snapshots that the exchange sends by itself, after a subscription."""
        self._awaited.update((ticker, Awaited(now_ns, 0)) for ticker in tickers)

    def need(self, tickers: Iterable[str]) -> None:
        """Await snapshots that have to be asked for: the books are invalid."""
        for ticker in tickers:
            known = self._awaited.get(ticker)
            self._awaited[ticker] = Awaited(None, 0 if known is None else known.tries)

    def came(self, ticker: str) -> None:
        """Take note of a snapshot."""
        self._awaited.pop(ticker, None)

    def forget(self, tickers: Iterable[str]) -> None:
        """Wait no longer for markets that were removed."""
        for ticker in tickers:
            self._awaited.pop(ticker, None)

    def due(self, now_ns: int) -> tuple[list[str], list[str]]:
        """(markets to ask for now, those of them that were asked for in vain often enough to be told)."""
        if now_ns < self._next_round_ns:
            return [], []
        asked = [ticker for ticker, each in self._awaited.items() if self._is_due(each, now_ns)]
        told = []
        for ticker in asked:
            each = self._awaited[ticker]
            each.asked_ns, each.tries = now_ns, each.tries + 1
            if each.tries == TRIES_BEFORE_TOLD + 1:
                told.append(ticker)
        if asked:
            self._next_round_ns = now_ns + self._pause_ns
        return asked, told

    def _is_due(self, each: Awaited, now_ns: int) -> bool:
        """True where a snapshot has to be asked for (again)."""
        if each.asked_ns is None:
            return True
        wait_ns = min(self._timeout_ns << min(max(each.tries - TRIES_BEFORE_TOLD, 0), 20), _LONGEST_WAIT_NS)
        return now_ns - each.asked_ns >= wait_ns
