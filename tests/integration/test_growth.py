"""Two days of one recording: build the first, train, add the second, judge the first day's model, promote.

As in ``test_promotion.py``, the latency handed to the gates is a constant and the run's commit is made clean.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.promotion.gates import GateConfig
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.evaluation.promotion.registration import register_run
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.simexchange import SimConfig, simulate

pytestmark = pytest.mark.ray

SPLIT = SplitConfig(train=26, validation=20, test=2)
SETTINGS = RunSettings(
    # Half the fees while learning: an edge is found in seconds. Models are judged at the full ones.
    env=EnvConfig(decision_interval_ms=30_000, n_slots=2, fee_scale_e6=500_000),
    episodes=EpisodeConfig(min_steps=50, max_steps=200),
    train=TrainConfig(level="tiny", learning_rate=2e-3, entropy_coeff=0.006, total_env_steps=65_536),
)
#: Intervals of 25 events after half a minute of training are wide: those of 80 % do here.
JUDGED = EvalConfig(baselines=("do_nothing",), bootstrap=BootstrapConfig(confidence=0.8))
QUICK = Latency(p50_ms=0.2, p99_ms=0.9, wall_p99_ms=0.9, runs=1_000)


def two_days(folder: Path, **exchange: float) -> tuple[Path, Path]:
    """One simulated recording, cut in two at a moment; each half has the metadata of its own day."""
    simulate(SimConfig(**exchange), folder / "whole")
    rows = pq.read_table(folder / "whole" / "events.parquet")
    cut = int(np.quantile(rows["recv_ts_us"].to_numpy(), 0.7))
    halves = pc.less(rows["recv_ts_us"], cut), pc.greater_equal(rows["recv_ts_us"], cut)
    markets = pq.read_table(folder / "whole" / "markets.parquet")
    days = folder / "day1", folder / "day2"
    for day, half in zip(days, halves, strict=True):
        day.mkdir()
        part = rows.filter(half)
        pq.write_table(part, day / "events.parquet", row_group_size=20_000)
        there = pc.is_in(markets["market_ticker"], pc.unique(part["market_ticker"]))
        pq.write_table(markets.filter(there), day / "markets.parquet")
    return days


def command(*words: object):
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def grown(ray_runtime, tmp_path_factory):
    """The first day's model and dataset, and the dataset after the second day joined it."""
    folder = tmp_path_factory.mktemp("growth")
    day1, day2 = two_days(
        folder,
        n_events=60,
        messages_per_market=400,
        mispricing_sd_cents=20.0,
        half_life_messages=160.0,
        gap_share=0.0,
        seed=1,
    )
    dataset = folder / "dataset"
    first = build_dataset([day1], dataset, BuildConfig(workers=0, split=SPLIT))
    shutil.copytree(dataset, folder / "first")
    run_training(SETTINGS, str(dataset), folder / "run")
    record = json.loads((folder / "run" / "run.json").read_text())
    assert record["dataset_digest"] == first.digest
    (folder / "run" / "run.json").write_text(json.dumps(record | {"commit": "0123456789ab"}))
    added = command("dataset", "build", "--add", day2, "--to", dataset, "--workers", 0)
    return folder, first, added


def test_the_first_day_keeps_its_splits_and_the_second_joins_them(grown):
    folder, first, added = grown
    now = Dataset.open(folder / "dataset")
    assert (added["dataset_digest"], added["parents"]) == (now.digest, [first.digest])
    assert added["added"]["grown"] > 0
    assert sum(added["added"]["joined"].values()) > 0
    splits = now.manifest.assignments()
    assert {event: splits[event] for event in first.events()} == first.assignments()
    assert set(now.manifest.events("train")) & set(first.events("validation")) == set()
    assert find_problems(now) == []


def test_the_first_days_model_is_judged_on_both_registered_and_promoted(grown, tmp_path):
    folder, first, added = grown
    dataset, run, registry = folder / "dataset", folder / "run", tmp_path / "registry"
    report = command("evaluate", "--run", run, "--dataset", dataset, "--out", tmp_path / "report")
    assert report["subject"]["trained_on"] == first.digest
    assert report["subject"]["dataset_digest"] == added["dataset_digest"]
    assert report["subject"]["descends"] is True
    validation = added["splits"]["validation"]
    assert report["coverage"] == {
        "n_events": validation["events"],
        "n_markets": validation["markets"],
        "unplayable_events": validation["unplayable_events"],
        "unplayable_markets": validation["unplayable_markets"],
    }
    assert "which grew from it" in (tmp_path / "report" / "report.html").read_text()
    record = registered(registry, run, dataset)
    assert record.dataset_digest == first.digest
    assert record.claims.dataset_digest == added["dataset_digest"]
    found = promoted(registry, record.id, dataset)
    assert found["dataset"] == f"dataset {first.digest} grew to {added['dataset_digest']}"
    assert found["claims"] == "agree"
    assert Registry(registry).resolve("champion") == record.id


def test_a_model_registered_on_the_first_day_is_promoted_on_the_grown_dataset(grown, tmp_path):
    folder, first, added = grown
    record = registered(tmp_path, folder / "run", folder / "first")
    assert record.claims.dataset_digest == first.digest
    assert registered(tmp_path, folder / "run", folder / "dataset") == record  # one model, whatever judged it
    found = promoted(tmp_path, record.id, folder / "dataset")
    assert found["claims"] == f"of the earlier state {first.digest}, judged anew on {added['dataset_digest']}"


def registered(registry: Path, run: Path, dataset: Path) -> ModelRecord:
    return register_run(Registry(registry), run, str(dataset), config=JUDGED, measure=lambda policy: QUICK)


def promoted(registry: Path, model: str, dataset: Path) -> dict[str, str]:
    """Make ``model`` champion; returns what each gate found."""
    gates = GateConfig(max_drawdown=0.9, fee_scale=1.0, beat_best_rule=False)
    done = promote_model(
        Registry(registry), model, str(dataset), gates=gates, config=JUDGED, measure=lambda policy: QUICK
    )
    assert done.judgement is not None
    assert done.entry is not None, done.judgement.refusals
    return {result.name: result.found for result in done.judgement.results}


def test_a_dataset_that_did_not_grow_from_the_models_is_refused_by_name(grown, tmp_path):
    folder, first, _ = grown
    simulate(SimConfig(n_events=20, messages_per_market=200, seed=9), tmp_path / "other")
    build_dataset([tmp_path / "other"], tmp_path / "data", BuildConfig(workers=0, split=SPLIT))
    other = Dataset.open(tmp_path / "data").digest
    words = [
        "models",
        "register",
        folder / "run",
        "--dataset",
        tmp_path / "data",
        "--registry",
        tmp_path / "r",
    ]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert f"was trained on dataset {first.digest}" in said
    assert f"is {other} and did not grow from it" in said
