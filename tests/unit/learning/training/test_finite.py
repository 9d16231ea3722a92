"""A number that is not finite stops the run with its iteration and its name."""

import math

import numpy as np
import pytest
import torch

from kalshi_platform.domain.errors import TrainingError
from kalshi_platform.learning.training.finite import (
    require_finite_batch,
    require_finite_numbers,
    require_finite_scores,
    require_finite_weights,
)

BAD = [math.nan, math.inf, -math.inf]


def batch():
    columns = ("rewards", "vf_preds", "action_logp", "value_targets", "advantages")
    return {"obs": np.zeros((3, 4), np.float32), **{name: np.zeros((3, 2), np.float32) for name in columns}}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("obs", "observations"),
        ("rewards", "rewards"),
        ("vf_preds", "value estimates"),
        ("advantages", "advantages"),
    ],
)
def test_a_batch_names_the_column_and_the_place(column, words, bad):
    given = batch()
    require_finite_batch(given, 7)
    given[column][2, 1] = bad
    with pytest.raises(
        TrainingError, match=rf"iteration 7: 1 of \d+ .*{words} are not finite \(first at \[2, 1\]\)"
    ):
        require_finite_batch(given, 7)


def test_the_cause_is_named_before_its_effects():
    given = batch()
    given["advantages"][:] = math.nan
    given["obs"][0, 3] = math.nan
    with pytest.raises(TrainingError, match=r"observations.*kalshi-platform dataset verify"):
        require_finite_batch(given, 1)


@pytest.mark.parametrize("bad", BAD)
def test_losses_and_gradients_are_named(bad):
    require_finite_numbers({"policy_loss": 0.0, "grad_gnorm": torch.tensor(1.0)}, 2)
    with pytest.raises(TrainingError, match="iteration 2: policy_loss is"):
        require_finite_numbers({"policy_loss": bad}, 2)
    with pytest.raises(TrainingError, match=r"gradient norm is .*lower train\.learning_rate"):
        require_finite_numbers({"grad_gnorm": torch.tensor(bad)}, 2)


@pytest.mark.parametrize("bad", BAD)
def test_weights_are_named(bad):
    network = torch.nn.Linear(2, 2)
    require_finite_weights(network, 3)
    with torch.no_grad():
        network.bias[1] = bad
    with pytest.raises(TrainingError, match="iteration 3: weights bias are not finite"):
        require_finite_weights(network, 3)


@pytest.mark.parametrize("bad", BAD)
def test_a_score_that_is_not_finite_is_never_the_best(bad):
    require_finite_scores({"score": 0.1, "sharpe": 1.0}, 4)
    with pytest.raises(TrainingError, match="iteration 4: the validation's sharpe is not finite"):
        require_finite_scores({"score": 0.1, "sharpe": bad}, 4)
