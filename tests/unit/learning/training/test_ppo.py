"""RLlib's configuration from our settings, and the numbers of one training step."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made.training import SMALL, made_source
from ray.rllib.policy.sample_batch import SampleBatch

from kalshi_platform.domain.errors import ContractError, DataError, TrainingError
from kalshi_platform.learning.training.ppo import (
    ReplayPPO,
    describe_batch,
    ppo_config,
    require_buildable,
    sample_or_failure,
    standardise,
)


def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ContractError, match="torch sees no CUDA device"):
        ppo_config(made_source(), SMALL.replace(learner_device="cuda"))
    assert ppo_config(made_source(), SMALL).num_gpus == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert ppo_config(made_source(), SMALL).num_gpus == 1
    assert ppo_config(made_source(), SMALL.replace(learner_device="cpu")).num_gpus == 0


def test_advantages_are_standardised_over_the_slots_that_hold_a_market():
    # Held: 1, 3, 5: mean 3, standard deviation sqrt(8 / 3) = 1.63299; the empty slot's 100 has no part in it.
    got = standardise(np.array([[1.0, 100.0], [3.0, 5.0]]), np.array([[0, -1], [7, 8]]))
    np.testing.assert_allclose(got, [[-1.224745, 0.0], [0.0, 1.224745]], rtol=1e-5)
    assert got.dtype == np.float32


def test_equal_advantages_are_zero_and_not_divided_by_nothing():
    assert not standardise(np.full((2, 2), 0.5), np.zeros((2, 2), int)).any()


def test_a_loss_that_is_not_finite_ends_the_iteration_at_its_step():
    losses = iter([0.5, float("nan"), 0.5])
    policy = SimpleNamespace(
        on_global_var_update=lambda known: None,
        _lazy_tensor_dict=lambda batch: batch,
        learn_on_batch=lambda part: {"learner_stats": {"value_loss": next(losses)}},
    )
    config = SimpleNamespace(minibatch_size=4, num_epochs=1, seed=0)
    trainer = SimpleNamespace(get_policy=lambda: policy, config=config, rounds_learned=6)
    with pytest.raises(TrainingError, match="iteration 7: value_loss is nan"):
        ReplayPPO._learn(trainer, SampleBatch({"x": np.arange(12)}))
    assert next(losses) == 0.5  # the third minibatch was not learned from


def test_a_run_that_could_not_be_built_is_refused(tmp_path):
    require_buildable(made_source(), SMALL)
    with pytest.raises(DataError, match="holds no policy"):
        require_buildable(made_source(), SMALL.replace(teacher=str(tmp_path / "nobody")))
    with pytest.raises(ContractError, match="worker_events=own"):
        require_buildable(made_source(), SMALL.replace(num_env_runners=1, worker_events="own"))


def test_what_a_batch_says_of_the_policy_is_worked_by_hand():
    # Actions 0 0 1 4: shares 1/2 1/4 0 0 1/4. Targets 0 2, values 0 1: errors 0 1 of variance .25, the
    # targets' own is 1, so that three quarters are explained.
    batch = {
        "actions": np.array([[0, 0], [1, 4]], np.int8),
        "value_targets": np.array([0.0, 2.0]),
        "vf_preds": np.array([0.0, 1.0]),
        "rewards": np.array([0.5, -0.1]),
    }
    got = describe_batch(batch)
    assert got["action_shares"] == [0.5, 0.25, 0.0, 0.0, 0.25]
    assert got["explained_variance"] == pytest.approx(0.75)
    assert got["reward_mean"] == pytest.approx(0.2)
    assert describe_batch(batch | {"value_targets": np.ones(2)})["explained_variance"] == 0.0


def test_a_sampler_that_raises_sends_its_error_instead_of_a_batch():
    def sample():
        raise ValueError("the recording ends")

    got = sample_or_failure(SimpleNamespace(sample=sample, worker_index=2))
    assert (got.worker, got.error) == (2, "ValueError: the recording ends")
    assert "in sample" in got.trace
    assert sample_or_failure(SimpleNamespace(sample=lambda: "a batch", worker_index=1)) == "a batch"


def test_settings_reach_rllib_and_annealing_falls_to_zero():
    config = ppo_config(made_source(), SMALL.replace(clip=0.3, anneal_steps=1_000, learning_rate=0.01))
    assert (config.clip_param, config.minibatch_size, config.num_epochs) == (0.3, 64, 2)
    assert config.lr_schedule == [[0, 0.01], [1_000, 0.0]]
    assert config.entropy_coeff_schedule == [[0, SMALL.entropy_coeff], [1_000, 0.0]]
    steady = ppo_config(made_source(), SMALL.replace(anneal_steps=0))
    assert steady.lr_schedule is None
    assert not config.restart_failed_env_runners
