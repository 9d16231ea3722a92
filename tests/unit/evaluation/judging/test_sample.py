"""The averages over plays: market -> event -> block, and a gapped market counts once."""

from dataclasses import replace

import numpy as np
import pytest
from made.evaluation_bank import bank_of, gapped, in_block, market, random_bank
from made.judging import ENV, QUICK

from kalshi_platform.evaluation.judging.evaluate import PlayStage
from kalshi_platform.models.rules.baselines import DoNothing, RandomTrader

FLAT = [5_000] * 12


def idle(bank, config=QUICK):
    return PlayStage(bank, config, print).play(lambda env: DoNothing(env.layout), ENV, "x")


def test_a_gapped_market_returns_the_sum_of_its_parts():
    # A falls into three parts, B is whole. A earned .03 - .01 + .04 = .06, B .02: the event's mean is .04.
    # The mean of A's parts would be .02 and the event's also .02.
    bank = bank_of(gapped(market("A", "E", FLAT), 3, 7), market("B", "E", FLAT))
    sample = idle(bank)
    assert [bank.markets[m].ticker for m in sample.records.market] == ["A", "A", "A", "B"]
    sample = replace(sample, returns=np.array([0.03, -0.01, 0.04, 0.02]))
    market_index, plays = sample.plays()
    assert market_index.tolist() == [0, 1]
    np.testing.assert_allclose(plays, [0.06, 0.02])
    np.testing.assert_allclose(sample.event_means()[1], [0.04])


def test_each_seed_plays_a_gapped_market_once():
    # A under seed 0: .01 + .03 = .04, under seed 1: .05 + .01 = .06; the market's return is their mean .05.
    bank = bank_of(gapped(market("A", "E", FLAT), 5), market("B", "F", FLAT))
    seeds = iter((0, 1))
    sample = PlayStage(bank, QUICK, print).play(
        lambda env: RandomTrader(env.layout, 0.5, next(seeds)), ENV, "random", True
    )
    returns = np.zeros(6)
    returns[sample.records.market == 0] = [0.01, 0.03, 0.05, 0.01]
    np.testing.assert_allclose(replace(sample, returns=returns).event_means()[1], [0.05, 0.0])


def test_windows_of_a_market_are_separate_plays():
    bank = random_bank(2, 1, 80)
    config = QUICK.replace(schedule="windows", window_steps=20, episodes_per_market=3, seeds=(0,))
    sample = idle(bank, config)
    assert sample.windows
    returns = np.where(sample.records.market == 0, 0.03, 0.01)
    assert replace(sample, returns=returns).plays()[1].size == 6
    np.testing.assert_allclose(replace(sample, returns=returns).block_means()[1], [0.03, 0.01])


def test_a_block_is_the_mean_of_its_events_and_blocks_count_alike():
    # Block d1: E0 of markets .02 and .04 (mean .03) and E1 of .09: (.03 + .09) / 2 = .06. Block d2: E2, 0.
    # Over blocks .03; over events (.03 + .09 + 0) / 3 = .04; over markets .0375.
    shape = [("A", "E0", "d1"), ("B", "E0", "d1"), ("C", "E1", "d1"), ("D", "E2", "d2")]
    bank = bank_of(*(in_block(market(t, e, FLAT), b) for t, e, b in shape))
    sample = replace(idle(bank), returns=np.array([0.02, 0.04, 0.09, 0.0]))
    assert (sample.blocks, sample.block.tolist()) == (("d1", "d2"), [0, 0, 0, 1])
    assert sample.event_block.tolist() == [0, 0, 1]
    np.testing.assert_allclose(sample.block_means()[1], [0.06, 0.0])
    got = sample.mean_interval(QUICK.bootstrap)
    assert (got.estimate, got.n_clusters, got.low) == (pytest.approx(0.03), 2, None)
    picked = sample.mean_interval(QUICK.bootstrap, keep=np.array([True, False, True, True]))
    assert picked.estimate == pytest.approx(((0.02 + 0.09) / 2 + 0.0) / 2)


def test_simulated_events_are_blocks_of_their_own():
    sample = idle(random_bank(4, 2, 40))
    assert sample.blocks == sample.events
    np.testing.assert_array_equal(sample.block_means()[1], sample.event_means()[1])
