"""Training from end to end on made markets: numbers, resume, failures."""

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray
import torch
from made.fake_import import FakeImport
from made.processes import command_of, family_of, kill_all
from made.training import BANK, SMALL, made_source, scored
from ray.cloudpickle import register_pickle_by_value

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import (
    ChecksumError,
    ContractError,
    StorageError,
    TrainingError,
    WorkersLostError,
)
from kalshi_platform.evaluation.judging.validation import Validation, read_validation
from kalshi_platform.learning.training import checkpoint, reader
from kalshi_platform.learning.training.ppo import _outcomes, build_algorithm
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.run import train
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.learning.tuning.trial import report_of_progress, reports_of_run
from kalshi_platform.models.networks.device import cpu_copy
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.rllib_adapter import HISTORY_ROWS
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.open import Share, SplitOpener

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]
register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test module

#: What a line of metrics says of the clock and not of the numbers.
CLOCK = ("steps_per_s", "elapsed_s")


def lines(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in found]


class Holds:
    """A validation that scores how often the policy holds."""

    def __call__(self, policy: FrozenPolicy) -> Validation:
        flat = np.zeros((4, policy.spec.width), np.float32)
        policy.spec.split(torch.from_numpy(flat)).action_mask[:] = 1.0
        windows = np.zeros(
            (4, policy.spec.n_slots, policy.spec.level.window, policy.spec.n_history), np.float32
        )
        return scored(float(policy.action_probabilities(flat, windows=windows)[..., 0].mean()))


@pytest.fixture(scope="module")
def unbroken(ray_runtime, tmp_path_factory) -> Path:
    """A run of four iterations that nothing interrupted."""
    out = tmp_path_factory.mktemp("unbroken")
    train(made_source(), out, SMALL, Holds())
    return out


def test_a_run_reports_every_iteration_and_leaves_a_policy_that_acts(unbroken: Path):
    found = lines(unbroken)
    assert [line["iteration"] for line in found] == [1, 2, 3, 4]
    assert found[-1]["env_steps"] == 512
    validated = [line["validation"]["iteration"] for line in found]
    assert validated == [1, 2, 2, 4]  # the metric that searchers stop by is in every line, carried forward
    assert found[2]["validation"] == found[1]["validation"]
    assert read_validation(unbroken / "best").score == max(line["validation"]["score"] for line in found)
    assert all(abs(sum(line["action_shares"]) - 1) < 1e-9 for line in found)
    policy = FrozenPolicy.load(unbroken)
    assert policy.spec.feature_digest == "f" * 12
    assert policy.spec.market == BANK.feature_names


def test_a_sweep_is_told_the_same_again_as_while_the_run_went_on(ray_runtime, tmp_path: Path):
    seen: list[dict[str, Any]] = []
    config = SMALL.replace(level="tiny")
    train(made_source(), tmp_path, config, Holds(), lambda p: seen.append(report_of_progress(p)))
    again = list(reports_of_run(tmp_path))
    assert [found | {"replayed": True} for found in seen] == again
    assert [found["validated_at"] for found in again] == [1, 2, 2, 4]
    assert [found["validations"] for found in again] == [1, 2, 2, 3]


def test_the_policy_learns_something_every_iteration(unbroken: Path):
    newest, _ = checkpoint.read_checkpoint((unbroken / "latest").resolve())
    older, _ = checkpoint.read_checkpoint(unbroken / "checkpoints" / "000003")
    moved = [
        not torch.equal(a, b)
        for a, b in zip(
            newest.network.state_dict().values(), older.network.state_dict().values(), strict=True
        )
    ]
    assert all(moved)


