"""SIGTERM inside a block is an exception; outside everything is as before."""

import ctypes
import signal
import sys
import threading
import time

import pytest

from kalshi_platform.domain.ending import (
    ENDS,
    Terminated,
    end_in_words,
    signals_raise,
    sigterm_came,
    sigterm_raises,
    termination,
)


def test_sigterm_leaves_the_block_and_the_handler_before_it_is_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_raises():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_sets_no_handler():
    seen = []

    def work():
        with sigterm_raises():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.fixture
def handlers():
    """Python's own handlers, though the tests were started in the background; put back what was there."""
    before = {number: signal.getsignal(number) for number in ENDS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_program_that_ends_in_words_raises_around_its_work_and_ends_in_words_after_it(handlers):
    end_in_words()
    outside = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert outside[0] is outside[1]
    with pytest.raises(Terminated), signals_raise():
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), signals_raise():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == outside


def test_a_terminal_that_is_closed_ends_the_work_as_sigterm_does_with_words_of_its_own(handlers):
    with pytest.raises(Terminated), sigterm_raises():
        signal.raise_signal(signal.SIGHUP)
    assert (sigterm_came(), termination()[1]) == (True, 129)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    with pytest.raises(Terminated), sigterm_raises():
        signal.raise_signal(signal.SIGTERM)
    assert termination() == ("ended by SIGTERM", 143)


def test_under_nohup_a_closed_terminal_ends_nothing(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_in_words()
    with signals_raise():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_ctrl_c_stays_ignored_where_the_program_was_started_so(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_in_words()
    with signals_raise():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_that_a_callback_from_c_swallows_comes_again(handlers, capfd, number, kind):
    @ctypes.CFUNCTYPE(None)
    def callback() -> None:
        signal.raise_signal(number)

    def work() -> None:
        callback()  # the exception is raised in it, where Python can only print it
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            time.sleep(0.01)

    hook = sys.unraisablehook
    with pytest.raises(kind), signals_raise():
        work()
    assert sys.unraisablehook is hook
    assert capfd.readouterr().err == ""
