"""`make paper` and `make record` around their sessions: Ctrl-C, folders, the comparison of accounts."""

import importlib
import os
import signal
import sys
from types import ModuleType

import pytest
from made.scripts import ROOT

from kalshi_platform.domain.errors import ExitCode


@pytest.fixture
def recording(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("record_simulated")


@pytest.fixture
def trading(recording) -> ModuleType:
    return importlib.import_module("trade_simulated")


def program(module: ModuleType, monkeypatch, code: str) -> None:
    """Let the module run ``code`` in place of kalshi-platform."""
    monkeypatch.setattr(module, "PROGRAM", [sys.executable, "-c", f"import os, signal, sys, time\n{code}"])


def test_ctrl_c_is_the_sessions_own_which_ends_in_its_own_time(recording, monkeypatch, tmp_path):
    report = tmp_path / "report"
    program(
        recording, monkeypatch,
        "os.kill(os.getppid(), signal.SIGINT)\n"  # a terminal sends it to both
        "time.sleep(1)\n"
        f"open({str(report)!r}, 'w').write('whole')\nsys.exit(7)",
    )  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    assert recording.run_to_its_end("trade") == 7
    assert report.read_text() == "whole"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_does_not_reach_the_exchange_before_the_session_ended(recording, monkeypatch, tmp_path):
    program(
        recording, monkeypatch,
        "print('REST', signal.getsignal(signal.SIGINT) == signal.SIG_IGN, flush=True)\ntime.sleep(60)",
    )  # fmt: skip
    exchange, addresses = recording.start_exchange(tmp_path / "keys", 1.0, wanted=1)
    recording.stop_exchange(exchange)
    assert addresses == {"REST": "True"}
    assert exchange.returncode == -signal.SIGTERM


def test_ctrl_c_while_the_exchange_starts_leaves_none_behind(recording, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    program(
        recording, monkeypatch,
        f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)",
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        recording.start_exchange(tmp_path / "keys", 1.0, wanted=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_exchange_that_does_not_start_says_why(recording, monkeypatch, tmp_path):
    program(recording, monkeypatch, "sys.exit('kalshi-platform: no such world')")
    with pytest.raises(SystemExit, match=r"exit code 1: kalshi-platform: no such world .*exchange\.log"):
        recording.start_exchange(tmp_path / "keys", 1.0, wanted=1)


def test_a_registry_without_a_model_is_told_before_anything_starts(trading, monkeypatch, tmp_path, capsys):
    words = ["trade_simulated", str(tmp_path / "runs"), "--registry", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", words)
    assert trading.main() == ExitCode.USAGE
    assert "holds no model: `make run`" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_session_never_continues_the_orders_of_one_at_an_exchange_that_is_gone(trading, tmp_path):
    assert trading.new_folder(tmp_path, "simulated") == tmp_path / "simulated"
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated-2").mkdir()
    assert trading.new_folder(tmp_path, "simulated") == tmp_path / "simulated-3"
    assert trading.new_folder(tmp_path, "paper") == tmp_path / "paper"


@pytest.mark.parametrize(
    ("difference_e6", "code", "said"),
    [(0, ExitCode.DONE, "are the same to 1e-6 $"), (-3, ExitCode.LIMIT, "different by up to 0.000003 $")],
)
def test_a_replay_that_differs_is_told_and_ends_with_the_code_of_a_limit(
    trading, capsys, difference_e6, code, said
):
    report = {"difference_e6": {"cash_e6": difference_e6, "equity_e6": 0}}
    assert trading.compare_with_replay(report) == code
    assert said in capsys.readouterr().out


ACCOUNT = {"cash_e6": [1_000_000, 990_000], "positions_e2": {"A": 100}, "resting": [], "settlements": []}
PAID = {"ticker": "B", "revenue_e6": 2_000_000, "subaccount": 0, "position_e2": 200}


@pytest.mark.parametrize(
    ("cash_e6", "held_e2", "account", "code", "said"),
    [
        (1_990_000, {"A": 100}, {}, ExitCode.DONE, "1 positions, the same there; 0 orders"),
        (2_000_000, {"A": 100}, {}, ExitCode.LIMIT, "difference +0.010000 $"),
        (1_990_000, {"A": 200}, {}, ExitCode.LIMIT, "others there"),
        (1_990_000, {"A": 100}, {"resting": [{}]}, ExitCode.LIMIT, "1 orders rest there"),
        # B was paid after the session ended: 1.99 - 2.00 of the exchange's cash were the session's.
        (-10_000, {"A": 100, "B": 200}, {"settlements": [PAID]}, ExitCode.DONE, "+0.000000 $; 2 positions"),
        # Paid before, the session has the cash too.
        (1_990_000, {"A": 100}, {"settlements": [PAID]}, ExitCode.DONE, "difference +0.000000 $"),
    ],
)  # fmt: skip
def test_cash_positions_and_orders_are_held_against_the_exchanges_own(
    trading, capsys, cash_e6, held_e2, account, code, said
):
    assert trading.compare_with_server(cash_e6, held_e2, ACCOUNT | account) == code
    assert said in capsys.readouterr().out
