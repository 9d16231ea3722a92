"""Clock, pauses, early closes and settlement."""

import pytest
from made.core_exchange import SECOND_NS, cash_e6, open_exchange, position_e2, told

from kalshi_platform.domain.errors import ContractError


def test_orders_expire_by_the_clock_the_earliest_first():
    x = open_exchange()
    late, soon, never = (
        x.submit(0, 0, "bid", 4_000, 100, **({"expiry_ns": at} if at else {})).order_id for at in (30, 20, 0)
    )
    x.read_tape()
    x.wait(25)
    assert told(x) == [("DELTA", None, -100, 0), ("CANCEL", soon, 100, "EXPIRY_CANCEL")]
    x.wait(30)
    assert x.open_orders() == [never]
    assert [row[1] for row in told(x) if row[0] == "CANCEL"] == [late]


def test_a_market_closes_by_the_clock_before_the_command_that_comes_too_late():
    x = open_exchange(close_ns=5 * SECOND_NS)
    order = x.submit(0, 0, "bid", 4_000, 100).order_id
    assert x.submit(1, 0, "ask", 4_000, 100, at_ns=5 * SECOND_NS).reason == "MARKET_INACTIVE"
    assert x.order(order) is None
    assert x.cancel(0, order, market=0).reason == "MARKET_INACTIVE"
    assert x.cancel(0, order).reason == "ORDER_NOT_FOUND"
    assert x.set_market_status(0, "ACTIVE").reason == "INVALID_STATUS"
    assert x.set_close(0, 9 * SECOND_NS).ok
    assert x.set_market_status(0, "ACTIVE").ok


def test_an_early_close_cancels_what_rests():
    x = open_exchange(close_ns=100 * SECOND_NS)
    order = x.submit(0, 0, "bid", 4_000, 100).order_id
    x.read_tape()
    x.set_close(0, 2 * SECOND_NS)
    x.wait(3 * SECOND_NS)
    assert told(x)[-1] == ("CANCEL", order, 100, "CLOSE_CANCEL")
    assert cash_e6(x, 0) == (10**9, 0)


def test_a_paused_market_keeps_its_orders_until_it_is_active_again():
    x = open_exchange()
    order = x.submit(0, 0, "bid", 4_000, 100).order_id
    other = x.submit(0, 0, "bid", 4_100, 100).order_id
    x.set_market_status(0, "INACTIVE")
    assert x.submit(1, 0, "ask", 4_000, 100).reason == "MARKET_INACTIVE"
    assert x.cancel(0, other).ok
    assert x.open_orders() == [order]
    x.read_tape()
    x.set_market_status(0, "ACTIVE")
    assert told(x)[-1] == ("CANCEL", order, 100, "HALT_CANCEL")


def test_a_pause_of_trading_takes_cancels_only_and_cancels_who_asked_for_it():
    x = open_exchange()
    stays = x.submit(0, 0, "bid", 4_000, 100).order_id
    goes = x.submit(0, 0, "bid", 4_000, 100, cancel_on_pause=True).order_id
    x.read_tape()
    x.set_shard_status(0, "TRADING_PAUSE")
    assert told(x)[-1] == ("CANCEL", goes, 100, "HALT_CANCEL")
    assert x.submit(1, 0, "ask", 4_000, 100).reason == "TRADING_PAUSED"
    assert x.decrease(0, stays, to_e2=50).reason == "TRADING_PAUSED"
    assert x.amend(0, stays, 0, "bid", 4_000, 100).reason == "TRADING_PAUSED"
    assert x.cancel(0, stays).ok


def test_a_full_pause_takes_nothing():
    x = open_exchange()
    order = x.submit(0, 0, "bid", 4_000, 100).order_id
    x.set_shard_status(0, "FULL_PAUSE")
    assert x.cancel(0, order).reason == "EXCHANGE_PAUSED"
    assert x.submit(0, 0, "bid", 4_000, 100).reason == "EXCHANGE_PAUSED"
    assert x.cancel_all(0).reduced_e2 == 0
    x.set_shard_status(0, "RUNNING")
    assert x.cancel(0, order).ok


@pytest.mark.parametrize(("value", "paid_yes"), [(10_000, 3_000_000), (0, 0), (3_333, 999_900)])
def test_settlement_pays_yes_its_value_and_no_the_rest_of_the_dollar(value, paid_yes):
    x = open_exchange()
    x.submit(0, 0, "bid", 4_000, 300)
    x.submit(1, 0, "ask", 4_000, 300)
    resting = x.submit(2, 0, "bid", 3_000, 100).order_id
    before = [cash_e6(x, account)[0] for account in range(3)]
    assert x.settle(0, value).ok
    after = [cash_e6(x, account)[0] for account in range(3)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [paid_yes, 3_000_000 - paid_yes, 0]
    assert position_e2(x, 0) == 0
    assert x.order(resting) is None
    assert x.settle(0, value).reason == "INVALID_STATUS"
    assert x.submit(0, 0, "bid", 4_000, 100).reason == "MARKET_INACTIVE"
    total = sum(after) + int(x.core.shards[0]["fees_e6"])
    assert total == int(x.core.shards[0]["paid_in_e6"])


def test_a_settlement_value_outside_the_dollar_is_refused():
    x = open_exchange()
    assert x.settle(0, 10_001).reason == x.settle(0, -1).reason == "INVALID_AMOUNT"


def test_cash_is_of_a_shard_and_moves_only_when_free():
    x = open_exchange(n_markets=2, n_shards=2, shards=[0, 1], cash_e6=10_000_000)
    x.submit(0, 1, "bid", 5_000, 1_800)
    assert x.submit(0, 1, "bid", 5_000, 400).reason == "INSUFFICIENT_BALANCE"
    assert x.transfer(0, 1, 0, 2_000_000).reason == "INSUFFICIENT_BALANCE"
    assert x.transfer(0, 0, 1, 2_000_000).ok
    assert x.submit(0, 1, "bid", 5_000, 400).ok
    assert x.transfer(0, 0, 2, 1).reason == "UNKNOWN_MARKET"
    assert x.transfer(0, 0, 0, 1).reason == x.deposit(0, 0).reason == "INVALID_AMOUNT"
    assert x.deposit(0, -9_000_000).reason == "INSUFFICIENT_BALANCE"


def test_words_that_are_no_status_are_refused():
    x = open_exchange()
    with pytest.raises(ContractError, match="'PAUSED' is not one of ACTIVE, INACTIVE, CLOSED"):
        x.set_market_status(0, "PAUSED")
    assert x.set_market_status(0, "ACTIVE").reason == "INVALID_STATUS"
