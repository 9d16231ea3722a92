"""The hindsight optimum against hand-worked markets and exhaustive search."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.evaluation_bank import bank_of, dated, market, random_bank

from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.evaluation.judging.oracle import hindsight_by_segment, hindsight_e6
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.models.rules.baselines import RandomTrader
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import UNSETTLED

BOTH = pytest.mark.parametrize("kernel", [hindsight_e6, hindsight_e6.py_func], ids=["numba", "python"])
QTY = 100


def path(*pairs):
    return np.array([b for b, _ in pairs], np.int32), np.array([a for _, a in pairs], np.int32)


def rates(bid, rate_e6):
    return np.full(bid.size, rate_e6, np.int64)


@BOTH
def test_buys_low_sells_high_and_shorts_the_fall(kernel):
    # buy YES at .51, sell at .69: +.18; then NO at 1 - .69 = .31, sold at 1 - .41 = .59: +.28
    bid, ask = path((4_900, 5_100), (6_900, 7_100), (3_900, 4_100))
    assert kernel(bid, ask, UNSETTLED, QTY, rates(bid, 0)) == (1_800 + 2_800) * QTY


@BOTH
def test_takes_the_settlement_when_it_pays_more(kernel):
    bid, ask = path((4_900, 5_100), (5_900, 6_100))
    assert kernel(bid, ask, 10_000, QTY, rates(bid, 0)) == (10_000 - 5_100) * QTY
    # YES .51 -> .59, then NO bought at 1 - .59 = .41 pays 1
    assert kernel(bid, ask, 0, QTY, rates(bid, 0)) == (800 + 5_900) * QTY


@BOTH
def test_stays_out_where_the_spread_and_fees_eat_everything(kernel):
    bid, ask = path((4_900, 5_100), (5_000, 5_200))
    assert kernel(bid, ask, UNSETTLED, QTY, rates(bid, 70_000)) == 0


@BOTH
def test_pays_both_fees(kernel):
    bid, ask = path((4_900, 5_100), (6_900, 7_100))
    fees = model_fee_e6(70_000, 5_100, QTY) + model_fee_e6(70_000, 6_900, QTY)
    assert kernel(bid, ask, UNSETTLED, QTY, rates(bid, 70_000)) == 1_800 * QTY - fees


@BOTH
def test_pays_at_each_row_the_rate_in_force(kernel):
    bid, ask = path((4_900, 5_100), (6_900, 7_100))
    fees = model_fee_e6(35_000, 5_100, QTY) + model_fee_e6(70_000, 6_900, QTY)
    assert kernel(bid, ask, UNSETTLED, QTY, np.array([35_000, 70_000], np.int64)) == 1_800 * QTY - fees


@BOTH
def test_an_empty_side_cannot_be_traded(kernel):
    bid, ask = path((4_900, -1), (6_900, 7_100))
    assert (
        kernel(bid, ask, UNSETTLED, QTY, rates(bid, 0)) == 0
    )  # no ask to buy from; NO bought at .51 would lose


def plain_optimum(bid, ask, settlement, rate):
    """Every sequence of positions, priced the slow way."""
    best = 0
    for positions in product((-1, 0, 1), repeat=len(bid)):
        cash, held = 0, 0
        for b, a, want in zip(bid.tolist(), ask.tolist(), positions, strict=True):
            if want != held:
                if held:
                    price = b if held > 0 else a
                    cash += QTY * (price if held > 0 else 10_000 - price) - model_fee_e6(rate, price, QTY)
                if want:
                    price = a if want > 0 else b
                    cash -= QTY * (price if want > 0 else 10_000 - price) + model_fee_e6(rate, price, QTY)
            held = want
        if held:
            cash += QTY * (settlement if held > 0 else 10_000 - settlement)
        best = max(best, cash)
    return best


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 95), st.integers(1, 4)), min_size=1, max_size=5),
    st.sampled_from([0, 5_000, 10_000]),
    st.sampled_from([0, 70_000]),
)
def test_equals_the_best_of_all_sequences(quotes, settlement, rate):
    bid = np.array([b * 100 for b, _ in quotes], np.int32)
    ask = np.array([(b + spread) * 100 for b, spread in quotes], np.int32)
    assert hindsight_e6(bid, ask, settlement, QTY, rates(bid, rate)) == plain_optimum(
        bid, ask, settlement, rate
    )


def test_no_policy_of_one_order_earns_more_than_hindsight():
    bank = random_bank(8, 2, 80)
    config = EnvConfig(n_slots=1, latency_ms=0, order_qty_e2=QTY, position_limit_e2=QTY)
    bound = np.zeros(len(bank.markets), np.int64)  # of a market: that of its segments together
    np.add.at(bound, bank.arrays.segments["market"], hindsight_by_segment(bank, QTY))
    for seed in range(3):
        env = ReplayVectorEnv(bank, FixedEpisodes(market_episodes(bank, 1)), config, 8)
        got = run_policy(RandomTrader(env.layout, 0.3, seed), env).records
        assert (got.pnl_e6 <= bound[got.market]).all()


def test_each_unbroken_segment_has_an_optimum_of_its_own():
    rising = market("A", "E", [5_000, 7_000, 5_000, 5_000, 7_000])
    rising.rows.valid[2] = 0  # a gap: two segments, each from .51 to .69
    bank = bank_of(rising)
    each = hindsight_by_segment(bank, QTY, fee_scale_e6=0)
    assert each.tolist() == [1_800 * QTY, 1_800 * QTY]


def test_the_optimum_pays_the_fees_of_the_time_or_of_today():
    from_half_to_full = dated(market("A", "E", [5_000, 7_000]), 500_000)
    bank = bank_of(from_half_to_full)
    paid = [model_fee_e6(rate, price, QTY) for rate in (35_000, 70_000) for price in (5_100, 6_900)]
    assert hindsight_by_segment(bank, QTY).tolist() == [1_800 * QTY - paid[0] - paid[1]]
    assert hindsight_by_segment(bank, QTY, fees="today").tolist() == [1_800 * QTY - paid[2] - paid[3]]
