"""How a student learns: towards its champion, repeatably, and no longer than it pays."""

import numpy as np
import pytest
import torch

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.serving.distillation.config import LearnConfig, TiersConfig
from kalshi_platform.serving.distillation.students import distil, student_spec
from kalshi_platform.simulation.rollout.reservoir import States

CHAMPION = PolicySpec(
    level=level_named("tiny"),
    n_slots=2,
    market=("a", "b"),
    portfolio=("p",),
    n_history=3,
    feature_digest="f" * 12,
    groups=("orderbook",),
)


class MadeHistory:
    """50 rows of one segment."""

    temporal = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    age = np.arange(50, dtype=np.int32)


def made_states(n: int, seed: int = 0) -> States:
    """A champion that buys where feature a is positive and sells where it is not, rather surely."""
    rng = np.random.default_rng(seed)
    flat = np.ones((n, CHAMPION.width), np.float32)  # every slot full, every action legal
    flat[:, :6] = rng.normal(size=(n, 6))
    a = flat[:, [0, 2]]
    logits = np.zeros((n, 2, N_ACTIONS), np.float32)
    logits[..., 1], logits[..., 2] = 3 * a, -3 * a
    slots = rng.normal(size=(n, 2)).astype(np.float32)
    rows = rng.integers(0, 50, (n, 2)).astype(np.int32)
    return States(flat, rows, logits, a.copy(), slots, np.zeros(n, np.int32))


def learn(tier: int = 1, seed: int = 0, **changes):
    config = LearnConfig(**{"epochs": 6, "batch": 64, "learning_rate": 1e-2} | changes)
    spec = student_spec(CHAMPION, tier)
    return distil(spec, tier, made_states(800), made_states(200, 1), MadeHistory(), config, seed)


@pytest.mark.parametrize("tier", [1, 2])
def test_a_student_learns_what_its_champion_does_and_thinks(tier):
    policy, learning = learn(tier)
    assert learning.epochs[learning.best_epoch - 1].held_out_agreement > 0.9
    assert learning.epochs[-1].held_out_kl < learning.epochs[0].held_out_kl
    fresh = made_states(100, 2)
    windows = np.zeros((100, 2, policy.spec.level.window, 3), np.float32)
    value = policy.values(fresh.flat, windows=windows if tier == 2 else None)
    assert np.corrcoef(value, fresh.value.sum(axis=1))[0, 1] > 0.9
    assert learning.parameters == sum(p.numel() for p in policy.network.parameters())


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (learn(epochs=1, seed=s)[0].network.state_dict() for s in (0, 0, 1))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=0)
    assert not torch.equal(first["encoder.0.weight"], other["encoder.0.weight"])


def test_learning_ends_when_the_held_out_states_gain_nothing():
    _, learning = learn(epochs=60, patience=2, batch=800, learning_rate=0.3)
    assert learning.stopped == "no better held-out loss in 2 passes"
    assert learning.best_epoch == len(learning.epochs) - 2
    best = learning.epochs[learning.best_epoch - 1].held_out_kl
    assert best == min(epoch.held_out_kl for epoch in learning.epochs)


def test_the_time_limit_ends_learning_after_the_pass_under_way():
    _, learning = learn(limit_s=1e-9, epochs=6)
    assert learning.stopped == "time limit of 1e-09 s"
    assert len(learning.epochs) == 1


def test_states_without_a_choice_are_refused():
    dull = made_states(10)
    dull.flat[:, -2 * N_ACTIONS :] = 0
    dull.flat[:, [-2 * N_ACTIONS, -N_ACTIONS]] = 1  # HOLD alone
    with pytest.raises(DataError, match="tier 1: no state to learn from has a choice"):
        distil(student_spec(CHAMPION, 1), 1, dull, dull, MadeHistory(), LearnConfig(), 0)


def test_a_student_reads_what_its_champion_reads():
    spec = student_spec(CHAMPION, 2)
    assert spec.replace(level=CHAMPION.level.model_dump()) == CHAMPION
    with pytest.raises(ContractError, match="8 rows of history"):
        student_spec(CHAMPION.replace(n_history=0), 2)


def test_settings_are_named_by_their_part():
    config = TiersConfig().with_values({"seed": 3, "learn.epochs": 2})
    assert (config.seed, config.learn.epochs) == (3, 2)
    for wrong in ("learn", "epochs", "learn.pace", "judge.bootstrap"):
        with pytest.raises(ContractError, match="unknown setting"):
            TiersConfig().with_values({wrong: 1})
    with pytest.raises(ContractError, match=r"ThresholdsConfig|thresholds"):
        TiersConfig().with_values({"thresholds.max_value_loss": 2})
