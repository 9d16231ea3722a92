"""Networks on another device: no GPU here, so torch's meta device: shapes without numbers, and no numpy."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from made.bank import made_bank

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.learning.training.learner import ppo_loss
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.device import cpu_copy, device_of, off_cpu
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.rllib_adapter import (
    HISTORY_ROWS,
    SlotPolicyModel,
    action_space,
    observation_space,
)
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig

META = torch.device("meta")


class FarRows:
    """Rows as a batch on a GPU holds them: numpy only after ``cpu()``."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def cpu(self) -> torch.Tensor:
        return torch.from_numpy(self._rows)

    def numpy(self) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.fixture(scope="module")
def source() -> TrainingSource:
    bank = made_bank()
    return TrainingSource(
        lambda: bank, "f" * 12, EnvConfig(n_slots=3), EpisodeConfig(min_steps=5, max_steps=9)
    )


def model_of(source: TrainingSource, level: str) -> SlotPolicyModel:
    spec = source.policy_spec(level)
    actions = action_space(spec)
    assert isinstance(actions, gym.spaces.MultiDiscrete)
    return SlotPolicyModel(
        observation_space(spec), actions, 3 * N_ACTIONS, {}, "m", spec=spec, seed=0, source=source
    )  # fmt: skip


@pytest.mark.parametrize("level", ["tiny", "simple", "moderate"])
def test_the_model_and_its_loss_stay_on_the_device_of_the_observations(source, level):
    model = model_of(source, level).to(META)
    rows = np.array([[0, 5, -1], [7, 5, 2]], np.int32)
    batch = {"obs": torch.zeros((2, model.network.spec.width), device=META), HISTORY_ROWS: FarRows(rows)}
    logits, value = model.evaluate(batch)
    assert (logits.device, value.device) == (META, META)
    assert (tuple(logits.shape), tuple(value.shape)) == ((2, 3, N_ACTIONS), (2, 3))
    a_slot = torch.zeros((2, 3), device=META)
    loss, parts = ppo_loss(
        logits.log_softmax(-1), model.slot_mask(batch), value,
        a_slot.to(torch.int8), a_slot, a_slot, a_slot, a_slot,
        clip=0.2, value_clip=1.0, value_coeff=0.5, entropy_coeff=0.01,
    )  # fmt: skip
    loss.backward()
    assert {part.device for part in (loss, *parts.values())} == {META}
    assert all(weights.grad.device == META for weights in model.parameters())


def test_a_model_that_is_copied_to_a_device_does_not_copy_the_bank(source):
    from copy import deepcopy

    model = model_of(source, "simple")
    again = deepcopy(model)
    assert again._source is source
    assert again._gatherer._arrays is source.bank.arrays


def test_the_copy_that_samples_has_the_same_sizes_and_takes_the_weights(source):
    network = build_network(source.policy_spec("simple"), seed=1)
    copy = cpu_copy(network)
    assert not off_cpu(copy)
    assert not any(weights.requires_grad for weights in copy.parameters())
    copy.load_state_dict(network.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(copy.parameters(), network.parameters(), strict=True))


def test_a_network_knows_where_it_is(source):
    network = build_network(source.policy_spec("tiny"), seed=1)
    assert (device_of(network).type, off_cpu(network)) == ("cpu", False)
    assert off_cpu(network.to(META))
