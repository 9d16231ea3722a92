"""Lists: whole or nothing, and ended orders only where something is doubtful."""

import asyncio

import pytest
from made.execution import A, B, intent
from made.plain_account import HandClock, PlainAccount, PlainReports

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.reconcile.lists import read_lists


@pytest.fixture
def account():
    account = PlainAccount(HandClock())
    for number, ticker in enumerate((A, B)):
        account.place(f"kp-a-{number}", ticker, "bid", 4_000, 1_000)
    return account


def read(account, ledger=None, since_ns=None):
    since_ns = account.clock.now_ns + 1 if since_ns is None else since_ns
    return asyncio.run(read_lists(PlainReports(account), ledger or OrderLedger(), since_ns))


def test_resting_orders_are_listed_and_ended_ones_of_quiet_markets_where_they_are_late(account):
    account.end(account.orders["o-2"])
    assert read(account, since_ns=account.clock.now_ns).order_ids == {"o-1", "o-2"}
    lists = read(account)
    assert lists.order_ids == {"o-1"}
    assert lists.tickers == frozenset()


def test_a_market_with_an_order_of_ours_that_does_not_rest_is_looked_at_whole(account):
    account.end(account.orders["o-2"])
    ledger = OrderLedger()
    ledger.add(Order(1, "kp-a-1", intent(account.clock, B), 1, 0, order_id="o-2"))
    lists = read(account, ledger)
    assert lists.tickers == {B}
    assert lists.order_ids == {"o-1", "o-2"}


def test_a_market_with_a_fill_of_an_unknown_order_is_looked_at_whole(account):
    account.fill(account.orders["o-1"], 1_000)
    assert read(account, since_ns=0).tickers == {A}


@pytest.mark.parametrize("name", ["orders", "fills", "positions", "settlements"])
def test_half_a_list_is_none(account, name):
    account.cut = {name}
    with pytest.raises(DataError, match="incomplete"):
        read(account)
