"""Settings that every experiment starts from, and the small ones of a smoke run; no code.

The preset ``standard``, with two settings changed on purpose: the level ``simple``, because a sweep trains
long enough for it, and a curriculum (where an experiment has one) that is over in a tenth of the episodes.
"""

from typing import Any, Final

from kalshi_platform.learning.training.session import RunSettings

BASE: Final[RunSettings] = RunSettings().with_values({"train.level": "simple", "curriculum.scale": 0.1})

#: Settings of a smoke run: 24 iterations of the smallest network, validated every second one.
SMOKE_BASE: Final[dict[str, Any]] = {
    "train.level": "tiny",
    "train.total_env_steps": 98_304,
    "train.validate_every": 2,
}
SMOKE_SWEEP: Final[dict[str, Any]] = {
    "grace_iterations": 4,
    "rung_factor": 2,
    "patience": 8,
    "grace_validations": 4,
    "finalists": 1,
}
