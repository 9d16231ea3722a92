"""Facts that the exchange's lifecycle frames tell of a market, and the row from which on each is known.

Invariant  a :class:`MarketFacts` never changes: every telling makes a new one, so the facts known at a row
           can be read off for ever.
Not here   the exchange's metadata (``market_meta.py``); the grid in force at a row (``door.py``).
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

from kalshi_platform.domain.market import PriceBand


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """Facts that the lifecycle frames of one market have told so far; None where they told nothing."""

    event: str | None = None
    open_ns: int | None = None
    close_ns: int | None = None
    expected_expiration_ns: int | None = None
    can_close_early: bool | None = None
    determined_ns: int | None = None
    settlement_e4: int | None = None
    price_ranges: tuple[PriceBand, ...] | None = None

    def updated(self, later: Self, since: Self) -> Self:
        """These facts with those of ``later`` that differ from ``since``."""
        names = [field.name for field in fields(self)]
        news = {n: getattr(later, n) for n in names if getattr(later, n) != getattr(since, n)}
        return replace(self, **news)


class Told(NamedTuple):
    """One telling: ``facts`` are known from row ``row`` of the market's rows on, a FACTS row."""

    row: int
    recv_ns: int
    facts: MarketFacts
