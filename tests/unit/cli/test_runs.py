"""The runs command: the page where it belongs, JSON alone on stdout, refusals with their exit codes."""

import json

import numpy as np
import pytest
from made.runs import make_run, make_sweep, trial
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.learning.tuning.page import COMPARE_HTML, COMPARE_JSON


@pytest.fixture
def place(tmp_path):
    found = make_run(tmp_path / "s" / "trials" / "t0", np.linspace(-0.01, 0.03, 10))
    make_sweep(tmp_path / "s", [trial("t0", found)], "t0")
    make_run(tmp_path / "deep" / "alone", np.linspace(-0.01, 0.02, 10))
    make_run(tmp_path / "never", None)
    return tmp_path


def runs(*arguments):
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


def test_a_sweep_alone_gets_its_page_beside_it(place):
    done = runs("compare", place / "s")
    assert done.exit_code == 0, done.output
    assert (place / "s" / COMPARE_HTML).exists()
    assert f"page: {place / 's' / COMPARE_HTML}" in done.stdout
    assert "t0" in done.stdout


def test_several_folders_get_one_page_in_out_and_json_is_all_of_stdout(place):
    done = runs("compare", place / "s", place / "deep" / "alone", "--out", place / "out", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((place / "out" / COMPARE_JSON).read_text())
    assert [run["name"] for run in json.loads(done.stdout)["runs"]] == ["t0", "alone"]


def test_several_folders_without_out_go_to_a_folder_of_the_working_directory(place, monkeypatch):
    monkeypatch.chdir(place)
    assert runs("compare", "s", "deep/alone").exit_code == 0
    assert (place / "comparison" / COMPARE_HTML).exists()


def test_a_folder_that_is_no_run_is_exit_3_and_names_it(place):
    done = runs("compare", place / "deep")
    assert done.exit_code == 3
    assert f"{place / 'deep'} is neither a sweep" in done.stderr


def test_no_folder_at_all_is_a_usage_error():
    assert runs("compare").exit_code == 2


def test_the_list_names_sweeps_and_runs_but_not_their_trials(place):
    rows = {row["folder"]: row for row in json.loads(runs("list", place, "--json").stdout)}
    assert set(rows) == {"s", "deep/alone", "never"}
    assert rows["s"]["kind"] == "sweep of 1"
    assert rows["s"]["status"] == "1 of 1 ended; winner t0"
    assert rows["deep/alone"]["score"] == pytest.approx(0.005)
    assert rows["never"]["score"] is None
    shown = runs("list", place)
    assert "deep/alone" in shown.stdout


def test_an_empty_folder_lists_nothing_and_a_missing_one_is_exit_3(place, tmp_path):
    (place / "empty").mkdir()
    assert json.loads(runs("list", place / "empty", "--json").stdout) == []
    assert "no run or sweep below" in runs("list", place / "empty").stdout
    assert runs("list", place / "absent").exit_code == 3
