"""Proof by time: both clocks must have moved, since the last write about the order."""

from types import SimpleNamespace

from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.reconcile.unknown import UnknownWrites

S = 1_000_000_000


def order_of(name, state=OrderState.UNKNOWN):
    return SimpleNamespace(client_order_id=name, writes=1, state=state)


def late(unknown, order, as_of_s, mono_s):
    unknown.begin_look([order])
    return unknown.is_late_enough(order, SimpleNamespace(as_of_ns=as_of_s * S), mono_s * S)


def test_the_first_look_proves_nothing_and_both_clocks_must_pass_the_grace():
    order, unknown = order_of("a"), UnknownWrites(10 * S)
    assert not late(unknown, order, 100, 50)
    assert not late(unknown, order, 109, 80)  # the lists are younger by 9 s only
    assert not late(unknown, order, 900, 59)  # our clock passed 9 s only
    assert late(unknown, order, 110, 60)


def test_another_write_begins_anew():
    order, unknown = order_of("a"), UnknownWrites(10 * S)
    late(unknown, order, 100, 50)
    order.writes = 2
    assert not late(unknown, order, 200, 150)
    assert late(unknown, order, 210, 160)
    unknown.forget("a")
    assert not late(unknown, order, 300, 300)


def test_a_request_on_its_way_while_lists_are_read_begins_no_look():
    order, unknown = order_of("a", OrderState.CANCELLING), UnknownWrites(10 * S)
    assert not late(unknown, order, 100, 50)
    order.state = OrderState.CANCEL_UNKNOWN
    assert not late(unknown, order, 115, 65)  # the first look
    assert late(unknown, order, 125, 75)
