"""The benchmarks' peer, RLlib's own sampler, samples the same environments with the same network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made.bank import made_bank

from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.ppo import build_algorithm, sample_or_failure
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig

pytestmark = pytest.mark.ray

BANK = made_bank()
CONFIG = TrainConfig(
    seed=3, level="simple", n_envs=16, fragment_length=64, minibatch=1024, epochs=1, learning_rate=1e-12
)


def made_source() -> TrainingSource:
    episodes = EpisodeConfig(min_steps=10, max_steps=40)
    return TrainingSource(lambda: BANK, "f" * 12, env=EnvConfig(n_slots=3), episodes=episodes)


@pytest.fixture
def stock_sampler(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import stock_sampler

    return stock_sampler


def sampled(algorithm: Any, sample: Any) -> dict[str, np.ndarray]:
    """Three batches; the columnar reader values every slot, RLlib's sampler their sum."""
    batches, lengths = [], []
    for _ in range(3):
        batch = sample()
        columns = {name: np.array(batch[name]) for name in ("rewards", "actions", "vf_preds")}
        columns["vf_preds"] = columns["vf_preds"].reshape(batch.count, -1).sum(1)
        batches.append(columns)
        lengths += [e.episode_length for e in algorithm.env_runner_group.local_env_runner.get_metrics()]
    algorithm.stop()
    return {
        **{name: np.concatenate([b[name] for b in batches]) for name in batches[0]},
        "lengths": np.array(lengths),
    }


def test_both_samplers_give_the_same_statistics(ray_runtime, stock_sampler, one_torch_thread):
    """One first policy, one distribution of episodes: rewards and actions agree within 4 errors."""
    ours, theirs = build_algorithm(made_source(), CONFIG), stock_sampler.build(made_source(), CONFIG)
    worker = ours.env_runner_group.local_env_runner
    found = (
        sampled(ours, lambda: sample_or_failure(worker)),
        sampled(theirs, lambda: stock_sampler.sample(theirs)),
    )
    for name in ("rewards", "vf_preds", "lengths"):
        one, two = (columns[name].astype(float) for columns in found)
        # Steps of one episode hang together: an error from 32 blocks of steps, not from single ones.
        blocks = [np.array([b.mean() for b in np.array_split(x, 32)]) for x in (one, two)]
        error = np.hypot(*(b.std(ddof=1) / np.sqrt(b.size) for b in blocks))
        assert abs(one.mean() - two.mean()) < 4 * error, name
    actions = [columns["actions"].reshape(-1).astype(int) for columns in found]
    shares = [np.bincount(taken, minlength=5) / taken.size for taken in actions]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.03)


def test_the_stock_sampler_reads_the_same_windows(ray_runtime, stock_sampler, one_torch_thread):
    """The network that gathers windows at rows and the one that finds them in the observation agree."""
    ours, theirs = build_algorithm(made_source(), CONFIG), stock_sampler.build(made_source(), CONFIG)
    model, wide = (algorithm.get_policy().model for algorithm in (ours, theirs))
    batch = sample_or_failure(ours.env_runner_group.local_env_runner)
    env = theirs.env_runner_group.local_env_runner.env
    with torch.no_grad():
        logits, value = model.evaluate({n: torch.tensor(batch[n]) for n in ("obs", "history_rows")})
        joined = torch.tensor(env._join(batch["obs"], batch["history_rows"]))
        inline_logits, inline_value = wide.evaluate({"obs": joined})
    held = batch["history_rows"] >= 0
    np.testing.assert_allclose(inline_logits.numpy()[held], logits.numpy()[held], atol=1e-5)
    np.testing.assert_allclose(inline_value.numpy(), value.numpy(), atol=1e-5)
    ours.stop()
    theirs.stop()
