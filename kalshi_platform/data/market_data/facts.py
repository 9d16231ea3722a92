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
    series: str | None = None
    collateral: str | None = None  # MECNET, DIRECNET or "": how the exchange nets the event's markets

    def updated(self, later: Self, since: Self) -> Self:
        """These facts with those of ``later`` that differ from ``since``."""
        names = [field.name for field in fields(self)]
        news = {n: getattr(later, n) for n in names if getattr(later, n) != getattr(since, n)}
        return replace(self, **news)


class EventTold(NamedTuple):
    """Facts that an ``event_lifecycle`` frame tells of an event; None where it told nothing."""

    series: str | None
    collateral: str | None


class EventFeeTold(NamedTuple):
    """Fee of an event from ``recv_ns`` on, as an ``event_fee_update`` frame told it.

    None: the override does not hold, or holds no longer, and the series' own fee does.
    """

    recv_ns: int
    fee_type: str | None
    multiplier_e6: int | None


class BookConnection(NamedTuple):
    """Connection that carries a book, and the scale that its NO prices were read on."""

    file: int  # number of the file in which the connection appeared
    conn: int
    use_yes_price: bool | None  # None: nobody said; read as false


class Told(NamedTuple):
    """One telling: ``facts`` are known from row ``row`` of the market's rows on, a FACTS row."""

    row: int
    recv_ns: int
    facts: MarketFacts
