"""Facts of a market that change while it trades, each with the time from which it was known.

A feature or a mask may use what was known at its time; matching uses the truth. The first
:class:`KnownFacts` is what was known before the market's first row, every further one was told by a frame of
the exchange and stands at a FACTS row of the market's rows (``data/market_data/schema.py``).
Not     the outcome (``Settlement``), nor facts that never change (``MarketSpec``).
"""

from typing import Final, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.fee_history import ToldFees
from kalshi_platform.domain.fee_schedule import ASSUMED_FEES, FeeStep, constant_fees
from kalshi_platform.domain.market import MarketSpec, PriceBand

#: Facts that one market's rows may count.
MAX_STEPS: Final = 1 << 16


class KnownFacts(Config):
    """Facts of one market as they were known from ``known_ns`` on; None where a time was not known."""

    known_ns: int | None = Field(None, description="None: assumed to be known since the market opened")
    open_ns: int | None = None
    close_ns: int | None = Field(None, description="the exchange takes orders until then")
    clock_ns: int | None = Field(None, description="the time to which the clock features count")
    price_ranges: tuple[PriceBand, ...] = Field(min_length=1)


class MarketHistory(Config):
    """Facts of one market as they became known, its fees over time, and the true end of its trading."""

    known: tuple[KnownFacts, ...] = Field(min_length=1, max_length=MAX_STEPS)
    fees: tuple[FeeStep, ...] = Field(ASSUMED_FEES, min_length=1, max_length=MAX_STEPS)
    fees_told: ToldFees = Field(
        ToldFees(), description="statements behind the fees", exclude_if=lambda told: told == ToldFees()
    )
    close_ns: int | None = Field(None, description="true end of trading, as far as it is known today")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        times = [facts.known_ns for facts in self.known[1:]]
        if any(t is None for t in times):
            raise ValueError("only the first facts may be known since the opening")
        if sorted(times) != times:  # type: ignore[type-var]
            raise ValueError("facts must be in order of the time they were known")
        starts = [step.from_ns for step in self.fees]
        if sorted(set(starts)) != starts:
            raise ValueError("fees must be in order of the time from which they hold")
        return self


def can_end_early(spec: MarketSpec) -> bool:
    """True for a market that can close before its announced close.

    Where no source says so a sports market can: it ends with its game (docs/exchange.md, "Life of a market").
    """
    if spec.can_close_early is None:
        return (spec.category or "").strip().lower() == "sports"
    return spec.can_close_early


def clock_ns_of(spec: MarketSpec) -> int | None:
    """Time to which clock features count; None where it is unknown.

    The close, or the expected expiration of a market that can close early.
    """
    return spec.expected_expiration_ns if can_end_early(spec) else spec.close_ns


def constant_history(spec: MarketSpec) -> MarketHistory:
    """History of a market of which ``spec`` tells everything, known since the opening."""
    known = KnownFacts(
        open_ns=spec.open_ns,
        close_ns=spec.close_ns,
        clock_ns=clock_ns_of(spec),
        price_ranges=spec.price_ranges,
    )
    return MarketHistory(known=(known,), fees=constant_fees(spec), close_ns=spec.close_ns)
