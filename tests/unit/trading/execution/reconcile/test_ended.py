"""Orders that ended here and rest there: brought back only by lists that are late enough."""

import pytest
from made.plain_account import S

from kalshi_platform.trading.exchange.outcomes import Accepted
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode


def lie(bench, order):
    """Deliver a report that the order was cancelled, which it was not."""
    theirs = bench.account.orders[order.order_id]
    bench.account.sent.append(
        {"type": "user_order", "msg": bench.account.body(theirs) | {"status": "canceled"}}
    )
    bench.deliver()


def test_an_order_that_a_wrong_report_ended_is_brought_back_and_cancelled(bench):
    order = bench.submit().order
    bench.deliver()
    lie(bench, order)
    assert order.state is OrderState.CANCELLED
    bench.calm(80)
    assert bench.executor.snapshot().counts["difference:rests_after_end"] == 1
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert order.state is OrderState.CANCELLED
    assert bench.account.orders[order.order_id].status == "canceled"


def test_a_wrong_acknowledgement_is_no_end_either(bench):
    create = bench.account.create

    async def create_and_say_that_nothing_is_left(order, hindrance):
        outcome = await create(order, hindrance)
        answer = outcome.answer
        said = type(answer)(answer.order_id, answer.client_order_id, 0, 0, None, {})
        return Accepted(said, 201)

    bench.account.create = create_and_say_that_nothing_is_left
    order = bench.submit().order
    assert order.state is OrderState.CANCELLED
    bench.account.sent.clear()
    bench.calm(80)
    assert bench.account.orders[order.order_id].status == "canceled"
    assert bench.executor.snapshot().mode is RiskMode.HALTED


@pytest.mark.parametrize("lag_s", [5, 40, 300])
def test_lists_that_lag_bring_nothing_back(bench, lag_s):
    """They show for a while at rest what has ended since."""
    order = bench.submit().order
    bench.deliver()
    theirs, ended_ns = bench.account.orders[order.order_id], bench.clock.now_ns
    bench.run(bench.executor.cancel(order.client_order_id))
    listed = bench.account.orders_list

    async def lagging(status, ticker, since_ns):
        shown = await listed(None, ticker, since_ns)
        if bench.clock.now_ns - lag_s * S >= ended_ns:
            return await listed(status, ticker, since_ns)
        theirs.status, before = "resting", theirs.status
        shown, theirs.status = await listed(status, ticker, since_ns), before
        return shown

    bench.account.orders_list, bench.account.lag_ns = lagging, lag_s * S
    bench.calm(lag_s + 60)
    assert order.state is OrderState.CANCELLED
    assert bench.executor.snapshot().counts.get("difference:rests_after_end", 0) == 0
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE
