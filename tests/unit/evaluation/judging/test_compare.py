"""Paired differences between a policy and a baseline on the same episodes."""

from dataclasses import replace

import numpy as np
import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.evaluate import PlayStage
from kalshi_platform.models.rules.baselines import DoNothing, RandomTrader


def test_different_episodes_are_never_paired():
    bank = random_bank(4, 1, 80)
    whole, windows = QUICK, QUICK.replace(schedule="windows", window_steps=30)
    make = lambda env: DoNothing(env.layout)  # noqa: E731
    a = PlayStage(bank, whole, print).play(make, ENV, "a")
    b = PlayStage(bank, windows, print).play(make, ENV, "b")
    with pytest.raises(ContractError, match="not the same episodes"):
        compare(a, b, "b", QUICK.bootstrap)


def test_pairing_removes_what_both_share():
    # the same random trader on both sides: differences are exactly zero, though returns are not
    bank = random_bank(6, 2, 80)
    make = lambda env: RandomTrader(env.layout, 0.3, 7)  # noqa: E731
    a, b = (PlayStage(bank, QUICK, print).play(make, ENV, "x") for _ in range(2))
    got = compare(a, b, "x", QUICK.bootstrap)
    assert a.returns.any()
    assert got.difference.estimate == 0.0
    assert not got.beats


def test_the_difference_is_worked_by_hand_and_a_block_is_one_draw():
    # Events E0, E1 of two markets each. The policy returns .04 .02 in E0 and -.01 -.03 in E1, the baseline
    # .01 everywhere: gaps .03 .01 | -.02 -.04, event means .02 and -.03, their mean -.005.
    bank = random_bank(2, 2, 60)
    sample = PlayStage(bank, QUICK, print).play(lambda env: DoNothing(env.layout), ENV, "x")
    assert [bank.markets[m].event for m in sample.records.market] == ["E0", "E0", "E1", "E1"]
    policy = replace(sample, returns=np.array([0.04, 0.02, -0.01, -0.03]))
    baseline = replace(sample, returns=np.full(4, 0.01))
    got = compare(policy, baseline, "x", QUICK.bootstrap)
    assert got.difference.estimate == pytest.approx(-0.005)
    assert got.difference.n_clusters == 2
    assert got.share_of_events_better is None, "two blocks decide nothing"
    assert got.difference.low is None
    assert not got.beats


def test_a_policy_that_was_played_once_meets_every_seed_of_the_baseline():
    bank = random_bank(4, 1, 80)
    stage = PlayStage(bank, QUICK, print)
    once = stage.play(lambda env: DoNothing(env.layout), ENV, "once")
    seeds = iter(QUICK.seeds)
    twice = stage.play(lambda env: RandomTrader(env.layout, 0.3, next(seeds)), ENV, "random", True)
    assert len(once.seeds) == 1
    assert len(twice.seeds) == 2
    # Doing nothing returns 0, so that the difference is the baseline's mean over both seeds, turned round.
    got = compare(once, twice, "random", QUICK.bootstrap)
    by_event = [twice.returns[twice.event == e].mean() for e in range(4)]
    assert got.difference.estimate == pytest.approx(-np.mean(by_event))
