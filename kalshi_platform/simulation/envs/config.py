"""Settings of the replay environment and of how its episodes are drawn."""

from typing import Literal

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.replay.trading import TradingConfig

EpisodeMode = Literal["concurrent", "shifted"]


class EnvConfig(TradingConfig):
    """One environment: its slots, what it observes, how it trades and what it is paid."""

    holding_cost_per_day: float = Field(
        0.0, ge=0, description="reward lost a day per unit of exposed capital"
    )
    reward_scale: float = Field(100.0, gt=0, description="reward for gaining the whole capital")


class EpisodeConfig(Config):
    """How training episodes are cut from the recording; consecutive events only."""

    mode: EpisodeMode = "concurrent"
    min_steps: int = Field(500, ge=1)
    max_steps: int = Field(2_000, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "EpisodeConfig":
        if self.max_steps < self.min_steps:
            raise ValueError(f"max_steps={self.max_steps} is below min_steps={self.min_steps}")
        return self
