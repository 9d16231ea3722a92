"""The time that a run will still take: its iterations with their checkpoints, and its validations.

Pure functions of a run's counters. Units: seconds of a monotonic clock.
"""

from kalshi_platform.learning.training.config import TrainConfig


def is_validated(config: TrainConfig, iteration: int) -> bool:
    """True where a run validates after ``iteration``: the first, the last and every ``validate_every``."""
    return iteration in (1, config.iterations) or iteration % config.validate_every == 0


def validations_until(config: TrainConfig, iteration: int) -> int:
    """Number of validations of a run up to ``iteration``."""
    return iteration // config.validate_every + sum(
        1 for k in {1, config.iterations} if k <= iteration and k % config.validate_every
    )


def seconds_left(
    config: TrainConfig, iteration: int, n_validations: int, iterations_s: float, validations_s: float
) -> float:
    """Seconds until the budget is used up, at the mean pace so far; an earlier stop makes it less.

    ``iterations_s`` were spent on ``iteration`` iterations (sampling, learning, checkpoints),
    ``validations_s`` on ``n_validations`` validations.
    """
    left = config.iterations - iteration
    still = validations_until(config, config.iterations) - validations_until(config, iteration)
    a_validation_s = validations_s / n_validations if n_validations else 0.0
    return max(0.0, left * iterations_s / iteration + still * a_validation_s)
