"""Settlements, positions and cash beside the exchange's, one list after another."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.execution import A, B
from made.plain_account import HandClock, PlainReports, S

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.positions import payout_e6
from kalshi_platform.trading.execution.reconcile.differences import DifferenceKind
from kalshi_platform.trading.execution.reconcile.holdings import AccountHoldings
from kalshi_platform.trading.execution.reconcile.lists import AccountLists, read_lists


def holdings_and_lists(bench):
    keeper = bench.executor._keeper
    lists = asyncio.run(read_lists(PlainReports(bench.account), keeper.ledger, 0))
    return AccountHoldings(keeper, bench.clock), lists


def filled(bench, ticker=A):
    bench.account.next_create.append("filled")
    bench.submit(ticker=ticker)
    bench.deliver()


def test_what_agrees_has_no_mismatch(bench):
    filled(bench)
    holdings, lists = holdings_and_lists(bench)
    assert holdings.mismatches(lists) == {}
    assert holdings.gone(lists) == []
    assert holdings.adopt(lists) == []


def test_positions_and_cash_that_differ_are_told_and_taken_over(bench):
    filled(bench)
    filled(bench, B)
    bench.account.yes_e2[A] += 300
    bench.account.cash_e6[1] += 2_000_000
    holdings, lists = holdings_and_lists(bench)
    assert holdings.mismatches(lists) == {A: 300, "cash of shard 1": 2_000_000}
    kinds = [each.kind for each in holdings.adopt(lists)]
    assert kinds == [DifferenceKind.POSITION, DifferenceKind.CASH]
    assert bench.executor.ledger.position_e2(A) == 1_300
    assert bench.executor.ledger.cash_e6[1] == bench.account.cash_e6[1]


def test_a_market_that_is_paid_and_not_told_yet_is_gone_until_its_settlement_is_listed(bench):
    filled(bench)
    bench.clock.now_ns += S
    bench.account.settle(A, 10_000)
    told, bench.account.settled = bench.account.settled, []
    holdings, lists = holdings_and_lists(bench)
    assert holdings.gone(lists) == [A]
    bench.account.settled = told
    holdings, lists = holdings_and_lists(bench)
    found = []
    holdings.take_settlements(lists, found, 0)
    assert [each.kind for each in found] == [DifferenceKind.MISSED_SETTLEMENT]
    assert holdings.gone(lists) == []
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


class PlainKeeper:
    """Keeper without a journal."""

    def __init__(self, ledger):
        self.ledger, self.settle = ledger, ledger.settle

    def correct(self, at_ns, kind, ticker, shard, change_e2, cost_e6):
        self.ledger.correct(ticker, shard, change_e2, cost_e6, at_ns)

    def open_cash(self, at_ns, kind, shard, change_e6):
        self.ledger.open_cash(shard, change_e6)


def lists_of(cash_e6, positions=None, settlements=()):
    balance = SimpleNamespace(by_shard_e6={0: cash_e6}, cash_e6=cash_e6)
    return AccountLists(1, (), frozenset(), (), positions or {}, tuple(settlements), balance)


def ledger_of(ours_e2, each_e4, mark_e4):
    ledger = OrderLedger()
    ledger.open_cash(0, 10**9)
    ledger.market(A, 0)
    if ours_e2:
        ledger.correct(A, 0, ours_e2, each_e4 * abs(ours_e2), 1)
        ledger.market(A).mark_e4 = mark_e4
    return ledger


POSITIONS, PRICES = st.integers(-5_000, 5_000), st.integers(0, 10_000)
CASH = st.integers(0, 10**7).map(lambda steps: steps * 100)


@given(POSITIONS, PRICES, PRICES, POSITIONS, st.integers(0, 10**8), CASH)
def test_what_is_adopted_raises_no_result_and_leaves_the_exchanges_cash(ours, each, mark, theirs, cost, cash):
    ledger = ledger_of(ours, each, mark)
    before_e6 = ledger.market(A).pnl_e6
    held = SimpleNamespace(position_e2=theirs, exposure_e6=cost)
    AccountHoldings(PlainKeeper(ledger), HandClock()).adopt(lists_of(cash, {A: held} if theirs else {}))
    assert ledger.position_e2(A) == theirs
    assert ledger.cash_e6 == {0: cash}
    assert ledger.market(A).pnl_e6 <= before_e6


@given(POSITIONS, PRICES, PRICES, POSITIONS, PRICES, CASH)
def test_what_is_settled_pays_what_was_there_and_raises_no_other_result(ours, each, mark, theirs, paid, cash):
    ledger = ledger_of(ours, each, mark)
    market = ledger.market(A)
    at_mark_e6 = market.pnl_e6
    at_paid_e6 = market.if_no_e6 + ours * paid
    settlement = SimpleNamespace(
        ticker=A, value_e4=paid, yes_e2=max(theirs, 0), no_e2=max(-theirs, 0), settled_ns=7, result="scalar"
    )
    holdings = AccountHoldings(PlainKeeper(ledger), HandClock())
    holdings.take_settlements(lists_of(cash, settlements=[settlement]), [], 0)
    assert market.payout_e6 == payout_e6(theirs, paid)
    kept = min(ours, theirs, key=abs) if ours * theirs > 0 else 0
    assert market.pnl_e6 <= at_paid_e6  # what was not there was paid nothing
    assert market.pnl_e6 <= at_mark_e6 + kept * (paid - (mark if ours else 0))
    holdings.adopt(lists_of(cash))
    assert ledger.cash_e6 == {0: cash}


@pytest.mark.parametrize("theirs_e2", [-1_050, 0, 550])
def test_what_was_adopted_is_the_same_after_a_restart(bench, theirs_e2):
    filled(bench)
    bench.account.yes_e2[A], bench.account.no_e2[A] = max(theirs_e2, 0), max(-theirs_e2, 0)
    bench.account.cost_e6[A] = 3_000 * abs(theirs_e2)
    bench.calm(40)

    def stand():
        market = bench.executor.ledger.market(A)
        return market.position_e2, market.cost_e6, market.if_yes_e6, market.if_no_e6

    before = stand()
    assert before[0] == theirs_e2
    bench.crash()
    bench.open()
    assert stand() == before


def test_what_was_booked_before_a_settlement_that_cannot_be_read_is_named():
    ledger = ledger_of(1_000, 4_000, 4_000)
    paid = {"ticker": A, "value_e4": 0, "yes_e2": 0, "no_e2": 0, "settled_ns": 7, "result": "no"}
    unread = paid | {"ticker": B, "value_e4": None, "settled_ns": 8, "result": "nobody knows"}
    ledger.market(B, 0)
    found = []
    with pytest.raises(DataError, match="nobody knows"):
        AccountHoldings(PlainKeeper(ledger), HandClock()).take_settlements(
            lists_of(0, settlements=[SimpleNamespace(**each) for each in (unread, paid)]), found, 0
        )
    assert [each.kind for each in found] == [
        DifferenceKind.SETTLED_POSITION,
        DifferenceKind.MISSED_SETTLEMENT,
    ]
