"""The comparison: what proves something, what is only named, and what is no evidence."""

import pytest
from made.execution import A, B
from made.plain_account import S

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode


def kinds(bench):
    counts = bench.executor.snapshot().counts
    return {name.partition(":")[2]: n for name, n in counts.items() if name.startswith("difference:")}


def test_reports_that_the_stream_lost_are_taken_from_lists_and_named(bench):
    first, second = (bench.submit(ticker=t).order for t in (A, B))
    bench.account.fill(bench.account.orders[first.order_id], 400)
    bench.account.end(bench.account.orders[second.order_id], "ExpiryCancel")
    bench.account.sent.clear()
    bench.calm(40)
    assert (first.fills_e2, second.state) == (400, OrderState.CANCELLED)
    assert kinds(bench) == {"missed_report": 2, "missed_fill": 1}
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_second_lost_cancel_begins_the_proof_anew(bench):
    order = bench.submit().order
    bench.account.next_cancel.extend(["lost", "lost"])
    bench.run(bench.executor.cancel(order.client_order_id))
    bench.calm(12)
    bench.run(bench.executor.cancel(order.client_order_id))
    bench.calm(8)
    assert order.state is OrderState.CANCEL_UNKNOWN
    bench.calm(12)
    assert order.state is OrderState.CANCELLED


def test_an_order_that_rested_and_is_in_no_list_any_more_is_grave(bench):
    order = bench.submit().order
    bench.deliver()
    del bench.account.orders[order.order_id]
    bench.calm(70)
    assert kinds(bench)["missing_order"] == 1
    assert bench.executor.snapshot().mode is RiskMode.HALTED


def test_an_old_order_of_others_that_ended_is_their_own_affair(benches):
    bench = benches(opened=False)
    bench.account.end(bench.account.place("by-hand", A, "bid", 3_000, 100))
    bench.clock.now_ns += S
    bench.open()
    bench.account.next_create.append("lost_accepted")
    bench.submit()  # the market's ended orders are looked at
    bench.calm(5)
    assert kinds(bench) == {"missed_report": 1}


def test_a_fill_whose_order_no_list_shows_keeps_an_unknown_order_unknown(bench):
    """It may be the fill of the very order that is looked for."""
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.clock.now_ns += S
    theirs = bench.account.place(lost.client_order_id, A, "bid", 4_000, 1_000)
    bench.account.fill(theirs, 300)
    hidden = bench.account.orders.pop(theirs.order_id)
    bench.account.sent.clear()
    bench.calm(40)
    assert lost.state is OrderState.UNKNOWN
    bench.account.orders[hidden.order_id] = hidden
    bench.calm(3)
    assert (lost.state, lost.fills_e2) == (OrderState.RESTING, 300)


def test_a_settlement_that_says_nothing_is_not_whole_and_stops_orders(bench):
    bench.account.next_create.append("filled")
    bench.submit()
    bench.deliver()
    bench.account.settle(A, 10_000)
    bench.account.settled[0] |= {"value": None, "market_result": ""}
    bench.calm(160)
    report = bench.executor.snapshot().last_reconcile
    assert not report.is_whole
    assert "no value" in report.why
    assert {r.limit for r in bench.submit(ticker=B).refusals} == {"not_reconciled"}
    bench.account.settled[0] |= {"value": 100}
    bench.calm(3)
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_settlement_waits_for_the_orders_of_its_market_however_long(benches):
    """The list of settlements is asked for from the last comparison on: it must not pass this one."""
    bench = benches(grace_s=300)
    bench.account.next_create.append("filled")
    bench.submit()
    bench.deliver()
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.account.settle(A, 10_000)
    settlements = bench.account.settlements

    async def since(*, since_ns=None):
        pages = await settlements(since_ns=since_ns)
        kept = tuple(each for each in pages.items if each.settled_ns >= (since_ns or 0))
        return type(pages)(kept, pages.complete, pages.why, pages.pages, pages.repeated)

    bench.account.settlements = since
    bench.calm(250)
    assert lost.state is OrderState.UNKNOWN
    assert bench.executor.ledger.market(A).value_e4 is None
    bench.calm(90)
    assert lost.state is OrderState.ABSENT
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_market_that_paid_for_another_position_is_named_by_its_own_ticker(bench):
    bench.account.next_create.extend(["filled", "filled"])
    bench.submit(ticker=A)
    bench.submit(ticker=B)
    bench.deliver()
    bench.account.settle(A, 0)
    bench.account.settled[0]["yes_count_fp"] = "7.00"
    bench.calm(40)
    assert kinds(bench)["settled_position"] == 1
    assert bench.executor.ledger.position_e2(B) == 1_000
    assert bench.executor.ledger.market(B).value_e4 is None
    assert bench.executor.snapshot().mode is RiskMode.HALTED


@pytest.mark.parametrize("moving", ["position", "cash"])
def test_what_moves_while_it_is_read_is_adopted_only_once_it_stands_still(bench, moving):
    account, read = bench.account, bench.account.as_of_ns

    async def as_of_ns():
        if moving == "position":
            account.yes_e2[A] = account.yes_e2.get(A, 0) + 100
        else:
            account.cash_e6[0] += 1_000_000
        return await read()

    account.as_of_ns = as_of_ns
    report = bench.run(bench.executor.reconcile())
    assert not report.is_whole
    assert "move while they are read" in report.why
    assert not report.differences


