"""The evaluate command on a small dataset and an untrained policy: report, JSON, the shut test split."""

import csv
import json

import pytest
import torch
from typer.testing import CliRunner

from kalshi_platform.cli.evaluate import require_one_run
from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import DataError
from kalshi_platform.evaluation.judging.evaluation import Coverage
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.evaluation.judging.report import HTML_NAME, JSON_NAME, read_report
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, environment_text
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, open_bank
from kalshi_platform.simulation.simexchange import SimConfig, simulate


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a dataset (every split populated) and a policy that was never trained."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        simulate(SimConfig(n_events=24, messages_per_market=300, seed=3), folder / "rec")
        build_dataset([folder / "rec"], str(folder / "data"), BuildConfig(workers=0))
        env = EnvConfig(n_slots=2)
        source = TrainingSource(
            lambda: open_bank(str(folder / "data"), "validation", env.groups), FEATURE_DIGEST, env
        )
        torch.manual_seed(1)
        policy = folder / "policy"
        (policy / "best").mkdir(parents=True)
        FrozenPolicy(PolicyNetwork(source.policy_spec("tiny"))).save(policy / "best")
        (policy / ENVIRONMENT_FILE).write_text(environment_text(env))
        lines = [json.dumps({"env_steps": 100 * k, "entropy": 1.0 - k / 9}) for k in range(3)]
        (policy / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        source.close()
        yield folder


def evaluate(place, *arguments):
    base = ["evaluate", "--run", str(place / "policy"), "--dataset", str(place / "data")]
    return CliRunner().invoke(
        app, [*base, "--evaluation-seeds", "1", "--episodes-per-market", "2", *arguments]
    )


def test_the_report_and_its_json_are_written_and_printed(place):
    done = evaluate(place, "--out", str(place / "out"), "--json", "-v")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((place / "out" / JSON_NAME).read_text())
    found = read_report(place / "out" / JSON_NAME)
    assert found.config.split == "validation"
    assert found.subject.level == "tiny"
    assert found.policy.trading.mean_entropy is not None
    assert len(found.comparisons) == 6
    assert found.rules.best is not None
    assert found.rules.dataset_digest == found.subject.dataset_digest
    assert printed["worth"].startswith("Simulated: ")
    assert "best rule on" in done.stderr
    assert "Training" in (place / "out" / HTML_NAME).read_text()
    with (place / "out" / "ledger.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found.ledger.n_rows
    assert sum(int(row["pnl_e6"]) for row in rows) == found.policy.trading.pnl_e6
    assert found.train is None  # no run says what taught the policy


def test_the_test_split_needs_final_and_leaves_a_trace(place):
    shut = evaluate(place, "--split", "test")
    assert shut.exit_code == 4
    assert "--final" in shut.output
    assert not (place / "data" / OPENINGS_FILE).exists()
    opened = evaluate(place, "--split", "test", "--final", "--out", str(place / "final"))
    assert opened.exit_code == 0, opened.output
    assert len((place / "data" / OPENINGS_FILE).read_text().splitlines()) == 1


def test_the_whole_dataset_is_judged_with_final_where_it_has_a_test_split(place):
    shut = evaluate(place, "--split", "all")
    assert shut.exit_code == 4
    assert "--final" in shut.output
    before = (
        (place / "data" / OPENINGS_FILE).read_text().count("\n")
        if (place / "data" / OPENINGS_FILE).exists()
        else 0
    )
    opened = evaluate(place, "--split", "all", "--final", "--out", str(place / "whole"), "--json")
    assert opened.exit_code == 0, opened.output
    assert (place / "data" / OPENINGS_FILE).read_text().count("\n") == before + 1
    printed = json.loads(opened.stdout)
    n_train = len(Dataset.open(place / "data").manifest.events("train"))
    assert printed["subject"]["doubts"]["events_of_train_judged"] == n_train
    assert f"NOT HELD OUT: {n_train} of the events judged are training events" in printed["worth"]
    coverage = printed["coverage"]
    info = json.loads(CliRunner().invoke(app, ["dataset", "info", str(place / "data"), "--json"]).stdout)
    assert (coverage["n_events"], coverage["n_markets"]) == (info["events"], info["markets"])
    assert coverage["unplayable_markets"] == info["unplayable_markets"]
    for split, told in info["splits"].items():
        found = Coverage.of(open_bank(str(place / "data"), split, EnvConfig(n_slots=2).groups))
        assert found.model_dump() == {
            "n_events": told["events"],
            "n_markets": told["markets"],
            "unplayable_events": told["unplayable_events"],
            "unplayable_markets": told["unplayable_markets"],
        }


def test_mistakes_get_one_message(place):
    wrong = evaluate(place, "--split", "holdout").output
    assert "--split 'holdout' is none of train, validation, test, judge_only, all" in wrong
    assert "did you mean validation?" in evaluate(place, "--split", "validaton").output
    lost = CliRunner().invoke(app, ["evaluate", "--run", str(place), "--dataset", str(place / "data")])
    assert lost.exit_code == 3
    assert "holds no policy" in lost.output


def test_a_folder_of_seeds_is_refused_with_the_names_of_its_runs(tmp_path):
    for seed in range(7):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "run.json").touch()
    with pytest.raises(DataError, match=r"--run .*seed-0, .*seed-4 and 2 more"):
        require_one_run(tmp_path)
    require_one_run(tmp_path / "seed-0")
    require_one_run(tmp_path / "absent")


def test_recordings_too_short_to_be_divided_are_judged_whole_unasked(place, tmp_path):
    quotes = tmp_path / "quotes.csv"
    rows = [f"KXMADE-26DEC01-T50,0.4{k % 5},0.5{k % 5},{1795400000000 + 1_000 * k}" for k in range(30)]
    quotes.write_text("\n".join(["ticker,yes_bid_dollars,yes_ask_dollars,recv_ms", *rows]))
    build_dataset([quotes], str(tmp_path / "short"), BuildConfig(workers=0))
    done = evaluate(place, "--dataset", str(tmp_path / "short"), "--out", str(tmp_path / "out"), "--json")
    assert done.exit_code == 0, done.output
    assert "judging every event: the recordings are judge only" in done.stderr
    assert read_report(tmp_path / "out" / JSON_NAME).config.split == "all"
