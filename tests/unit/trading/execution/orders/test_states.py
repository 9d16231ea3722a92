"""The table of states: complete, without ways back, and what each kind of event may not do."""

import pytest

from kalshi_platform.trading.execution.orders.states import (
    ENDED,
    MAYBE_THERE,
    STEPS,
    UNDECIDED,
    WORKING,
    OrderEvent,
    OrderState,
    table_rows,
)

S, E = OrderState, OrderEvent


def test_every_state_knows_every_event():
    assert set(STEPS) == set(OrderState)
    assert all(set(steps) == set(OrderEvent) for steps in STEPS.values())


def test_every_state_is_in_exactly_one_of_the_groups_that_limits_look_at():
    for state in OrderState:
        assert (state in WORKING) + (state in ENDED) + (state in MAYBE_THERE) == 1
    assert UNDECIDED <= WORKING | MAYBE_THERE


def test_an_order_that_ended_comes_back_by_proof_or_where_the_exchange_was_thought_never_to_have_had_it():
    for state in (S.FILLED, S.CANCELLED):
        back = {event for event, step in STEPS[state].items() if step.state not in ENDED}
        assert back == {OrderEvent.PROVEN_RESTING}
    assert all(row[3] for row in table_rows() if S(row[0]) in ENDED and S(row[2]) not in ENDED)


@pytest.mark.parametrize("state", [S.UNKNOWN, S.CANCEL_UNKNOWN])
def test_an_unknown_outcome_is_decided_by_reports_and_proofs_alone(state):
    """Neither time, a restart, nor another cancel may end it."""
    deciding = {event for event, step in STEPS[state].items() if step.state is not state}
    by_report = {E.EXECUTED, E.ENDED, E.PROVEN_RESTING}
    first = {E.RESTS, E.PART_FILLED, E.PROVEN_ABSENT}
    assert deciding == (by_report | first if state is S.UNKNOWN else by_report)


def test_a_process_that_ends_leaves_unknown_what_was_on_its_way():
    assert STEPS[S.PENDING][E.RESTARTED].state is S.UNKNOWN
    assert STEPS[S.CANCELLING][E.RESTARTED].state is S.CANCEL_UNKNOWN
    others = set(OrderState) - {S.PENDING, S.CANCELLING}
    assert all(STEPS[state][E.RESTARTED].state is state for state in others)


def test_only_an_order_of_unknown_outcome_can_be_proven_absent():
    assert [s for s in OrderState if STEPS[s][E.PROVEN_ABSENT].state is S.ABSENT and s is not S.ABSENT] == [
        S.UNKNOWN
    ]


def test_the_table_prints_each_step_that_moves():
    rows = list(table_rows())
    assert ("pending", "lost", "unknown", False) in rows
    assert ("absent", "rests", "resting", True) in rows
    assert all(before != after or surprise for before, _, after, surprise in rows)
