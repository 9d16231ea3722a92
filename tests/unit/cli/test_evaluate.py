"""The evaluate command on a small dataset and an untrained policy: report, JSON, the shut test split."""

import json

import pytest
import torch
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.evaluation.judging.report import HTML_NAME, JSON_NAME, read_report
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.settings import write_environment
from kalshi_platform.simulation.replay.open import CACHE_VARIABLE, open_bank


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a dataset (every split populated) and a policy that was never trained."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        done = CliRunner().invoke(
            app, ["simulate", "--out", str(folder / "rec"), "--events", "24", "--seed", "3"]
        )
        assert done.exit_code == 0, done.output
        build_dataset([folder / "rec"], str(folder / "data"), BuildConfig(workers=0))
        env = EnvConfig(n_slots=2)
        source = TrainingSource(
            lambda: open_bank(str(folder / "data"), "validation", env.groups), FEATURE_DIGEST, env
        )
        torch.manual_seed(1)
        policy = folder / "policy"
        (policy / "best").mkdir(parents=True)
        FrozenPolicy(PolicyNetwork(source.policy_spec("tiny"))).save(policy / "best")
        write_environment(policy, env)
        lines = [json.dumps({"env_steps": 100 * k, "entropy": 1.0 - k / 9}) for k in range(3)]
        (policy / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        source.close()
        yield folder


def evaluate(place, *arguments):
    base = ["evaluate", "--checkpoint", str(place / "policy"), "--dataset", str(place / "data")]
    return CliRunner().invoke(app, [*base, "--seeds", "1", "--episodes-per-market", "2", *arguments])


def test_the_report_and_its_json_are_written_and_printed(place):
    done = evaluate(place, "--out", str(place / "out"), "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((place / "out" / JSON_NAME).read_text())
    found = read_report(place / "out" / JSON_NAME)
    assert found.config.split == "validation"
    assert found.subject.level == "tiny"
    assert found.policy.trading.mean_entropy is not None
    assert len(found.comparisons) == 4
    assert "Training" in (place / "out" / HTML_NAME).read_text()


def test_the_test_split_needs_final_and_leaves_a_trace(place):
    shut = evaluate(place, "--split", "test")
    assert shut.exit_code == 4
    assert "--final" in shut.output
    assert not (place / "data" / OPENINGS_FILE).exists()
    opened = evaluate(place, "--split", "test", "--final", "--out", str(place / "final"))
    assert opened.exit_code == 0, opened.output
    assert len((place / "data" / OPENINGS_FILE).read_text().splitlines()) == 1


def test_mistakes_get_one_message(place):
    assert "expected train, validation or test" in evaluate(place, "--split", "holdout").output
    lost = CliRunner().invoke(app, ["evaluate", "--checkpoint", str(place), "--dataset", str(place / "data")])
    assert lost.exit_code == 3
    assert "holds no policy" in lost.output
