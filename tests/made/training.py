"""Small training runs on made markets: settings, a source and a validation that costs nothing."""

from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training import session
from kalshi_platform.learning.training.checkpoint import BEST, TrainingState, point, write_checkpoint
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.folder import CONFIG
from kalshi_platform.learning.training.metrics import METRICS
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, environment_text
from made.bank import made_bank
from made.registry_models import made_policy

BANK = made_bank()


#: A test that stands for an interruption trains fewer steps first: the schedule must not follow the length.
SMALL = TrainConfig(
    seed=3,
    level="simple",
    n_envs=8,
    fragment_length=16,
    minibatch=64,
    epochs=2,
    total_env_steps=4 * 128,
    anneal_steps=5 * 128,
    validate_every=2,
    torch_threads=1,
)


def made_source(bank=BANK, **episodes: int) -> TrainingSource:
    shape = EpisodeConfig(**({"min_steps": 10, "max_steps": 40} | episodes))
    return TrainingSource(lambda: bank, "f" * 12, env=EnvConfig(n_slots=3), episodes=shape)


def begun(out, settings, dataset):
    """A run's folder as a run of two iterations on ``dataset`` leaves it when it is interrupted."""
    out.mkdir()
    (out / session.RUN_FILE).write_text(session._record(settings, dataset))
    (out / ENVIRONMENT_FILE).write_text(environment_text(settings.env))
    (out / CONFIG).write_text(settings.train.model_dump_json())
    (out / METRICS).write_text('{"iteration": 1}\n{"iteration": 2}\n')
    (out / ".lock").write_text("1234")
    point(out, BEST, write_checkpoint(out, 2, made_policy(), TrainingState({}, {}, {})))
    return out


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
