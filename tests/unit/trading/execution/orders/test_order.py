"""One order: what counts as filled, and what may still fill."""

from types import SimpleNamespace

import pytest
from made.execution import intent
from made.plain_account import HandClock

from kalshi_platform.trading.execution.orders.order import Order, event_of_answer
from kalshi_platform.trading.execution.orders.states import OrderEvent, OrderState


@pytest.fixture
def order():
    return Order(1, "kp-a-1", intent(HandClock()), 0, 0)  # of 10 contracts


def test_the_larger_of_counted_and_booked_fills_counts(order):
    order.told_filled_e2, order.fills_e2 = 600, 200
    assert (order.filled_e2, order.fills_missing_e2, order.left_e2, order.exposed_e2) == (600, 400, 400, 800)
    order.fills_e2 = 700
    assert (order.filled_e2, order.fills_missing_e2, order.left_e2) == (700, 0, 300)


def test_an_ended_order_is_exposed_by_its_missing_fills_alone(order):
    order.told_filled_e2 = 600
    order.step(OrderEvent.ENDED)
    assert (order.left_e2, order.exposed_e2) == (0, 600)
    order.written_off_e2 = 600
    assert order.exposed_e2 == 0


def test_an_order_that_may_be_there_is_exposed_whole(order):
    assert order.may_be_there
    assert order.exposed_e2 == 1_000
    order.step(OrderEvent.LOST)
    assert order.state is OrderState.UNKNOWN
    assert order.may_be_there
    assert order.is_undecided


def test_a_step_tells_whether_it_contradicts(order):
    assert not order.step(OrderEvent.REFUSED)
    assert order.step(OrderEvent.RESTS)


def test_an_end_that_is_told_before_the_refusal_is_no_contradiction_unless_something_filled(order):
    order.step(OrderEvent.ENDED)
    assert not order.step(OrderEvent.REFUSED)
    assert order.state is OrderState.CANCELLED
    order.told_filled_e2 = 1
    assert order.step(OrderEvent.REFUSED)


def test_a_fill_of_an_order_whose_create_was_refused_is_a_contradiction(order):
    order.step(OrderEvent.ENDED)
    assert not order.step(OrderEvent.REFUSED)
    assert order.step(OrderEvent.PART_FILLED)


def test_what_may_have_filled_untold_is_unknown_or_was_let_out(order):
    """Every state by hand: the exchange has told of an order in all others, and fills come one by one."""
    for state in OrderState:
        for is_let_out in (False, True):
            order.state, order.is_let_out = state, is_let_out
            may = state is OrderState.UNKNOWN or (state is OrderState.PENDING and is_let_out)
            assert order.may_have_filled is may
            assert order.may_be_there or not may


@pytest.mark.parametrize(
    ("filled_e2", "remaining_e2", "event"),
    [
        (None, None, OrderEvent.RESTS), (1_000, None, OrderEvent.RESTS), (None, 0, OrderEvent.RESTS),
        (400, 600, OrderEvent.RESTS), (1_000, 0, OrderEvent.EXECUTED), (400, 0, OrderEvent.ENDED),
    ],
)  # fmt: skip
def test_an_acknowledgement_without_both_counts_says_that_it_rests(order, filled_e2, remaining_e2, event):
    placed = SimpleNamespace(filled_e2=filled_e2, remaining_e2=remaining_e2)
    assert event_of_answer(order, placed) is event
