"""Candidates, expected latency and the choice of exits on a table made by hand."""

import numpy as np

from kalshi_platform.serving.distillation.config import ThresholdsConfig
from kalshi_platform.serving.distillation.thresholds import (
    Pair,
    candidates,
    choose,
    good_enough,
    pairs_of,
    shares_of,
)

CONFIG = ThresholdsConfig(max_value_loss=0.02, agreement_floor=0.9, min_agreement=0.98, least_saving_ms=0.1)


def pair(first, second, ms, mean_return, agreement=0.95) -> Pair:
    return Pair(
        first=first,
        second=second,
        exit_shares={1: 0.5, 2: 0.3, 3: 0.2},
        agreement=agreement,
        mean_return=mean_return,
        expected_ms=ms,
    )


ALONE = pair(None, None, 5.0, 0.100, 1.0)


def test_candidates_are_reached_by_the_shares_they_stand_for():
    confidence = np.arange(1, 11) / 10
    found = candidates(confidence, (1.0, 0.5, 0.1))
    # all reach 0.1; 0.5 x 9 = 4.5 rounds down to the fifth, 0.5, reached by six; 0.9 x 9 = 8.1: 0.9, by two
    assert found == (0.9, 0.5, 0.1)
    assert [float((confidence >= t).mean()) for t in found] == [0.2, 0.6, 1.0]


def test_pairs_hold_every_combination_once_and_the_champion_alone():
    found = pairs_of((0.9, 0.3), (0.8,), lowest_confidence=0.3)
    # at 0.3 every state leaves at tier 1: what tier 2 does there makes no difference
    assert found == [(None, None), (None, 0.8), (0.9, None), (0.9, 0.8), (0.3, None)]


def test_exits_that_save_next_to_nothing_are_not_chosen():
    pairs = [ALONE, pair(0.5, None, 4.95, 0.1), pair(0.7, None, 4.92, 0.2)]
    found = choose(pairs, 0.1, 12, CONFIG)  # the quickest saves 0.08 of the 0.1 ms asked for
    assert found.pair == ALONE
    assert "the quickest of the 2 that are good enough, tier 1 from 0.700, takes 4.920 ms" in found.reason
    assert choose(pairs, 0.1, 12, CONFIG.replace(least_saving_ms=0.07)).pair == pairs[2]


def test_good_enough_is_said_of_the_pairs_and_always_of_the_champion_alone():
    pairs = [pair(0.5, None, 1.0, 0.097), ALONE, pair(0.7, None, 2.0, 0.098), pair(0.8, 0.5, 2.0, 0.2, 0.89)]
    assert good_enough(pairs, 0.1, CONFIG) == [ALONE, pairs[2]]
    assert good_enough(pairs, -0.1, CONFIG) == [ALONE]


def test_the_quickest_pair_that_keeps_the_return_is_chosen():
    # 98 % of 0.1 is 0.098: the quickest loses 3 %, the next one 1 %
    pairs = [ALONE, pair(0.5, None, 1.0, 0.097), pair(0.7, None, 2.0, 0.099), pair(0.9, None, 3.0, 0.101)]
    found = choose(pairs, 0.1, 12, CONFIG)
    assert found.pair == pairs[2]
    assert "98.0% of the model's +10.000% over 12 calibrating blocks" in found.reason


def test_a_pair_that_earns_as_much_by_acting_otherwise_is_not_good_enough():
    pairs = [ALONE, pair(0.5, None, 1.0, 0.2, agreement=0.7), pair(0.9, None, 3.0, 0.1)]
    assert choose(pairs, 0.1, 12, CONFIG).pair == pairs[2]


def test_where_the_champion_earns_nothing_the_actions_must_agree():
    pairs = [ALONE, pair(0.5, None, 1.0, 0.5, 0.97), pair(0.9, None, 3.0, -0.5, 0.985)]
    found = choose(pairs, -0.01, 12, CONFIG)
    assert found.pair == pairs[2]
    assert "is not positive" in found.reason


def test_where_no_pair_is_good_enough_the_champion_decides_everything():
    found = choose([pair(0.5, None, 1.0, 0.0), ALONE], 0.1, 12, CONFIG)
    assert found.pair == ALONE
    assert found.reason.startswith("tier 3 for every group, 5.000 ms: no pair of exits is both good enough")


def test_of_equally_quick_pairs_the_one_that_earns_more_is_chosen():
    pairs = [ALONE, pair(0.5, None, 1.0, 0.099), pair(0.5, 0.5, 1.0, 0.1)]
    assert choose(pairs, 0.1, 12, CONFIG).chosen == 2


def test_shares_are_of_the_first_tier_that_is_sure_enough():
    confidence = {1: np.array([0.9, 0.8, 0.1, 0.1]), 2: np.array([0.1, 0.9, 0.9, 0.2])}
    assert shares_of(confidence, 0.85, 0.9) == {1: 0.25, 2: 0.5, 3: 0.25}
    assert shares_of(confidence, None, 0.9) == {1: 0.0, 2: 0.5, 3: 0.5}
    assert shares_of(confidence, None, None) == {1: 0.0, 2: 0.0, 3: 1.0}
