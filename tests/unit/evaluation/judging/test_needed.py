"""Blocks needed: worked by the normal approximation, and what is said where no number can be."""

import numpy as np
import pytest
from made.registry_models import CHOICE, estimate

from kalshi_platform.evaluation.judging.needed import needed_blocks, needed_words


def spread_of(sd: float, n: int = 20) -> np.ndarray:
    values = np.tile([-1.0, 1.0], n // 2)
    return values / values.std(ddof=1) * sd


def test_the_number_follows_from_the_spread_of_the_question_s_own_blocks():
    nothing, rule = needed_blocks(spread_of(0.06), spread_of(0.03), CHOICE, 0.95)
    # best rule on training events: 3 %, half of it 1.5 %; (1.96 + 0.84)^2 (0.06 / 0.015)^2 = 126, of 0.03 32
    assert (nothing.edge, nothing.spread) == (pytest.approx(0.015), pytest.approx(0.06))
    assert nothing.needed == pytest.approx(126, abs=4)
    assert rule.needed == pytest.approx(32, abs=3)
    assert (nothing.n_blocks, nothing.enough) == (20, False)
    assert rule.question == "earns more than imbalance > 0.5"
    assert "TOO FEW" in needed_words(nothing)
    assert needed_words(rule.replace(n_blocks=40)).endswith("40 judged, enough")


def test_no_edge_no_rule_and_too_few_blocks_are_said():
    lost = CHOICE.rules[1]  # do nothing
    (only,) = needed_blocks(spread_of(0.06), None, CHOICE.replace(rules=(lost.model_dump(),)), 0.95)
    assert (only.needed, only.enough) == (None, None)
    assert "no rule earned anything" in needed_words(only)
    (only,) = needed_blocks(spread_of(0.06), None, None, 0.95)
    assert "no rule was chosen" in needed_words(only)
    (few, _) = needed_blocks(np.array([0.1, 0.2]), np.array([0.1, 0.2]), CHOICE, 0.95)
    assert (few.needed, few.spread) == (None, None)
    assert "fewer than 3 blocks" in needed_words(few)
    loses = CHOICE.rules[0].replace(train_return=estimate(-0.01).model_dump())
    (only,) = needed_blocks(spread_of(0.06), None, CHOICE.replace(rules=(loses.model_dump(),)), 0.95)
    assert only.edge is None
