"""The PPO loss against numbers worked by hand."""

import math

import pytest
import torch

from kalshi_platform.learning.training.learner import ppo_loss

COEFFICIENTS = {"clip": 0.2, "value_clip": 1.0, "value_coeff": 0.5, "entropy_coeff": 0.01}


def loss_of(ratio=1.0, advantage=1.0, value=0.0, old_value=0.0, target=0.0, **changes):
    """One sample, two slots of which the second holds no market; two actions of probability 1/2 each."""
    even = torch.full((1, 2, 2), math.log(0.5))
    both = lambda x, other: torch.tensor([[x, other]])  # noqa: E731
    return ppo_loss(
        even,
        both(1.0, 0.0),
        both(value, 99.0),
        torch.zeros(1, 2, dtype=torch.int8),
        both(math.log(0.5 / ratio), 7.0),
        both(old_value, -99.0),
        both(advantage, 55.0),
        both(target, 11.0),
        **(COEFFICIENTS | changes),
    )


def test_a_minibatch_without_a_market_teaches_nothing_and_is_no_nan():
    nothing = torch.zeros(1, 2)
    even = torch.full((1, 2, 2), math.log(0.5), requires_grad=True)
    total, parts = ppo_loss(
        even, nothing, nothing, torch.zeros(1, 2, dtype=torch.int8), nothing, nothing, nothing, nothing,
        **COEFFICIENTS,
    )  # fmt: skip
    total.backward()
    assert total.item() == 0.0
    assert all(part.item() == 0.0 for part in parts.values())
    assert not even.grad.any()


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate"),
    [
        (1.0, 2.0, 2.0),
        (1.5, 2.0, 2.4),  # clipped at 1.2: nothing is won by going further
        (1.5, -2.0, -3.0),  # the worse of the two counts: -3.0 is below 1.2 x -2
        (0.5, -2.0, -1.6),  # clipped at 0.8
        (0.5, 2.0, 1.0),
    ],
)
def test_the_surrogate_is_clipped_where_it_would_reward_going_further(ratio, advantage, surrogate):
    total, parts = loss_of(ratio, advantage)
    assert parts["policy_loss"].item() == pytest.approx(-surrogate, rel=1e-5)
    # The bonus is 0.01 x ln 2, the entropy of an even choice of two; values are 0 and cost nothing.
    assert total.item() == pytest.approx(-surrogate - 0.01 * math.log(2), rel=1e-5)


def test_a_value_that_moves_too_far_is_judged_where_it_may_have_gone():
    # From 0 to 3 with a move of at most 1: (3 - 3)^2 = 0 against (1 - 3)^2 = 4, the larger counts, halved.
    assert loss_of(value=3.0, target=3.0)[1]["value_loss"].item() == pytest.approx(2.0)
    assert loss_of(value=0.5, target=1.0)[1]["value_loss"].item() == pytest.approx(0.125)


def test_the_report_tells_how_far_the_policy_moved():
    _, parts = loss_of(ratio=1.5)
    assert parts["entropy"].item() == pytest.approx(math.log(2))
    assert parts["kl"].item() == pytest.approx(1.5 - 1 - math.log(1.5), rel=1e-5)
    assert parts["clip_share"].item() == 1.0
    assert loss_of(ratio=1.1)[1]["clip_share"].item() == 0.0


def test_a_slot_without_a_market_teaches_nothing():
    logits = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(1))
    held = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    logits.requires_grad_()
    value = torch.ones(3, 2, requires_grad=True)
    ones = torch.ones(3, 2)
    total, _ = ppo_loss(
        logits.log_softmax(-1), held, value, ones.int(), -ones, 0 * ones, ones, 3 * ones, **COEFFICIENTS
    )
    total.backward()
    assert not logits.grad[held == 0].any()
    assert not value.grad[held == 0].any()
    assert logits.grad[held == 1].any()
