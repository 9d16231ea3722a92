"""Settings of a world of agents on the matching core: one frozen config, every field with unit and range.

Units   cents of price where a name ends in ``_cents``, contracts in ``_contracts``, ``_s`` and ``_ms`` for
        times, ``_per_hour`` for rates of one market.
Agents that could never trade, and worlds that no exchange can hold, are refused with what would fit.
"""

from typing import Final, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.simexchange.spans import require_times

#: Categories of events, in the order of their codes: the exchange's own names.
CATEGORIES: Final = ("Financials", "Economics", "Sports", "Politics")
#: Resting orders of one market that the core has room for, beside those of makers.
MAX_LIMIT_ORDERS: Final = 200
#: Messages a market that the shortest event must have, about.
MIN_ROWS: Final = 50


class MakerConfig(Config):
    """One maker: a ladder of quotes on both sides that it cancels and sets anew."""

    levels: int = Field(6, ge=1, le=10, description="quotes a side")
    offset_cents: float = Field(2.0, gt=0, lt=50, description="distance of the best quote from the belief")
    spacing_cents: float = Field(2.0, ge=1, le=20, description="distance between two quotes")
    contracts: float = Field(200.0, ge=1, le=100_000, description="size of the best quote")
    step_contracts: float = Field(0.0, ge=0, le=100_000, description="how much larger each further quote is")
    log_sd: float = Field(0.2, ge=0, le=2, description="sd of the logarithm of a quote's size")
    lot_contracts: int = Field(10, ge=1, le=1_000, description="sizes are multiples of it")
    refresh_s: float = Field(20.0, ge=0.5, le=3_600, description="mean time from one ladder to the next")
    pause_ms: float = Field(
        150.0, ge=0, le=60_000, description="mean time from the cancels to the new ladder"
    )
    orders_at_once: int = Field(20, ge=1, le=20, description="quotes sent together")
    reaction_ms: float = Field(400.0, ge=1, le=60_000, description="mean time to answer to news")
    tolerance_cents: float = Field(2.0, ge=0.1, le=50, description="move of the fair price it answers to")
    error_cents: float = Field(0.5, ge=0, le=10, description="sd of its own error about the fair price")
    skew_cents: float = Field(2.0, ge=0, le=20, description="shift of the belief at the largest position")
    max_contracts: int = Field(20_000, ge=10, le=1_000_000, description="largest position, either side")

    @property
    def reach_cents(self) -> float:
        """Distance of the farthest quote from the belief."""
        return self.offset_cents + (self.levels - 1) * self.spacing_cents

    @property
    def collateral_usd(self) -> float:
        """Dollars that one market's largest position and the ladders of both sides may cost."""
        largest = max(self.contracts + self.levels * self.step_contracts, self.lot_contracts)
        ladder = self.levels * largest * (1 + 4 * self.log_sd)
        return self.max_contracts + 2 * ladder

    @model_validator(mode="after")
    def _can_trade(self) -> Self:
        for name in ("contracts", "lot_contracts"):
            if self.max_contracts < (quote := getattr(self, name)):
                raise ValueError(
                    f"max_contracts={self.max_contracts} is below {name}={quote:g}: this maker can never "
                    "rest one whole quote"
                )
        return self


#: Makers as they are told apart in the S&P recordings: a wide ladder set order by order, a tighter one set at
#: once, single quotes of 250, and small quotes near the best.
_MAKERS: Final = (
    MakerConfig(levels=6, offset_cents=4.0, spacing_cents=3.0, contracts=100, step_contracts=100, log_sd=0.02,
                orders_at_once=1, refresh_s=120.0, error_cents=1.0),
    MakerConfig(levels=3, offset_cents=2.0, spacing_cents=2.0, contracts=500, step_contracts=150, log_sd=0.4,
                orders_at_once=3, refresh_s=30.0),
    MakerConfig(levels=1, offset_cents=2.0, contracts=250, log_sd=0.02, lot_contracts=50, refresh_s=20.0),
    MakerConfig(levels=2, offset_cents=3.0, spacing_cents=3.0, contracts=250, log_sd=0.05, refresh_s=60.0),
)  # fmt: skip


