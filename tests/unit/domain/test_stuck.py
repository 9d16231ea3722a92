"""A signal ends a program that waits inside C, and what it began; who leaves in time ends as ever."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest

from kalshi_platform.domain.ending import Terminated, sigterm_raises
from kalshi_platform.domain.stuck import signal_ends_within

#: Locks a mutex twice: nothing but the end of the process ends that wait, no signal interrupts it.
_WAITS_IN_C = """
import ctypes, subprocess, sys
from kalshi_platform.domain.ending import sigterm_raises
from kalshi_platform.domain.stuck import signal_ends_within

silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **silent)

def clean():
    child.kill()
    child.wait()

libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with sigterm_raises(), signal_ends_within(0.1, clean):
    print(child.pid, flush=True)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)
"""


#: Handlers as of a program in the foreground, also where the tests were started in the background.
_AS_IN_A_SHELL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGHUP, 129, "ended by SIGHUP, as where a terminal is closed"),
    ],
)
def test_a_signal_ends_a_program_that_waits_in_c_and_what_it_began(number, status, words):
    with subprocess.Popen(
        [sys.executable, "-c", f"{_AS_IN_A_SHELL}\n{_WAITS_IN_C}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        child = int(program.stdout.readline())
        while psutil.Process(program.pid).status() != psutil.STATUS_SLEEPING:
            time.sleep(0.01)  # between its last words and the lock it is still in Python
        program.send_signal(number)
        _, said = program.communicate()
    assert program.returncode == status
    assert said == f"kalshi-platform: {words}\n"
    assert not psutil.pid_exists(child)


def test_a_block_that_is_left_in_time_ends_as_it_would_and_the_pipe_before_is_back():
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno())
    try:
        with pytest.raises(Terminated), sigterm_raises(), signal_ends_within(60.0, lambda: None):
            signal.raise_signal(signal.SIGTERM)
        assert signal.set_wakeup_fd(before) == writing.fileno()
        assert signal.SIGTERM in reading.recv(64)  # an event loop that set it hears of the signal
    finally:
        with suppress(ValueError):
            signal.set_wakeup_fd(before)
        reading.close()
        writing.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


def test_other_signals_end_nothing():
    heard = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with signal_ends_within(0.0, lambda: heard.append("cleaned")):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert heard == [signal.SIGUSR1]


def test_another_thread_is_not_watched():
    seen = []

    def work():
        with signal_ends_within(0.0, lambda: None):
            seen.append([thread.name for thread in threading.enumerate()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "signals" not in seen[0]
