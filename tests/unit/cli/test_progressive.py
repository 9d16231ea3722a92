"""The progressive command: its options become settings, a first level that earns too little exits with 4."""

import json
from pathlib import Path
from typing import Any

import pytest
from made.progressive import level, record
from typer.testing import CliRunner

from kalshi_platform.cli import progressive
from kalshi_platform.cli.main import app
from kalshi_platform.domain.program import program
from kalshi_platform.workflows.progressive_record import ProgressiveConfig, ProgressiveRecord

ARGUMENTS = ("progressive", "--dataset", "ds", "--out", "runs/p")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks for; its answer is ``asked["answer"]``."""
    found: dict[str, Any] = {"answer": record(level("simple", True))}

    def fake(config: ProgressiveConfig, dataset: str, out: Path, say: Any) -> ProgressiveRecord:
        found.update(config=config, dataset=dataset, out=out)
        return found["answer"]

    monkeypatch.setattr(progressive, "run_progressive", fake)
    return found


def test_options_become_settings(asked: dict[str, Any]):
    done = CliRunner().invoke(
        app,
        [*ARGUMENTS, "--levels", "tiny, complex", "--steps", "5000", "--plateau-window", "7",
         "--min-gain", "0.2", "--min-sharpe", "0.1", "--set", "train.gamma=0.9"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    config = asked["config"]
    assert config.levels == ("tiny", "complex")
    assert (config.steps_per_level, config.plateau.window) == (5_000, 7)
    assert (config.min_gain_sharpe, config.min_first_sharpe) == (0.2, 0.1)
    assert config.run.train.gamma == 0.9
    assert f"next: {program()} evaluate --run runs/p/0-simple --dataset ds\n" in done.stdout


def test_the_defaults_are_the_briefs(asked: dict[str, Any]):
    assert CliRunner().invoke(app, ARGUMENTS).exit_code == 0
    assert asked["config"] == ProgressiveConfig()
    assert asked["config"].levels == ("simple", "moderate", "advanced")
    assert (asked["config"].min_gain_sharpe, asked["config"].min_first_sharpe) == (0.1, 0.5)


def test_json_is_the_record(asked: dict[str, Any]):
    done = CliRunner().invoke(app, [*ARGUMENTS, "--json"])
    assert json.loads(done.stdout) == asked["answer"].model_dump(mode="json")


def test_a_first_level_that_is_not_worth_it_exits_with_four_after_its_report(asked: dict[str, Any]):
    asked["answer"] = record(level("simple", False, "Sharpe 0.1 is below"))
    done = CliRunner().invoke(app, [*ARGUMENTS, "--json"])
    assert done.exit_code == 4
    assert json.loads(done.stdout)["levels"][0]["kept"] is False
    assert "No level is worth using: Sharpe 0.1 is below" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--levels", "simple,huge"), "level 'huge' is none of"),
        (("--levels", "simple,simple"), "want at least one, each once"),
        (("--set", "train.teacher=x"), "the pipeline chooses the teacher itself"),
    ],
)
def test_wrong_levels_are_refused(arguments: tuple[str, ...], message: str, asked: dict[str, Any]):
    done = CliRunner().invoke(app, [*ARGUMENTS, *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
