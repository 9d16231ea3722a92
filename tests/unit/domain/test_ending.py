"""SIGTERM inside a block is an exception; outside everything is as before."""

import signal
import threading

import pytest

from kalshi_platform.domain.ending import Terminated, end_in_words, signals_raise, sigterm_raises


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
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
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


def test_ctrl_c_stays_ignored_where_the_program_was_started_so(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_in_words()
    with signals_raise():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
