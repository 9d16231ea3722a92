"""Results: what a position is worth, and what an order that may be there takes off."""

import pytest
from made.execution import ASK, BID, A, B
from made.plain_account import S

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.risk.modes import RiskMode


def bought(bench, side=BID, price_e4=5_000):
    bench.account.next_create.append("filled")
    bench.submit(side, price_e4, 1_000, seen={"bid_e4": price_e4, "ask_e4": price_e4 + 100})
    bench.deliver()


def test_a_position_is_worth_what_could_be_had_for_it(bench):
    bought(bench)  # 10 YES at 0.50, fee 0.0002
    for bid, ask, worth in ((4_500, 5_500, -500_200), (None, 5_500, -5_000_200), (6_000, None, 999_800)):
        bench.executor.mark(A, bid, ask, bench.clock.wall_ns())
        assert bench.executor.snapshot().pnl_e6 == worth
    bench.crash()
    bench.open()
    assert bench.executor.snapshot().pnl_e6 == -200  # the last fill's price, until one is seen


def test_a_no_position_is_worth_one_less_the_ask(bench):
    bought(bench, ASK)
    bench.executor.mark(A, 4_000, 4_400, bench.clock.wall_ns())
    assert bench.executor.snapshot().pnl_e6 == 10 * 60_000 - 200
    bench.executor.mark(A, 4_000, None, bench.clock.wall_ns())
    assert bench.executor.snapshot().pnl_e6 == -10 * 500_000 - 200


def test_a_gain_of_an_unknown_order_is_not_counted_and_its_loss_is(benches):
    bench = benches({"day_loss_usd": 3})
    bench.executor.mark(A, 3_000, 3_100, bench.clock.wall_ns())
    bench.account.next_create.append("lost")
    bench.submit(BID, 3_500, 1_000)  # 0.05 above what could be had: 0.50 and a fee
    results = bench.executor._results
    bench.executor._results.compared(bench.clock.wall_ns())
    assert results.losses.day_loss_e6 == 500_000 + 160_350
    bench.executor.mark(A, 9_000, 9_100, bench.clock.wall_ns())
    bench.clock.now_ns += S
    results.compared(bench.clock.wall_ns())
    assert results.losses.result_e6 == -160_350


def test_losses_accepted_while_the_disk_syncs_count_no_more(benches):
    bench = benches({"losing_streak": 5})
    for ticker in (A, B):
        bench.account.next_create.append("filled")
        bench.submit(BID, 5_000, 1_000, ticker, seen={"bid_e4": 5_000, "ask_e4": 5_100})
        bench.deliver()
        bench.clock.now_ns += S
        bench.account.settle(ticker, 0)
    bench.executor.reconnected()
    bench.calm(3)
    results, disk = bench.executor._results, bench.executor._keeper.journal._disk
    assert results.losses.streak == 2
    with disk._held:  # rows wait for the end of the sync
        results.accept(bench.clock.wall_ns())
    assert results.losses.streak == 0


@pytest.mark.parametrize("bid", [9_000, 1_000])
def test_a_restart_neither_loses_a_gain_of_before_nor_makes_a_loss_good(benches, bid):
    """10 YES at 0.50 gain 4.00, or lose 4.00, and a minute later the account opens again, without a book."""
    bench = benches({"day_loss_usd": 5, "drawdown_usd": 5})
    bought(bench)
    bench.calm(2)
    bench.executor.mark(A, bid, bid + 100, bench.clock.wall_ns())
    bench.calm(65)

    def stand():
        snapshot = bench.executor.snapshot()
        return snapshot.pnl_e6, snapshot.day_loss_e6, snapshot.drawdown_e6, snapshot.mode

    before = stand()
    lost_e6 = 4_000_200 if bid < 5_000 else 0  # the fee too
    assert before == (1_000 * (bid - 5_000) - 200, lost_e6, lost_e6, RiskMode.ACTIVE)
    bench.crash()
    bench.clock.now_ns += 60 * S
    bench.open()
    bench.calm(2)
    assert stand() == before


def test_a_position_that_was_closed_leaves_no_mark(bench):
    bought(bench)
    bench.executor.mark(A, 9_000, 9_100, bench.clock.wall_ns())
    bench.calm(2)
    assert bench.executor._keeper.journal.meta("marks") == f'{{"{A}":9000}}'
    bench.account.next_create.append("filled")
    bench.submit(ASK, 9_000, 1_000, seen={"bid_e4": 9_000, "ask_e4": 9_100})
    bench.deliver()
    bench.calm(2)
    assert bench.executor._keeper.journal.meta("marks") == "{}"


