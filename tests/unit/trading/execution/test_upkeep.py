"""Upkeep: what halts without anybody asking, and when the exchange is asked."""

import asyncio
import errno
import os

import pytest
from made.execution import A, B
from made.plain_account import S

from kalshi_platform.domain.errors import LimitError, StorageError
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.execution import upkeep
from kalshi_platform.trading.execution.risk.modes import RiskMode


def limits_of(submitted):
    return {each.limit for each in submitted.refusals}


def test_the_kill_file_halts_at_the_next_order_and_no_resume_gets_past_it(benches, tmp_path):
    kill = tmp_path / "KILL"
    bench = benches(kill_file=str(kill))
    bench.submit()
    kill.touch()
    assert "not_active" in limits_of(bench.submit())
    bench.calm(70)
    assert not [o for o in bench.account.orders.values() if o.status == "resting"]
    with pytest.raises(LimitError, match="kill file"):
        bench.executor.resume("calm")
    kill.unlink()
    bench.executor.resume("calm")


def test_a_kill_file_that_cannot_be_looked_for_halts(benches, tmp_path, monkeypatch):
    path = tmp_path / "HALT"
    bench = benches(kill_file=str(path))
    lstat = os.lstat

    def unreadable(name, *args, **more):
        if name == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return lstat(name, *args, **more)

    monkeypatch.setattr(upkeep.os, "lstat", unreadable)
    assert {r.limit for r in bench.submit().refusals} == {"not_active"}
    assert "cannot be looked for: Permission denied" in bench.executor.mode_why
    monkeypatch.setattr(upkeep.os, "lstat", lstat)
    path.symlink_to("nowhere")  # a link that leads nowhere is a kill file too
    with pytest.raises(LimitError, match="is there"):
        bench.executor.resume("calm")


def test_a_journal_that_took_no_report_halts_and_cancels(bench, monkeypatch):
    """Not only a new order finds that the disk is full: what the journal lacks then is not known later."""
    cancelled, resting = bench.submit().order, bench.submit().order

    def full(order):
        raise StorageError("journal.sqlite: the disk is full")

    monkeypatch.setattr(bench.executor._keeper.journal, "update_order", full)
    bench.run(bench.executor.cancel(cancelled.client_order_id))
    bench.calm(2)
    assert bench.executor.mode is RiskMode.HALTED
    assert bench.executor.mode_why == "the journal cannot be written"
    assert bench.account.orders[resting.order_id].status == "canceled"
    bench.calm(70)
    with pytest.raises(LimitError, match="the journal cannot be written"):
        bench.executor.resume("calm")


def test_a_request_to_halt_takes_effect_before_it_returns(bench):
    bench.submit()
    bench.executor.request_halt("signal")
    assert limits_of(bench.submit()) == {"not_active"}
    bench.run(bench.executor.maintain())
    assert bench.account.cancel_alls == 1


def bought(bench, price_e4=5_000, qty_e2=1_000, ticker=A):
    bench.account.next_create.append("filled")
    bench.submit(price_e4=price_e4, qty_e2=qty_e2, ticker=ticker, seen={"bid_e4": price_e4, "ask_e4": None})
    bench.deliver()


def test_a_loss_halts_at_once_and_midnight_does_not_forget_it(benches):
    bench = benches({"drawdown_usd": 2, "drawdown_window_h": 48})
    bought(bench)
    bench.executor.mark(A, 4_000, 4_100, bench.clock.wall_ns())  # 10 contracts, 0.10 down: 1 dollar and a fee
    assert bench.submit(qty_e2=100).order is not None
    bench.clock.now_ns += NS_PER_DAY
    bench.executor.reconnected()
    bench.calm(2)
    bench.executor.mark(A, 2_900, 3_000, bench.clock.wall_ns())
    assert "not_active" in limits_of(bench.submit(qty_e2=100))
    snapshot = bench.executor.snapshot()
    assert snapshot.mode_why.startswith("drawdown_usd: 2100200 lost")
    assert snapshot.day_loss_e6 == 1_100_000
    bench.calm(70)
    with pytest.raises(LimitError, match="drawdown_usd"):
        bench.executor.resume("calm")
    bench.crash()
    bench.open()
    bench.executor.mark(A, 2_900, 3_000, bench.clock.wall_ns())
    bench.calm(2)
    with pytest.raises(LimitError, match="drawdown_usd"):  # nor does a restart
        bench.executor.resume("calm")
    bench.account.cut = {"positions"}
    bench.executor.disconnected("test")
    with pytest.raises(LimitError, match="stream is away"):  # and nothing is accepted by it
        bench.executor.resume("I take it", accept_losses=True)
    assert bench.executor.snapshot().drawdown_e6 > 0
    bench.account.cut = set()
    bench.calm(3)
    bench.executor.resume("I take it", accept_losses=True)
    assert bench.executor.snapshot().drawdown_e6 == 0


