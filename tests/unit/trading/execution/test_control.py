"""Halting: a cancel of all, the minute after it, and the way back."""

import asyncio

import pytest
from made.execution import A, B
from made.plain_account import S

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.trading.exchange.account_answers import CancelledOrder
from kalshi_platform.trading.exchange.outcomes import Accepted
from kalshi_platform.trading.execution.journal import keeper
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode


def resting(bench):
    return [o for o in bench.account.orders.values() if o.status == "resting"]


def test_a_halt_cancels_all_and_stays_for_the_minute_in_which_new_orders_would_be_hit(bench):
    for ticker in (A, B):
        bench.submit(ticker=ticker)
    bench.run(bench.executor.halt("a person"))
    assert not resting(bench)
    assert {r.limit for r in bench.submit().refusals} >= {"not_active"}
    bench.calm(40)
    with pytest.raises(LimitError, match="may hit new ones for"):
        bench.executor.resume("too early")
    with pytest.raises(LimitError, match="may hit new ones for"):
        bench.executor.reduce("too early")
    bench.calm(21)
    bench.executor.resume("calm")
    assert bench.submit().order is not None


def test_the_minute_outlives_the_process(bench):
    bench.submit()
    bench.run(bench.executor.halt("a person"))
    bench.clock.now_ns += 10 * S
    bench.crash()
    bench.open()
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert bench.executor.snapshot().mode_why == "a person"
    with pytest.raises(LimitError, match="may hit new ones"):
        bench.executor.resume("too early")
    bench.calm(60)
    bench.executor.resume("calm")


@pytest.mark.parametrize("how", ["lost", "lost_accepted", "not_sent"])
def test_a_cancel_of_all_is_sent_until_it_is_known_to_have_worked(bench, how):
    bench.submit()
    bench.account.next_cancel.extend([how] * 3)
    bench.run(bench.executor.halt("a person"))
    with pytest.raises(LimitError, match=r"unknown|still rest"):
        bench.executor.resume("too early")
    bench.calm(8)
    assert not resting(bench)
    bench.calm(70)
    bench.executor.resume("calm")


def test_an_order_on_its_way_during_the_halt_is_cancelled_when_it_shows(bench):
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.run(bench.executor.halt("a person"))
    bench.account.place(lost.client_order_id, A, "bid", 4_000, 1_000)
    bench.deliver()
    bench.calm(3)
    assert not resting(bench)
    assert lost.state.value == "cancelled"


def test_a_disk_that_hangs_holds_no_halt_and_no_cancel_up(bench, monkeypatch):
    first, second = (bench.submit(ticker=t).order for t in (A, B))
    journal = bench.executor._keeper.journal

    async def never():
        await asyncio.Event().wait()

    def hanging():
        raise AssertionError("the loop would hang in this sync")

    monkeypatch.setattr(keeper, "PATIENCE_S", 0.01)
    monkeypatch.setattr(journal, "on_disk", never)
    monkeypatch.setattr(journal, "commit", hanging)
    bench.run(asyncio.wait_for(bench.executor.cancel(first.client_order_id), 60))
    assert [o.client_order_id for o in resting(bench)] == [second.client_order_id]
    bench.run(asyncio.wait_for(bench.executor.halt("a person"), 60))
    assert not resting(bench)
    assert bench.executor.snapshot().journal_failed is None


def test_exits_are_watched_while_halted(bench):
    """Fills that came before the cancel, and what a market pays, are booked."""
    order = bench.submit().order
    bench.account.fill(bench.account.orders[order.order_id], 400)
    bench.account.sent.clear()
    bench.run(bench.executor.halt("a person"))
    bench.account.settle(A, 10_000)
    bench.calm(40)
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    position = next(line for line in bench.executor.snapshot().positions if line.ticker == A)
    assert (position.position_e2, position.value_e4) == (0, 10_000)
    assert position.pnl_e6 == 400 * 6_000 - 200


