"""The executor: what goes out, what comes back, and what a lost outcome stops."""

import asyncio
import dataclasses

import pytest
from made.execution import ASK, BID, A, B, TimeInForce, intent, view
from made.plain_account import S

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.trading.exchange.outcomes import Accepted
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode


def limits_of(submitted):
    return {each.limit for each in submitted.refusals}


def test_the_journal_has_the_order_before_it_leaves(bench):
    """The request finds its own order in the file, read by another connection."""
    import sqlite3

    path, create, seen = bench.executor._keeper.journal.path, bench.account.create, []

    async def looking(order, hindrance):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
            seen.extend(other.execute("SELECT client_order_id, state FROM orders"))
        return await create(order, hindrance)

    bench.account.create = looking
    order = bench.submit().order
    assert seen == [(order.client_order_id, "pending")]


def test_a_refused_intent_leaves_nothing_behind(bench):
    done = bench.submit(qty_e2=200_000)
    assert done.order is None
    assert limits_of(done) == {"order_contracts"}
    assert not bench.account.creates
    assert not bench.executor.ledger.orders
    assert bench.executor.snapshot().counts["refused:order_contracts"] == 1


def test_the_event_of_a_market_is_known_after_a_restart(bench):
    assert bench.executor.event_of(A) == ""
    bench.submit()
    bench.close()
    bench.open()
    assert bench.executor.event_of(A) == A.rpartition("-")[0]


def test_an_answer_that_counts_no_fills_ends_no_order(bench):
    """Nothing is left of it, and how much filled is not told: its position may be old."""
    create = bench.account.create

    async def answer(wanted, hindrance):
        placed = (await create(wanted, hindrance)).answer
        return Accepted(dataclasses.replace(placed, filled_e2=None, remaining_e2=0), 201)

    bench.account.create = answer
    order = bench.submit(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL).order
    assert order.exposed_e2 == 1_000
    bench.deliver()
    assert order.is_ended


def test_a_lost_outcome_stops_orders_and_lets_cancels_go(bench):
    resting = bench.submit().order
    bench.account.next_create.append("lost_accepted")
    lost = bench.submit(qty_e2=500).order
    assert lost.state is OrderState.UNKNOWN
    assert limits_of(bench.submit()) == {"write_unknown"}
    assert bench.run(bench.executor.cancel(resting.client_order_id)).state is OrderState.CANCELLED
    bench.deliver()  # the stream tells of the order
    assert lost.state is OrderState.RESTING
    assert bench.submit().order is not None


def test_a_lost_order_that_never_arrived_is_given_up_only_after_its_grace(bench):
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.calm(12)
    assert lost.state is OrderState.UNKNOWN
    assert limits_of(bench.submit()) == {"write_unknown"}
    bench.calm(10)
    assert lost.state is OrderState.ABSENT
    assert bench.submit().order.state is OrderState.RESTING
    assert len(bench.account.creates) == 2


def test_lists_that_lag_give_no_order_up(bench):
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.run(bench.executor.maintain())
    until = bench.clock.now_ns
    for _ in range(60):
        bench.clock.now_ns += S
        bench.account.lag_ns = (
            bench.clock.now_ns - until
        )  # the exchange's own clock of its lists stands still
        bench.run(bench.executor.maintain())
    assert lost.state is OrderState.UNKNOWN


def test_an_order_that_comes_up_after_it_was_given_up_halts_and_is_cancelled(bench):
    bench.account.next_create.append("lost")
    lost = bench.submit().order
    bench.calm(25)
    assert lost.state is OrderState.ABSENT
    late = bench.account.place(lost.client_order_id, A, "bid", 4_000, 1_000)
    bench.deliver()
    assert lost.state is OrderState.RESTING
    bench.calm(5)
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert "contradicts itself" in bench.executor.snapshot().mode_why
    assert late.status == "canceled"


def test_an_unknown_order_counts_as_filled_against_every_limit(benches):
    bench = benches({"day_loss_usd": 1})
    bench.executor.mark(A, 100, 9_900, bench.clock.wall_ns())
    bench.account.next_create.append("lost")
    bench.submit(price_e4=4_000, qty_e2=1_000)  # 4 dollars for what 0.10 would be had
    snapshot = bench.executor.snapshot()
    assert snapshot.positions == ()
    assert {line.state for line in snapshot.orders} == {"unknown"}
    assert {u.limit: u.value for u in snapshot.used}["account_loss_usd"] == 4_169_100
    bench.executor.mark(A, 100, 9_900, bench.clock.wall_ns())
    bench.executor._results.filled(A, bench.clock.wall_ns())
    bench.run(bench.executor.maintain())
    assert bench.executor.snapshot().mode_why.startswith("day_loss_usd")


