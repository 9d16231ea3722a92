import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made.serving_tiers import made_batch, made_policy

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.batch import Batch, Note, Tier
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy, TierError

MS = 1_000_000
NO_CACHE = TieredConfig(inference_ttl_ms=0)


def test_logits_that_are_not_finite_are_a_failure_of_the_tier():
    policy, (first, _, _) = made_policy((0.6, None), NO_CACHE)
    with torch.no_grad():
        first.network.action_head[-1].weight[2, 3] = np.nan
    with pytest.raises(TierError, match="not finite"):
        policy.ask(1, made_batch(policy, 2), 0)
    assert policy.failures == {1: 1}


def test_every_group_leaves_at_the_first_tier_that_is_sure_enough():
    policy, engines = made_policy((0.6, 0.6), NO_CACHE)
    batch = made_batch(policy, 60)
    found = policy.decide(batch, 0)
    alone = [policy.ask(k, batch, 0) for k in (1, 2, 3)]
    for n in range(60):
        expected = next((k for k in (1, 2) if alone[k - 1].confidence[n] >= 0.6), 3)
        assert found.tier[n] == expected
        np.testing.assert_array_equal(found.actions[n], alone[expected - 1].actions[n])
    assert {1, 2, 3} <= set(found.tier.tolist()), "a test of three exits needs groups at each"
    assert engines[0].n_asked == 120
    assert engines[1].n_asked < 120


