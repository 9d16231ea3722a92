"""--preset and --list-settings of the commands that train."""

import json

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.experiment import application
from kalshi_platform.cli.main import app
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Experiment


@pytest.mark.parametrize("command", ["train", "quickstart", "progressive"])
def test_every_training_command_lists_the_settings_and_needs_nothing_for_it(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(app, [command, "--list-settings"])
    assert shown.exit_code == 0, shown.stderr
    assert "train.learning_rate" in shown.stdout
    told = CliRunner().invoke(app, [command, "--list-settings", "--json", "--preset", "every-message"])
    values = {setting["name"]: setting for setting in json.loads(told.stdout)}
    assert values["env.decision_interval_ms"]["default"] == 0
    assert values["env.decision_interval_ms"]["unit"] == "ms"
    assert values["train.gamma"]["allowed"] == "above 0, at most 1"


def test_a_sweep_lists_them_with_its_own_defaults():
    asked = Experiment("made", "Is it so?", "No.", {"train.gamma": [0.9]}, RunSettings()).with_settings(
        {"train.level": "simple"}, {}
    )
    told = CliRunner().invoke(application(asked), ["--list-settings", "--json", "--set", "train.seed=3"])
    values = {setting["name"]: setting["default"] for setting in json.loads(told.stdout)}
    assert (values["train.level"], values["train.seed"]) == ("simple", 3)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train"], "--out is missing"),
        (["progressive", "--out", "x"], "--dataset is missing"),
        (["progressive", "--dataset", "x"], "--out is missing"),
        (["train", "--list-settings", "--preset", "standrad"], "did you mean standard"),
        (["train", "--out", "x", "--dataset", "x", "--preset", "none"], "there is no preset 'none'"),
        (["train", "--out", "x", "--resume", "--preset", "standard"], "a resumed run keeps its own settings"),
    ],
)
def test_missing_options_and_wrong_presets_are_refused(words, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 2
    assert named in " ".join(outcome.stderr.split())
