"""Coverage: for each market the share of the time it was wanted during which its book was proven.

Wanted     from the note that subscribed it (else its first snapshot) until the note that deleted it, its
           outcome, or the end of the recording. Time between two runs counts where both wanted the market.
Proven     its subscription sent a whole book and no number is missing since, and its connection lives.
Holes      begin where the proof may have ended: at the last frame before missing numbers, at the last frame
           of a connection that ended without the exchange's closing frame, at the last acknowledged line of a
           run that was killed, at the first frame that was thrown away.
Units      ns of the recording's own clock (``recv_ns`` as written).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.recorder.follow.live_book import Change


class MarketCoverage(NamedTuple):
    """Coverage of one market."""

    ticker: str
    first_ns: int  # wanted from
    last_ns: int  # wanted to, or now
    wanted_ns: int
    proven_ns: int
    holes: int  # times that a proven book was lost
    longest_hole_ns: int  # without a proven book, the time before the first one counted in
    is_proven: bool  # at the end
    is_wanted: bool  # at the end; False: let go, or its outcome is determined

    @property
    def share(self) -> float:
        """Share of the wanted time with a proven book, 0 to 1; 1 where no time has passed."""
        return self.proven_ns / self.wanted_ns if self.wanted_ns else float(self.is_proven)


@dataclass
class _MarketSpan:
    """Bookkeeping of one market."""

    first_ns: int
    wanted: bool = True
    ended: bool = False
    wanted_since_ns: int = 0
    wanted_ns: int = 0  # of finished stretches
    proven_since_ns: int | None = None
    proven_ns: int = 0
    lost_since_ns: int | None = 0  # begin of the present hole; None where the book is proven
    holes: int = 0
    longest_hole_ns: int = 0
    last_ns: int = 0  # end of the last finished stretch

    def lose(self, at_ns: int) -> None:
        """End the proof at ``at_ns``."""
        if self.proven_since_ns is None:
            return
        at_ns = max(at_ns, self.proven_since_ns)
        self.proven_ns += at_ns - self.proven_since_ns
        self.proven_since_ns, self.lost_since_ns = None, at_ns
        self.holes += 1

    def prove(self, at_ns: int) -> None:
        """Begin the proof at ``at_ns``."""
        if self.proven_since_ns is not None:
            return
        if self.lost_since_ns is not None:
            self.longest_hole_ns = max(self.longest_hole_ns, at_ns - self.lost_since_ns)
        self.proven_since_ns, self.lost_since_ns = at_ns, None

    def rest(self, at_ns: int) -> None:
        """End the wanted time at ``at_ns``; a hole that reaches to here ends too."""
        if not self.wanted:
            return
        at_ns = max(at_ns, self.wanted_since_ns)
        if self.proven_since_ns is not None:
            self.proven_ns += max(at_ns - self.proven_since_ns, 0)
        elif self.lost_since_ns is not None:
            self.longest_hole_ns = max(self.longest_hole_ns, at_ns - self.lost_since_ns)
        self.proven_since_ns = self.lost_since_ns = None
        self.wanted_ns += at_ns - self.wanted_since_ns
        self.wanted, self.last_ns = False, at_ns


class RecordingCoverage:
    """Coverage of every market of one recording, in order of time."""

    def __init__(self) -> None:
        self._spans: dict[str, _MarketSpan] = {}
        self._idle_since: dict[str, int] = {}  # wanted by an earlier run, not yet by this one

    def want(self, tickers: Iterable[str], at_ns: int) -> None:
        """Note that markets are wanted from ``at_ns`` on."""
        for ticker in tickers:
            span = self._spans.get(ticker)
            if self._idle_since.pop(ticker, None) is None and (
                span is None or not (span.wanted or span.ended)
            ):
                span = self._spans.setdefault(ticker, _MarketSpan(at_ns))
                span.wanted, span.wanted_since_ns, span.lost_since_ns = True, at_ns, at_ns

    def unwant(self, tickers: Iterable[str], at_ns: int) -> None:
        """Note that markets are wanted no longer."""
        for ticker in tickers:
            if (span := self._spans.get(ticker)) is not None:
                span.rest(at_ns)

    def change(self, ticker: str, change: Change) -> None:
        """Take what the rows of a market say of its book; a proven book is wanted, if nobody said so."""
        if change.proven:
            self.want([ticker], change.recv_ns)
        span = self._spans.get(ticker)
        if span is None or not span.wanted:
            return
        if change.ended:
            span.rest(change.recv_ns)
            span.ended = True
        elif change.proven:
            span.prove(change.recv_ns)
        else:
            span.lose(change.recv_ns)

    def lose(self, tickers: Iterable[str], since_ns: int) -> None:
        """End the proof of books at ``since_ns``, or at the begin of their proof where that is later."""
        for ticker in tickers:
            if (span := self._spans.get(ticker)) is not None:
                span.lose(since_ns)

    def start_run(self, since_ns: int | None) -> None:
        """Begin a further run: books are lost since ``since_ns``, the last line of the run before.

        A market that this run does not want any more counts until then.
        """
        for ticker, span in self._spans.items():
            if span.wanted and since_ns is not None:
                span.lose(since_ns)
                self._idle_since.setdefault(ticker, since_ns)

    def markets(self, now_ns: int) -> list[MarketCoverage]:
        """Coverage up to ``now_ns``, by ticker; nothing changes."""
        return [self._of(ticker, span, now_ns) for ticker, span in sorted(self._spans.items())]

    def _of(self, ticker: str, span: _MarketSpan, now_ns: int) -> MarketCoverage:
        """Coverage of one market up to ``now_ns``."""
        proven = span.proven_since_ns is not None
        if ticker in self._idle_since:
            now_ns = self._idle_since[ticker]
        last_ns = max(now_ns, span.wanted_since_ns) if span.wanted else span.last_ns
        wanted_ns = span.wanted_ns + (last_ns - span.wanted_since_ns if span.wanted else 0)
        proven_ns, longest_ns = span.proven_ns, span.longest_hole_ns
        if span.wanted and span.proven_since_ns is not None:
            proven_ns += max(last_ns - span.proven_since_ns, 0)
        elif span.wanted and span.lost_since_ns is not None:
            longest_ns = max(longest_ns, last_ns - span.lost_since_ns)
        return MarketCoverage(
            ticker,
            span.first_ns,
            last_ns,
            wanted_ns,
            proven_ns,
            span.holes,
            longest_ns,
            proven,
            span.wanted and ticker not in self._idle_since,
        )


def total_share(markets: Iterable[MarketCoverage]) -> float:
    """Proven share of the wanted time of all markets together, 0 to 1; 1 where no time has passed."""
    found = list(markets)
    wanted_ns = sum(m.wanted_ns for m in found)
    return sum(m.proven_ns for m in found) / wanted_ns if wanted_ns else 1.0


def market_row(market: MarketCoverage) -> dict[str, Any]:
    """Coverage of one market; times in s, the share to six digits."""
    return {
        "market": market.ticker,
        "share": round(market.share, 6),
        "wanted_s": round(market.wanted_ns / NS_PER_SECOND, 3),
        "proven_s": round(market.proven_ns / NS_PER_SECOND, 3),
        "holes": market.holes,
        "longest_hole_s": round(market.longest_hole_ns / NS_PER_SECOND, 3),
        "wanted_now": market.is_wanted,
        "proven_now": market.is_proven,
    }
