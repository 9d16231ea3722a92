"""Two recorded days: the first one teaches a champion, the second joins its dataset and judges the champion.

Two calendar days of the exchange's clock, each a run of the recorder over real sockets into one folder.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from made.live_recording import Scene, record_served
from made.told_holes import assert_only_told_holes
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.promotion.gates import GateConfig
from kalshi_platform.evaluation.promotion.promote import promote_model
from kalshi_platform.evaluation.promotion.registration import register_run
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.trading.recorder.status import certified_runs

pytestmark = pytest.mark.ray

MONDAY_S = int(datetime(2026, 11, 2, 15, tzinfo=UTC).timestamp())
DAY_S = 86_400
SERVED = {
    "speed": 120, "n_events": 6, "determine_s": 5, "settle_s": 5, "lead_s": 2,
    "world": {"min_duration_s": 600, "max_duration_s": 600, "category_shares": [1.0, 0.0, 0.0, 0.0]},
}  # fmt: skip
SPLIT = SplitConfig(train=6, validation=4, test=2)
SETTINGS = RunSettings(
    env=EnvConfig(decision_interval_ms=30_000, n_slots=2),
    episodes=EpisodeConfig(min_steps=5, max_steps=20),
    train=TrainConfig(level="tiny", total_env_steps=4_096),
)
JUDGED = EvalConfig(baselines=("do_nothing",), bootstrap=BootstrapConfig(confidence=0.8))
QUICK = Latency(p50_ms=0.2, p99_ms=0.9, wall_p99_ms=0.9, runs=1_000)


class TwoDays(NamedTuple):
    folder: Path
    first: str  # digest of the dataset of the first day
    champion: str
    first_events: frozenset[str]
    added: dict[str, object]


async def a_day(scene: Scene) -> None:
    """Wait until a dozen markets have an outcome."""
    await scene.until(lambda: len(scene.recorder.directory.outcomes) >= 18)


def command(*words: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def two_days(ray_runtime, tmp_path_factory) -> TwoDays:
    folder = tmp_path_factory.mktemp("two-days")
    recording, dataset, registry = folder / "recording", folder / "dataset", Registry(folder / "registry")
    record_served(recording, a_day, start_ns=MONDAY_S * NS_PER_SECOND, **SERVED)
    certified = tuple(certified_runs([recording]))
    first = build_dataset([recording], str(dataset), BuildConfig(workers=0, split=SPLIT, certified=certified))
    shutil.copytree(dataset, folder / "first")
    run_training(SETTINGS, str(dataset), folder / "run")
    model = register_run(registry, folder / "run", str(dataset), config=JUDGED, measure=lambda policy: QUICK)
    registry.promote("champion", model.id, reason="the first there was")
    tuesday_ns = (MONDAY_S + DAY_S) * NS_PER_SECOND
    record_served(recording, a_day, start_ns=tuesday_ns, first_event=1_000, **SERVED)
    added = command("dataset", "build", "--add", recording, "--to", dataset, "--workers", 0)
    return TwoDays(folder, first.digest, model.id, frozenset(first.events()), added)


def test_the_second_day_joins_and_the_first_keeps_its_splits(two_days):
    now, first = Dataset.open(two_days.folder / "dataset"), Dataset.open(two_days.folder / "first")
    splits = now.manifest.assignments()
    assert {event: splits[event] for event in two_days.first_events} == first.manifest.assignments()
    assert now.manifest.parents == (two_days.first,)
    assert sum(two_days.added["added"]["joined"].values()) >= 6
    days = {datetime.fromtimestamp(e.first_ns // NS_PER_SECOND, UTC).date() for e in now.entries("all")}
    assert sorted(map(str, days)) == ["2026-11-02", "2026-11-03"]


def test_coverage_of_both_days_is_certified_and_told(two_days):
    runs = two_days.added["recordings"]
    assert [datetime.fromtimestamp(run["first_ns"] // NS_PER_SECOND, UTC).day for run in runs] == [2, 3]
    for run in runs:
        out = two_days.folder / "recording"
        assert_only_told_holes(out, run["run"], run["proven_ns"], run["wanted_ns"])
    told = CliRunner().invoke(
        app, ["dataset", "info", str(two_days.folder / "dataset")], env={"COLUMNS": "220"}
    )
    share = 10_000 * sum(run["proven_ns"] for run in runs) // sum(run["wanted_ns"] for run in runs)
    words = f"{share // 100}.{share % 100:02d} % of the wanted time of 2 recorded runs has a proven book"
    assert words in " ".join(told.stdout.split())
    assert runs[1]["run"] in told.stdout


def test_a_repeated_add_finds_nothing_new(two_days):
    again = command(
        "dataset", "build", "--add", two_days.folder / "recording", "--to", two_days.folder / "dataset",
        "--workers", 0,
    )  # fmt: skip
    assert again["added"]["is_new"] is False
    assert again["dataset_digest"] == two_days.added["dataset_digest"]


def test_the_first_days_champion_is_judged_on_the_second(two_days, tmp_path):
    folder = two_days.folder
    report = command(
        "evaluate", "--run", folder / "run", "--dataset", folder / "dataset", "--out", tmp_path / "report"
    )
    assert report["subject"]["trained_on"] == two_days.first
    assert report["subject"]["descends"] is True
    assert "2 recorded runs has a proven book" in report["subject"]["recorded"]
    assert report["subject"]["recorded"] in (tmp_path / "report" / "report.html").read_text()
    judged = set(Dataset.open(folder / "dataset").manifest.events("validation"))
    assert judged - two_days.first_events  # events of the second day judge it
    assert report["coverage"]["n_events"] == len(judged)


def test_promotions_evidence_is_of_both_days(two_days):
    registry = Registry(two_days.folder / "registry")
    done = promote_model(
        registry, "champion", str(two_days.folder / "dataset"), gates=GateConfig(beat_best_rule=False),
        config=JUDGED, measure=lambda policy: QUICK,
    )  # fmt: skip
    found = {result.name: result.found for result in done.judgement.results}
    digest = two_days.added["dataset_digest"]
    assert found["dataset"].startswith(f"dataset {two_days.first} grew to {digest}")
    assert found["claims"] == f"of the earlier state {two_days.first}, judged anew on {digest}"
    assert registry.resolve("champion") == two_days.champion
