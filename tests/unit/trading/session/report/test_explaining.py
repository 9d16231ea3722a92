"""Explanations of differences: each kind by hand, and none where the evidence shows nothing."""

import pytest

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.trading.session.report import explaining as why
from kalshi_platform.trading.session.report.courses import Course, parting
from kalshi_platform.trading.session.report.explaining import LiveState, ReplayState

BUY_YES = 1
HERE = LiveState(position_e2=0, is_resting=False, on_way=False, action="", cash_e6=7_000_000)
THERE = ReplayState(
    0, has_book=True, is_allowed=True, is_resting=False, action=HOLD, on_way=HOLD, cash_e6=7_000_000
)
MS = 1_000_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position_e2": 500}, why.POSITION),
        ({"on_way": True}, why.ON_WAY_HERE),
        ({"is_resting": True, "action": "BUY_YES"}, why.KEPT_HERE),
        ({"is_resting": True, "action": "BUY_NO"}, why.UNEXPLAINED),
        ({}, why.UNEXPLAINED),
    ],
)
def test_an_order_of_the_replay_alone(changes, words):
    assert why.not_sent_here(HERE._replace(**changes), THERE, "BUY_YES").why == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"has_book": False}, why.NO_BOOK),
        ({"position_e2": -100}, why.POSITION),
        ({"on_way": BUY_YES}, why.ON_WAY_THERE),
        ({"is_resting": True, "action": BUY_YES}, why.KEPT_THERE),
        ({"is_allowed": False, "cash_e6": 6_999_999}, why.CASH),
        ({"is_allowed": False}, why.UNEXPLAINED),  # the same cash, and yet not allowed
        ({}, why.UNEXPLAINED),
    ],
)
def test_an_order_here_alone(changes, words):
    assert why.not_sent_there(HERE, THERE._replace(**changes), BUY_YES).why == words


def test_an_order_of_which_the_replay_kept_no_state_had_no_book():
    assert why.not_sent_there(HERE, None, BUY_YES).why == why.NO_BOOK


def course(arrived_ms, ended_ms=None, *fills: tuple[int, int], **more) -> Course:
    """Course by ms; ``fills``: (ms, contracts)."""
    times = [None if at is None else at * MS for at in (arrived_ms, ended_ms)]
    return Course(*times, tuple((at * MS, 100 * n) for at, n in fills), **more)


@pytest.mark.parametrize(
    ("here", "there", "words"),
    [
        (course(100, None, (150, 10)), course(200), why.EARLIER_HERE),
        (course(100, None, (350, 10)), course(200, 300), why.ENDED_THERE),
        (course(100, None, (250, 10)), course(200, 300), why.QUEUE_THERE),
        (course(300), course(200, None, (250, 10)), why.LATER_HERE),
        (course(None), course(200, None, (250, 10)), why.LATER_HERE),
        (course(100, 220), course(200, None, (250, 10)), why.ENDED_HERE),
        (course(100, 400), course(200, None, (250, 10)), why.QUEUE_HERE),
        (course(100, None, (120, 5)), course(200, None, (250, 10)), why.QUEUE_HERE),
        (course(100, None, (120, 5), (9_000, 5)), course(100, None, (120, 10)), why.QUEUE_HERE),
        (course(100, None, (120, 10)), course(100, 120, (120, 4), rested_e2=400), why.SMALLER_THERE),
    ],
)
def test_makers_that_filled_differently(here, there, words):
    assert why.filled_otherwise(here, there, parting(here, there)).why == words


def test_the_figures_of_a_queue_stand_in_the_detail():
    here, there = course(100, None, (9_000, 10), ahead_e2=300), course(140, None, (120, 10))
    found = why.filled_otherwise(here, there, parting(here, there))
    assert found.detail == (
        "-40.0 ms after the replay's; filled +8.9 s after the replay's; ahead when they came: 3.00 here, "
        "unknown there"
    )


def test_an_end_says_why_it_came():
    here, there = course(100, 220, why_ended="UserCancel"), course(200, None, (250, 10))
    assert why.filled_otherwise(here, there, parting(here, there)).detail.endswith("; UserCancel")


def test_takers_met_another_book_only_where_messages_came_between():
    here, there = Course(140, 141, ((140, 10),)), Course(100, 100)
    found = why.taken_otherwise(here, there, [50, 120, 130, 150])
    assert found == (why.LATER_HERE, "+0.0 ms after the replay's; 2 messages between")
    assert why.taken_otherwise(here, there, [50, 150]).why == why.UNEXPLAINED
    assert why.taken_otherwise(there, here, [120]).why == why.EARLIER_HERE