@pytest.mark.parametrize("resume", [False, True], ids=["again", "interrupted and resumed"])
def test_the_same_run_gives_the_same_bits(resume: bool, unbroken: Path, tmp_path: Path):
    if resume:
        train(made_source(), tmp_path, SMALL.replace(total_env_steps=2 * 128), Holds())
        # the interrupted run had begun a third iteration when it was killed
        with (tmp_path / "metrics.jsonl").open("a") as stream:
            stream.write('{"iteration": 3}\n')
    train(made_source(), tmp_path, SMALL, Holds(), resume=resume)
    assert lines(tmp_path) == lines(unbroken)
    for run in (tmp_path, unbroken):
        checkpoint.verify((run / "latest").resolve())
    one, state = checkpoint.read_checkpoint((tmp_path / "latest").resolve())
    two, other = checkpoint.read_checkpoint((unbroken / "latest").resolve())
    for name, weights in one.network.state_dict().items():
        assert torch.equal(weights, two.network.state_dict()[name]), name
    assert state.arrays.keys() == other.arrays.keys()
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


def test_another_seed_gives_another_run(unbroken: Path, tmp_path: Path):
    train(made_source(), tmp_path, SMALL.replace(seed=4, total_env_steps=128), Holds())
    assert lines(tmp_path)[0]["reward_mean"] != lines(unbroken)[0]["reward_mean"]


def test_patience_ends_a_run_whose_score_does_not_improve(ray_runtime, tmp_path: Path):
    scores = iter([1.0, 2.0, 2.0, 0.0, 5.0])
    seen: list[Progress] = []
    result = train(
        made_source(),
        tmp_path,
        SMALL.replace(level="tiny", total_env_steps=10 * 128, validate_every=1, patience=2),
        lambda policy: scored(next(scores)),
        seen.append,
    )
    assert (result.stopped, result.iterations, result.best_score) == ("patience", 4, 2.0)
    assert result.best.resolve().name == "000002"
    assert "validation return 0 % of capital (best +200.00 %)" in seen[-1].line()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "000002",
        "000003",
        "000004",
    ]


class BreaksAfter(ReplayVectorEnv):
    """Raises at its 20th step."""

    steps = 0

    def step(self, *args: Any) -> None:
        self.steps += 1
        if self.steps == 20:
            raise ValueError("the recording ends inside a message")
        super().step(*args)


class BreakingSource(TrainingSource):
    def vector_env(self, n_envs: int, seed: int, worker: int = 0) -> Any:
        env, episodes = super().vector_env(n_envs, seed, worker)
        env.__class__ = BreaksAfter
        return env, episodes


@pytest.mark.parametrize("num_env_runners", [0, 1])
def test_a_failing_sampler_stops_the_run_with_its_error(num_env_runners: int, ray_runtime, tmp_path: Path):
    source = BreakingSource(lambda: BANK, "f" * 12, env=EnvConfig(n_slots=3))
    config = SMALL.replace(level="tiny", num_env_runners=num_env_runners)
    with pytest.raises(TrainingError, match="the recording ends inside a message"):
        train(source, tmp_path, config)
    assert len(lines(tmp_path)) == 1


class TurnsNaN(ReplayVectorEnv):
    """Rewards every slot with NaN from its 40th step on: in the third iteration of 16 steps."""

    steps = 0

    def step(self, actions: Any, flat: Any, rows: Any, reward: Any, *ends: Any) -> None:
        super().step(actions, flat, rows, reward, *ends)
        self.steps += 1
        if self.steps >= 40:
            self.slots["reward"] = np.nan


class NaNSource(TrainingSource):
    def vector_env(self, n_envs: int, seed: int, worker: int = 0) -> Any:
        env, episodes = super().vector_env(n_envs, seed, worker)
        env.__class__ = TurnsNaN
        return env, episodes


def test_a_number_that_is_not_finite_stops_the_run_and_the_last_checkpoint_stays(ray_runtime, tmp_path: Path):
    source = NaNSource(lambda: BANK, "f" * 12, env=EnvConfig(n_slots=3))
    with pytest.raises(TrainingError, match=r"iteration 3: .* rewards are not finite"):
        train(source, tmp_path, SMALL.replace(level="tiny"), Holds())
    assert [line["iteration"] for line in lines(tmp_path)] == [1, 2]
    assert (tmp_path / "latest").resolve().name == "000002"
    policy, _ = checkpoint.read_checkpoint((tmp_path / "latest").resolve())
    assert all(bool(w.isfinite().all()) for w in policy.network.state_dict().values())
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_a_run_that_diverges_at_once_leaves_no_checkpoint_and_may_be_started_again(
    ray_runtime, tmp_path: Path
):
    config = SMALL.replace(level="tiny", total_env_steps=128)
    with pytest.raises(TrainingError, match="iteration 1: gradient norm is nan"):
        train(made_source(), tmp_path, config.replace(learning_rate=1e38), Holds())
    assert not (tmp_path / "checkpoints").exists()
    assert train(made_source(), tmp_path, config, Holds()).iterations == 1


