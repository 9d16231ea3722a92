"""The kernels that watch an episode: where a trip is booked, drawdown, histogram, spread of observations."""

import pytest
from made.evaluation_bank import bank_of, market
from made.rollouts import Script, env_of

from kalshi_platform.evaluation.judging import watch
from kalshi_platform.evaluation.judging.rollout import RolloutConfig, run_policy
from kalshi_platform.models.rules.baselines import (
    DoNothing,
)


def test_a_round_trip_is_booked_at_its_entry():
    # mid .50 .50 .50 .70 .70; bought at .51 (ask) on the 1st decision, sold at .69 (bid) on the 4th
    bank = bank_of(market("A", "E", [5_000, 5_000, 5_000, 7_000, 7_000, 7_000]))
    env = env_of(bank, 1, fee_scale_e6=0)
    got = run_policy(Script(env.layout, [1, 0, 0, 2, 0]), env)
    assert got.records.pnl_e6.tolist() == [(6_900 - 5_100) * 1_000]  # 10 contracts, 1e-6 dollar
    assert got.tallies.price_pnl_e6[0].tolist() == [0, 0, 0, 0, 0, 1_800_000, 0, 0, 0, 0]
    assert got.tallies.price_wins[0, 5] == 1
    assert got.tallies.price_trips.sum() == 1
    # entered on row 1, four seconds before the close at row 5
    assert got.tallies.close_pnl_e6[0].tolist() == [1_800_000, 0, 0, 0, 0, 0, 0]


def test_a_settlement_is_booked_to_the_trip_that_was_open():
    bank = bank_of(market("A", "E", [8_000] * 4, settlement_e4=0))
    env = env_of(bank, 1, fee_scale_e6=0)
    got = run_policy(Script(env.layout, [1, 0]), env)
    assert got.records.pnl_e6.tolist() == [-8_100_000]  # 10 contracts at .81 expire worthless
    assert got.tallies.price_pnl_e6[0, 8] == -8_100_000
    assert got.drawdown_e6.tolist() == [8_100_000]


def test_the_drawdown_is_the_fall_from_the_peak_of_the_episode():
    # long 10 from .51: marks .60 (+.9), .40 (-1.1), .60
    bank = bank_of(market("A", "E", [5_000, 5_000, 6_000, 4_000, 6_000, 6_000]))
    env = env_of(bank, 1, fee_scale_e6=0)
    got = run_policy(Script(env.layout, [1, 0]), env)
    assert got.drawdown_e6.tolist() == [2_000_000]  # from .60 to .40, 10 contracts


def test_the_heat_map_counts_each_look_once_and_flat_stays_in_the_middle():
    bank = bank_of(market("A", "E", [5_000] * 6))
    env = env_of(bank, 1)
    got = run_policy(DoNothing(env.layout), env)
    middle = watch.N_POSITION_BINS // 2
    assert got.tallies.heat[middle, 5] == got.tallies.heat.sum() > 0


def test_observations_are_summed_per_feature():
    bank = bank_of(market("A", "E", [4_000, 6_000, 4_000, 6_000, 4_000, 6_000]))
    env = env_of(bank, 1)
    got = run_policy(DoNothing(env.layout), env, RolloutConfig(stats_every=1))
    mid = got.tallies.stats[got.feature_names.index("mid")]
    assert mid[watch.STAT_MIN] == pytest.approx(0.4)
    assert mid[watch.STAT_MAX] == pytest.approx(0.6)
    assert mid[watch.STAT_SUM] / mid[watch.STAT_COUNT] == pytest.approx(0.48)  # 3 of 5 looks at .4
    assert not got.tallies.stats[:, watch.STAT_BAD].any()


@pytest.mark.parametrize("kernel", [watch.position_bin, watch.position_bin.py_func], ids=["numba", "python"])
def test_only_flat_falls_into_the_middle_position_bin(kernel):
    # limit 100, four bins a side of 25 each
    assert [kernel(p, 100) for p in (0, 1, 25, 26, 100, 999, -1, -100)] == [4, 5, 5, 6, 8, 8, 3, 0]


@pytest.mark.parametrize("kernel", [watch.close_bin, watch.close_bin.py_func], ids=["numba", "python"])
def test_time_to_close_is_binned_by_its_upper_edge(kernel):
    second = 1_000_000_000
    left = [0, 9, 10, 59, 60, 299, 3_599, 86_399, 86_400]
    assert [kernel(10**18, 10**18 - x * second) for x in left] == [0, 0, 1, 1, 2, 2, 3, 4, 5]
    assert kernel(watch.NO_CLOSE, 5) == len(watch.CLOSE_LABELS) - 1
    assert kernel(100, 200) == 0
