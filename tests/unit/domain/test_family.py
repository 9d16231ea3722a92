"""Processes that this one began are ended; nobody else is."""

import signal
import subprocess
import sys

import psutil

from kalshi_platform.domain.family import descendants, end_those_left

#: Sleeps longer than a test may take: it ends where it is killed.
SLEEP = [sys.executable, "-c", "import time; time.sleep(900)"]
#: Longer than a busy machine needs to run a program that does nothing.
PATIENCE_S = 600.0


def test_a_child_that_ends_is_waited_for_and_one_that_does_not_is_killed_after_the_patience():
    goes = subprocess.Popen([sys.executable, "-c", "pass"])
    stays = subprocess.Popen(SLEEP)
    try:
        family = {p.pid: p for p in descendants() if p.pid in (stays.pid, goes.pid)}
        assert family.keys() == {stays.pid, goes.pid}
        assert end_those_left([family[goes.pid]], PATIENCE_S) == 0
        assert end_those_left([*family.values()], 0.1) == 1
        assert family[goes.pid].wait() == 0, "nobody killed it"
        assert family[stays.pid].wait(PATIENCE_S) == -signal.SIGKILL
        assert not any(process.is_running() for process in family.values())
    finally:
        for child in (stays, goes):
            child.kill()
            child.wait()


def test_nobody_but_the_family_is_ended():
    other = subprocess.Popen(SLEEP)
    try:
        assert other.pid in {p.pid for p in descendants()}
        assert end_those_left([], 0.0) == 0
        assert psutil.Process(other.pid).is_running()
    finally:
        other.kill()
        other.wait()
