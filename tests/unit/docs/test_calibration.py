"""docs/calibration.md: its commands run, its table is that of the frozen figures, and they come again."""

import importlib.util
import json
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from made.doc_pages import blocks_of
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.evaluation.realism.measures import DISTRIBUTIONS, NUMBERS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "calibration.md").read_text()
DAYS = ("INXD-23APR13", "INXD-23APR10")


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location(
        "frozen_distances", ROOT / "benchmarks" / "frozen_distances.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["frozen_distances"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kept(made):
    return json.loads(made.FROZEN.read_text())


def test_the_table_is_that_of_the_frozen_figures(made, kept):
    assert made.with_table(PAGE, made.table(kept)) == PAGE, "run python benchmarks/frozen_distances.py"


def test_the_page_names_the_program_and_the_data_that_made_the_figures(kept):
    for told in (kept["made"]["commit"], kept["recorded_dataset"], kept["simulated_dataset"]):
        assert f"`{told}`" in PAGE
    assert tuple(kept["days"]) == DAYS


def test_every_measure_is_frozen_and_only_those_without_a_recorded_close_lack_a_distance(kept):
    wanted = [each.name for each in (*DISTRIBUTIONS, *NUMBERS)]
    for measures in (*kept["days"].values(), kept["between_days"]):
        assert [each["name"] for each in measures] == wanted
        lost = [each["name"] for each in measures if each["distance"] is None]
        assert lost == [name for name in wanted if name.endswith("before close")]


def test_nothing_of_the_recordings_is_kept_but_figures(made, kept):
    text = made.FROZEN.read_text()
    assert "curves" not in text
    assert len(text) < 60_000


def test_a_later_world_is_held_to_half_of_a_frozen_distance_or_to_the_noise(made, kept):
    day = DAYS[0]
    measures = [dict(each) for each in kept["days"][day]]
    spread = next(each for each in measures if each["name"] == "spread")
    spread["distance"], spread["noise"] = spread["distance"] / 2, spread["distance"] / 4
    record = {"recorded": {"first_events": [day]}, "distributions": measures[:-1], "numbers": []}
    rows = {row.name: row for row in made.held(record, kept)}
    assert (rows["spread"].is_half, rows["spread"].is_within) == (True, False)
    assert (rows["depth of level 5"].is_half, rows["depth of level 5"].is_within) == (False, False)
    assert (rows["rows that move the mid"].is_half, rows["rows that move the mid"].is_within) == (False, True)
    lost = rows["taker ahead after 5 min"]
    assert (lost.distance, lost.is_half, lost.is_within) == (None, False, False)
    text = made.held_text(list(rows.values()))
    assert len(text.splitlines()) == 1 + sum(row.frozen is not None for row in rows.values())
    assert "FAR" in next(line for line in text.splitlines() if line.startswith("depth of level 5"))


def test_a_file_that_is_no_comparison_of_one_frozen_day_ends_in_words(made, kept, tmp_path, capsys):
    (tmp_path / "other.json").write_text("{}")
    for words, said in (
        (["--hold", str(tmp_path / "absent.json")], r"cannot be read .* give the calibration.json"),
        (["--hold", str(tmp_path / "other.json")], "is no record of a comparison"),
        (["--hold"], "--hold takes one file"),
        ([str(tmp_path / "other.json")], "give three files"),
    ):
        with pytest.raises(SystemExit, match=said):
            made.main(words)
    side = {"first_events": list(DAYS), "dataset_digest": "x"}
    record = {"recorded": side, "distributions": [], "numbers": []}
    with pytest.raises(SystemExit, match="one day is compared"):
        made.held(record, kept)
    side["first_events"] = ["INXD-23APR14"]
    with pytest.raises(SystemExit, match=r"INXD-23APR14 is not frozen: .* INXD-23APR13 or INXD-23APR10"):
        made.held(record, kept)
    side["first_events"] = [DAYS[0]]
    for digest, is_told in (("x", True), (kept["recorded_dataset"], False)):
        side["dataset_digest"] = digest
        (tmp_path / "day.json").write_text(json.dumps(record))
        made.main(["--hold", str(tmp_path / "day.json")])
        assert ("the recorded side is dataset x" in capsys.readouterr().out) is is_told


@pytest.mark.recorded
def test_the_commands_of_the_page_run_and_give_the_recorded_figures_again(
    recorded_data, made, kept, tmp_path, monkeypatch
):
    """The page's block with 6 simulated events: the recorded side and the two days come out as they were."""
    monkeypatch.chdir(tmp_path)
    for name in ("FROZEN", "PAGE"):
        monkeypatch.setattr(made, name, Path(shutil.copy(getattr(made, name), tmp_path)))
    for line in block().replace("--events 300", "--events 6").splitlines():
        program, *words = shlex.split(line.replace("../shared/data", str(recorded_data)), comments=True)
        if program == "python":
            assert words.pop(0) == "benchmarks/frozen_distances.py"
            made.main(words)
        else:
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.output
    again = json.loads(made.FROZEN.read_text())
    assert again["recorded_dataset"] == kept["recorded_dataset"]
    assert_same(again["between_days"], kept["between_days"])
    sides = ("name", "recorded", "noise", "noise_median")
    for day in DAYS:
        found, wanted = (
            [{name: each[name] for name in sides} for each in figures["days"][day]]
            for figures in (again, kept)
        )
        assert_same(found, wanted)
    assert made.table(again) in made.PAGE.read_text()


def block() -> str:
    """The page's commands."""
    (only,) = (found.text for found in blocks_of(ROOT / "docs" / "calibration.md") if found.language == "sh")
    return only


def assert_same(found, wanted):
    """Equal but for the last digits of floats."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert_same(found[name], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, float):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    else:
        assert found == wanted
