"""Losses: a rolling window against a plain one, days, and what a restart remembers."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.execution.risk.losses import MINUTE_NS, LossWatch, losing_streak

DAY0 = 20_000 * NS_PER_DAY
steps = st.lists(st.tuples(st.integers(0, 40), st.integers(-1_000, 1_000)), min_size=1, max_size=60)


@given(steps, st.integers(1, 90))
def test_the_drawdown_is_that_of_a_plain_window_of_minutes_also_after_a_restart(steps, window):
    saved = {}
    watch = LossWatch(window * MINUTE_NS, lambda minute, best, last: saved.update({minute: (best, last)}))
    minute, seen = DAY0 // MINUTE_NS, []
    for wait, result in steps:
        minute += wait
        seen.append((minute, result))
        watch.observe(result, minute * MINUTE_NS + 5)
        watch.save()
        best = max(r for m, r in seen if m > minute - window)
        assert watch.drawdown_e6 == max(0, best - result)
    again = LossWatch(window * MINUTE_NS, lambda *_: None)
    for at in sorted(saved):
        again.restore(at, *saved[at])
    assert (again.drawdown_e6, again.result_e6) == (watch.drawdown_e6, watch.result_e6)
    again.observe(again.result_e6, minute * MINUTE_NS + 5)
    assert again.drawdown_e6 == watch.drawdown_e6


def test_the_day_begins_with_the_last_result_before_midnight_and_the_window_does_not():
    watch = LossWatch(3 * NS_PER_DAY, lambda *_: None)
    watch.observe(0, DAY0)
    watch.observe(-300, DAY0 + NS_PER_DAY - 1)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (300, 300)
    watch.observe(-300, DAY0 + NS_PER_DAY)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (0, 300)
    watch.observe(-350, DAY0 + NS_PER_DAY + MINUTE_NS)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (50, 350)


def test_a_clock_that_is_set_back_opens_no_earlier_day():
    watch = LossWatch(NS_PER_DAY, lambda *_: None)
    watch.observe(0, DAY0 + NS_PER_DAY)
    watch.observe(-100, DAY0)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (100, 100)


def test_accepted_losses_begin_anew():
    watch = LossWatch(NS_PER_DAY, lambda *_: None)
    watch.observe(0, DAY0)
    watch.observe(-100, DAY0)
    watch.accept()
    assert (watch.day_loss_e6, watch.drawdown_e6) == (0, 0)
    watch.observe(-130, DAY0 + MINUTE_NS)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (30, 30)


def test_a_streak_ends_with_a_gain_and_not_with_nothing():
    assert losing_streak([]) == 0
    assert losing_streak([-1, -1, 0, -1]) == 3
    assert losing_streak([-1, 5, -1]) == 1
    assert losing_streak([-1, 5]) == 0


def test_a_shift_moves_results_and_bests_alike():
    saved = []
    losses = LossWatch(180 * MINUTE_NS, lambda *row: saved.append(row))
    for minute, result in ((0, 5), (1, 2)):
        losses.observe(result, minute * MINUTE_NS)
    losses.save()
    losses.shift(100)
    assert (losses.result_e6, losses.drawdown_e6, losses.day_loss_e6) == (102, 3, 3)
    losses.save()
    assert len(saved) == 1  # whoever shifts moves the saved minutes too
    losses.observe(101, MINUTE_NS)
    assert losses.drawdown_e6 == 4


def test_a_streak_goes_on_from_the_one_before():
    assert losing_streak([-1, -1], 3) == 5
    assert losing_streak([-1, 1, -1], 3) == 1
    assert losing_streak([], 3) == 3


def test_what_orders_of_unknown_outcome_may_have_lost_is_no_base_of_a_later_loss():
    saved = []
    watch = LossWatch(2 * MINUTE_NS, lambda *row: saved.append(row))
    watch.observe(0, DAY0 + NS_PER_DAY - 1, unknown_loss_e6=70)
    assert (watch.result_e6, watch.known_e6, watch.day_loss_e6, watch.drawdown_e6) == (-70, 0, 70, 70)
    watch.save()
    assert saved[-1][1:] == (0, 0)
    watch.observe(5, DAY0 + NS_PER_DAY + 2 * MINUTE_NS, unknown_loss_e6=70)  # the window is another one too
    assert (watch.day_loss_e6, watch.drawdown_e6) == (65, 70)
    watch.accept()
    assert (watch.day_loss_e6, watch.drawdown_e6) == (70, 70)  # nobody accepts what is not known
    watch.observe(5, DAY0 + NS_PER_DAY + 2 * MINUTE_NS)
    assert (watch.day_loss_e6, watch.drawdown_e6) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-1_000, 1_000), st.integers(0, 500)), min_size=1))
def test_an_unknown_loss_adds_to_the_loss_and_leaves_nothing_behind(steps):
    watch, plain = LossWatch(60 * MINUTE_NS, lambda *_: None), LossWatch(60 * MINUTE_NS, lambda *_: None)
    minute = DAY0 // MINUTE_NS
    for wait, result, unknown in steps:
        minute += wait
        watch.observe(result, minute * MINUTE_NS, unknown)
        plain.observe(result, minute * MINUTE_NS)
        assert watch.drawdown_e6 == plain.drawdown_e6 + unknown
        assert watch.day_loss_e6 == max(0, watch._day_start_e6 - result + unknown)
        assert watch._day_start_e6 == plain._day_start_e6
