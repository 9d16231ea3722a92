"""The stretched limit of tests that wait: it still bites."""

import time

import pytest
from made.pace import Within, spin


def wait_twice(within: Within) -> None:
    """Stay in the block for twice the stretched limit."""
    with within:
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < max(0.5, 2 * within.limit_s):
            time.sleep(0.05)


def test_what_takes_longer_than_the_stretched_limit_fails():
    with pytest.raises(AssertionError, match=r"0\.01 on a quiet machine allow"):
        wait_twice(Within(0.01))


def test_what_is_in_time_passes():
    with Within(60):
        time.sleep(0.3)


def test_an_error_of_the_block_is_kept():
    with pytest.raises(KeyError, match="own"), Within(0.0):
        raise KeyError("own")


def test_a_spin_waits_at_least_as_long_as_it_computes():
    assert spin(0.02) >= 1.0