def test_a_404_to_a_cancel_after_a_fill_decides_nothing_and_lists_do(bench):
    order = bench.submit().order
    theirs = bench.account.orders[order.order_id]
    bench.account.fill(theirs, 1_000)
    bench.account.sent.clear()  # the stream lost it
    bench.run(bench.executor.cancel(order.client_order_id))
    assert order.state is OrderState.CANCEL_UNKNOWN
    assert limits_of(bench.submit()) == {"write_unknown"}
    bench.calm(3)
    assert order.state is OrderState.FILLED
    assert bench.executor.ledger.position_e2(A) == 1_000
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_cancel_whose_answer_is_lost_and_that_did_nothing_is_proven_to_rest(bench):
    order = bench.submit().order
    bench.account.next_cancel.append("lost")
    bench.run(bench.executor.cancel(order.client_order_id))
    bench.calm(10)
    assert order.state is OrderState.CANCEL_UNKNOWN
    bench.calm(12)  # proven; upkeep cancels it again, since that was wanted
    assert order.state is OrderState.CANCELLED
    assert bench.account.orders[order.order_id].status == "canceled"


def test_a_duplicate_client_id_is_a_lost_outcome_and_halts(bench):
    bench.account.next_create.append("duplicate")
    order = bench.submit().order
    assert order.state is OrderState.UNKNOWN
    bench.run(bench.executor.maintain())
    assert "duplicate_client_id" in bench.executor.snapshot().mode_why


def test_a_late_cancel_reaches_an_order_whose_id_was_unknown(bench):
    bench.account.next_create.append("lost_accepted")
    order = bench.submit().order
    bench.run(bench.executor.cancel(order.client_order_id))
    assert order.state is OrderState.UNKNOWN
    bench.calm(3)
    assert order.state is OrderState.CANCELLED


def test_immediate_orders_end_with_their_answer(bench):
    bench.account.next_create.append("fill_first")
    order = bench.submit(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL).order
    assert (order.state, order.told_filled_e2) == (OrderState.CANCELLED, 500)
    assert order.exposed_e2 == 500  # its fill has not come
    bench.deliver()
    assert order.exposed_e2 == 0
    assert bench.executor.ledger.position_e2(A) == 500


@pytest.mark.parametrize(
    "state",
    [
        "pending",
        "unknown",
        "resting",
        "part_filled",
        "cancelling",
        "cancel_unknown",
        "filled",
        "cancelled",
        "refused",
    ],
)
def test_a_restart_in_every_state_ends_with_the_exchanges_stand(bench, state):
    class DiedError(BaseException):
        """The process ends between sending and the answer."""

    async def dying(*args, real):
        await real(*args)
        raise DiedError

    account = bench.account
    if state == "pending":
        real = account.create
        account.create = lambda *args: dying(*args, real=real)
        with pytest.raises(DiedError):
            bench.submit()
        account.create = real
        order = next(iter(bench.executor.ledger.orders.values()))
    else:
        how = {
            "unknown": "lost_accepted",
            "part_filled": "fill_first",
            "filled": "filled",
            "refused": "refused",
        }
        account.next_create.append(how.get(state, "accepted"))
        order = bench.submit().order
    if state == "cancelling":
        real_cancel = account.cancel
        account.cancel = lambda *args: dying(*args, real=real_cancel)
        with pytest.raises(DiedError):
            bench.run(bench.executor.cancel(order.client_order_id))
        account.cancel = real_cancel
    elif state in ("cancel_unknown", "cancelled"):
        account.next_cancel.append("lost" if state == "cancel_unknown" else "accepted")
        bench.run(bench.executor.cancel(order.client_order_id))
    bench.crash()
    bench.open()
    bench.calm(30)
    found = bench.executor.ledger.orders[order.client_order_id]
    theirs = next((o for o in account.orders.values()), None)
    words = {"executed": "filled", "canceled": "cancelled", "resting": "resting"}
    # A refusal that was not yet on disk is lost with the process: lists prove the order absent instead.
    assert found.state.value == (words[theirs.status] if theirs else "absent")
    assert bench.executor.ledger.cash_e6 == account.cash_e6
    assert bench.executor.ledger.position_e2(A) == account.position_e2(A)
    assert len(account.creates) == 1
    assert bench.submit(ticker=B).order is not None


