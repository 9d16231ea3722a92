"""Partings by hand: the first contract that does not fill on both sides within a second."""

import pytest

from kalshi_platform.trading.session.report.courses import Course, Parting, arrivals, course_of, parting
from kalshi_platform.trading.session.report.realised import QueuePlace, RealisedOrder

S = 1_000_000_000


def course(*fills: tuple[float, int]) -> Course:
    return Course(0, None, tuple((round(at * S), n) for at, n in fills))


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (course(), course(), None),
        (course((2, 10)), course((2.9, 10)), None),
        (course((2, 10)), course((3.5, 10)), (2, 3.5)),
        (course((2, 10)), course(), (2, None)),
        (course((2, 4), (9, 6)), course((2, 10)), (9, 2)),  # the fifth contract
        (course((2, 4), (2.5, 6)), course((2, 10)), None),
        (course((2, 4), (5, 6)), course((2, 4)), (5, None)),
    ],
)
def test_two_ways_part_at_the_first_contract_that_differs(here, there, expected):
    found = parting(here, there)
    assert found == (None if expected is None else tuple(at if at is None else at * S for at in expected))
    if expected is not None:
        assert parting(there, here) == (found.there_ns, found.here_ns)


def test_the_side_that_filled_first_is_told():
    assert Parting(2 * S, None).is_here_first
    assert not Parting(None, 2 * S).is_here_first
    assert not Parting(9 * S, 2 * S).is_here_first
    assert (Parting(9 * S, 2 * S).first_ns, Parting(9 * S, 2 * S).words) == (
        2 * S, "filled +7.0 s after the replay's",
    )  # fmt: skip
    assert Parting(2 * S, None).words == ""


def test_the_way_of_an_order_begins_where_its_size_came_into_the_book():
    order = RealisedOrder("kp-1", seen_ns=5, joined_ns=7, ended_ns=9, why_ended="UserCancel")
    order.place = QueuePlace(300, 300)
    assert course_of(order, [(8, 10)]) == Course(7, 9, ((8, 10),), "UserCancel", ahead_e2=300)
    order.joined_ns, order.place = None, QueuePlace(-1, -1, is_known=False)
    assert course_of(order, []) == Course(5, 9, (), "UserCancel")


def test_arrivals_are_told_apart_in_ms():
    assert arrivals(Course(5_000_000, None), Course(7_500_000, None)) == "-2.5 ms after the replay's"
    assert arrivals(Course(None, None), Course(7_500_000, None)) == "never seen in the stream"
