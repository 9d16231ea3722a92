"""Processes that this one began are ended; nobody else is."""

import subprocess
import sys

import psutil

from kalshi_platform.domain.family import descendants, end_those_left

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_child_that_does_not_end_is_killed_after_the_patience_and_one_that_ends_is_waited_for():
    stays = subprocess.Popen(SLEEP)
    goes = subprocess.Popen([sys.executable, "-c", "pass"])
    family = [p for p in descendants() if p.pid in (stays.pid, goes.pid)]
    assert end_those_left(family, 1.0) == 1
    assert len(family) == 2
    assert not any(process.is_running() for process in family)
    for child in (stays, goes):
        child.wait(5)


def test_nobody_but_the_family_is_ended():
    other = subprocess.Popen(SLEEP)
    try:
        assert other.pid in {p.pid for p in descendants()}
        assert end_those_left([], 0.0) == 0
        assert psutil.Process(other.pid).is_running()
    finally:
        other.kill()
        other.wait()
