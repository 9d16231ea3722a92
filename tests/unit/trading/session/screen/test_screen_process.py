"""The session's side of a screen, on a pseudo-terminal: keys, ends of every kind, a terminal in order."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from made import screen_scene
from made.pseudo_terminal import PATIENCE_S, PseudoTerminal

ROOT = Path(screen_scene.__file__).parents[2]
PROGRAM = "kalshi_platform.trading.session.screen.screen_program"


@pytest.fixture
def scene(tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    environment |= {"KALSHI_PRIVATE_KEY": "secret", "COLUMNS": "40"}
    terminal = PseudoTerminal([sys.executable, screen_scene.__file__, str(tmp_path)], environment)
    yield terminal
    terminal.close()


def screen_of(terminal: PseudoTerminal) -> psutil.Process:
    """The process that draws."""
    children = psutil.Process(terminal.process.pid).children(recursive=True)
    return next(child for child in children if PROGRAM in child.cmdline())


def in_order(terminal: PseudoTerminal) -> bool:
    """True where settings are as before, and the second screen was left."""
    drawn = terminal.drawn
    return terminal.settings_now() == terminal.settings and drawn.rfind("\x1b[?1049l") > drawn.rfind(
        "\x1b[?1049h"
    )


def test_keys_act_answers_are_shown_and_q_ends_with_the_terminal_in_order(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    assert "KALSHI_PRIVATE_KEY" not in screen_of(scene).environ()
    scene.press("h")
    at = scene.wait_for(" HALTED ")
    scene.press("a")
    at = scene.wait_for("Why?", at)
    scene.press("because\r")
    scene.wait_for("resume: not yet", at)
    scene.press("c")
    scene.press("q")
    scene.wait_for("End the session?", at)
    scene.press("y")
    assert scene.process.wait(PATIENCE_S) == 0
    assert (tmp_path / "acts").read_text() == "halt: key h on the terminal\ncancel: 0/0/1\n"
    assert (tmp_path / "end").read_text() == "ended at the terminal"
    assert in_order(scene)
    last = scene.drawn.rpartition("\x1b[?1049l")[2]
    assert "the terminal is mine again" in last
    assert "written to this terminal meanwhile" in last
    assert "a library that writes" not in scene.drawn
    assert "a library that writes" in (tmp_path / ".session" / "terminal.log").read_text()


def test_sigterm_of_the_session_ends_the_screen_too(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    scene.process.send_signal(signal.SIGTERM)
    assert scene.process.wait(PATIENCE_S) == 0
    assert in_order(scene)


def test_a_screen_that_is_killed_leaves_a_session_that_goes_on(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    screen_of(scene).kill()
    scene.wait_for("the screen is gone")
    assert in_order(scene)
    assert not (tmp_path / "end").exists()
    scene.process.send_signal(signal.SIGTERM)
    assert scene.process.wait(PATIENCE_S) == 0


def test_a_session_that_is_killed_leaves_a_terminal_in_order(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    screen = screen_of(scene)
    scene.process.kill()
    psutil.wait_procs([screen], PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while "the session's process is gone" not in scene.drawn:
        assert time.monotonic() < deadline, scene.drawn[-500:]
        time.sleep(0.05)
    assert in_order(scene)


def test_a_terminal_that_goes_away_ends_the_session_and_leaves_no_process(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    screen = screen_of(scene)
    scene.hang_up()
    assert scene.process.wait(PATIENCE_S) == 0
    assert (tmp_path / "end").read_text() in ("SIGHUP", "the terminal went away")
    assert (tmp_path / "unread").read_text() == "the terminal is mine again"
    assert psutil.wait_procs([screen], PATIENCE_S)[1] == []


def test_an_act_that_fails_ends_the_session_with_its_error(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    scene.press("r")
    assert scene.process.wait(PATIENCE_S) == 0
    assert "ZeroDivisionError" in (tmp_path / "end").read_text()
    assert in_order(scene)


def test_a_terminal_that_stops_reading_holds_no_session_up(scene, tmp_path):
    scene.wait_for(" ACTIVE ")
    screen_of(scene).suspend()
    time.sleep(1.0)
    scene.process.send_signal(signal.SIGTERM)
    assert scene.process.wait(PATIENCE_S) == 0
    assert in_order(scene)