def test_a_full_disk_at_the_first_checkpoint_leaves_a_run_that_can_be_started_again(
    ray_runtime, tmp_path: Path, monkeypatch
):
    config = SMALL.replace(level="tiny", total_env_steps=128)

    def full(*_: Any) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(StorageError, match="free space and start the run again"):
            train(made_source(), tmp_path, config, Holds())
    assert len(lines(tmp_path)) == 1
    assert train(made_source(), tmp_path, config, Holds()).iterations == 1
    assert len(lines(tmp_path)) == 1


def test_elapsed_time_has_the_validations_and_goes_on_after_a_resume(ray_runtime, tmp_path: Path):
    seen: list[Progress] = []

    def slow(policy: FrozenPolicy) -> Validation:
        time.sleep(0.3)
        return scored(0.1)

    config = SMALL.replace(level="tiny", validate_every=1)
    train(made_source(), tmp_path, config.replace(total_env_steps=2 * 128), slow, seen.append)
    assert seen[0].elapsed_s >= 0.3
    assert seen[1].elapsed_s >= seen[0].elapsed_s + 0.3
    assert seen[0].seconds_left >= 0.3
    assert seen[1].seconds_left == 0.0
    train(made_source(), tmp_path, config, slow, seen.append, resume=True)
    assert seen[2].elapsed_s >= seen[1].elapsed_s + 0.3
    assert seen[2].seconds_left >= 0.3


@pytest.mark.parametrize("overlap", [False, True])
def test_a_killed_worker_stops_the_run(overlap: bool, ray_runtime):
    algorithm = build_algorithm(
        made_source(), SMALL.replace(level="tiny", num_env_runners=2, overlap=overlap)
    )
    algorithm.train()
    (victim, *_) = algorithm.env_runner_group._worker_manager.actors().values()
    process = psutil.Process(ray.get(victim.apply.remote(lambda worker: os.getpid())))
    ray.kill(victim)
    process.wait(600)  # the kill goes through Ray's control store, a task straight to the worker
    with pytest.raises(TrainingError, match="1 of 2 sampling workers died without a word"):
        algorithm.train()
    algorithm.stop()


def test_a_remote_sampler_resumes_exactly_too(ray_runtime, tmp_path: Path):
    config = SMALL.replace(level="tiny", num_env_runners=1, validate_every=1, total_env_steps=2 * 128)
    train(made_source(), tmp_path / "one", config)
    train(made_source(), tmp_path / "two", config.replace(total_env_steps=128))
    train(made_source(), tmp_path / "two", config, resume=True)
    assert lines(tmp_path / "one") == lines(tmp_path / "two")


def kill_samplers() -> None:
    """SIGKILL every sampling process of this test's Ray, as the out-of-memory killer or a lost node would."""
    family = family_of(os.getpid())  # other tests may sample beside this one
    found = [p for p in family if "ray::RolloutWorker" in command_of(p)]
    assert found, "no sampling process to kill"
    kill_all(found)


def test_a_killed_sampling_worker_costs_at_most_the_iteration_under_way(ray_runtime, tmp_path: Path, caplog):
    config = SMALL.replace(level="tiny", num_env_runners=1)
    train(made_source(), tmp_path / "unbroken", config, Holds())
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.iteration == 2 and not killed:
            killed.append(progress.iteration)
            kill_samplers()

    result = train(made_source(), tmp_path / "killed", config, Holds(), kill_once)
    assert (killed, result.restarts, result.stopped) == ([2], 1, "budget")
    assert "sampling workers died" in caplog.text
    assert lines(tmp_path / "killed") == lines(tmp_path / "unbroken")


