"""The policy network: slots are a set, empty ones count for nothing, first weights follow the seed."""

import numpy as np
import pytest
import torch
from made.networks import N_SLOTS, made_batch, run, spec_of

from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS, level_named
from kalshi_platform.models.networks.networks import build_network


@pytest.mark.parametrize("level", LEVELS)
def test_permuting_the_slots_permutes_logits_and_values(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 8, rng)
    order = rng.permutation(N_SLOTS)
    moved = np.empty_like(flat)
    into, source = spec.split(torch.from_numpy(moved)), spec.split(torch.from_numpy(flat))
    for to, was in zip(into, source, strict=True):
        to[:] = was[:, order]
    logits, value = run(network, flat, rows)
    moved_logits, moved_value = run(network, moved, rows[:, order])
    torch.testing.assert_close(moved_logits, logits[:, order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_value, value[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_what_stands_in_an_empty_slot_has_no_influence(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 16, rng)
    view = spec.split(torch.from_numpy(flat))
    present = view.slot_mask > 0.5
    logits, value = run(network, flat, rows)
    view.market[~present] = 7.0
    view.portfolio[~present] = -7.0
    other_logits, other_value = run(network, flat, rows)
    torch.testing.assert_close(other_logits[present], logits[present], atol=0, rtol=0)
    torch.testing.assert_close(other_value, value, atol=0, rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_present_slot_influences_the_others(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 4, rng)
    view = spec.split(torch.from_numpy(flat))
    view.slot_mask[:] = 1.0
    rows[:] = np.abs(rows)
    logits, value = run(network, flat, rows)
    view.market[:, 0] += 1.0
    other_logits, other_value = run(network, flat, rows)
    assert (other_logits[:, 1:] - logits[:, 1:]).abs().max() > 1e-6
    assert (other_value - value).abs().max() > 1e-6


def test_an_observation_without_any_market_gives_finite_numbers():
    spec = spec_of("simple")
    flat = np.zeros((2, spec.width), np.float32)
    logits, value = run(build_network(spec, 0), flat, np.full((2, N_SLOTS), -1, np.int32))
    assert torch.isfinite(logits).all()
    assert torch.isfinite(value).all()


def test_first_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = build_network(spec_of("simple"), 7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    two = build_network(spec_of("simple"), 7).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("tier", sorted(TIER_LEVELS))
def test_without_attention_a_slot_is_decided_by_itself(tier):
    spec = spec_of("tiny").replace(level=TIER_LEVELS[tier].model_dump())
    network = build_network(spec, 0)
    rng = np.random.default_rng(2)
    flat, rows = made_batch(spec, 16, rng)
    other, other_rows = made_batch(spec, 16, rng)
    view, there = spec.split(torch.from_numpy(flat)), spec.split(torch.from_numpy(other))
    for part, changed in zip(view[:3], there[:3], strict=True):
        changed[:, 1] = part[:, 1]  # slot 1 is the same, all others differ
    other_rows[:, 1] = rows[:, 1]
    found, again = run(network, flat, rows), run(network, other, other_rows)
    for before, after in zip(found, again, strict=True):
        torch.testing.assert_close(before[:, 1], after[:, 1])
    assert not torch.allclose(found[0][:, 0], again[0][:, 0])
    assert level_named("tiny").attention_layers == 1
    assert not any(level.name in LEVELS for level in TIER_LEVELS.values())
