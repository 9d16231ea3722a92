"""serving/server/breaker.py: who is asked again, when, and after what."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.server.breaker import Breaker, BreakerConfig


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.ns = 7

    def __call__(self):
        return self.ns

    def pass_ms(self, ms):
        self.ns += round(ms * NS_PER_MS)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def breaker(clock, told):
    """Opens at the third failure for 100 ms."""
    return Breaker(BreakerConfig(failures=3, pause_ms=100, patience_ms=10), clock, told.append)


def fail(breaker, times):
    for _ in range(times):
        assert breaker.allows()
        breaker.failed()


def test_it_opens_at_the_last_failure_of_a_row_and_an_answer_begins_the_row_anew(breaker, told):
    fail(breaker, 2)
    breaker.answered()
    fail(breaker, 2)
    assert not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open
    assert not breaker.allows()
    assert told == [True]


def test_after_the_pause_one_question_is_let_through_and_its_answer_closes_it(breaker, clock, told):
    fail(breaker, 3)
    clock.pass_ms(99.9)
    assert not breaker.allows()
    assert breaker.wait_ms == pytest.approx(0.1)
    clock.pass_ms(0.1)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.is_open
    breaker.answered()
    assert (breaker.is_open, breaker.wait_ms, breaker.allows()) == (False, 0.0, True)
    assert told == [True, False]


def test_a_trial_that_fails_costs_another_pause_from_then_on(breaker, clock, told):
    fail(breaker, 3)
    clock.pass_ms(100)
    assert breaker.allows()
    clock.pass_ms(40)
    breaker.failed()
    clock.pass_ms(99.9)
    assert not breaker.allows()
    clock.pass_ms(0.1)
    assert breaker.allows()
    assert told == [True], "it was open all the time"


def test_a_trial_of_which_nobody_hears_again_does_not_keep_it_open_for_ever(breaker, clock):
    fail(breaker, 3)
    clock.pass_ms(100)
    assert breaker.allows()  # its client went away: neither answered nor failed
    clock.pass_ms(100)
    assert breaker.allows()


def test_an_answer_to_a_question_of_before_closes_it_too(breaker):
    fail(breaker, 3)
    breaker.answered()
    assert breaker.allows()


def test_a_client_that_cannot_wait_opens_it_for_nobody(breaker):
    for _ in range(100):
        breaker.ran_out(9.9)
    assert not breaker.is_open
    for _ in range(3):
        breaker.ran_out(10.0)
    assert breaker.is_open


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=200))
def test_while_nobody_answers_the_waits_are_the_failures_and_then_one_a_pause(steps):
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=3, pause_ms=100), clock)
    asked_ns = []
    for pause_ms, is_heard_of in steps:
        clock.pass_ms(pause_ms)
        if breaker.allows():
            asked_ns.append(clock.ns)
            if is_heard_of or len(asked_ns) <= 3:
                breaker.failed()
    gaps = [later - earlier for earlier, later in pairwise(asked_ns[2:])]
    assert all(gap >= 100 * NS_PER_MS for gap in gaps)


def test_bounds_that_make_no_sense_are_refused():
    with pytest.raises(ContractError, match="failures"):
        BreakerConfig.parse({"failures": 0})
    with pytest.raises(ContractError, match="pause_ms"):
        BreakerConfig.parse({"pause_ms": 0})