def test_workers_that_die_again_and_again_end_the_run(ray_runtime, tmp_path: Path):
    config = SMALL.replace(level="tiny", num_env_runners=1, max_restarts=1)
    with pytest.raises(WorkersLostError, match="died 2 times"):
        train(made_source(), tmp_path, config, Holds(), lambda progress: kill_samplers())


@pytest.mark.parametrize(("cut", "named"), [(True, "has 4 bytes, its manifest says"), (False, "has sha256")])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_continues(
    cut: bool, named: str, unbroken: Path, tmp_path: Path, caplog
):
    train(made_source(), tmp_path, SMALL.replace(total_env_steps=3 * 128), Holds())
    newest = tmp_path / "checkpoints" / "000003" / "arrays.npz"
    whole = newest.read_bytes()
    newest.write_bytes(b"half" if cut else whole[:-1] + bytes([whole[-1] ^ 1]))
    train(made_source(), tmp_path, SMALL, Holds(), resume=True)
    assert f"000003/arrays.npz {named}" in caplog.text
    assert lines(tmp_path) == lines(unbroken)


def test_a_run_is_not_continued_where_every_checkpoint_is_damaged(unbroken: Path, tmp_path: Path):
    shutil.copytree(unbroken, tmp_path / "run", symlinks=True)
    for path in (tmp_path / "run" / "checkpoints").glob("*/state.json"):
        path.write_text("{}")
    with pytest.raises(ChecksumError, match=r"000004/state\.json"):
        train(made_source(), tmp_path / "run", SMALL, Holds(), resume=True)


def test_a_stop_hook_ends_the_run_with_its_reason_and_holds_after_a_resume(ray_runtime, tmp_path: Path):
    def stop(validations: Any) -> str | None:
        return "two validations are enough" if len(validations) == 2 else None

    config = SMALL.replace(level="tiny")
    first = train(made_source(), tmp_path, config, Holds(), stop=stop)
    assert (first.stopped, first.iterations) == ("two validations are enough", 2)
    assert train(made_source(), tmp_path, config, Holds(), resume=True, stop=stop) == first


def test_an_overlapped_run_that_was_interrupted_equals_the_unbroken_one(ray_runtime, tmp_path: Path):
    samples = 128 * 2
    config = SMALL.replace(overlap=True, num_env_runners=2, validate_every=1, total_env_steps=3 * samples)
    train(made_source(), tmp_path / "one", config)
    train(made_source(), tmp_path / "two", config.replace(total_env_steps=2 * samples))
    train(made_source(), tmp_path / "two", config, resume=True)
    assert lines(tmp_path / "one") == lines(tmp_path / "two")
    one, state = checkpoint.read_checkpoint((tmp_path / "one" / "latest").resolve())
    two, other = checkpoint.read_checkpoint((tmp_path / "two" / "latest").resolve())
    for name, weights in one.network.state_dict().items():
        assert torch.equal(weights, two.network.state_dict()[name]), name
    assert {name for name in state.arrays if name.startswith("waiting/")} >= {
        "waiting/obs",
        "waiting/actions",
    }
    assert state.arrays.keys() == other.arrays.keys()
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


def test_an_overlapped_iteration_learns_from_what_older_weights_sampled(ray_runtime):
    """Batch 1 and 2 come from the first weights: the second is sampled while the first is learned."""
    config = SMALL.replace(num_env_runners=1, learning_rate=0.01)
    sampled = {}
    for overlap in (False, True):
        algorithm = build_algorithm(made_source(), config.replace(overlap=overlap))
        found = []
        learn = algorithm._learn

        def watched(batch, learn=learn, found=found):
            found.append({name: np.array(batch[name]) for name in ("actions", "action_logp", "rewards")})
            return learn(batch)

        algorithm._learn = watched
        for _ in range(2):
            algorithm.train()
        algorithm.stop()
        sampled[overlap] = found
    plain, overlapped = sampled[False], sampled[True]
    for name, column in plain[0].items():
        np.testing.assert_array_equal(column, overlapped[0][name], err_msg=name)
    assert not np.array_equal(plain[1]["action_logp"], overlapped[1]["action_logp"])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    """Twelve events of two markets, of which the training split has several."""
    folder = tmp_path_factory.mktemp("events")
    with pytest.MonkeyPatch.context() as patch:
        FakeImport(folder, tuple(f"EV{k}" for k in range(12))).install(patch)
        build_dataset([], folder / "data", BuildConfig(workers=0, split=SplitConfig(salt="shares")))
    return str(folder / "data")


