"""The calibrate command: its options, its JSON, its page, and what it refuses."""

import json

import pytest
from made.fake_import import FakeImport
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset

EVENTS = tuple(f"EV{k}" for k in range(4))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("calibrate")
    with pytest.MonkeyPatch.context() as patch:
        FakeImport(folder, EVENTS).install(patch)
        build_dataset([], folder / "data", BuildConfig(workers=0))
    return str(folder / "data")


def run(*words):
    return CliRunner().invoke(app, ["calibrate", *map(str, words)], env={"COLUMNS": "200"})


def test_the_command_measures_both_sides_and_prints_one_json_object(dataset, tmp_path):
    done = run("--recorded", dataset, "--simulated", dataset, "--select", "EV1", "--json", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["recorded"]["first_events"] == ["EV1"]
    assert found["simulated"]["selected"] == []
    assert json.loads((tmp_path / "calibration.json").read_text()) == found
    assert (tmp_path / "calibration.html").exists()


def test_the_command_shows_a_table_and_says_how_to_get_a_page(dataset):
    done = run("--recorded", dataset, "--simulated", dataset)
    assert done.exit_code == 0, done.output
    assert "depth of level 5" in done.stdout
    assert "no page was written: --out FOLDER" in done.stderr


def test_a_wrong_event_and_a_folder_without_dataset_are_refused(dataset, tmp_path):
    done = run("--recorded", dataset, "--simulated", dataset, "--select-simulated", "INXD")
    assert done.exit_code == 2
    assert "no event that begins with 'INXD'" in done.stderr
    done = run("--recorded", tmp_path, "--simulated", dataset)
    assert done.exit_code == 3
    assert "no complete dataset" in done.stderr