@pytest.mark.parametrize("text", ["[]", "{", f'{{"{A}":1.5}}', f'{{"{A}":-1}}', f'{{"{A}":true}}'])
def test_marks_that_cannot_be_are_damage(bench, text):
    bench.executor._keeper.journal.set_meta("marks", text)
    bench.close()
    with pytest.raises(DataError, match="its marks are"):
        bench.open()
    bench._executor = None


@pytest.mark.parametrize("restarts", [False, True])
def test_a_position_of_a_new_journal_gained_nothing_today(benches, restarts):
    """By hand: 10 YES that cost 0.30, first seen at 0.90 and then at 0.31: 5.90 lost today."""
    bench = benches({"day_loss_usd": 5}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 3_000, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    bench.calm(3)
    bench.executor.mark(A, None, None, bench.clock.wall_ns())  # an empty side is no price
    if restarts:
        bench.calm(120)
        bench.close()
        bench.open()
    bench.executor.mark(A, 9_000, 9_100, bench.clock.wall_ns())
    bench.calm(2)
    if restarts:
        bench.close()
        bench.open()
        bench.executor.mark(A, 9_000, 9_100, bench.clock.wall_ns())
    assert bench.executor._results.losses.day_loss_e6 == bench.executor._results.losses.drawdown_e6 == 0
    bench.executor.mark(A, 3_100, 3_200, bench.clock.wall_ns())
    assert bench.executor._results.losses.day_loss_e6 == 5_900_000
    bench.calm(2)
    assert bench.executor.snapshot().mode_why.startswith("day_loss_usd: 5900000 lost")


def test_a_position_of_a_new_journal_lost_nothing_today(benches):
    """By hand: 10 YES that cost 0.90, first price 0.30: the 6.00 were lost before."""
    bench = benches({"day_loss_usd": 5}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 9_000, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    bench.executor.mark(A, 3_000, 3_100, bench.clock.wall_ns())
    bench.calm(3)
    assert bench.executor._results.losses.day_loss_e6 == 0
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_fill_can_be_the_first_price_of_a_position_of_before(benches):
    """By hand: 10 YES that cost 0.30; one more is bought at 0.80: no gain but the fill's own fee."""
    bench = benches({}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 3_000, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    bench.account.next_create.append("filled")
    bench.submit(BID, 8_000, 100, seen={"bid_e4": 7_900, "ask_e4": 8_000})
    bench.deliver()
    losses = bench.executor._results.losses
    assert losses.day_loss_e6 == losses.drawdown_e6 == 200
    bench.executor.mark(A, 7_000, 7_100, bench.clock.wall_ns())
    assert losses.day_loss_e6 == 200 + 11 * 100_000


def test_a_market_that_was_sold_at_a_loss_counts_in_the_streak(benches):
    bench = benches({"losing_streak": 2})
    for ticker in (A, B):
        for side, price_e4 in ((BID, 5_000), (ASK, 2_000)):
            bench.account.next_create.append("filled")
            bench.submit(side, price_e4, 1_000, ticker, seen={"bid_e4": price_e4 - 100, "ask_e4": price_e4})
            bench.deliver()
            bench.clock.now_ns += S
        bench.account.settle(ticker, 0)  # nothing is held: the exchange lists no settlement
    assert bench.executor._results.losses.streak == 2
    bench.calm(3)
    assert bench.executor.snapshot().mode is RiskMode.REDUCING
    bench.crash()
    bench.open()
    assert bench.executor._results.losses.streak == 2


def test_a_market_that_is_entered_again_stays_in_the_streak(benches):
    bench = benches({"losing_streak": 2})
    for ticker in (A, B):
        for side, price_e4 in ((BID, 5_000), (ASK, 2_000)):
            bench.account.next_create.append("filled")
            bench.submit(side, price_e4, 1_000, ticker, seen={"bid_e4": price_e4 - 100, "ask_e4": price_e4})
            bench.deliver()
            bench.clock.now_ns += S
        if ticker == A:
            bought(bench)
            bench.calm(70)
            assert bench.executor._results.losses.streak == 1
    assert bench.executor._results.losses.streak == 2


@pytest.mark.parametrize(("price_e4", "paid_e4"), [(9_000, 0), (1_000, 10_000)])
def test_what_a_position_of_before_is_paid_without_any_price_is_no_result_of_today(
    benches, price_e4, paid_e4
):
    bench = benches({"day_loss_usd": 4, "drawdown_usd": 4}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", price_e4, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    bench.account.settle(A, paid_e4)
    bench.executor.reconnected()
    bench.calm(5)
    losses = bench.executor._results.losses
    assert (losses.day_loss_e6, losses.drawdown_e6) == (0, 0)
    bench.account.next_create.append("filled")
    bench.submit(BID, 5_000, 1_000, B, seen={"bid_e4": 4_900, "ask_e4": 5_000})
    bench.deliver()
    bench.executor.mark(B, 1_000, 1_100, bench.clock.wall_ns())
    assert losses.day_loss_e6 == 4_000_200  # and hides no loss of today


@pytest.mark.parametrize(("side", "empty"), [("bid", (None, 6_000)), ("ask", (4_000, None))])
def test_an_empty_side_is_no_price_of_a_position_of_before(benches, side, empty):
    """By hand: 10 YES (or NO) that cost 0.50 meet a book in which nobody buys them, then 0.50, then 0.01."""
    bench = benches({"day_loss_usd": 4}, opened=False)
    bench.account.fill(bench.account.place("before", A, side, 5_000, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    losses = bench.executor._results.losses
    bench.executor.mark(A, *empty, bench.clock.wall_ns())
    bench.calm(40)  # comparisons too
    assert (losses.result_e6, losses.day_loss_e6) == (0, 0)
    bench.executor.mark(A, 5_000, 5_000, bench.clock.wall_ns())
    assert (losses.result_e6, losses.day_loss_e6) == (0, 0)
    bench.executor.mark(A, *((100, 5_200) if side == "bid" else (4_800, 9_900)), bench.clock.wall_ns())
    assert losses.day_loss_e6 == 4_900_000
    bench.calm(2)
    assert bench.executor.mode is RiskMode.HALTED


@pytest.mark.parametrize("book", [(None, None), (None, 6_100)])
def test_a_fill_is_the_first_price_of_a_position_of_before_whose_side_is_empty(benches, book):
    """By hand: 100 YES that cost 0.10; one is sold at 0.60, and the next book bids 0.60: a fee was lost."""
    bench = benches({"day_loss_usd": 20}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 1_000, 10_000), 10_000)
    bench.clock.now_ns += S
    bench.open()
    losses = bench.executor._results.losses
    bench.executor.mark(A, *book, bench.clock.wall_ns())
    bench.submit(ASK, 6_000, 1_000, seen={"bid_e4": None, "ask_e4": 6_100})
    bench.account.fill(bench.account.orders["o-2"], 100)
    bench.deliver()
    assert (losses.day_loss_e6, losses.drawdown_e6) == (200, 200)
    bench.executor.mark(A, 6_000, 6_100, bench.clock.wall_ns())
    assert (losses.day_loss_e6, losses.drawdown_e6) == (200, 200)
    bench.executor.mark(A, 5_000, 6_100, bench.clock.wall_ns())
    assert losses.day_loss_e6 == 200 + 99 * 100_000  # no gain of before hides it


def test_a_crash_after_the_first_price_moves_no_result_twice(benches):
    bench = benches({"day_loss_usd": 2.5, "drawdown_usd": 2.5}, opened=False)
    bench.account.fill(bench.account.place("before", A, "bid", 2_000, 1_000), 1_000)
    bench.clock.now_ns += S
    bench.open()
    bench.calm(65)
    bench.executor.mark(A, 5_000, 5_100, bench.clock.wall_ns())
    assert bench.submit(BID, 100, 100, B, seen={"bid_e4": 100, "ask_e4": 200}).order  # a commit
    bench.crash()
    bench.open()
    losses = bench.executor._results.losses
    assert (losses.day_loss_e6, losses.drawdown_e6) == (0, 0)
    bench.executor.mark(A, 5_000, 5_100, bench.clock.wall_ns())
    assert (losses.day_loss_e6, losses.drawdown_e6) == (0, 0)


def test_an_exit_at_the_mark_is_no_loss_while_it_waits_and_where_its_outcome_is_lost(benches):
    """By hand: 100 YES at 0.42, the bid is 0.40 and nobody offers any: 2.00 are lost, and fees."""
    bench = benches({"day_loss_usd": 6, "drawdown_usd": 6})
    bench.account.next_create.append("filled")
    bench.submit(BID, 4_200, 10_000, seen={"bid_e4": 4_000, "ask_e4": 4_200})
    bench.deliver()
    losses = bench.executor._results.losses
    bench.executor.mark(A, 4_000, None, bench.clock.wall_ns())
    assert losses.day_loss_e6 == 2_000_200
    bench.account.while_it_waits = lambda: bench.executor.mark(A, 4_000, None, bench.clock.wall_ns())
    bench.account.next_create.append("lost")
    exit_ = bench.submit(ASK, 4_000, 10_000, seen={"bid_e4": 4_000, "ask_e4": None}).order
    assert exit_ is not None
    assert losses.day_loss_e6 == 2_000_200 + exit_.fee_bound_e6
    bench.calm(60)
    assert (losses.day_loss_e6, bench.executor.mode) == (2_000_200, RiskMode.ACTIVE)


def test_an_order_that_was_not_let_out_yet_is_no_loss(benches):
    bench = benches({"day_loss_usd": 5})
    bench.executor.mark(A, 1_000, 1_100, bench.clock.wall_ns())
    seen = []

    def waits():
        bench.executor.mark(A, 1_000, 1_200, bench.clock.wall_ns())
        seen.append(bench.executor._results.losses.day_loss_e6)

    bench.account.while_it_waits = waits
    order = bench.submit(BID, 2_000, 10_000, seen={"bid_e4": 1_000, "ask_e4": 2_000}).order
    assert order is not None
    assert seen == [0]


def test_an_order_on_its_way_counts_until_its_answer_comes(benches):
    bench = benches({"day_loss_usd": 50})
    bench.executor.mark(A, 1_000, 1_100, bench.clock.wall_ns())
    create, seen = bench.account.create, []

    async def slow(order, hindrance):
        answer = await create(order, hindrance)
        bench.executor.mark(A, 1_000, 1_200, bench.clock.wall_ns())  # a frame that overtakes the answer
        seen.append(bench.executor._results.losses.day_loss_e6)
        return answer

    bench.account.create = slow
    order = bench.submit(BID, 2_000, 10_000, seen={"bid_e4": 1_000, "ask_e4": 2_000}).order
    assert seen == [10_000 * 1_000 + order.fee_bound_e6]
    assert bench.executor._results.losses.day_loss_e6 == 0  # it rests


@pytest.mark.parametrize("is_marked", [False, True])
def test_a_restart_counts_an_order_of_unknown_outcome_at_the_prices_of_before(benches, is_marked):
    """By hand: 60 YES at 0.91 where 0.89 could be had: 1.20 and fees, not 54.60."""
    bench = benches({"day_loss_usd": 5, "drawdown_usd": 5})
    bench.account.next_create.append("lost")
    order = bench.submit(BID, 9_100, 6_000, seen={"bid_e4": 8_900, "ask_e4": 9_100}).order
    loss_e6 = 6_000 * 200 + order.fee_bound_e6
    assert bench.executor._results.losses.day_loss_e6 == loss_e6
    if is_marked:
        bench.executor.mark(A, 8_900, 9_100, bench.clock.wall_ns())
    bench.crash()
    bench.clock.now_ns += S
    bench.open()
    assert bench.executor._results.losses.day_loss_e6 == loss_e6
    bench.calm(70)
    assert (bench.executor._results.losses.day_loss_e6, bench.executor.mode) == (0, RiskMode.ACTIVE)


def test_a_day_does_not_begin_at_what_an_order_of_unknown_outcome_may_have_lost(benches):
    bench = benches({"day_loss_usd": 20})
    bought(bench)
    day = 86_400 * S
    bench.clock.now_ns = (bench.clock.now_ns // day + 1) * day - 5 * S
    bench.executor.mark(A, 5_000, 5_100, bench.clock.wall_ns())
    bench.account.next_create.append("lost")
    bench.submit(ASK, 4_000, 1_000, seen={"bid_e4": 5_000, "ask_e4": 5_100})
    losses = bench.executor._results.losses
    assert losses.day_loss_e6 > 1_000_000
    bench.calm(60)
    assert losses.day_loss_e6 == 0
    bench.executor.mark(A, 4_000, 5_100, bench.clock.wall_ns())
    assert losses.day_loss_e6 == 1_000_000
