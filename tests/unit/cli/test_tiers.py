"""The tiers command: its options become settings; whole sets are made in serving/distillation."""

import pytest
from made.registry_models import made_policy, made_record
from typer.testing import CliRunner

from kalshi_platform.cli import tiers as command
from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.distillation.config import TiersConfig


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A registry with a champion without tiers; what would be built or judged is kept."""
    store = Registry(tmp_path / "registry")
    model = store.add(*made_record(made_policy())).id
    store.promote("champion", model, reason="made")
    asked = []

    def ask(*given, **named):
        asked.append((*given[1:], named))
        raise DataError("enough for this test")

    monkeypatch.setattr(command, "build_tiers", ask)
    monkeypatch.setattr(command, "report_tiers", ask)
    return store, model, asked


def tiers(store, *words):
    return CliRunner().invoke(app, ["tiers", *words, "--registry", store.uri])


def test_without_options_the_settings_are_the_defaults(place):
    store, _, asked = place
    assert tiers(store, "build", "champion", "--dataset", "/data").exit_code == 3
    ((model, dataset, config, *_),) = asked
    assert (model, dataset, config) == ("champion", "/data", TiersConfig())


def test_options_and_named_settings_are_laid_over_the_smoke_settings(place):
    store, _, asked = place
    words = ["build", "champion", "--dataset", "/data", "--smoke", "--seed", "7"]
    tiers(store, *words, "--max-value-loss", "0.5", "--set", "learn.epochs=1")
    changes = {"seed": 7, "thresholds.max_value_loss": 0.5, "learn.epochs": 1}
    assert asked[0][2] == TiersConfig.smoke().with_values(changes)


@pytest.mark.parametrize("words", [["--set", "learn.pace=1"], ["--max-value-loss", "1"], ["--seed", "-1"]])
def test_wrong_settings_are_refused_before_anything_is_built(place, words):
    store, _, asked = place
    assert tiers(store, "build", "champion", "--dataset", "/data", *words).exit_code == 2
    assert asked == []


@pytest.mark.parametrize("words", [["show", "champion"], ["report", "champion", "--dataset", "s3://b/p"]])
def test_a_model_without_tiers_is_told_how_to_make_them(place, words):
    done = tiers(place[0], *words)
    assert done.exit_code == 2
    assert "kalshi-platform tiers build champion" in done.stderr


def test_openings_of_the_test_split_are_logged_beside_the_dataset(place, tmp_path):
    store, _, asked = place
    assert tiers(store, "report", "champion", "--dataset", str(tmp_path), "--final").exit_code == 3
    assert asked[0][-1]["log_folder"] == tmp_path
    assert asked[0][-1]["final"]
