"""The simulate command: recordings from a seed, and what it says of them."""

import json

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.domain.program import program
from kalshi_platform.simulation.simexchange import SimConfig, preset_of


def simulated(out, *words):
    return CliRunner().invoke(app, ["simulate", "--out", str(out), "--events", "2", "--seed", "7", *words])


def test_json_counts_what_was_written_and_names_the_settings(tmp_path):
    done = simulated(tmp_path / "a", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["n_events"] == 2
    assert found["n_markets"] >= 2
    assert found["config_digest"] == SimConfig().replace(n_events=2, seed=7).digest
    for name in ("events_path", "markets_path"):
        assert found[name].startswith(str(tmp_path / "a"))


def test_json_names_the_preset_with_date_and_data_of_its_fit(tmp_path):
    found = json.loads(simulated(tmp_path / "a", "--json", "--exchange", "calibrated").stdout)
    assert found["exchange"] == "calibrated"
    assert "fitted on 2026-11-29 to the S&P 500 market" in found["fitted"]
    config = preset_of("calibrated").replace(n_events=2, seed=7)
    assert found["config_digest"] == config.digest


@pytest.mark.parametrize("words", [("--preset", "default"), ("--preset=planted_imbalance",)])
def test_the_old_spelling_writes_the_same_files_and_warns(tmp_path, words):
    new = simulated(tmp_path / "new", "--exchange", "planted_imbalance")
    old = simulated(tmp_path / "old", *words)
    assert (new.exit_code, old.exit_code) == (0, 0)
    assert "--preset is now --exchange" in old.stderr
    for path in (tmp_path / "new").iterdir():
        assert path.read_bytes() == (tmp_path / "old" / path.name).read_bytes()


def test_people_are_told_what_comes_next(tmp_path):
    done = simulated(tmp_path / "a")
    assert done.stdout.startswith("2 events, ")
    build = f"dataset build --input {tmp_path / 'a'} --out {tmp_path / 'a-dataset'}"
    assert f"next: {program()} {build}\n" in done.stdout


def test_the_same_seed_writes_the_same_files(tmp_path):
    for name in "ab":
        assert simulated(tmp_path / name).exit_code == 0
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert one == other


def test_an_unknown_preset_is_wrong_usage(tmp_path):
    done = simulated(tmp_path / "a", "--exchange", "casino")
    assert done.exit_code == 2
    assert not (tmp_path / "a").exists()


def test_too_few_events_are_refused_by_the_name_of_the_option(tmp_path):
    done = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path / "a"), "--events", "0"])
    assert done.exit_code == 2
    assert "kalshi-platform: --events 0: allowed: 1 or more" in done.output
