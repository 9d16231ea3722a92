"""Chains of differences by hand: where they end, and where they do not."""

from kalshi_platform.trading.session.report import explaining as why
from kalshi_platform.trading.session.report.causes import Link, trace
from kalshi_platform.trading.session.report.explaining import Explained

A, B, C, D = (0, 0, 1), (0, 0, 2), (0, 1, 3), (0, 0, 4)


def found(explained: dict, links: dict | None = None) -> dict:
    """(explanation, cause) by order."""
    traced = trace({key: Explained(words) for key, words in explained.items()}, links or {})
    return {key: (each.explained.why, each.cause) for key, each in traced.items()}


def test_a_chain_ends_at_the_order_that_differs_by_itself():
    explained = {A: why.QUEUE_HERE, B: why.POSITION, C: why.LATER_HERE, D: why.KEPT_HERE}
    links = {B: Link(A, why.MOMENT), D: Link(B, why.LIVED_HERE)}
    assert found(explained, links) == {
        A: (why.QUEUE_HERE, A), B: (why.POSITION, A), C: (why.LATER_HERE, C), D: (why.KEPT_HERE, A),
    }  # fmt: skip


def test_an_order_that_looked_the_same_is_named_by_what_followed():
    explained = {A: why.SAME, B: why.KEPT_HERE, C: why.SAME, D: why.POSITION}
    links = {B: Link(A, why.LIVED_HERE, "its life was over"), D: Link(B, why.MOMENT)}
    traced = trace({key: Explained(words) for key, words in explained.items()}, links)
    assert traced[A].explained == Explained(why.LIVED_HERE, "its life was over")
    assert [traced[key].cause for key in (A, B, C, D)] == [A, A, None, A]


def test_a_consequence_without_a_cause_is_unexplained():
    assert found({A: why.POSITION}) == {A: (why.UNEXPLAINED, A)}
    gone = {A: why.POSITION, B: why.HELD_BACK}
    assert found(gone, {A: Link(B, why.MOMENT)})[A] == (why.UNEXPLAINED, A)


def test_a_chain_that_runs_in_a_circle_is_unexplained():
    explained = {A: why.ENDED_HERE, B: why.POSITION}
    links = {A: Link(B, why.ENDED_HERE), B: Link(A, why.MOMENT)}
    assert found(explained, links) == {A: (why.UNEXPLAINED, A), B: (why.UNEXPLAINED, B)}


def test_what_neither_side_sent_has_no_cause():
    assert found({A: why.HELD_BACK, B: why.SAME}) == {A: (why.HELD_BACK, None), B: (why.SAME, None)}