def test_lists_older_than_the_last_fill_prove_no_difference(bench):
    bench.account.next_create.extend(["filled", "filled"])
    bench.submit()
    bench.deliver()
    bench.calm(3)
    positions, balance = bench.account.position_bodies(), bench.account.balance_body()
    bench.clock.now_ns += S
    bench.submit()
    bench.deliver()
    bench.account.position_bodies, bench.account.balance_body = lambda: positions, lambda: balance
    bench.account.lag_ns = 10 * S
    report = bench.run(bench.executor.reconcile())
    assert "older than the last fill or end" in report.why
    assert report.differences == ()
    bench.calm(3)
    assert bench.executor.ledger.position_e2(A) == 2_000
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    del bench.account.position_bodies, bench.account.balance_body
    bench.account.lag_ns = 0
    bench.calm(3)
    assert bench.executor.snapshot().is_reconciled
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_balance_that_still_holds_the_reserve_of_an_order_that_ended_is_no_difference(bench):
    order = bench.submit().order
    balance = bench.account.balance_body()
    bench.clock.now_ns += S
    bench.run(bench.executor.cancel(order.client_order_id))
    bench.account.balance_body, bench.account.lag_ns = lambda: balance, S
    report = bench.run(bench.executor.reconcile())
    assert "older than the last fill or end" in report.why
    assert report.differences == ()
    del bench.account.balance_body
    bench.account.lag_ns = 0
    assert bench.run(bench.executor.reconcile()).is_whole


def test_a_cancel_that_left_while_lists_were_read_is_given_its_whole_grace(benches):
    bench = benches(grace_s=15)
    order, balance = bench.submit().order, bench.account.balance

    async def slow():
        bench.account.balance = balance
        bench.clock.now_ns += 14 * S
        bench.account.next_cancel.append("lost")
        await bench.executor.cancel(order.client_order_id)
        return await balance()

    bench.account.balance = slow
    bench.run(bench.executor.reconcile())
    bench.clock.now_ns += 2 * S
    bench.run(bench.executor.reconcile())
    assert order.state is OrderState.CANCEL_UNKNOWN
    bench.clock.now_ns += 16 * S
    bench.run(bench.executor.reconcile())
    assert order.state is OrderState.RESTING


@pytest.mark.parametrize("restarts", [False, True])
def test_a_person_who_resumes_ends_an_order_that_no_list_shows(bench, restarts):
    order = bench.submit().order
    bench.deliver()
    del bench.account.orders[order.order_id]
    bench.calm(140)
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    if restarts:
        bench.close()
        bench.open()
        bench.calm(70)
    bench.executor.resume("it is on no page of the exchange")
    bench.calm(70)
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE
    assert bench.executor.ledger.of(order.client_order_id, None).state is OrderState.CANCELLED
    assert bench.submit().order is not None


def test_an_order_that_is_listed_again_is_missing_no_more(bench):
    order = bench.submit().order
    bench.deliver()
    kept = bench.account.orders.pop(order.order_id)
    bench.calm(70)
    bench.account.orders[order.order_id] = kept
    bench.calm(70)
    assert bench.executor._upkeep._reconciler.missing == set()


def test_what_was_named_before_an_error_of_the_same_comparison_halts(bench, monkeypatch):
    """A foreign order is told once: without the halt, it would never be named again."""
    bench.account.place("by-hand", A, "bid", 3_000, 100)
    bench.account.place("by-hand-2", A, "bid", 3_000, 100)
    monkeypatch.setattr(bench.executor._upkeep._reconciler, "_take_fills", _failing)
    report = bench.run(bench.executor.reconcile())
    assert "the journal cannot be read" in report.why
    assert [each.what for each in report.differences] == ["by-hand", "by-hand-2"]
    assert bench.executor.mode is RiskMode.HALTED
    monkeypatch.undo()
    bench.crash()
    bench.open()
    assert bench.executor.mode is RiskMode.HALTED


def test_the_orders_before_one_that_cannot_be_looked_up_halt(bench, monkeypatch):
    bench.account.place("by-hand", A, "bid", 3_000, 100)
    bench.account.place("unreadable", A, "bid", 3_000, 100)
    ledger = bench.executor.ledger
    find = ledger.of
    monkeypatch.setattr(
        ledger, "of", lambda name, id_: _failing() if name == "unreadable" else find(name, id_)
    )
    report = bench.run(bench.executor.reconcile())
    assert [each.what for each in report.differences] == ["by-hand"]
    assert bench.executor.mode is RiskMode.HALTED
    assert report.is_passing


def _failing(*_asked):
    raise StorageError("the journal cannot be read")


def test_an_end_that_only_lists_tell_is_younger_than_older_lists(bench):
    order = bench.submit().order
    bench.deliver()
    bench.calm(2)
    bench.account.end(bench.account.orders[order.order_id], "ExpiryCancel")
    bench.account.sent.clear()
    ended_ns = bench.clock.now_ns
    bench.clock.now_ns += S
    bench.run(bench.executor.reconcile())
    assert bench.executor.ledger.newest_ns == ended_ns // 1_000_000 * 1_000_000