class WorldConfig(Config):
    """A world of agents; equal configs give equal bytes, and event k never depends on ``n_events``."""

    seed: int = Field(0, ge=0, description="root of every random stream")
    n_events: int = Field(80, ge=1, le=100_000)
    min_markets: int = Field(3, ge=2, le=12, description="fewest brackets or thresholds of a family event")
    max_markets: int = Field(4, ge=2, le=12, description="most brackets or thresholds of a family event")
    single_share: float = Field(0.2, ge=0, le=1, description="share of events with one market")
    nested_share: float = Field(0.2, ge=0, le=1, description="share of events with nested thresholds")
    min_duration_s: int = Field(3_600, ge=600, le=864_000, description="shortest trading time of an event")
    max_duration_s: int = Field(7_200, ge=600, le=864_000, description="longest trading time of an event")
    stagger_s: int = Field(1_800, ge=1, description="time from one event's opening to the next one's")

    category_shares: tuple[float, float, float, float] = Field(
        (0.4, 0.2, 0.2, 0.2), description="shares of Financials, Economics, Sports and Politics"
    )
    life_s: int = Field(
        23_400,
        ge=600,
        le=8_640_000,
        description="time over which the uncertainty of an index resolves evenly",
    )
    resolved: float = Field(0.97, gt=0, lt=1, description="most of the variance that may resolve in trading")
    news_s: float = Field(4.0, ge=0.2, le=3_600, description="mean time between small moves of the forecast")
    jump_share: float = Field(0.15, gt=0, lt=1, description="share of the remaining variance in one jump")
    jumps_per_hour: float = Field(
        1.0, ge=0, le=60, description="jumps of Politics; Sports has 3 times as many"
    )
    quiet_s: float = Field(20.0, ge=0, le=600, description="time before a scheduled release without quotes")

    makers: tuple[MakerConfig, ...] = Field(_MAKERS, min_length=1, max_length=8)
    takers_per_hour: float = Field(40.0, gt=0, le=100_000, description="takers that no other one set off")
    branching: float = Field(
        0.4, ge=0, lt=1, description="takers that one taker sets off, on average (Hawkes)"
    )
    decay_s: float = Field(8.0, gt=0, le=600, description="mean time until a taker that another one set off")
    taker_contracts: float = Field(15.0, ge=0.01, le=100_000, description="median size of a taker")
    taker_log_sd: float = Field(1.6, ge=0, le=3, description="sd of the logarithm of a taker's size")
    informed_share: float = Field(0.1, ge=0, le=1, description="share of takers that know the fair price")
    informed_edge_cents: float = Field(
        0.5, ge=0, le=20, description="least gain after the fee that they want"
    )
    whales_per_hour: float = Field(0.5, ge=0, le=100, description="large takers that split their order")
    whale_contracts: float = Field(1_500.0, ge=10, le=1_000_000, description="median size of a whale")
    child_contracts: float = Field(120.0, ge=1, le=100_000, description="size of one part of a whale")
    child_s: float = Field(8.0, ge=0.1, le=600, description="mean time between two parts of a whale")
    limits_per_hour: float = Field(120.0, ge=0, le=100_000, description="limit orders of noise traders")
    limit_contracts: float = Field(4.0, ge=0.01, le=100_000, description="their median size")
    limit_log_sd: float = Field(1.2, ge=0, le=3, description="sd of the logarithm of their size")
    limit_life_s: float = Field(40.0, ge=0.1, le=86_400, description="mean time until such an order expires")
    improve_share: float = Field(
        0.3, ge=0, le=1, description="share of them a tick better than the best price"
    )
    arbitrage_edge_cents: float = Field(
        0.1, ge=0, le=20, description="least gain of an arbitrage, after fees"
    )
    arbitrage_ms: float = Field(90.0, ge=1, le=100, description="longest time until arbitrage is taken")
    cash_usd: float = Field(2e7, ge=1, le=1e11, description="cash of every account at the start")

    batch_ms: float = Field(100.0, gt=0, le=1_000, description="the feed sends what happened so often")
    pace_ms: float = Field(1.45, gt=0, le=100, description="least time between two messages of the feed")
    pace_mean_ms: float = Field(0.45, ge=0, le=100, description="mean time beyond that")
    gap_share: float = Field(0.15, ge=0, le=1, description="share of events whose recording lost messages")
    max_lost: int = Field(40, ge=1, le=10_000, description="most messages lost in one gap")
    pause_share: float = Field(0.1, ge=0, le=1, description="share of events in which trading pauses once")
    pause_s: float = Field(60.0, ge=1, le=3_600, description="length of a pause")
    regrid_share: float = Field(0.1, ge=0, le=1, description="share of events whose price bands change")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for low, high in (("min_markets", "max_markets"), ("min_duration_s", "max_duration_s")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low}={getattr(self, low)} is above {high}={getattr(self, high)}")
        if self.single_share + self.nested_share > 1:
            raise ValueError(
                f"single_share + nested_share = {self.single_share + self.nested_share} is above 1"
            )
        # a NaN is neither at least 0 nor near 1
        if not all(s >= 0 for s in self.category_shares) or not abs(sum(self.category_shares) - 1) <= 1e-9:
            raise ValueError(f"category_shares {self.category_shares} are not four shares that add up to 1")
        require_times(self.n_events, self.stagger_s, self.max_duration_s)
        return self

    @model_validator(mode="after")
    def _can_trade(self) -> Self:
        shortest = self.rows_a_second * self.min_duration_s
        if shortest < MIN_ROWS:
            raise ValueError(
                f"these agents send about {shortest:.0f} messages a market in min_duration_s="
                f"{self.min_duration_s}; a recording needs {MIN_ROWS} or more: let makers refresh more often"
            )
        resting = self.limits_per_hour / 3_600 * self.limit_life_s
        if resting > MAX_LIMIT_ORDERS / 2:
            raise ValueError(
                f"limits_per_hour={self.limits_per_hour:g} with limit_life_s={self.limit_life_s:g} rest "
                f"{resting:.0f} orders a market on average; at most {MAX_LIMIT_ORDERS // 2} have room"
            )
        for number, maker in enumerate(self.makers):
            if maker.reach_cents >= 99:
                raise ValueError(
                    f"makers.{number} quotes up to {maker.reach_cents:g} cents from its belief; prices lie "
                    "between 1 and 99 cents, so its ladder must reach less than 99"
                )
            needed = maker.collateral_usd * self.max_markets
            if needed > self.cash_usd:
                raise ValueError(
                    f"cash_usd={self.cash_usd:g} cannot pay what makers.{number} may hold and quote: "
                    f"{needed:,.0f} dollars in {self.max_markets} markets"
                )
        if self.child_contracts > self.whale_contracts:
            raise ValueError(
                f"child_contracts={self.child_contracts:g} is above whale_contracts={self.whale_contracts:g}"
            )
        return self

    @property
    def rows_a_second(self) -> float:
        """Book messages of one market, roughly: every maker cancels and sets its ladders once a cycle."""
        ladders = sum(4 * m.levels / (m.refresh_s + m.pause_ms / 1_000) for m in self.makers)
        others = 2 * self.limits_per_hour + self.takers_per_hour / (1 - self.branching)
        return ladders + others / 3_600

    @property
    def expected_rows(self) -> float:
        """Book messages of all events, roughly."""
        markets = self.single_share + (1 - self.single_share) * (self.min_markets + self.max_markets) / 2
        duration_s = (self.min_duration_s + self.max_duration_s) / 2
        return self.n_events * markets * self.rows_a_second * duration_s