def test_asking_tier_3_elsewhere_answers_as_in_process():
    policy, _ = made_policy((0.6, 0.6), NO_CACHE)
    batch = made_batch(policy, 40)
    pending = policy.decide_fast(batch, 0)
    apart = policy.finish(pending, policy.ask(3, pending.question, 0))
    for one, other in zip(apart, policy.decide(batch, 0), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("why", [Note.DEADLINE, Note.FALLBACK])
def test_without_tier_3_the_best_tier_below_answers_and_says_why(why):
    policy, _ = made_policy((0.6, 0.6))
    batch = made_batch(policy, 40)
    pending = policy.decide_fast(batch, 0)
    waiting = pending.open.copy()
    found = policy.finish(pending, None, why)
    assert waiting.size
    assert (found.tier[waiting] == Tier.TIER_2).all()
    assert (found.notes[waiting] == why).all()
    assert (np.delete(found.notes, waiting) == 0).all()
    again = policy.decide(batch, 1)
    assert (again.tier[waiting] == Tier.TIER_3).all(), "a stopgap must not come out of the cache"


def test_the_chain_of_fallbacks_ends_with_hold():
    policy, (first, second, third) = made_policy((1.1, 1.1), NO_CACHE)  # never sure: all three are asked
    batch = made_batch(policy, 8)
    answers = {}
    for broken, tier in ((third, Tier.TIER_2), (second, Tier.TIER_1), (first, Tier.NONE)):
        broken.broken = True
        answers[tier] = policy.decide(batch, 0)
        assert (answers[tier].tier == tier).all()
        assert (answers[tier].notes == Note.FALLBACK).all()
    assert (answers[Tier.NONE].actions == HOLD).all()
    assert policy.failures == {3: 3, 2: 2, 1: 1}


@pytest.mark.parametrize(
    ("why", "tier", "asked"), [(Note.FALLBACK, Tier.TIER_2, True), (Note.DEADLINE, Tier.TIER_1, False)]
)
def test_a_tier_at_which_no_group_leaves_is_asked_only_where_tier_3_cannot_be(why, tier, asked):
    policy, (_, second, _) = made_policy((0.6, None), NO_CACHE)
    batch = made_batch(policy, 40)
    pending = policy.decide_fast(batch, 0)
    waiting = pending.open.copy()
    assert waiting.size
    assert second.n_asked == 0
    found = policy.finish(pending, None, why)
    assert (second.n_asked == waiting.size) == asked
    assert (found.tier[waiting] == tier).all()
    assert (found.notes[waiting] == why).all()


def test_where_no_tier_was_asked_before_time_ran_out_the_best_one_below_answers():
    policy, (first, second, _) = made_policy((None, None), NO_CACHE)
    pending = policy.decide_fast(made_batch(policy, 3), 0)
    found = policy.finish(pending, None, Note.DEADLINE)
    assert (found.tier == Tier.TIER_2).all()
    assert (first.n_asked, second.n_asked) == (0, 3)


def test_a_broken_lower_tier_is_passed_over():
    policy, (first, _, _) = made_policy((0.6, None), NO_CACHE)
    first.broken = True
    found = policy.decide(made_batch(policy, 5), 0)
    assert (found.tier == Tier.TIER_3).all()
    assert (found.notes == 0).all()
    with pytest.raises(TierError, match=r"tier 1 .* planted"):
        policy.ask(1, made_batch(policy, 1), 0)


def test_an_equal_state_is_answered_from_the_cache_until_its_bound_and_not_longer():
    policy, engines = made_policy((0.6, 0.6))
    batch = made_batch(policy, 10)
    first = policy.decide(batch, 0)
    asked = [engine.n_asked for engine in engines]
    for now_ns, note in ((0, Note.CACHED), (50 * MS, Note.CACHED), (50 * MS + 1, 0)):
        again = policy.decide(batch, now_ns)
        np.testing.assert_array_equal(again.actions, first.actions)
        np.testing.assert_array_equal(again.tier, first.tier)
        assert (again.notes == note).all()
        if note:
            assert [engine.n_asked for engine in engines] == asked
    assert (policy.answers.stats.hits, policy.answers.stats.expired) == (20, 10)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_cache_answers_only_states_equal_up_to_the_quantum(seed, scale):
    policy, _ = POLICY
    policy.forget()
    rng = np.random.default_rng(seed)
    batch = made_batch(policy, 1)
    moved = batch.flat.copy()
    moved[:, : 5 * len(policy.spec.market)] += np.float32(scale * rng.uniform(-1, 1) * 4e-4)
    policy.decide(batch, 0)
    found = policy.decide(Batch(moved, batch.windows, batch.forced), 0)
    quantum = policy.config.quantum
    same = np.array_equal(np.rint(batch.flat.astype(float) / quantum), np.rint(moved.astype(float) / quantum))
    assert bool(found.notes[0] & Note.CACHED) == same


POLICY = made_policy((0.6, 0.6))


def test_what_the_rules_force_is_part_of_the_key():
    policy, _ = made_policy((0.6, 0.6))
    batch = made_batch(policy, 1)
    policy.decide(batch, 0)
    forced = batch.forced.copy()
    forced[0, 2] = HOLD
    found = policy.decide(Batch(batch.flat, batch.windows, forced), 0)
    assert found.notes[0] == 0
    assert found.actions[0, 2] == HOLD


def test_windows_seen_before_are_not_encoded_again():
    policy, (_, second, third) = made_policy((1.1, 1.1), NO_CACHE)
    batch = made_batch(policy, 2)
    assert batch.windows is not None
    policy.decide(batch, 0)
    assert (second.n_encoded, third.n_encoded) == (10, 10)
    windows = batch.windows.copy()
    windows[0, 3, -1, 0] = 0.123
    one_slot_moved = Batch(batch.flat, windows, batch.forced)
    cached = policy.decide(one_slot_moved, 1)
    assert (second.n_encoded, third.n_encoded) == (11, 11)
    policy.forget()
    for one, other in zip(cached, policy.decide(one_slot_moved, 1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_group_is_answered_with_no_decision():
    policy, _ = made_policy()
    assert policy.decide(made_batch(policy, 2).take(np.arange(0)), 0).actions.shape == (0, 5)


def test_groups_without_a_choice_are_decided_by_the_rules_alone():
    policy, engines = made_policy((0.6, 0.6))
    batch = made_batch(policy, 3)
    batch.forced[1] = HOLD
    found = policy.decide(batch, 0)
    assert found.tier[1] == Tier.RULES
    assert found.confidence[1] == 1.0
    assert engines[0].n_asked == 2


def test_a_batch_of_other_shapes_is_refused_by_name():
    policy, _ = made_policy()
    batch = made_batch(policy, 2)
    with pytest.raises(ContractError, match="windows is missing"):
        policy.decide(Batch(batch.flat, None, batch.forced), 0)
    with pytest.raises(ContractError, match="flat is float64"):
        policy.decide(Batch(batch.flat.astype(np.float64), batch.windows, batch.forced), 0)
    with pytest.raises(ContractError, match="forced is int8 \\(1, 5\\)"):
        policy.decide(Batch(batch.flat, batch.windows, batch.forced[:1]), 0)


def test_tiers_must_ascend_and_see_the_same():
    policy, _ = made_policy()
    with pytest.raises(ContractError, match="ascending"):
        TieredPolicy(policy.spec, policy.tiers[::-1])
    with pytest.raises(ContractError, match="n_slots"):
        TieredPolicy(policy.spec.replace(n_slots=4), policy.tiers)
