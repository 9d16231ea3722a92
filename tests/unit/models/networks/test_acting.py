"""A network that acts in environments: whom it draws for, what it keeps, what it forgets."""

import numpy as np
import pytest
import torch
from made.bank import made_bank

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.actions import best_actions, sample_actions
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.rollout.stepper import Stepper

BANK = made_bank()
ENV = EnvConfig(n_slots=3, latency_ms=0)
LEVELS = ["tiny", "simple"]


def network_of(level: str) -> PolicyNetwork:
    network = build_network(TrainingSource(lambda: BANK, "f" * 12, env=ENV).policy_spec(level), 1)
    with torch.no_grad():  # decided enough that actions differ
        network.action_head[-1].weight.mul_(300)
    return network


def made_env(n_envs: int = 4) -> ReplayVectorEnv:
    return ReplayVectorEnv(BANK, FixedEpisodes(event_episodes(BANK, 3)), ENV, n_envs)


def answers(network: PolicyNetwork, flat: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Logits, values and mask of the network asked by itself, windows and all."""
    policy = NetworkPolicy(network, BANK.arrays)
    policy.act(flat, rows)
    mask = network.spec.split(torch.from_numpy(flat)).action_mask.numpy()
    return policy.logits, policy.value, mask


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n_drawing", [None, 0, 1, 3, 9])
def test_the_first_environments_draw_and_the_others_take_the_most_probable(level, n_drawing):
    network, env = network_of(level), made_env()
    policy = NetworkPolicy(network, BANK.arrays, np.random.default_rng(7), n_drawing)
    stepper, rng = Stepper(env, policy), np.random.default_rng(7)
    k = 4 if n_drawing is None else min(4, n_drawing)
    differ = 0
    for _ in range(30):
        mask = env.layout.action_mask(stepper.flat).copy()
        stepper.step()
        best, drawn = np.zeros((2, 4, 3), np.int8)
        log_prob = np.zeros((4, 3), np.float32)
        best_actions(policy.logits, mask, best)
        if k:
            sample_actions(policy.logits, mask, rng.random((4, 3)), drawn, log_prob)
        np.testing.assert_array_equal(stepper.actions[:k], drawn[:k])
        np.testing.assert_array_equal(stepper.actions[k:], best[k:])
        np.testing.assert_array_equal(policy.log_prob[:k], log_prob[:k])
        differ += int((drawn[:k] != best[:k]).sum())
    assert bool(differ) == bool(k)


def test_without_a_generator_the_most_probable_actions_are_taken():
    network, one, two = network_of("simple"), made_env(), made_env()
    steppers = [
        Stepper(one, NetworkPolicy(network, BANK.arrays)),
        Stepper(two, NetworkPolicy(network, BANK.arrays, np.random.default_rng(0), 0)),
    ]
    for _ in range(20):
        for stepper in steppers:
            stepper.step()
        np.testing.assert_array_equal(steppers[0].actions, steppers[1].actions)


@pytest.mark.parametrize("level", LEVELS)
def test_values_and_probabilities_are_those_of_the_decision(level):
    network, env = network_of(level), made_env()
    policy = NetworkPolicy(network, BANK.arrays)
    stepper = Stepper(env, policy)
    for _ in range(10):
        stepper.step()
    flat, rows = stepper.flat.copy(), stepper.rows.copy()
    logits, value, mask = answers(network, flat, rows)
    np.testing.assert_allclose(policy.present_values(flat, rows), value, atol=1e-5)
    np.testing.assert_allclose(policy.final_values(flat[:2], rows[:2]), value[:2], atol=1e-5)
    probabilities = policy.probabilities(flat, rows)
    assert (probabilities[mask == 0] == 0).all()
    weight = np.where(mask > 0, np.exp(logits - logits.max(-1, keepdims=True)), 0)
    np.testing.assert_allclose(probabilities, weight / weight.sum(-1, keepdims=True), atol=1e-5)


def test_asking_about_other_observations_changes_no_decision():
    network = network_of("simple")
    found = []
    for disturbed in (False, True):
        env = made_env()
        policy = NetworkPolicy(network, BANK.arrays, np.random.default_rng(1))
        stepper, seen = Stepper(env, policy), []
        for _ in range(20):
            if disturbed:
                policy.final_values(stepper.flat[::-1].copy(), stepper.rows[::-1].copy())
                policy.present_values(stepper.flat, stepper.rows)
            stepper.step()
            seen.append((stepper.actions.copy(), policy.logits.copy()))
        found.append(seen)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_codes_of_older_weights_are_used_until_they_are_forgotten():
    network, env = network_of("simple"), made_env()
    policy = NetworkPolicy(network, BANK.arrays)
    stepper = Stepper(env, policy)
    before = policy.present_values(stepper.flat, stepper.rows)
    with torch.no_grad():
        for weight in network.history.parameters():
            weight.add_(0.5)
    np.testing.assert_array_equal(policy.present_values(stepper.flat, stepper.rows), before)
    policy.forget()
    after = policy.present_values(stepper.flat, stepper.rows)
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(after, answers(network, stepper.flat, stepper.rows)[1])


def test_observations_of_another_layout_are_refused():
    policy = NetworkPolicy(network_of("tiny"), BANK.arrays)
    with pytest.raises(ContractError, match=r"\(2, 7\)"):
        policy.act(np.zeros((2, 7), np.float32), np.zeros((2, 3), np.int32))
