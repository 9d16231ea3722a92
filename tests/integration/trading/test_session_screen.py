"""``kalshi-platform trade --tui`` as a person has it: whole sessions on a pseudo-terminal."""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from made.pace import Within
from made.pseudo_terminal import PATIENCE_S, PseudoTerminal
from made.session_ends import assert_rest_was_told
from made.trading_scene import SERIES, ThreadedExchange, key_in_environment, registry_with_model
from rich.control import strip_control_codes

pytestmark = pytest.mark.usefixtures("outside_pause")
PROGRAM = [sys.executable, "-c", "from kalshi_platform.cli.start import main; main()"]


def started(exchange: ThreadedExchange, folder: Path, mode: str, *words: str) -> PseudoTerminal:
    """A session on a terminal; the screen is what it shows there without a word said."""
    registry = registry_with_model(
        folder / "registry", order_style="maker", order_ttl_ms=600_000, decision_interval_ms=100
    )
    series = [word for name in SERIES for word in ("--series", name)]
    with key_in_environment("reader" if mode == "paper" else "ed25519"):
        kept = {
            "KALSHI_API_KEY_ID",
            "KALSHI_PRIVATE_KEY_FILE",
            "KALSHI_PLATFORM_HOME",
            "KALSHI_PLATFORM_CACHE",
        }
        environment = {n: v for n, v in os.environ.items() if n in kept or not n.startswith("KALSHI_")}
    return PseudoTerminal(
        [
            *PROGRAM, "trade", "--mode", mode, *series, "--out", str(folder / "session"),
            "--registry", str(registry.uri), "--rest-url", exchange.served.url,
            "--stream-url", exchange.served.ws_url, *words,
        ],
        environment,
    )  # fmt: skip


def snapshot(folder: Path) -> dict:
    """Newest snapshot of the session."""
    return json.loads((folder / "session" / ".session" / "snapshot.json").read_text())


def until(folder: Path, terminal: PseudoTerminal, holds) -> dict:
    """Wait until a snapshot holds; returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(seen := snapshot(folder)):
        assert time.monotonic() < deadline, seen
        assert terminal.process.poll() is None, terminal.drawn[-2_000:]
        time.sleep(0.1)
    return seen


def works(seen: dict) -> list[str]:
    """Orders that work."""
    return [market["order"] for market in seen["markets"] if market["order"]]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["paper", "simulated"])
def test_h_halts_within_five_seconds_and_q_ends_with_report_and_terminal(tmp_path, mode):
    with ThreadedExchange(speed=1, tier="prestige", seed=5) as exchange:
        terminal = started(exchange, tmp_path, mode)
        try:
            terminal.wait_for(" SIMULATED EXCHANGE, ")
            terminal.wait_for(" ACTIVE ")
            until(tmp_path, terminal, works)
            with Within(5):
                terminal.press("h")
                at = terminal.wait_for(" HALTED ")
                halted = until(tmp_path, terminal, lambda seen: seen["state"] == "halted" and not works(seen))
            assert halted["state_why"] == "key h on the terminal"
            after = until(tmp_path, terminal, lambda seen: seen["decisions"] > halted["decisions"] + 3)
            later = until(tmp_path, terminal, lambda seen: seen["decisions"] > after["decisions"] + 20)
            assert (later["orders"], works(later)) == (after["orders"], [])
            terminal.press("q")
            terminal.wait_for("End the session?", at)
            terminal.press("y")
            assert terminal.process.wait(PATIENCE_S) == 0
            resting = dict(exchange.server.venue.account.by_core)
        finally:
            terminal.close()
    report = json.loads((tmp_path / "session" / "report.json").read_text())
    assert_rest_was_told(resting, report["ended"]["problems"])
    assert report["ended"]["why"] == "ended at the terminal"
    last = terminal.drawn.rpartition("\x1b[?1049l")[2]
    assert "stopped: ended at the terminal" in last
    assert f"report: {tmp_path}" in re.sub(r"\s", "", strip_control_codes(last)).replace(
        "report:", "report: "
    )


@pytest.mark.timeout(900)
def test_a_terminal_that_goes_away_ends_the_session_with_its_report(tmp_path):
    with ThreadedExchange(speed=20, tier="prestige", seed=5) as exchange:
        terminal = started(exchange, tmp_path, "paper", "--tui")
        try:
            terminal.wait_for(" ACTIVE ")
            terminal.hang_up()
            assert terminal.process.wait(PATIENCE_S) == 0
        finally:
            terminal.close()
    report = json.loads((tmp_path / "session" / "report.json").read_text())
    assert report["ended"]["why"] == "the terminal went away"
    assert set(report["difference_e6"].values()) == {0}
