"""Progress without a terminal: seldom, plain, and with the time left; on a terminal a bar."""

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from kalshi_platform.cli.progress import progress
from kalshi_platform.domain.saying import SAY_EVERY_S


class Clock:
    """Seconds that pass only when told."""

    now_s = 1_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def out():
    return io.StringIO()


def watch(out, clock, steps, total=100, wait_s=1.0):
    """Call ``show`` at once with the first of ``steps`` and every ``wait_s`` with the next."""
    with progress("building", Console(file=out, width=40), clock) as show:
        for done in steps:
            show(done, total, "rows, [3/7] jobs")
            clock.now_s += wait_s
    return out.getvalue().splitlines()


def test_a_line_comes_every_five_seconds_however_many_steps_there_are(out, clock):
    lines = watch(out, clock, range(101), wait_s=0.25)
    # 101 steps at 0.00, 0.25, ... 25.00 s: a line at 5, 10, 15, 20 and 25 s.
    assert SAY_EVERY_S == 5.0
    assert len(lines) == 5


def test_a_line_says_what_is_done_of_how_much_and_how_long_it_still_takes(out, clock):
    # 10 s for 20 of 100: 80 are left, 40 s. Longer than the console and with brackets, still one plain line.
    assert watch(out, clock, [0, 20], wait_s=10.0) == ["building: 20 of 100 rows, [3/7] jobs, 40 s left"]


def test_what_an_earlier_attempt_had_done_does_not_count_as_speed(out, clock):
    # 60 were there; 10 more took 10 s, so the last 30 take 30 s.
    assert watch(out, clock, [60, 70], wait_s=10.0)[-1].endswith("30 s left")


def test_before_the_first_step_is_done_no_time_is_promised(out, clock):
    assert watch(out, clock, [0, 0], wait_s=6.0) == ["building: 0 of 100 rows, [3/7] jobs"]


def test_a_quick_command_prints_no_progress(out, clock):
    assert watch(out, clock, [0, 50, 100], wait_s=1.0) == []


def test_a_terminal_gets_a_bar_that_leaves_nothing_on_stdout():
    main, side = pty.openpty()
    code = (
        "from kalshi_platform.cli.progress import progress\n"
        "with progress('building') as show:\n"
        "    show(50, 100, 'rows')\n"
    )
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=side, env=env, check=True
    )
    os.close(side)
    chunks = []
    with contextlib.suppress(OSError):  # the other side is closed: all of it was read
        while chunk := os.read(main, 1 << 16):
            chunks.append(chunk)
    os.close(main)
    shown = b"".join(chunks).decode()
    assert done.stdout == b""
    assert "building" in shown
    assert "━" in shown
    assert "50/100" in shown
