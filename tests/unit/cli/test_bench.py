"""The bench command hands its options on, and refuses where nothing could be measured."""

import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import bench
from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run; every one ends with code 5."""
    found = []
    monkeypatch.setattr(bench, "find_spec", lambda name: object())
    monkeypatch.setattr(
        bench.subprocess, "run", lambda words, check: found.append(words) or SimpleNamespace(returncode=5)
    )
    return found


def test_the_runner_of_the_checkout_gets_the_options_and_its_code_is_the_commands(ran):
    done = CliRunner().invoke(app, ["bench", "--only", "a", "--only", "b", "--no-record"])
    assert done.exit_code == 5
    assert ran == [[sys.executable, str(bench.runner_script()), "--only", "a", "--only", "b", "--no-record"]]


def test_without_options_everything_is_measured_and_recorded(ran):
    CliRunner().invoke(app, ["bench"])
    assert ran == [[sys.executable, str(bench.runner_script())]]


def test_a_benchmark_without_its_peer_measures_nothing(ran, monkeypatch):
    monkeypatch.setattr(bench, "find_spec", lambda name: None if name == "hftbacktest" else object())
    done = CliRunner().invoke(app, ["bench"])
    assert done.exit_code == 2
    assert "hftbacktest not installed" in done.stderr
    assert "stable_baselines3" not in done.stderr
    assert ran == []


def test_a_package_that_is_no_checkout_has_no_benchmarks(monkeypatch, tmp_path):
    monkeypatch.setattr(bench.kalshi_platform, "__file__", str(tmp_path / "site" / "p" / "__init__.py"))
    with pytest.raises(ContractError, match=str(tmp_path)):
        bench.runner_script()
