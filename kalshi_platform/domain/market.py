"""Facts about a market that are known before it resolves and, kept apart from them, how it resolved.

A policy may see facts derived from :class:`MarketSpec`. Code that builds a market's observations never reads
the :class:`Settlement` of a market of the same event. Outcomes of other events enter an observation from the
time they were public (``data/features/resolution.py``).
"""

from math import gcd
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4

FeeType = Literal["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees"]
Provenance = Literal["recorded", "quotes", "trade_implied", "simulated"]
Ticker = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]


class PriceBand(Config):
    """Prices from ``start_e4`` to ``end_e4`` (both included) move in steps of ``step_e4``."""

    start_e4: int = Field(ge=0, le=DOLLAR_E4)
    end_e4: int = Field(ge=0, le=DOLLAR_E4)
    step_e4: int = Field(gt=0, le=DOLLAR_E4)

    @model_validator(mode="after")
    def _ordered(self) -> "PriceBand":
        if self.end_e4 <= self.start_e4:
            raise ValueError(f"band ends at {self.end_e4}, not after its start {self.start_e4}")
        return self


WHOLE_CENTS: Final = (PriceBand(start_e4=0, end_e4=DOLLAR_E4, step_e4=100),)


class MarketSpec(Config):
    """Identity, times, grid and fees of one market; every field is known while it trades."""

    ticker: Ticker
    event: Ticker
    series: str | None = None
    category: str | None = None
    open_ns: int | None = None
    close_ns: int | None = None
    expected_expiration_ns: int | None = None
    can_close_early: bool | None = None
    price_ranges: tuple[PriceBand, ...] = Field(default=WHOLE_CENTS, min_length=1, fail_fast=True)
    fee_type: FeeType = "quadratic"
    fee_multiplier_e6: int = Field(default=1_000_000, ge=0, description="fee_multiplier in 1e-6")
    mutually_exclusive: bool | None = None

    @property
    def tick_e4(self) -> int:
        """Greatest step that divides every price of every band: the spacing of the book's ladder."""
        return gcd(DOLLAR_E4, *(x for b in self.price_ranges for x in (b.start_e4, b.end_e4, b.step_e4)))

    def on_grid(self, price_e4: int) -> bool:
        """True where a band contains ``price_e4`` on its steps.

        A price on the edge of two bands may fit either.
        """
        return any(
            b.start_e4 <= price_e4 <= b.end_e4 and (price_e4 - b.start_e4) % b.step_e4 == 0
            for b in self.price_ranges
        )


class Settlement(Config):
    """The outcome of a market: how much one YES contract paid, 1e-4 dollar, and when that became known."""

    ticker: Ticker
    value_e4: int = Field(ge=0, le=DOLLAR_E4)
    determined_ns: int | None = None


def contradicts(result: str | None, settlement_value: int | None) -> bool:
    """True where ``result`` and the payment of one YES (1e-4 dollar) cannot both be right.

    The exchange sends an empty result while the outcome is open: a value of 0 beside it is a blank.
    """
    if settlement_value is None or not isinstance(result, str):
        return False
    allowed = {"yes": (DOLLAR_E4,), "no": (0,), "": range(1, DOLLAR_E4 + 1)}.get(result)
    return allowed is not None and settlement_value not in allowed


def settlement_value_e4(result: str | None, settlement_value: int | None = None) -> int | None:
    """Payment of one YES, 1e-4 dollar: the value where it is given, else ``result`` as a price.

    None = unknown, also where the two contradict each other.
    """
    if contradicts(result, settlement_value):
        return None
    if settlement_value is not None:
        return settlement_value
    if result in (None, ""):
        return None
    if result == "yes":
        return DOLLAR_E4
    if result == "no":
        return 0
    raise DataError(f"result {shown_value(result)} without a settlement value; expected 'yes', 'no' or ''")