def _cancel_answered(bench, reduced_e2: int):
    """Order of 10 contracts, of which a cancel that the exchange answered took ``reduced_e2`` off."""
    order = bench.submit().order

    async def answer(order_id, ticker, shard):
        return Accepted(CancelledOrder(order_id, None, reduced_e2, None, {}), 200)

    bench.account.cancel = answer
    bench.run(bench.executor.cancel(order.client_order_id))
    return order


def test_a_cancel_that_took_nothing_lets_no_order_out_until_fills_are_told(bench):
    order = _cancel_answered(bench, 0)
    assert order.state is OrderState.CANCEL_UNKNOWN
    assert {r.limit for r in bench.submit().refusals} == {"write_unknown"}
    bench.account.fill(bench.account.orders[order.order_id], 1_000)
    bench.calm(5)
    assert (order.state, bench.executor.ledger.position_e2(A)) == (OrderState.FILLED, 1_000)
    assert bench.submit().order is not None


def test_a_second_cancel_that_took_something_tells_what_was_filled(bench):
    bench.account.next_cancel.append("lost")
    order = bench.submit().order
    bench.run(bench.executor.cancel(order.client_order_id))
    assert order.state is OrderState.CANCEL_UNKNOWN
    bench.account.fill(bench.account.orders[order.order_id], 400)
    bench.run(bench.executor.cancel(order.client_order_id))
    assert (order.state, order.fills_missing_e2) == (OrderState.CANCELLED, 400)


def test_a_reduction_needs_no_minute_while_active(bench):
    bench.executor.reduce("a person")
    assert bench.executor.snapshot().mode is RiskMode.REDUCING
    bench.executor.resume("calm")
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_reduction_is_refused_where_the_next_look_would_halt_again(bench):
    """A halt by a loss, say, stands: a reduction that lasted a second was said to be done."""
    control = bench.executor._control
    bench.run(bench.executor.halt("a person"))
    bench.calm(61)
    control.stops["losses"] = lambda: "day_loss_usd: 60 lost"
    with pytest.raises(LimitError, match="trading stays HALTED: day_loss_usd: 60 lost"):
        bench.executor.reduce("a person")
    control.stops["losses"] = lambda: None
    control.stops["streak"] = lambda: "losing_streak: 10 markets lost in a row"  # what a reduction is for
    bench.executor.reduce("a person")
    assert bench.executor.snapshot().mode is RiskMode.REDUCING


def test_a_halt_whose_reason_cannot_be_written_cancels_all_the_same(bench, monkeypatch):
    bench.submit()
    monkeypatch.setattr(bench.executor._control, "_set", lambda mode, why: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.executor.request_halt("a person")
    monkeypatch.undo()
    bench.calm(2)
    assert not resting(bench)


def test_a_cancel_of_all_that_was_due_is_sent_by_the_next_process(bench):
    """Also where no order of this journal works: one by hand may be what it is for."""
    by_hand = bench.account.place("by-hand", A, "bid", 3_000, 500)
    bench.account.next_cancel.extend(["not_sent"] * 100)
    bench.executor.reconnected()
    bench.calm(3)
    assert "by-hand" in bench.executor.mode_why
    bench.crash()
    bench.account.next_cancel.clear()
    bench.open()  # the order was told before: nothing but the journal knows that a cancel is due
    assert by_hand.status == "canceled"
    bench.calm(70)
    bench.crash()
    sent = bench.account.cancel_alls
    bench.open()
    assert bench.account.cancel_alls == sent  # once it worked, no more


def test_an_order_that_no_list_shows_asks_for_no_cancel_of_all_at_every_start(bench):
    """It would stand against a resume at the start for a minute, for ever."""
    order = bench.submit().order
    bench.deliver()
    bench.calm(2)
    del bench.account.orders[order.order_id]
    bench.calm(120)
    assert "missing_order" in bench.executor.mode_why
    sent = bench.account.cancel_alls
    bench.close()
    bench.clock.now_ns += 600 * S
    bench.open()
    bench.executor.resume("it is on no page")
    assert bench.account.cancel_alls == sent
    assert order.client_order_id not in bench.executor.ledger.live
