"""Learners that nobody here wrote take the environment as it is: Stable-Baselines3 and its MaskablePPO.

They come with the extra ``bench`` (``make bench`` installs it); without it these tests are skipped.
"""

import warnings
from pathlib import Path

import gymnasium
import pytest

import kalshi_platform.simulation.envs.gym_env  # noqa: F401 - registers the environment
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate

ppo = pytest.importorskip("stable_baselines3", reason="install the extra: pip install -e '.[bench]'")
maskable = pytest.importorskip("sb3_contrib", reason="install the extra: pip install -e '.[bench]'")
STEPS = 1_000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    simulate(SimConfig(n_events=12, messages_per_market=400, seed=1), folder / "recordings")
    build_dataset([folder / "recordings"], str(folder / "dataset"), BuildConfig(workers=0))
    return folder / "dataset"


def environment(dataset: Path, **settings: object) -> gymnasium.Env:
    return gymnasium.make(
        "kalshi_platform/Replay-v1", dataset=str(dataset), n_slots=2, min_steps=50, max_steps=200, **settings
    )


def test_the_checker_of_stable_baselines_finds_nothing(dataset: Path) -> None:
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises to flatten blocks of (slots, features); faults raise
        check_env(environment(dataset, hold_masked=True).unwrapped)


def test_ppo_of_stable_baselines_learns_from_it(dataset: Path) -> None:
    model = ppo.PPO(
        "MultiInputPolicy",
        environment(dataset, hold_masked=True),
        n_steps=250,
        batch_size=125,
        seed=1,
        device="cpu",
    )
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(STEPS)
    assert model.num_timesteps == STEPS
    assert any((p != q).any() for p, q in zip(model.policy.parameters(), before, strict=True))


def test_maskable_ppo_takes_allowed_actions_only(dataset: Path) -> None:
    # without hold_masked a forbidden action raises: a mask that is wrong once would end the run
    model = maskable.MaskablePPO(
        "MultiInputPolicy", environment(dataset), n_steps=250, batch_size=125, seed=1, device="cpu"
    )
    model.learn(STEPS)
    assert model.num_timesteps == STEPS