def test_workers_with_events_of_their_own_send_rows_of_the_whole_split(dataset: str, ray_runtime):
    env = EnvConfig(n_slots=2, decision_interval_ms=0)
    opener = SplitOpener(dataset, "train", env.groups)
    shape = EpisodeConfig(min_steps=5, max_steps=20)
    source = TrainingSource(opener, FEATURE_DIGEST, env=env, episodes=shape)
    config = SMALL.replace(num_env_runners=2, worker_events="own")
    algorithm = build_algorithm(source, config)
    batches = _outcomes(algorithm._start_sampling())
    full = opener()
    spec = source.policy_spec(config.level)
    gatherer = WindowGatherer(full.arrays, spec.level.window)
    for k, batch in enumerate(batches):
        share = opener.only(Share(k, 2))()
        rows = batch[HISTORY_ROWS]
        own = set(share.full_rows.of(np.arange(share.n_rows)).tolist())
        met = set(np.unique(rows).tolist()) - {-1}
        assert met
        assert met <= own, "a worker met rows of another worker's events"
        # The worker's local windows are the learner's global ones: rows by their place in the share.
        local = np.searchsorted(share.full_rows.of(np.arange(share.n_rows)), np.array(sorted(met)))
        local_windows = WindowGatherer(share.arrays, spec.level.window).windows(local)
        assert torch.equal(local_windows, gatherer.windows(np.array(sorted(met))))
        # What the worker decided on its own rows is what the learner, who has them all, would decide.
        policy = algorithm.get_policy()
        with torch.no_grad():
            logits, value = policy.model.evaluate({n: torch.tensor(batch[n]) for n in ("obs", HISTORY_ROWS)})
        chosen = torch.tensor(batch["actions"]).long()[..., None]
        log_prob = logits.log_softmax(-1).gather(2, chosen)[..., 0].numpy()
        held = rows >= 0
        np.testing.assert_allclose(log_prob[held], batch["action_logp"][held], atol=1e-5)
        np.testing.assert_allclose(value.numpy()[held], batch["vf_preds"][held], atol=1e-5)

    def open_rows(worker: Any) -> list[int]:
        import gc

        from kalshi_platform.simulation.replay.bank import Bank

        return [each.n_rows for each in gc.get_objects() if isinstance(each, Bank)]

    opened = algorithm.env_runner_group.foreach_env_runner(open_rows, local_env_runner=False)
    assert opened == [[opener.only(Share(k, 2))().n_rows] for k in range(2)]
    before = [weights.detach().clone() for weights in policy.model.network.parameters()]
    algorithm.train()
    after = policy.model.network.parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    algorithm.stop()


def test_a_sampler_beside_a_learner_on_another_device_uses_a_copy_with_its_weights(
    unbroken: Path, tmp_path: Path, monkeypatch
):
    """No GPU here: the reader is told that the network is elsewhere, and the numbers must stay the same."""
    copies = []
    monkeypatch.setattr(reader, "off_cpu", lambda network: True)
    monkeypatch.setattr(reader, "cpu_copy", lambda network: copies.append(cpu_copy(network)) or copies[-1])
    train(made_source(), tmp_path, SMALL, Holds())
    assert len(copies) == 1
    assert lines(tmp_path) == lines(unbroken)


def test_a_run_refuses_a_folder_that_holds_another(unbroken: Path):
    with pytest.raises(ContractError, match=re.escape(str(unbroken))):
        train(made_source(), unbroken, SMALL)
    with pytest.raises(ContractError, match=r"train\.seed 3 -> 9"):
        train(made_source(), unbroken, SMALL.replace(seed=9), resume=True)
    with pytest.raises(ContractError, match="nothing"):
        train(made_source(), unbroken / "nothing", SMALL, resume=True)
