"""Checks of the stream's books against REST: how often the tops agree, and who differs.

A REST answer tells the book of some moment between question and answer. It agrees where its top is one that
the stream showed from a little before the question until a little after the answer; only a proven book is
checked. One disagreement may be an unlucky moment; the same market twice in a row is a *drift*: its book is
proven only until the last check that agreed.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.public_answers import BookAnswer
from kalshi_platform.trading.recorder.facts.reads import PublicReads
from kalshi_platform.trading.recorder.follow.follower import Follower
from kalshi_platform.trading.recorder.follow.live_book import Top

_REMEMBERED: Final = 1_000


class BookCheckConfig(Config):
    """Rate and patience of the checks."""

    every_s: float = Field(10.0, gt=0, description="time between two calls; each costs one read")
    markets: int = Field(20, ge=1, le=100, description="books of one call")
    settle_s: float = Field(
        1.0, ge=0, description="time after the answer in which the stream may still agree"
    )
    alarm_below: float = Field(
        0.99, gt=0, le=1, description="match rate that raises an alarm, from 100 checks"
    )


class Mismatch(NamedTuple):
    """A book whose tops disagree."""

    ticker: str
    stream: Top
    rest: Top
    age_ns: int  # since the stream last changed the book
    is_drift: bool  # the market's check before disagreed too
    agreed_ns: int | None  # recv_ns of the last frame before the last check that agreed; None: none did


class BookChecks:
    """Running checks of one recording."""

    def __init__(
        self,
        reads: PublicReads,
        follower: Follower,
        config: BookCheckConfig,
        is_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """``is_open``: false for a market that has closed: REST empties its book, the stream says nothing."""
        self._reads, self._follower, self._config, self._is_open = reads, follower, config, is_open
        self._recent: deque[bool] = deque(maxlen=_REMEMBERED)
        self._suspects: set[str] = set()
        self._agreed_ns: dict[str, int] = {}
        self._turn = 0
        self.checks = self.mismatches = self.drifts = 0

    @property
    def match_rate(self) -> float | None:
        """Share of the last 1,000 checks that agreed; None before the first."""
        return sum(self._recent) / len(self._recent) if self._recent else None

    @property
    def is_alarming(self) -> bool:
        """True where too few of at least 100 checks agreed."""
        rate = self.match_rate
        return len(self._recent) >= 100 and rate is not None and rate < self._config.alarm_below

    async def check(
        self, sleep: Callable[[float], Awaitable[None]], wall_ns: Callable[[], int]
    ) -> list[Mismatch]:
        """Check the next few books; returns those that disagree. PlatformError where REST does not answer."""
        tickers = self._next()
        if not tickers:
            return []
        follower = self._follower
        follower.drain()
        asked_ns = follower.last_ns
        for ticker in tickers:
            follower.books[ticker].watch()
        try:
            answers = await self._reads.books(tickers)
            await sleep(self._config.settle_s)
            follower.drain()
            return list(self._compared(answers, asked_ns, wall_ns()))
        finally:
            for ticker in tickers:
                if (book := follower.books.get(ticker)) is not None:
                    book.shown = None

    def _next(self) -> list[str]:
        """Proven books whose turn it is; suspects first."""
        proven = sorted(t for t, b in self._follower.books.items() if b.proven and self._is_open(t))
        begin = self._turn % len(proven) if proven else 0
        self._turn += self._config.markets
        round_ = proven[begin:] + proven[:begin]
        first = [t for t in round_ if t in self._suspects]
        return (first + [t for t in round_ if t not in self._suspects])[: self._config.markets]

    def _compared(self, answers: tuple[BookAnswer, ...], asked_ns: int, now_ns: int) -> Iterator[Mismatch]:
        """Count each answer; yields those that disagree. A book that lost its proof tells nothing."""
        for answer in answers:
            book = self._follower.books.get(answer.ticker)
            if book is None or book.shown is None or not book.proven:
                continue
            rest = top_of(answer)
            agrees = rest in book.shown
            self.checks += 1
            self._recent.append(agrees)
            if agrees:
                self._suspects.discard(answer.ticker)
                self._agreed_ns[answer.ticker] = asked_ns
                continue
            self.mismatches += 1
            is_drift = answer.ticker in self._suspects
            self.drifts += is_drift
            self._suspects.add(answer.ticker)
            agreed_ns = self._agreed_ns.get(answer.ticker)
            yield Mismatch(answer.ticker, book.top(), rest, now_ns - book.changed_ns, is_drift, agreed_ns)


def top_of(answer: BookAnswer) -> Top:
    """Top of a REST book."""
    bid, no_bid = answer.yes[-1] if answer.yes else (None, 0), answer.no[-1] if answer.no else (None, 0)
    ask_e4 = None if no_bid[0] is None else DOLLAR_E4 - no_bid[0]
    return Top(bid[0], bid[1], ask_e4, no_bid[1])