def test_half_an_hour_without_names_forgets_none_of_six_resting_orders(bench):
    orders = [bench.submit(price_e4=3_000 + 100 * n, ticker=t).order for n in range(3) for t in (A, B)]
    bench.deliver()
    bench.account.away = True
    for minute in range(30):
        if minute == 3:  # the exchange trades on
            bench.account.fill(bench.account.orders[orders[0].order_id], 400)
            bench.account.end(bench.account.orders[orders[1].order_id])
        if minute == 10:
            bench.account.sent.clear()
            assert bench.run(bench.executor.cancel(orders[2].client_order_id)).state is OrderState.RESTING
        bench.calm(60)
    assert "not_reconciled" in limits_of(bench.submit())
    assert [o.state for o in orders[3:]] == [OrderState.RESTING] * 3
    assert all(o.client_order_id in bench.executor.ledger.live for o in orders)
    bench.account.away = False
    bench.calm(10)
    assert [o.state.value for o in orders] == [
        "resting",
        "cancelled",
        "cancelled",
        "resting",
        "resting",
        "resting",
    ]
    assert orders[0].filled_e2 == orders[0].fills_e2 == 400
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    assert bench.submit().order is not None


def test_a_journal_that_cannot_be_written_sends_nothing_and_still_cancels(bench):
    resting = bench.submit().order
    bench.executor._keeper.journal._db.execute("PRAGMA query_only=1")
    done = bench.submit()
    assert limits_of(done) == {"journal_failed"}
    assert len(bench.account.creates) == 1
    bench.run(bench.executor.maintain())
    assert bench.account.orders[resting.order_id].status == "canceled"
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    with pytest.raises(LimitError):
        bench.executor.resume("all is well")
    bench.executor._keeper.journal._db.execute("PRAGMA query_only=0")


def test_an_intent_that_no_exchange_could_take_is_refused_before_the_journal(bench):
    with pytest.raises(ContractError, match="post_only"):
        bench.submit(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL, post_only=True)
    assert not bench.executor.ledger.orders
    assert bench.submit().order is not None


def test_a_repeated_fill_is_booked_once_and_counted(bench):
    order = bench.submit().order
    bench.account.fill(bench.account.orders[order.order_id], 300)
    bench.account.sent = bench.account.sent * 3
    bench.deliver()
    assert order.fills_e2 == 300
    assert bench.executor.snapshot().counts["repeated_fills"] == 2
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


def test_a_cut_order_that_only_reduces_is_no_contradiction(bench):
    order = bench.submit(
        ASK, qty_e2=500, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL, reduce_only=True
    ).order
    bench.account.orders[order.order_id].initial_e2 = 200
    bench.account.tell(bench.account.orders[order.order_id])
    bench.deliver()
    assert not bench.executor.ledger.surprises


def test_frames_that_cannot_be_read_are_counted_and_lists_are_asked_for(bench):
    for message in (
        {"type": "fill", "msg": {"trade_id": "t"}},
        {"type": "user_order", "msg": {"order_id": "o", "ticker": A, "status": "odd"}},
    ):
        bench.executor.take_message(message)
    for odd in (
        {},
        {"type": "fill"},
        {"type": "fill", "msg": []},
        {"type": "new", "msg": {}},
        {"type": ["fill"], "msg": {}},
    ):
        bench.executor.take_message(odd)
    before = bench.executor.snapshot().counts["comparisons"]
    bench.calm(3)
    counts = bench.executor.snapshot().counts
    assert counts["unreadable_reports"] == 2
    assert counts["comparisons"] > before


def test_exits_go_out_while_reducing_and_nothing_else(bench):
    bench.account.next_create.append("filled")
    bench.submit(qty_e2=1_000)
    bench.deliver()
    bench.executor.reduce("a person")
    assert limits_of(bench.submit(BID)) == {"not_active"}
    assert limits_of(bench.submit(ASK, qty_e2=1_001)) == {"not_active"}
    assert bench.submit(ASK, qty_e2=600, price_e4=4_100).order is not None
    assert limits_of(bench.submit(ASK, qty_e2=401, price_e4=4_100)) == {"not_active"}
    assert bench.submit(ASK, qty_e2=400, price_e4=4_100).order is not None


def while_the_disk_is_waited_for(bench, monkeypatch, act) -> None:
    """Let ``act`` happen between an order's line in the journal and its being on disk."""
    keeper = bench.executor._keeper
    whole = keeper.on_disk

    async def on_disk() -> None:
        act()
        await whole()

    monkeypatch.setattr(keeper, "on_disk", on_disk)


