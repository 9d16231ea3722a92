"""Settings of the world with a planted imbalance: one frozen config. Presets are in presets.py.

Owns    every knob of the generator and its range.
Units   cents of probability where a name ends in ``_cents``; counts of *messages of one market* where
        it ends in ``_messages``; contracts where it ends in ``_contracts``.
"""

from typing import Final, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.simexchange.spans import require_times

#: Time before the close in which no message is drawn.
_QUIET_END_S: Final = 19.0


class SimConfig(Config):
    """A simulated exchange; equal configs give equal bytes, and event k never depends on ``n_events``."""

    seed: int = Field(0, ge=0, description="root of every random stream")
    n_events: int = Field(80, ge=1, le=100_000)
    min_markets: int = Field(3, ge=2, le=12, description="fewest brackets or thresholds of a family event")
    max_markets: int = Field(4, ge=2, le=12, description="most brackets or thresholds of a family event")
    single_share: float = Field(0.2, ge=0, le=1, description="share of events with one market")
    nested_share: float = Field(0.2, ge=0, le=1, description="share of events with nested thresholds")
    messages_per_market: int = Field(2_000, ge=50, le=1_000_000, description="book messages, +-25 % by event")
    min_duration_s: int = Field(7_200, ge=60, description="shortest trading time of an event")
    max_duration_s: int = Field(21_600, ge=60, description="longest trading time of an event")
    stagger_s: int = Field(5_400, ge=1, description="time from one event's opening to the next one's")
    fine_grid_share: float = Field(0.25, ge=0, le=1, description="share of events not on whole cents")

    min_resolved: float = Field(0.05, gt=0, lt=1, description="least variance resolved while trading")
    max_resolved: float = Field(0.3, gt=0, lt=1, description="most variance resolved while trading")
    news_messages: float = Field(
        250.0, gt=1, le=1e9, description="mean spacing of moves of the fair probability"
    )

    mispricing_sd_cents: float = Field(6.0, ge=0, le=20, description="sd of the consensus error at p = 0.5")
    half_life_messages: float = Field(80.0, gt=2, le=1e9, description="half-life of the consensus error")
    revision_messages: float = Field(
        70.0, gt=1, le=1e9, description="mean spacing of moves of the consensus error"
    )
    lean: float = Field(1.2, ge=0, le=3, description="log size ratio of informed quotes per sd of error")
    signal_noise: float = Field(
        0.3, ge=0, le=1e3, description="sd of the informed quotes' own error, in sd of error"
    )

    n_makers: int = Field(3, ge=1, le=8)
    maker_levels: int = Field(2, ge=1, le=5)
    half_spread_cents: float = Field(0.55, gt=0, le=10)
    maker_contracts: float = Field(60.0, gt=1, le=1e6, description="typical size of one quote of a maker")
    informed_contracts: float = Field(250.0, gt=1, le=1e6, description="typical size of one informed quote")
    noise_contracts: float = Field(18.0, gt=1, le=1e6, description="median size of a noise order")

    maker_rate: float = Field(
        0.20, gt=0, le=1e6, description="relative rate of makers refilling their ladders"
    )
    lean_rate: float = Field(0.30, ge=0, le=1e6, description="relative rate of informed quotes being revised")
    noise_limit_rate: float = Field(0.18, ge=0, le=1e6, description="relative rate of noise limit orders")
    noise_cancel_rate: float = Field(0.14, ge=0, le=1e6, description="relative rate of noise cancels")
    noise_market_rate: float = Field(0.12, ge=0, le=1e6, description="relative rate of noise market orders")
    informed_market_rate: float = Field(
        0.01, ge=0, le=1e6, description="relative rate of informed market orders"
    )
    snipe_share: float = Field(0.15, ge=0, le=1, description="share of news traded on before makers react")

    gap_share: float = Field(0.15, ge=0, le=1, description="share of events whose recording lost messages")
    max_lost: int = Field(40, ge=1, le=1_000_000, description="most messages lost in one gap")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for low, high in (
            ("min_markets", "max_markets"),
            ("min_duration_s", "max_duration_s"),
            ("min_resolved", "max_resolved"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low}={getattr(self, low)} is above {high}={getattr(self, high)}")
        if self.single_share + self.nested_share > 1:
            raise ValueError(
                f"single_share + nested_share = {self.single_share + self.nested_share} is above 1"
            )
        require_times(self.n_events, self.stagger_s, self.max_duration_s)
        self._require_room_before_close()
        return self

    def _require_room_before_close(self) -> None:
        """Refuse by ValueError so many messages that generate.py spaces the last beyond the close."""
        late_s = 1.25 * self.messages_per_market * self.max_markets**2 / 1e6
        if late_s > _QUIET_END_S:
            most = int(_QUIET_END_S * 1e6 / 1.25 / self.max_markets**2)
            raise ValueError(
                f"messages_per_market={self.messages_per_market:,} of max_markets={self.max_markets} markets "
                f"come up to {late_s:.0f} s late, after the close; at most {most:,} messages fit"
            )

    @classmethod
    def martingale(cls, seed: int = 0) -> "SimConfig":
        """Exchange without any signal.

        The consensus is the fair probability, and sizes say nothing about either.
        """
        return cls(seed=seed, mispricing_sd_cents=0.0, lean=0.0)

    @property
    def expected_rows(self) -> float:
        """Book messages of all events, roughly."""
        family = (1 - self.single_share) * (self.min_markets + self.max_markets) / 2
        return self.n_events * (self.single_share + family) * self.messages_per_market
