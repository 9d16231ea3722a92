"""Small training runs on made markets: settings, a source and a validation that costs nothing."""

from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from made.bank import made_bank

BANK = made_bank()


SMALL = TrainConfig(
    seed=3,
    level="simple",
    n_envs=8,
    fragment_length=16,
    minibatch=64,
    epochs=2,
    total_env_steps=4 * 128,
    validate_every=2,
    torch_threads=1,
)


def made_source(bank=BANK, **episodes: int) -> TrainingSource:
    shape = EpisodeConfig(**({"min_steps": 10, "max_steps": 40} | episodes))
    return TrainingSource(lambda: bank, "f" * 12, env=EnvConfig(n_slots=3), episodes=shape)


def scored(score: float) -> Validation:
    """A validation of two events whose mean return is ``score``."""
    return Validation(
        score=score,
        low=None,
        high=None,
        sharpe=0.0,
        trade_rate=0.5,
        max_drawdown=0.0,
        events={"A": score - 1.0, "B": score + 1.0},
    )
