"""Settings of the replay environment and of the episodes it plays."""

from typing import Literal

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.replay.trading import TradingConfig

EpisodeMode = Literal["concurrent", "shifted"]


class EnvConfig(TradingConfig):
    """Settings of one environment: its slots, its observation, how it trades and how it is rewarded."""

    holding_cost_per_day: float = Field(
        0.0,
        ge=0,
        description="reward lost a day per unit of exposed capital, before reward_scale",
        json_schema_extra={"unit": "share of the capital a day"},
    )
    reward_scale: float = Field(
        100.0,
        gt=0,
        description="reward for gaining the whole capital: with 100 a reward is % of capital",
        json_schema_extra={"unit": "reward"},
    )


class EpisodeConfig(Config):
    """Settings that cut training episodes from the recording; an episode plays consecutive rows only."""

    mode: EpisodeMode = Field(
        "concurrent",
        description="concurrent: markets alive at the same time; shifted: of different events, side by side",
    )
    min_steps: int = Field(
        500, ge=1, description="decisions of the shortest episode", json_schema_extra={"unit": "decisions"}
    )
    max_steps: int = Field(
        2_000, ge=1, description="decisions of the longest episode", json_schema_extra={"unit": "decisions"}
    )

    @model_validator(mode="after")
    def _ordered(self) -> "EpisodeConfig":
        if self.max_steps < self.min_steps:
            raise ValueError(f"max_steps={self.max_steps} is below min_steps={self.min_steps}")
        return self
