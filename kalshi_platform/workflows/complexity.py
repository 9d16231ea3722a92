"""Plateaus: a level has learned all it can when its Sharpe ratio stops rising. Pure functions of a history.

Owns   PlateauConfig and the decision.
Units  a history is a run's Sharpe ratio per block, one entry a validation that has one, oldest first.
Reach  a level of a million steps validates 17 times: two windows of 6 are full at its 12th validation.
       Windows that a level cannot fill decide nothing; the pipeline says so before it trains.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import level_named

#: Key of a validation's numbers that a plateau is looked for in.
SHARPE: Final = "sharpe"


class PlateauConfig(Config):
    """Settings of a plateau: the two windows that are compared and the least rise between them."""

    window: int = Field(6, ge=1, description="validations in each of the two windows that are compared")
    min_gain: float = Field(
        0.05, description="rise of the mean Sharpe below which a level has stopped learning"
    )


def recent_gain(history: Sequence[float], window: int) -> float | None:
    """Mean of the last ``window`` entries minus that of the ``window`` before; None with fewer than both."""
    if len(history) < 2 * window:
        return None
    last, before = history[-window:], history[-2 * window : -window]
    return (math.fsum(last) - math.fsum(before)) / window


def require_levels(levels: Sequence[str]) -> None:
    """Raise ContractError unless ``levels`` names at least one level, each once."""
    for name in levels:
        level_named(name)
    if len(set(levels)) != len(levels) or not levels:
        raise ContractError(f"levels {list(levels)}: want at least one, each once")


class ComplexityScaler:
    """A scaler that says when training at a level should end."""

    def __init__(self, config: PlateauConfig) -> None:
        self._config = config

    def should_scale(self, history: Sequence[float]) -> bool:
        """True where the Sharpe ratios of a level's validations have stopped rising."""
        gain = recent_gain(history, self._config.window)
        return gain is not None and gain < self._config.min_gain

    def stop(self, validations: Sequence[Mapping[str, Any]]) -> str | None:
        """Reason to stop after these validations, or None to go on; for ``run_training(stop=...)``."""
        history = [float(numbers[SHARPE]) for numbers in validations if numbers.get(SHARPE) is not None]
        if not self.should_scale(history):
            return None
        gain, window = recent_gain(history, self._config.window), self._config.window
        return (
            f"plateau: mean Sharpe of the last {window} validations is {gain:+.3f} against the {window} "
            f"before, less than {self._config.min_gain:+g}"
        )

    def out_of_reach(self, validations: int) -> str | None:
        """Sentence that no plateau can end a run of so many validations; None where one can."""
        window = self._config.window
        if 2 * window <= validations:
            return None
        return (
            f"a level validates {validations} times, two windows of {window} validations need {2 * window}: "
            "no plateau can end it; more --steps or a smaller --plateau-window changes that"
        )