def test_markets_lost_in_a_row_leave_exits_only(benches):
    bench = benches({"losing_streak": 2})
    bought(bench, ticker=A)
    bought(bench, ticker=B)
    bench.account.settle(A, 0)
    bench.executor.take_message(
        {"type": "market_lifecycle_v2", "msg": {"market_ticker": A, "event_type": "settled"}}
    )
    bench.calm(3)
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE
    bench.clock.now_ns += S
    bench.account.settle(B, 0)
    bench.calm(35)
    assert bench.executor.snapshot().mode is RiskMode.REDUCING
    assert "2 markets lost in a row" in bench.executor.snapshot().mode_why
    bench.crash()
    bench.open()
    assert bench.executor.snapshot().losing_streak == 2
    bench.executor.resume("I take it", accept_losses=True)
    assert bench.executor.snapshot().losing_streak == 0


def test_a_settlement_paid_while_nobody_listened_is_booked_by_its_own_ticker(bench):
    bought(bench, ticker=A)
    bought(bench, ticker=B, price_e4=3_000)
    bench.crash()
    bench.clock.now_ns += 3_600 * S
    bench.account.settle(B, 10_000)
    bench.open()
    ledger = bench.executor.ledger
    assert (ledger.market(A).value_e4, ledger.market(B).value_e4) == (None, 10_000)
    assert ledger.cash_e6 == bench.account.cash_e6
    assert ledger.market(B).pnl_e6 == 1_000 * 7_000 - 200


def test_no_order_goes_out_on_an_old_comparison(benches):
    bench = benches(reconcile_every_s=30, reconcile_age_s=90)
    bench.account.cut = {"positions"}
    bench.calm(95)
    refusals = bench.submit().refusals
    assert {r.limit for r in refusals} == {"not_reconciled"}
    assert "incomplete" in refusals[0].words
    bench.account.cut = set()
    bench.calm(3)
    assert bench.submit().order is not None


def test_a_stream_that_is_away_stops_orders_until_lists_were_compared(bench):
    bench.executor.disconnected("half open")
    assert limits_of(bench.submit()) == {"not_reconciled"}
    bench.executor.reconnected()
    bench.calm(3)
    assert bench.submit().order is not None


def test_lists_read_while_the_stream_was_away_say_nothing_of_what_was_missed_since(bench):
    bench.executor.disconnected("half open")
    bench.calm(3)
    assert bench.executor.snapshot().is_reconciled
    bench.executor.reconnected()
    assert limits_of(bench.submit()) == {"not_reconciled"}
    bench.calm(3)
    assert bench.submit().order is not None


def test_a_stream_that_goes_while_lists_are_read_is_not_made_good_by_them(bench):
    balance = bench.account.balance

    async def going():
        bench.account.balance = balance
        bench.executor.disconnected("half open")
        return await balance()

    bench.account.balance = going
    assert bench.run(bench.executor.reconcile()).is_whole
    assert limits_of(bench.submit()) == {"not_reconciled"}
    bench.calm(3)
    assert bench.submit().order is not None


def test_a_halt_cancels_while_a_comparison_waits_for_slow_lists(bench):
    bench.submit()
    bench.clock.now_ns += 60 * S
    balance = bench.account.balance

    async def work():
        began, may_end = asyncio.Event(), asyncio.Event()

        async def slow():
            began.set()
            await may_end.wait()
            return await balance()

        bench.account.balance = slow
        upkeep = asyncio.create_task(bench.executor.run())
        async with asyncio.timeout(60):
            await began.wait()
            bench.executor.request_halt("a person")
            while not bench.account.cancel_alls:
                await asyncio.sleep(0.001)
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)

    bench.run(work())
    assert not [o for o in bench.account.orders.values() if o.status == "resting"]


def test_an_error_of_upkeep_ends_it(bench):
    async def failing():
        raise RuntimeError("a bug")

    bench.executor._upkeep._cancel_due = failing
    with pytest.raises(RuntimeError, match="a bug"):
        bench.run(bench.executor.run())