def test_a_halt_while_the_disk_is_waited_for_keeps_the_order_here(bench, monkeypatch):
    while_the_disk_is_waited_for(bench, monkeypatch, lambda: bench.executor.request_halt("a test"))
    assert limits_of(bench.submit()) == {"not_active"}
    assert bench.account.creates == []
    (order,) = bench.executor.ledger.orders.values()
    assert order.state is OrderState.REFUSED
    assert bench.executor.ledger.live == {}


def test_a_halt_while_tokens_are_waited_for_keeps_the_order_here(bench):
    bench.account.while_it_waits = lambda: bench.executor.request_halt("a test")
    assert limits_of(bench.submit()) == {"not_active"}
    assert bench.account.creates == []
    (order,) = bench.executor.ledger.orders.values()
    assert (order.state, order.reason) == (OrderState.REFUSED, "not sent: trading is HALTED: a test")
    assert bench.executor.ledger.live == {}
    assert "orders" not in bench.executor.counts


def test_a_book_that_is_lost_while_tokens_are_waited_for_keeps_the_order_here(bench):
    held = view(bench.clock)
    seen = [held]
    bench.account.while_it_waits = lambda: seen.append(dataclasses.replace(held, is_valid=False))
    done = bench.run(bench.executor.submit(intent(bench.clock), held, lambda: seen[-1]))
    assert limits_of(done) == {"book_invalid"}
    assert bench.account.creates == []


def test_a_refusal_without_words_keeps_the_order_here_too(bench):
    def doubt() -> None:
        state = bench.executor._control.state
        state.is_reconciled, state.reconciled_why = False, ""

    bench.account.while_it_waits = doubt
    assert limits_of(bench.submit()) == {"not_reconciled"}
    assert bench.account.creates == []


@pytest.mark.parametrize(("let_out", "state"), [(False, OrderState.REFUSED), (True, OrderState.UNKNOWN)])
def test_an_order_whose_sending_is_cut_is_unknown_only_where_it_was_let_out(bench, let_out, state):
    async def create(order, hindrance):
        if let_out:
            assert hindrance() == ""
        await asyncio.sleep(600)

    async def cut() -> None:
        sending = asyncio.create_task(bench.executor.submit(intent(bench.clock), view(bench.clock)))
        while not bench.executor.ledger.live or bench.executor._keeper.journal.last_number == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the disk has it
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    bench.account.create = create
    bench.run(cut())
    (order,) = bench.executor.ledger.orders.values()
    assert (order.state, order.reason) == (
        state,
        "the sending was stopped" if let_out else "not sent: the sending was stopped",
    )


@pytest.mark.parametrize("failing", [1, 2])  # after the disk, and after the tokens
def test_an_order_about_which_a_limit_fails_was_not_sent(bench, monkeypatch, failing):
    check, calls = bench.executor._gate.check_again, []

    def fails(*given):
        calls.append(given)
        if len(calls) == failing:
            raise ValueError("odd")
        return check(*given)

    monkeypatch.setattr(bench.executor._gate, "check_again", fails)
    with pytest.raises(ValueError, match="odd"):
        bench.submit()
    (order,) = bench.executor.ledger.orders.values()
    assert order.state is OrderState.REFUSED
    assert bench.account.creates == []


def test_an_order_that_a_full_disk_took_out_of_the_journal_again_is_not_sent(bench, monkeypatch):
    keeper = bench.executor._keeper
    database = keeper.journal._db

    def fill_the_disk() -> None:
        database.execute(f"PRAGMA max_page_count={database.execute('PRAGMA page_count').fetchone()[0]}")
        keeper.note(0, "long", {"words": "x" * 1_000_000})  # SQLite takes back the whole transaction

    while_the_disk_is_waited_for(bench, monkeypatch, fill_the_disk)
    done = bench.submit()
    assert list(keeper.journal.rows("orders", "number")) == []
    assert limits_of(done) == {"journal_failed"}
    assert bench.account.creates == []
    assert bench.executor.ledger.live == {}


def test_an_order_whose_sending_is_stopped_before_it_left_counts_no_more(bench, monkeypatch):
    def stop() -> None:
        raise asyncio.CancelledError

    while_the_disk_is_waited_for(bench, monkeypatch, stop)
    with pytest.raises(asyncio.CancelledError):
        bench.submit()
    assert bench.account.creates == []
    assert bench.executor.ledger.live == {}


