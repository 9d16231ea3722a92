"""Shards of what somebody else holds or fills: named, asked for, or refused; never taken to be 0."""

import pytest
from made.execution import A, B
from made.plain_account import S

from kalshi_platform.domain.errors import ExchangeError
from kalshi_platform.trading.execution.risk.modes import RiskMode

C = "ZXOTHER-26DEC01-T70"  # on shard 1, and of no event that this program follows
EVERYTHING = {"fills", "positions", "market"}


def foreign_fill(bench, ticker=C):
    """Fill of an order made by hand, of which the stream told nothing."""
    bench.clock.now_ns += S
    order = bench.account.place("by-hand", ticker, "bid", 4_000, 1_000)
    bench.account.fill(order, 1_000)
    bench.account.sent.clear()


def refused(bench, ticker=A):
    return {each.limit for each in bench.submit(ticker=ticker).refusals}


@pytest.mark.parametrize("unnamed", [set(), {"fills"}, {"fills", "positions"}, {"fills", "market"}])
def test_a_foreign_fill_is_booked_on_the_shard_that_anything_names(bench, unnamed):
    bench.account.unnamed = unnamed
    foreign_fill(bench)
    bench.calm(40)
    assert bench.executor.ledger.market(C).exchange_index == 1
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    counts = bench.executor.snapshot().counts
    assert counts["difference:foreign_fill"] == 1
    assert counts.get("difference:cash", 0) == 0


def test_where_nobody_names_the_shard_no_order_goes_out_until_somebody_does(bench):
    bench.account.unnamed = EVERYTHING
    foreign_fill(bench)
    bench.calm(160)
    report = bench.executor.snapshot().last_reconcile
    assert not report.is_whole
    assert C in report.why
    assert "name its shard" in report.why
    assert len(report.why) < 500
    assert "not_reconciled" in refused(bench)
    assert C not in bench.executor.ledger.markets
    bench.account.unnamed = EVERYTHING - {"market"}
    bench.calm(40)
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_market_that_is_known_needs_no_name(bench):
    bench.account.unnamed = EVERYTHING
    bench.submit(ticker=B)
    foreign_fill(bench, B)
    bench.calm(40)
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    assert bench.executor.ledger.market(B).exchange_index == 1


def test_an_account_of_one_shard_needs_no_names(benches):
    bench = benches(opened=False)
    bench.account.cash_e6 = {3: 500_000_000}
    bench.account.shard_of = lambda ticker: 3
    bench.account.unnamed = EVERYTHING
    bench.account.yes_e2[C] = 700
    bench.open()
    assert bench.executor.ledger.market(C).exchange_index == 3
    foreign_fill(bench)
    bench.calm(40)
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_new_journal_opens_on_no_position_whose_shard_nobody_names(benches):
    bench = benches(opened=False)
    bench.account.yes_e2[C] = 700
    bench.account.unnamed = EVERYTHING
    with pytest.raises(Exception, match="name its shard"):
        bench.open()
    bench.account.unnamed = {"market"}
    bench.open()
    assert bench.executor.ledger.market(C).exchange_index == 1


@pytest.mark.parametrize("told", [None, 600_000_000])
def test_a_balance_must_name_the_shards_of_all_its_cash(benches, told):
    bench = benches(opened=False)
    if told is None:
        bench.account.unnamed = {"balance"}
        words = "names no shard"
    else:
        read = bench.account.balance

        async def balance():
            whole = await read()
            return type(whole)(whole.cash_e6, None, {0: told}, None, {})

        bench.account.balance = balance
        words = "a shard is left out"
    with pytest.raises(Exception, match=words):
        bench.open()


def test_a_market_on_two_shards_is_a_contradiction_that_stops_orders(bench):
    bench.account.next_create.append("filled")
    bench.submit(ticker=B)
    bench.deliver()
    bench.account.shard_of = lambda ticker: 0
    bench.calm(160)
    assert (
        "on shard 1 as it was told before, and on shard 0 now" in bench.executor.snapshot().last_reconcile.why
    )
    assert "not_reconciled" in refused(bench)


def test_a_fill_of_ours_on_another_shard_halts(bench):
    bench.account.next_create.append("filled")
    bench.submit(ticker=B)
    next(m for m in bench.account.sent if m["type"] == "fill")["msg"]["exchange_index"] = 0
    bench.deliver()
    bench.calm(3)
    assert bench.executor.ledger.surprises["fill_on_another_shard"] == 1
    assert bench.executor.snapshot().mode is RiskMode.HALTED


def test_a_restart_knows_the_shard_that_only_the_market_had_named(bench):
    bench.account.unnamed = {"fills", "positions"}
    foreign_fill(bench)
    bench.calm(40)
    bench.close()
    bench.account.unnamed = EVERYTHING
    bench.open()
    assert bench.executor.ledger.market(C).exchange_index == 1
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_the_question_for_a_shard_that_fails_is_no_answer(bench):
    bench.account.unnamed = {"fills", "positions"}

    async def away(ticker):
        raise ExchangeError("GET /markets: 503")

    bench.account.market_shard = away
    foreign_fill(bench)
    bench.calm(160)
    assert "503" in bench.executor.snapshot().last_reconcile.why
    assert C not in bench.executor.ledger.markets
