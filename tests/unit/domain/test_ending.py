"""SIGTERM inside a block is an exception; outside everything is as before."""

import signal
import threading

import pytest

from kalshi_platform.domain.ending import Terminated, sigterm_raises


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