def test_orders_at_the_same_time_are_held_to_the_limits_together(bench):
    bench.executor._gate.limits = bench.executor._gate.limits.replace(market_orders=3)

    async def many():
        wanted = [intent(bench.clock, A, BID, 4_000, 100) for _ in range(8)]
        submits = (bench.executor.submit(each, view(bench.clock, A)) for each in wanted)
        return await asyncio.gather(*submits)

    done = bench.run(many())
    assert sum(each.order is not None for each in done) == len(bench.account.creates) == 3
    assert {limit for each in done for limit in limits_of(each)} == {"market_orders"}


def test_an_order_that_grew_old_while_the_disk_was_waited_for_is_not_sent(bench, monkeypatch):
    def slow_disk() -> None:
        bench.clock.now_ns += 10 * S

    while_the_disk_is_waited_for(bench, monkeypatch, slow_disk)
    assert limits_of(bench.submit()) == {"book_age_ms", "model_age_ms", "decision_age_ms"}
    assert bench.account.creates == []


def test_fees_that_rise_while_an_order_rests_count_against_every_limit(bench):
    def account_loss() -> int:
        return {u.limit: u.value for u in bench.executor.snapshot().used}["account_loss_usd"]

    order = bench.submit().order
    assert account_loss() == 4_169_100  # by hand: 4.00, and 0.168 + 0.0011 of fees
    bench.executor.know_rate(A, 140_000)
    assert account_loss() == 4_337_100  # 0.336 + 0.0011
    bench.executor.know_rate(A, 70_000)
    bench.executor.know_rate(B, 700_000)
    assert account_loss() == 4_337_100
    bench.run(bench.executor.maintain())
    bench.crash()
    bench.open()
    assert bench.executor.ledger.orders[order.client_order_id].fee_bound_e6 == 337_100


def test_ended_orders_leave_memory_and_late_reports_of_them_find_the_journal(benches):
    bench = benches(kept_orders=2)
    bench.account.next_create.extend(["filled"] * 9)
    orders = [bench.submit(qty_e2=100).order for _ in range(9)]
    resting = bench.submit(price_e4=3_000).order
    bench.deliver()
    bench.calm(2)
    ledger, told = bench.executor.ledger, bench.account.trades[0]
    assert len(ledger.orders) == 3
    assert resting.client_order_id in ledger.live
    bench.executor.take_message({"type": "fill", "msg": told})
    bench.executor.take_message({"type": "fill", "msg": {**told, "client_order_id": None}})
    bench.account.tell(bench.account.orders[orders[1].order_id])
    bench.deliver()
    assert bench.executor.snapshot().counts["repeated_fills"] == 2
    assert bench.run(bench.executor.cancel(orders[2].client_order_id)).state is OrderState.FILLED
    with pytest.raises(KeyError):
        bench.run(bench.executor.cancel("kp-nobody"))
    bench.executor.reconnected()
    bench.calm(40)
    assert not ledger.surprises
    assert ledger.cash_e6 == bench.account.cash_e6
    bench.crash()
    bench.open()
    bench.calm(2)
    assert bench.executor.ledger.position_e2(A) == 900
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    assert len(bench.executor.ledger.orders) == 3
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_refusal_whose_end_the_stream_told_first_halts_nothing(bench):
    def tell_end() -> None:
        body = {
            "order_id": "o-crossed", "client_order_id": bench.executor._keeper.journal.next_client_id,
            "ticker": A, "book_side": "bid", "status": "canceled", "yes_price_dollars": "0.4000",
            "initial_count_fp": "10.00", "fill_count_fp": "0.00", "remaining_count_fp": "0.00",
            "exchange_index": 0, "last_update_reason": "PostOnlyCrossCancel",
        }  # fmt: skip
        order = next(iter(bench.executor.ledger.live.values()))
        bench.executor.take_message(
            {"type": "user_order", "msg": body | {"client_order_id": order.client_order_id}}
        )

    create = bench.account.create

    async def told_first(order, hindrance):
        outcome = await create(order, hindrance)
        tell_end()
        return outcome

    bench.account.create = told_first
    bench.account.next_create.append("refused")
    order = bench.submit().order
    bench.calm(5)
    assert order.state is OrderState.CANCELLED
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE
    bench.account.create = create
    assert bench.submit().order is not None


def test_a_refused_create_that_filled_halts_once(bench):
    bench.account.next_create.append("refused")
    refused = bench.submit().order
    order = bench.account.place(refused.client_order_id, A, "bid", 4_000, 1_000)
    bench.account.fill(order, 1_000)
    bench.deliver()
    bench.calm(70)
    assert bench.executor.mode is RiskMode.HALTED
    bench.executor.resume("seen")
    bench.calm(70)
    assert bench.executor.mode is RiskMode.ACTIVE
