"""Text for people: whole tables, stamped lines; passing lines seldom, or rewritten on a terminal."""

import contextlib
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from kalshi_platform.evaluation.pages.terminal import LOG_WIDTH, Terminal, output, show, tell


class Clock:
    """Seconds that pass only when told."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(clock):
    yield Terminal(clock)
    tell.begin()  # the level of the package's log is everybody's


def test_a_pipe_gets_a_wide_table_and_a_path_in_one_piece(capsys):
    table = Table("name")
    table.add_row("x" * (LOG_WIDTH - 10))
    page = Path("/a" * 150) / "report.html"
    show(table, page)
    printed = capsys.readouterr().out.splitlines()
    assert output().width == LOG_WIDTH
    assert any("x" * (LOG_WIDTH - 10) in line for line in printed)
    assert printed[-1] == f"report: {page}"


def test_what_is_told_goes_to_stderr_as_it_is_with_the_time_since_the_command_began(capsys, terminal, clock):
    clock.now_s += 12.4
    terminal("[bold]not markup[/] :warning: " + "w" * 200)
    clock.now_s += 5_000
    terminal("late")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "[ 12 s] [bold]not markup[/] :warning: " + "w" * 200 + "\n[84 min] late\n"


def test_details_are_left_out_unless_they_are_asked_for(capsys, terminal):
    terminal.detail("fees: seed 0")
    terminal.begin(verbose=True)
    terminal.detail("fees: seed 1")
    assert capsys.readouterr().err == "[  0 s] fees: seed 1\n"


def test_a_note_has_no_time_and_goes_on_with_the_stage(capsys, terminal, clock):
    passed(terminal, clock, 9)
    terminal.note("registry: r")
    passed(terminal, clock, 1)  # ten quiet seconds of the stage: the note ended none
    assert capsys.readouterr().err == "registry: r\n[ 10 s] at 1\n"


def passed(terminal, clock, seconds):
    """Say a passing line every second."""
    for second in range(1, seconds + 1):
        clock.now_s += 1.0
        terminal.passing(f"at {second}")


def test_a_log_gets_a_passing_line_after_ten_quiet_seconds_then_more_seldom(capsys, terminal, clock):
    passed(terminal, clock, 600)
    at = [int(line.rsplit(" ", 1)[1]) for line in capsys.readouterr().err.splitlines()]
    assert at[:4] == [10, 20, 30, 40]
    # From 40 s on the pause is a quarter of the age of the stage: after 40 comes t with t - 40 >= t / 4.
    assert at[4] == 54
    assert at[-1] - at[-2] == 60
    assert len(at) < 20


def test_a_quick_stage_prints_its_own_line_only_and_a_new_stage_waits_again(capsys, terminal, clock):
    passed(terminal, clock, 9)
    terminal("built")
    passed(terminal, clock, 9)
    assert capsys.readouterr().err == "[  9 s] built\n"


def test_with_details_a_passing_line_comes_every_five_seconds(capsys, terminal, clock):
    terminal.begin(verbose=True)
    passed(terminal, clock, 100)
    assert len(capsys.readouterr().err.splitlines()) == 20


def test_verbose_opens_the_log_of_the_package_and_the_next_command_closes_it(terminal):
    log = logging.getLogger("kalshi_platform.anything")
    terminal.begin(verbose=True)
    assert log.isEnabledFor(logging.DEBUG)
    terminal.begin()
    assert not log.isEnabledFor(logging.DEBUG)


def on_a_terminal(code):
    """Bytes that a terminal of 40 columns gets on stderr; nothing may reach stdout."""
    main, side = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "40"}
    program = f"from kalshi_platform.evaluation.pages.terminal import tell\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=side, env=env, check=True
    )
    os.close(side)
    chunks = []
    with contextlib.suppress(OSError):  # the other side is closed: all of it was read
        while chunk := os.read(main, 1 << 16):
            chunks.append(chunk)
    os.close(main)
    assert done.stdout == b""
    return b"".join(chunks).decode()


def test_a_terminal_gets_one_line_rewritten_and_none_is_left_of_it():
    shown = on_a_terminal("tell.passing('at 1')\ntell.detail('at 2 ' + 'x' * 99)\ntell('built')\n")
    erase = "\r\x1b[2K"
    assert shown.split(erase) == ["", "[  0 s] at 1", "[  0 s] at 2 " + "x" * 26, "[  0 s] built\r\n"]


def test_a_terminal_that_went_away_ends_no_work(terminal, monkeypatch):
    master, slave = pty.openpty()
    os.close(master)
    with os.fdopen(slave, "w") as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        terminal("nobody reads this")
        terminal.passing("nor this")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            gone.close()
