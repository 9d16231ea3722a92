"""Training the larger levels, starting from a teacher, stopping by a hook, and the progressive pipeline."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made.bank import made_bank
from ray.cloudpickle import register_pickle_by_value

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.features.spec import features_of
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.evaluation.judging.validation import Validation, read_validation
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.metrics import read_metrics
from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.run import train
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.learning.training.state import frozen_copy
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.transfer import grown_network
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.simexchange import SimConfig, simulate
from kalshi_platform.workflows.progressive import run_progressive
from kalshi_platform.workflows.progressive_record import (
    ProgressiveConfig,
    ProgressiveRecord,
    read_progressive,
)

pytestmark = pytest.mark.ray
register_pickle_by_value(sys.modules[__name__])

NAMES = tuple(f.name for f in features_of(["orderbook", "temporal"]))
BANK = replace(made_bank(), feature_names=NAMES)
SMALL = TrainConfig(
    seed=3, level="complex", n_envs=8, fragment_length=16, minibatch=64, epochs=1, total_env_steps=2 * 128,
    anneal_steps=3 * 128, validate_every=1,
)  # fmt: skip


def made_source() -> TrainingSource:
    shape = EpisodeConfig(min_steps=10, max_steps=40)
    return TrainingSource(lambda: BANK, "f" * 12, env=EnvConfig(n_slots=3), episodes=shape)


def test_the_complex_level_trains_and_reports_its_regimes_and_foresight(ray_runtime, tmp_path: Path):
    train(made_source(), tmp_path, SMALL)
    for line in read_metrics(tmp_path):
        assert 0 < line["regime_entropy"] < np.log(5)
        assert 0 < line["regime_balance"] <= np.log(5)
        assert line["microstructure_loss"] > 0
    first = build_network(made_source().policy_spec("complex"), SMALL.seed).state_dict()
    moved = FrozenPolicy.load(tmp_path).network.state_dict()
    assert not [name for name, weight in moved.items() if torch.equal(weight, first[name])]


def test_without_their_weight_the_heads_beside_ppo_learn_nothing_of_their_own(ray_runtime, tmp_path: Path):
    train(made_source(), tmp_path, SMALL.replace(auxiliary_coeff=0.0))
    first = build_network(made_source().policy_spec("complex"), SMALL.seed).state_dict()
    moved = FrozenPolicy.load(tmp_path).network.state_dict()
    name = "microstructure.predict.weight"
    assert torch.equal(moved[name], first[name])


def test_levels_without_such_heads_report_none(ray_runtime, tmp_path: Path):
    train(made_source(), tmp_path, SMALL.replace(level="simple"))
    assert not {"regime_entropy", "microstructure_loss"} & read_metrics(tmp_path)[0].keys()


def test_a_run_starts_from_its_teacher(ray_runtime, tmp_path: Path):
    train(made_source(), tmp_path / "teacher", SMALL.replace(level="tiny"))
    config = SMALL.replace(level="simple", teacher=str(tmp_path / "teacher"))
    algorithm = build_algorithm(made_source(), config)
    started = frozen_copy(algorithm).network.state_dict()
    algorithm.stop()
    teacher = FrozenPolicy.load(tmp_path / "teacher")
    expected, report = grown_network(teacher, made_source().policy_spec("simple"), config.seed)
    assert report.exact
    assert all(torch.equal(weight, started[name]) for name, weight in expected.state_dict().items())
    # interrupted and resumed, such a run gives the same bits as one that was not
    for out, parts in (("whole", [256]), ("resumed", [128, 256])):
        for k, steps in enumerate(parts):
            train(made_source(), tmp_path / out, config.replace(total_env_steps=steps), resume=k > 0)
    weights = [FrozenPolicy.load(tmp_path / out).network.state_dict() for out in ("whole", "resumed")]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


def test_a_hook_ends_a_run_and_sees_the_same_validations_after_a_resume(ray_runtime, tmp_path: Path):
    config = SMALL.replace(level="tiny", total_env_steps=2 * 128)
    scores = iter([1.0, 2.0, 3.0, 4.0])

    def validate(policy: FrozenPolicy) -> Validation:
        return Validation(
            score=next(scores), low=None, high=None, sharpe=0.0, trade_rate=0.5, max_drawdown=0.0, events={}
        )

    train(made_source(), tmp_path, config, validate)
    seen: list[list[float]] = []

    def stop(validations):
        seen.append([v["score"] for v in validations])
        return "enough" if len(validations) == 3 else None

    longer = config.replace(total_env_steps=9 * 128)
    result = train(made_source(), tmp_path, longer, validate, resume=True, stop=stop)
    assert (result.stopped, result.iterations) == ("enough", 3)
    assert seen[-1] == [1.0, 2.0, 3.0]
    assert seen[0] == [1.0, 2.0]


PIPELINE = ProgressiveConfig(
    levels=("tiny", "simple"),
    steps_per_level=256,
    min_first_sharpe=-1e9,
    run=RunSettings(
        env=EnvConfig(decision_interval_ms=10_000),
        episodes=EpisodeConfig(min_steps=10, max_steps=40),
        # Slow learning from a seed that trades: policies that do nothing on every block would decide nothing.
        train=TrainConfig(
            seed=1,
            n_envs=8,
            fragment_length=16,
            minibatch=128,
            epochs=1,
            validate_every=1,
            learning_rate=1e-4,
        ),
    ),
)


@pytest.fixture(scope="module")
def dataset(ray_runtime, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("progressive")
    simulate(SimConfig(n_events=32, messages_per_market=200), folder / "recordings")
    split = SplitConfig(train=20, validation=26, test=2)  # half of the events judge
    build_dataset([folder / "recordings"], str(folder / "dataset"), BuildConfig(workers=0, split=split))
    return str(folder / "dataset")


def quick(policy: FrozenPolicy) -> Latency:
    return Latency(p50_ms=0.5, p99_ms=1.0, wall_p99_ms=1.0, runs=300)


def never(line: str) -> None:
    assert "steps/s" not in line, "a finished level was trained again"


def test_the_pipeline_grows_judges_and_continues(dataset: str, tmp_path: Path):
    lines: list[str] = []
    record = run_progressive(PIPELINE, dataset, tmp_path, lines.append, quick)
    tiny, simple = record.levels
    assert tiny.kept
    assert (tiny.transfer, tiny.difference) == (None, None)
    chosen_by = read_validation(tmp_path / tiny.run / "best")
    assert chosen_by is not None
    assert len(tiny.judged.block_returns) >= 3
    assert not set(chosen_by.block_returns) & set(tiny.judged.block_returns), "its own half decides"
    assert (simple.level, simple.env_steps, simple.stopped) == ("simple", 256, "budget")
    assert simple.transfer is not None
    assert simple.transfer.report.exact
    assert simple.transfer.kl < 1e-5
    # it starts where its teacher ended, on every event that decides
    assert simple.transfer.before_training.events == pytest.approx(tiny.judged.events, abs=1e-9)
    assert simple.difference is not None
    gain = simple.judged.sharpe - tiny.judged.sharpe
    assert simple.difference.estimate == pytest.approx(gain, abs=1e-6)
    assert simple.kept == (gain >= 0.1 and simple.difference.above_zero)
    assert record.verdict == lines[-1]
    assert json.loads((tmp_path / "progressive.json").read_text()) == record.model_dump(mode="json")
    assert record.verdict in (tmp_path / "progressive.html").read_text()
    assert not (Path(dataset) / "test_split_openings.jsonl").exists()

    assert run_progressive(PIPELINE, dataset, tmp_path, never, quick) == record
    _forget_the_last_level(record, tmp_path)  # as if killed between training and judging
    again = run_progressive(PIPELINE, dataset, tmp_path, lambda line: None, quick)
    assert again.levels[1].replace(wall_s=0.0) == simple.replace(wall_s=0.0)
    with pytest.raises(ContractError, match="holds a pipeline of other settings or data"):
        run_progressive(PIPELINE.replace(min_gain_sharpe=0.2), dataset, tmp_path, never, quick)


def _forget_the_last_level(record: ProgressiveRecord, out: Path) -> None:
    (out / "progressive.json").write_text(record.replace(levels=record.levels[:1]).model_dump_json())


def test_a_first_level_that_earns_too_little_ends_the_pipeline_after_its_report(dataset: str, tmp_path: Path):
    asked = PIPELINE.replace(min_first_sharpe=1e9, steps_per_level=128)
    (tmp_path / "0-tiny").mkdir()
    (tmp_path / "0-tiny" / "metrics.jsonl").write_text("{}\n")  # killed before its first checkpoint
    record = run_progressive(asked, dataset, tmp_path, measure=quick)
    assert [x.level for x in record.levels] == ["tiny"]
    assert read_progressive(tmp_path) == record
    assert "No level is worth using" in (tmp_path / "progressive.html").read_text()
    with pytest.raises(LimitError, match="below the 1e\\+09 asked of the first level"):
        record.require_kept()
