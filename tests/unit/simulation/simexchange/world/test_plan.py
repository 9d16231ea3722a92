"""The day of an event: consistent probabilities that are martingales, and what each category schedules."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.simulation.simexchange.contracts import draw_contracts
from kalshi_platform.simulation.simexchange.world import WorldConfig
from kalshi_platform.simulation.simexchange.world.config import CATEGORIES
from kalshi_platform.simulation.simexchange.world.plan import ECONOMICS, POLITICS, SPORTS, plan_event
from kalshi_platform.simulation.simexchange.world.records import (
    ACTIVITY,
    JUMP,
    NEWS,
    PAUSE,
    QUIET,
    REGRID,
    RESUME,
)

NS = 1_000_000_000


def planned(seed, family="brackets", category=0, n=4, duration_s=3_600.0, **changes):
    rng = np.random.default_rng(seed)
    lower, upper = np.array([c.bounds for c in draw_contracts(rng, family, n)]).T.copy()
    return plan_event(WorldConfig(**changes), rng, category, duration_s, lower, upper)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    category=st.integers(0, len(CATEGORIES) - 1),
    n=st.integers(2, 6),
    jump_share=st.floats(0.01, 0.9),
    news_s=st.floats(1.0, 60.0),
    resolved=st.floats(0.01, 0.999),
)
def test_brackets_sum_to_one_and_thresholds_nest_after_every_news(
    seed, category, n, jump_share, news_s, resolved
):
    changes = {"jump_share": jump_share, "news_s": news_s, "resolved": resolved}
    brackets = planned(seed, "brackets", category, n, **changes).schedule.fair
    assert np.abs(brackets.sum(axis=1) - 1).max() < 1e-12
    assert brackets.min() >= 0
    nested = planned(seed, "nested", category, n, **changes).schedule.fair
    assert (np.diff(nested, axis=1) <= 1e-15).all()  # a higher threshold is never likelier
    assert nested.min() >= 0
    assert nested.max() <= 1


@pytest.mark.parametrize("category", range(len(CATEGORIES)))
def test_the_fair_probability_is_a_martingale_that_the_settlement_follows(category):
    moves, errors = [], []
    for seed in range(600):
        plan = planned(seed, "nested", category, 3, news_s=60.0)
        fair = plan.schedule.fair
        rng = np.random.default_rng([seed, 1])
        final = plan.forecast + np.sqrt(plan.variance) * rng.standard_normal()
        contracts = draw_contracts(np.random.default_rng(seed), "nested", 3)
        outcome = np.array([c.bounds[0] < final <= c.bounds[1] for c in contracts])
        moves.append(fair[-1] - fair[0])
        errors.append(outcome - fair[-1])
        assert 0 < plan.variance < 1
    for seen in (np.array(moves), np.array(errors)):
        assert (np.abs(seen.mean(axis=0)) < 4 * seen.std(axis=0) / np.sqrt(len(seen))).all()
        assert seen.std() > 0.02  # something does resolve


def test_items_come_in_order_and_every_row_of_the_path_is_told_once():
    schedule = planned(1, pause_share=1.0, regrid_share=1.0).schedule
    assert (np.diff(schedule.at_ns) >= 0).all()
    told = schedule.value[np.isin(schedule.kind, [NEWS, JUMP])]
    assert told.tolist() == list(range(1, schedule.fair.shape[0]))
    kinds = schedule.kind.tolist()
    assert [kinds.count(kind) for kind in (PAUSE, RESUME, REGRID)] == [1, 1, 1]
    pause, resume = (int(schedule.at_ns[kinds.index(kind)]) for kind in (PAUSE, RESUME))
    assert resume - pause == 60 * NS


def test_a_release_comes_at_its_time_after_makers_were_told_to_withdraw():
    schedule = planned(2, category=ECONOMICS, quiet_s=20.0).schedule
    kinds = schedule.kind.tolist()
    assert kinds.count(JUMP) == kinds.count(QUIET) == 1
    quiet, jump = kinds.index(QUIET), kinds.index(JUMP)
    assert schedule.value[quiet] == schedule.at_ns[jump]
    assert schedule.at_ns[jump] - schedule.at_ns[quiet] == pytest.approx(20 * NS, abs=2)


def test_a_game_ends_before_the_announced_time_and_scores_nothing_in_its_break():
    for seed in range(40):
        plan = planned(seed, category=SPORTS, jumps_per_hour=20.0)
        assert 0.75 * 3_600 <= plan.end_s <= 0.95 * 3_600
        at_s = plan.schedule.at_ns[plan.schedule.kind == JUMP] / 1e9
        assert at_s.size > 10
        assert not ((at_s > 0.45 * plan.end_s) & (at_s < 0.55 * plan.end_s)).any()


def test_news_of_politics_are_as_many_as_told_and_make_takers_busy():
    jumps = [
        int((planned(seed, category=POLITICS, jumps_per_hour=6.0).schedule.kind == JUMP).sum())
        for seed in range(300)
    ]
    assert np.mean(jumps) == pytest.approx(6.0, abs=4 * np.sqrt(6 / 300))
    schedule = planned(5, category=POLITICS, jumps_per_hour=6.0).schedule
    at = schedule.at_ns[schedule.kind == JUMP][0]
    busy = schedule.value[(schedule.kind == ACTIVITY) & (schedule.at_ns == at)]
    assert busy.tolist() == [3_000]


def test_takers_stay_busy_for_five_minutes_after_the_last_of_two_near_jumps():
    near = 0
    for seed in range(20):
        schedule = planned(seed, category=POLITICS, jumps_per_hour=30.0).schedule
        jumps = schedule.at_ns[schedule.kind == JUMP]
        calm = schedule.at_ns[(schedule.kind == ACTIVITY) & (schedule.value == 1_000)]
        for at in calm.tolist():
            assert not ((jumps > at - 300 * NS) & (jumps < at)).any()
        near += int((np.diff(jumps) < 300 * NS).sum())
    assert near > 50


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12), family=st.sampled_from(["nested", "brackets"]))
def test_probabilities_at_the_opening_are_those_of_the_strikes_that_files_show(seed, n, family):
    # strikes are 60 + 10 x, x normal: the normal distribution of the standard library gives every price
    contracts = draw_contracts(np.random.default_rng(seed), family, n)
    lower, upper = np.array([c.bounds for c in contracts]).T.copy()
    opening = plan_event(WorldConfig(), np.random.default_rng(seed), 0, 3_600.0, lower, upper).schedule.fair[
        0
    ]
    index = NormalDist(60.0, 10.0)
    below = [0.0 if c.lower is None else index.cdf(c.lower) for c in contracts]
    up_to = [1.0 if c.upper is None else index.cdf(c.upper) for c in contracts]
    np.testing.assert_allclose(opening, np.subtract(up_to, below), atol=1e-12)
