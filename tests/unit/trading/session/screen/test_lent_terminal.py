"""A terminal while another process draws on it."""

import os
import pty
import sys
import termios

import pytest

from kalshi_platform.trading.session.screen import lent_terminal
from kalshi_platform.trading.session.screen.lent_terminal import TerminalBefore, is_terminal, output_to


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    yield master, slave
    for number in (master, slave):
        try:
            os.close(number)
        except OSError:
            continue  # closed by the test


def test_settings_and_modes_come_back(terminal):
    master, slave = terminal
    before = TerminalBefore(slave, slave)
    settings = termios.tcgetattr(slave)
    raw = termios.tcgetattr(slave)
    raw[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(slave, termios.TCSANOW, raw)
    before.restore(modes=False)
    assert termios.tcgetattr(slave) == settings
    before.restore(modes=True)
    told = os.read(master, 1_000)
    for mode in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l"):
        assert mode in told


def test_a_terminal_that_went_away_is_left_alone(terminal):
    master, slave = terminal
    before = TerminalBefore(slave, slave)
    assert not before.is_gone
    os.close(master)
    assert before.is_gone
    before.restore(modes=True)


def test_without_a_terminal_there_is_nothing_to_restore(tmp_path):
    with (tmp_path / "file").open("w") as file:
        before = TerminalBefore(file.fileno(), file.fileno())
        before.restore(modes=True)
        assert not before.is_gone
    assert (tmp_path / "file").read_text() == ""


def test_output_of_c_code_and_of_python_goes_to_the_file(tmp_path, capfd):
    path = tmp_path / "terminal.log"
    with output_to(path):
        os.write(1, b"from C\n")
        os.write(2, b"and from C again\n")
    os.write(1, b"after\n")
    assert path.read_text() == "from C\nand from C again\n"
    assert capfd.readouterr().out == "after\n"
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_stays_empty_is_removed_also_after_an_error(tmp_path):
    path = tmp_path / "terminal.log"
    with pytest.raises(ValueError, match="x"), output_to(path):
        raise ValueError("x")
    assert not path.exists()


@pytest.mark.parametrize(("name", "expected"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_is_one_that_draws(monkeypatch, name, expected):
    monkeypatch.setenv("TERM", name)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert is_terminal() is expected
    monkeypatch.setattr(lent_terminal.sys, "stdin", None)
    assert not is_terminal()
