"""Cash and settlements beside the exchange's."""

import pytest
from made.execution import A, B, intent
from made.plain_account import HandClock

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange.account_answers import BalanceAnswer, SettlementAnswer
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.states import OrderEvent, OrderState
from kalshi_platform.trading.execution.reconcile.money import (
    cash_doubts,
    cash_mismatches,
    check_shards,
    settled_value_e4,
)


def balance(by_shard):
    return BalanceAnswer(sum(by_shard.values()), None, by_shard, None, {})


@pytest.fixture
def ledger():
    ledger = OrderLedger()
    ledger.open_cash(0, 10_000_000)
    ledger.open_cash(1, 5_000_000)
    return ledger


def off(ledger, by_shard):
    return {each.shard: each.off_e6 for each in cash_mismatches(ledger, balance(by_shard))}


def test_where_nothing_rests_cash_is_equal_to_its_step(ledger):
    assert off(ledger, {0: 10_000_000, 1: 5_000_000}) == {}
    assert off(ledger, {0: 9_999_901, 1: 5_000_099}) == {}
    assert off(ledger, {0: 9_999_900, 1: 5_000_100}) == {0: -100, 1: 100}


def test_where_orders_rest_free_cash_may_lie_between(ledger):
    order = Order(1, "kp-a-1", intent(HandClock(), A), 0, 0, fee_bound_e6=100, state=OrderState.RESTING)
    ledger.add(order)  # 4.00 and a fee
    for free_e6, off_e6 in (
        (10_000_000, {}),
        (5_999_900, {}),
        (5_999_000, {0: -900}),
        (10_000_100, {0: 100}),
    ):
        assert off(ledger, {0: free_e6, 1: 5_000_000}) == off_e6


def test_free_cash_that_orders_may_explain_and_should_not_is_a_doubt(ledger):
    order = Order(1, "kp-a-1", intent(HandClock(), A), 0, 0, fee_bound_e6=100, state=OrderState.RESTING)
    ledger.add(order)  # 4.00 of 10.00, and 0.0001 of fees at most

    def doubts(free_e6):
        return [(d.expected_e6, d.free_e6) for d in cash_doubts(ledger, balance({0: free_e6, 1: 5_000_000}))]

    for free_e6 in (6_000_000, 5_999_900, 6_000_099, 5_999_801):  # the cost, its fee too, a step beside them
        assert doubts(free_e6) == []
    assert doubts(6_000_100) == [(6_000_000, 6_000_100)]
    assert doubts(10_000_000) == [(6_000_000, 10_000_000)]
    assert doubts(10_000_100) == []  # that is no doubt but a difference
    (told,) = cash_doubts(ledger, balance({0: 7_000_000, 1: 5_000_000}))
    assert "free cash of shard 0 is 7000000; its orders should leave 6000000" in told.words
    ledger.step(order, OrderEvent.ENDED)
    assert doubts(10_000_000) == []


def test_a_shard_that_is_not_told_any_more_has_no_cash(ledger):
    assert off(ledger, {0: 10_000_000}) == {1: -5_000_000}


def test_a_shard_with_an_order_that_may_be_there_says_nothing_yet(ledger):
    order = Order(1, "kp-a-1", intent(HandClock(), B), 1, 0)
    ledger.add(order)
    assert off(ledger, {0: 10_000_000, 1: 1}) == {}
    ledger.step(order, OrderEvent.REFUSED)
    assert off(ledger, {0: 10_000_000, 1: 1}) == {1: 1 - 5_000_000}


def test_a_balance_says_on_which_shards_all_of_its_cash_lies():
    check_shards(balance({0: 1_000_000, 2: 0}))
    check_shards(BalanceAnswer(1_230_000, None, {0: 1_239_900}, None, {}))  # the whole in cents
    with pytest.raises(DataError, match="names no shard"):
        check_shards(balance({}))
    with pytest.raises(DataError, match="a shard is left out"):
        check_shards(BalanceAnswer(1_230_000, None, {0: 230_000}, None, {}))


@pytest.mark.parametrize(
    ("value", "result", "paid"),
    [(None, "yes", 10_000), (None, "no", 0), (2_500, "scalar", 2_500), (0, "no", 0)],
)
def test_a_settlement_pays_its_value_or_its_result(value, result, paid):
    assert settled_value_e4(SettlementAnswer(A, None, result, 0, 0, 0, 0, value, 0, {})) == paid


def test_a_settlement_without_value_and_result_is_refused():
    with pytest.raises(DataError, match="no value"):
        settled_value_e4(SettlementAnswer(A, None, "scalar", 0, 0, 0, 0, None, 0, {}))
