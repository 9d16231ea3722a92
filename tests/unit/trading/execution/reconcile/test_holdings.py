"""Settlements, positions and cash beside the exchange's, one list after another."""

import asyncio

from made.execution import A, B
from made.plain_account import PlainReports, S

from kalshi_platform.trading.execution.reconcile.differences import DifferenceKind
from kalshi_platform.trading.execution.reconcile.holdings import AccountHoldings
from kalshi_platform.trading.execution.reconcile.lists import read_lists


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
    assert [each.kind for each in holdings.take_settlements(lists)] == [DifferenceKind.MISSED_SETTLEMENT]
    assert holdings.gone(lists) == []
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
