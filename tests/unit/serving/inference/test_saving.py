"""What exits save, by hand, and when a replica asks tiers 1 and 2 at all."""

import pytest
from made.registry_models import DATASET, made_policy

from kalshi_platform.models.registry.tiers import FormRecord, TierRecord, TierSet
from kalshi_platform.serving.inference.saving import (
    expected_ms,
    first_asked_words,
    is_asked_first,
    saved_ms,
)


@pytest.mark.parametrize(
    ("first", "second", "by_hand"),
    [
        (0.9, 0.8, 0.5 * 1 + 0.2 * (1 + 2) + 0.2 * (1 + 2 + 4 + 10)),
        (0.9, None, 0.5 * 1 + 0.2 * 1 + 0.2 * (1 + 4 + 10)),
        (None, None, 0.2 * (4 + 10)),
    ],
)
def test_a_group_costs_every_tier_it_was_asked_and_one_without_choice_nothing(first, second, by_hand):
    shares = {1: 0.5, 2: 0.2, 3: 0.2, 4: 0.1}
    assert expected_ms(shares, first, second, {1: 1.0, 2: 2.0, 3: 4.0}, 10.0) == pytest.approx(by_hand)


def made_set(tier_3_ms: float, shares=(0.7, 0.0, 0.1), **report: float) -> TierSet:
    """A set of which tier 1 takes 0.02 ms, leaves at 0.6, and tier 2 lets nobody out; 20 % have no choice."""

    def form(ms: float, accepted: bool = True) -> FormRecord:
        return FormRecord(
            name="onnx", files=(), max_logit_error=0, agreement=1, p50_ms=ms, p99_ms=ms, accepted=accepted
        )

    spec = made_policy().spec
    tiers = tuple(
        TierRecord(
            number=number, spec=spec, weights="w", temperature=1, exit_threshold=exit_at,
            forms=(form(ms), form(0.0, accepted=False)),
        )
        for number, exit_at, ms in ((1, 0.6, 0.02), (2, None, 0.07), (3, None, tier_3_ms))
    )  # fmt: skip
    told = {f"exit_share_{k}": share for k, share in enumerate(shares, 1)}
    return TierSet(
        model="m", dataset_digest=DATASET, tiers=tiers, artefacts={}, max_value_loss=0.02, machine="here",
        report={**told, **report}, created_at="2026-01-01",
    )  # fmt: skip


def test_inside_the_replica_a_small_model_saves_next_to_nothing_and_is_asked_alone():
    # alone 0.8 x 0.03 = 0.024; with tiers 0.8 x 0.02 + 0.1 x 0.03 = 0.019
    assert saved_ms(made_set(0.03), inside_ms=1.0) == pytest.approx(0.005)
    assert not is_asked_first(made_set(0.03), inside_ms=1.0)


def test_behind_a_hop_the_same_tiers_save_it():
    # alone 0.8 x 1.03 = 0.824; with tiers 0.8 x 0.02 + 0.1 x 1.03 = 0.119
    assert saved_ms(made_set(0.03), inside_ms=0.0) == pytest.approx(0.705)
    assert is_asked_first(made_set(0.03), inside_ms=0.0)
    assert is_asked_first(made_set(1.5), inside_ms=1.0)


def test_the_maker_of_a_set_may_ask_for_a_smaller_saving_and_a_slower_set_saves_less_than_nothing():
    assert is_asked_first(made_set(0.03, least_saving_ms=0.001), inside_ms=1.0)
    assert saved_ms(made_set(0.01), inside_ms=1.0) < 0
    assert not is_asked_first(made_set(0.01, least_saving_ms=0.0), inside_ms=1.0)


def test_a_set_whose_record_does_not_tell_is_asked_as_it_says():
    silent = made_set(0.03).replace(report={})
    assert saved_ms(silent, 1.0) is None
    assert is_asked_first(silent, 1.0)


@pytest.mark.parametrize(
    ("tier_set", "inside_ms", "words"),
    [
        (None, 1.0, "no tiers are stored: every decision asks the model itself"),
        (made_set(0.03), 1.0, "asking tiers 1 and 2 first saves about 0.005 ms a group, which is not worth"),
        (made_set(0.01), 1.0, "costs about 0.009 ms a group"),
        (made_set(0.03), 0.0, "tiers 1 and 2 are asked first, which saves about 0.705 ms a group"),
        (made_set(0.03).replace(report={}), 1.0, "the set does not tell"),
    ],
)
def test_the_line_that_a_service_starts_with_says_who_is_asked_first(tier_set, inside_ms, words):
    assert words in first_asked_words(tier_set, inside_ms)


def test_a_set_without_exits_is_said_to_leave_every_decision_to_the_model():
    never = made_set(0.03)
    tiers = [t.replace(exit_threshold=None).model_dump() for t in never.tiers]
    assert first_asked_words(never.replace(tiers=tiers), 1.0).startswith(
        "every decision asks the model itself"
    )