def test_a_payment_into_the_account_is_named_and_taken_over(bench):
    bench.account.cash_e6[1] += 25_000_000
    bench.calm(40)
    snapshot = bench.executor.snapshot()
    assert snapshot.cash_e6 == bench.account.cash_e6
    assert snapshot.counts["difference:cash"] == 1
    assert snapshot.mode is RiskMode.ACTIVE
    assert snapshot.pnl_e6 == 0


def test_a_payment_while_orders_rest_is_told_and_taken_over_once_they_end(bench):
    order = bench.submit().order  # 4.00 of cash
    bench.calm(40)
    assert bench.executor.snapshot().last_reconcile.doubts == ()
    bench.account.cash_e6[0] += 1_000_000
    bench.calm(40)
    report = bench.executor.snapshot().last_reconcile
    assert report.is_whole
    assert report.differences == ()
    assert "free cash of shard 0 is 997000000; its orders should leave 996000000" in report.doubts[0]
    assert bench.executor.snapshot().counts["comparisons_in_doubt"] > 0
    bench.run(bench.executor.cancel(order.client_order_id))
    bench.calm(40)
    assert bench.executor.snapshot().last_reconcile.doubts == ()
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_position_that_nothing_explains_is_taken_over_and_halts(bench):
    bought(bench)
    bench.account.yes_e2[A] = 1_300
    bench.calm(40)
    assert bench.executor.ledger.position_e2(A) == 1_300
    assert "position" in bench.executor.snapshot().mode_why
    assert bench.executor.snapshot().mode is RiskMode.HALTED


def test_a_position_that_vanished_without_a_settlement_is_no_evidence(bench):
    bought(bench)
    bench.account.paid.add(A)  # the list of positions lacks it, no settlement is told
    bench.calm(40)
    assert bench.executor.ledger.position_e2(A) == 1_000
    assert not bench.executor.snapshot().last_reconcile.is_whole
    assert "no settlement yet" in bench.executor.snapshot().last_reconcile.why


def test_a_kill_after_a_foreign_order_was_named_leaves_a_halt_or_names_it_again(bench):
    bench.calm(3)
    bench.account.place("hand", A, "bid", 4_000, 100)
    bench.account.sent.clear()
    bench.run(bench.executor.reconcile())
    assert bench.executor.mode is RiskMode.HALTED
    bench.crash()  # before the next commit
    bench.open()
    bench.calm(5)
    assert bench.executor.mode is RiskMode.HALTED


def test_a_comparison_that_is_stopped_forgets_no_foreign_order(bench):
    bench.account.place("hand", A, "bid", 4_000, 100)
    bench.account.sent.clear()
    bench.account.cash_e6[0] += 5_000_000  # a payment in: the comparison looks again
    sleep = bench.clock.sleep

    async def stopped(seconds):
        raise asyncio.CancelledError

    bench.clock.sleep = stopped
    with pytest.raises(asyncio.CancelledError):
        bench.run(bench.executor.reconcile())
    bench.clock.sleep = sleep
    bench.close()
    bench.open()
    bench.calm(30)
    assert bench.executor.mode is RiskMode.HALTED


def test_a_kill_after_an_order_was_missed_leaves_a_halt_or_misses_it_again(bench):
    bench.submit()
    bench.deliver()
    bench.calm(2)
    bench.account.orders.clear()
    while bench.executor.mode is RiskMode.ACTIVE:
        bench.clock.now_ns += 5 * S
        bench.run(bench.executor.reconcile())
    bench.crash()
    bench.open()
    bench.calm(120)
    assert bench.executor.mode is RiskMode.HALTED


def test_a_resume_that_is_refused_ends_no_missing_order(bench):
    order = bench.submit().order
    bench.deliver()
    bench.calm(2)
    bench.account.orders.clear()
    while bench.executor.mode is RiskMode.ACTIVE:
        bench.clock.now_ns += 5 * S
        bench.run(bench.executor.reconcile())
    with pytest.raises(LimitError):  # a cancel of all is due
        bench.executor.resume("seen")
    assert not order.is_ended
    assert order.client_order_id in bench.executor.ledger.live


def test_a_kill_after_a_position_was_taken_over_leaves_the_halt(bench):
    bench.account.yes_e2[A] = 500
    bench.account.cost_e6[A] = 2_000_000
    bench.run(bench.executor.reconcile())
    assert bench.executor.mode is RiskMode.HALTED
    bench.crash()
    bench.open()
    assert bench.executor.mode is RiskMode.HALTED
    assert "position" in bench.executor.mode_why
