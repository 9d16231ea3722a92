"""Results of positions that only the exchange's lists told: none is made up, and none is hidden."""

import pytest
from made.execution import ASK, BID, A
from made.plain_account import S


def held(bench, side=BID, price_e4=1_000):
    """100 contracts bought, and marked at their price."""
    bench.account.next_create.append("filled")
    bench.submit(side, price_e4, 10_000, seen={"bid_e4": price_e4, "ask_e4": price_e4 + 100})
    bench.deliver()
    bench.executor.mark(A, price_e4, price_e4, bench.clock.wall_ns())
    bench.calm(3)


def theirs(bench, yes_e2, cost_e6, cash_e6=0):
    """Let the exchange hold so much, by no fill, and let it be taken over."""
    bench.account.yes_e2[A], bench.account.no_e2[A] = max(yes_e2, 0), max(-yes_e2, 0)
    bench.account.cost_e6[A] = cost_e6
    bench.account.cash_e6[0] += cash_e6
    bench.calm(40)
    assert bench.executor.ledger.position_e2(A) == yes_e2
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("price_e4", [1_000, 5_000, 9_000])
@pytest.mark.parametrize("side", [BID, ASK])
def test_a_position_that_shrank_without_a_fill_made_nothing(bench, side, price_e4, restarts):
    """60 of 100 are gone: whatever they cost, the fee is all that was lost."""
    held(bench, side, price_e4)
    own_e4 = price_e4 if side is BID else 10_000 - price_e4
    theirs(bench, 4_000 if side is BID else -4_000, 4_000 * own_e4, 6_000 * own_e4)
    if restarts:
        bench.crash()
        bench.open()
    bench.executor.mark(A, price_e4, price_e4, bench.clock.wall_ns())
    losses = bench.executor._results.losses
    assert (losses.result_e6, losses.day_loss_e6, losses.drawdown_e6) == (-200, 200, 200)
    (line,) = bench.executor.snapshot().positions
    assert (line.pnl_e6, line.worst_loss_e6) == (-200, 4_000 * own_e4 + 200)


def test_a_limit_holds_after_a_person_resumed_over_a_position_that_shrank(benches):
    """40 YES for 4.00 are left: 22.00 more would be 26.00."""
    bench = benches({"market_loss_usd": 25})
    held(bench)
    theirs(bench, 4_000, 4_000_000, 6_000_000)
    bench.calm(70)
    bench.executor.resume("I saw them go")
    refused = bench.submit(BID, 1_000, 22_000, seen={"bid_e4": 900, "ask_e4": 1_000}).refusals
    assert [each.limit for each in refused] == ["market_loss_usd"]


@pytest.mark.parametrize("is_seen", [False, True])
@pytest.mark.parametrize(("cost_e4", "price_e4"), [(1_000, 6_000), (9_000, 3_000)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_position_that_came_without_a_fill_gained_nothing_before_its_first_price(
    benches, sign, cost_e4, price_e4, is_seen
):
    """Bought and sold at 0.50 before, which is no price of it; then 100 come that cost ``cost_e4``.

    What they cost beyond a price that was known then is lost: our own order may have bought them.
    """
    bench = benches({"losing_streak": 9})
    for side in (BID, ASK):
        bench.account.next_create.append("filled")
        bench.submit(side, 5_000, 1_000, seen={"bid_e4": 5_000, "ask_e4": 5_100})
        bench.deliver()
    yes_e4 = price_e4 if sign > 0 else 10_000 - price_e4
    if is_seen:
        bench.executor.mark(A, yes_e4, yes_e4, bench.clock.wall_ns())
    theirs(bench, sign * 10_000, cost_e4 * 10_000)
    if not is_seen:
        bench.crash()
        bench.open()
    losses = bench.executor._results.losses
    lost_e6 = 400 + (10_000 * max(cost_e4 - price_e4, 0) if is_seen else 0)
    assert (losses.day_loss_e6, losses.drawdown_e6) == (lost_e6, lost_e6)
    bench.executor.mark(A, yes_e4, yes_e4, bench.clock.wall_ns())
    bench.calm(2)
    bench.crash()
    bench.open()
    losses = bench.executor._results.losses
    bench.executor.mark(A, yes_e4, yes_e4, bench.clock.wall_ns())
    assert (losses.day_loss_e6, losses.drawdown_e6) == (lost_e6, lost_e6)
    lower_e4 = yes_e4 - sign * 1_000
    bench.executor.mark(A, lower_e4, lower_e4, bench.clock.wall_ns())
    assert losses.day_loss_e6 == lost_e6 + 10_000 * 1_000


def test_a_position_that_turned_round_without_a_fill_made_nothing(bench):
    """100 YES at 0.10 become 40 NO at 0.30, which are worth 0.90: the gain was before."""
    held(bench)
    theirs(bench, -4_000, 12_000_000)
    losses, market = bench.executor._results.losses, bench.executor.ledger.market(A)
    assert (losses.day_loss_e6, losses.drawdown_e6) == (200, 200)
    assert (market.cost_e6, bench.executor.snapshot().positions[0].worst_loss_e6) == (12_000_000, 12_000_200)


def test_a_position_of_before_that_shrank_at_its_cost_made_nothing(benches):
    """100 YES that cost 0.90 and were never seen; 60 go, and the first bid is 0.30."""
    bench = benches({}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 9_000, 10_000), 10_000)
    bench.clock.now_ns += S
    bench.open()
    bench.calm(3)
    theirs(bench, 4_000, 36_000_000)
    bench.executor.mark(A, 3_000, 3_100, bench.clock.wall_ns())
    losses = bench.executor._results.losses
    assert (losses.day_loss_e6, losses.drawdown_e6) == (0, 0)


@pytest.mark.parametrize(("value_e4", "result_e6"), [(0, -50_000_000), (10_000, 4_000 * 5_000 - 6_000 * 100)])
def test_what_left_before_a_market_paid_was_not_paid(benches, value_e4, result_e6):
    """By hand: 100 YES at 0.50, marked 0.49; it pays 40. Paid 0: all is lost. Paid 1: 20.00 are won."""
    bench = benches({"losing_streak": 1, "day_loss_usd": 30})
    bench.account.next_create.append("filled")
    bench.submit(BID, 5_000, 10_000, seen={"bid_e4": 4_900, "ask_e4": 5_000})
    bench.deliver()
    bench.executor.mark(A, 4_900, 5_000, bench.clock.wall_ns())
    bench.calm(3)
    bench.account.yes_e2[A] = 4_000
    bench.account.cash_e6[0] += 600_000  # they brought 0.01 each
    bench.account.settle(A, value_e4)
    bench.executor.reconnected()
    bench.calm(5)
    losses = bench.executor._results.losses
    assert (losses.result_e6, losses.streak) == (result_e6 - 200, int(value_e4 == 0))
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
