"""``trade``: which view a session gets; sessions themselves: tests/integration/trading."""

import sys

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import trade
from kalshi_platform.cli.main import app
from kalshi_platform.domain import extras
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.trading.session.screen import lent_terminal


@pytest.mark.parametrize(
    ("terminal", "stdout", "said", "as_json", "expected"),
    [
        (True, True, None, False, True),
        (True, True, None, True, False),  # --json: a result is wanted, not a view
        (True, False, None, False, False),  # stdout is a pipe
        (False, True, None, False, False),
        (True, True, False, False, False),  # --plain
        (True, False, True, True, True),  # --tui --json > file
    ],
)
def test_a_screen_is_drawn_where_there_is_a_terminal(monkeypatch, terminal, stdout, said, as_json, expected):
    monkeypatch.setattr(lent_terminal, "is_terminal", lambda: terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout)
    assert trade._on_screen(said, as_json) is expected


def test_a_screen_without_a_terminal_is_refused_before_anything_is_asked_for(tmp_path):
    done = CliRunner().invoke(app, ["trade", "--mode", "paper", "--out", str(tmp_path / "out"), "--tui"])
    assert done.exit_code == 2
    assert "--tui needs a terminal" in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_the_wait_for_a_report_is_announced_before_it_begins(tmp_path, monkeypatch):
    def stuck(folder):
        raise DataError("stopped here")

    monkeypatch.setattr("kalshi_platform.trading.session.report.session_report.write_report", stuck)
    (tmp_path / "frames").mkdir()
    done = CliRunner().invoke(app, ["trade", "report", str(tmp_path)])
    assert done.exit_code == 3
    assert "plays the session's recording again" in done.stderr.partition("stopped here")[0]


def test_without_textual_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "textual" else object())
    with pytest.raises(ContractError, match=r"textual.*pip install 'kalshi-platform\[trade\]'"):
        extras.require_extras("trade", "trade", "serve")


def test_help_says_when_a_screen_is_drawn():
    told = " ".join(CliRunner().invoke(app, ["trade", "--help"], env={"COLUMNS": "200"}).output.split())
    assert "KALSHI_PRIVATE_KEY_FILE" in told
    assert "--tui" in told
    assert "--plain" in told
    assert "--tui on a terminal without --json" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mode", "paper", "--resume", "calm"], "--resume with mode paper"),
        (["--mode", "simulated", "--accept-losses"], "--accept-losses without --resume"),
        (["--mode", "paper", "--real-money"], "go together"),
        (["--mode", "papers"], "expected one of simulated, paper, demo, live"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(tmp_path, words, said):
    done = CliRunner().invoke(app, ["trade", *words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("why", "code"), [("disk nearly full: 0.90 GB free at out", 4), ("SIGTERM", 0)])
def test_a_session_that_a_disk_ended_is_no_wanted_end(tmp_path, monkeypatch, why, code):
    monkeypatch.setattr("kalshi_platform.trading.session.live_session.trade", lambda asked, tell: why)
    monkeypatch.setattr(trade, "_report", lambda out, as_json: None)
    monkeypatch.setattr(trade, "_model", lambda registry, model: (tmp_path, "champion"))
    words = ["trade", "--mode", "paper", "--series", "KXA", "--out", str(tmp_path / "out"), "--plain"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code
    assert f"stopped: {why}" in done.stderr
