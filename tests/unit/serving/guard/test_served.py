"""The record of a model that answers, and the words of a verdict."""

import dataclasses

import numpy as np
import pytest
from made.served import made_served
from made.serving_tiers import made_policy

from kalshi_platform.serving.guard.served import Verdict
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.simulation.replay.trading import TradingConfig


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "no active model to compare with"),
        ({"p99_ms": 1.234, "budget_ms": 10.0}, "p99 1.23 of 10 ms"),
        (
            {"agreement": 0.9876, "compared_slots": 200, "compared_groups": 40, "compared_on": "recorded"},
            "decides as the active model in 98.8% of 200 slots of 40 groups (recorded)",
        ),
    ],
)
def test_an_accepted_candidate_is_told_by_the_figures_that_passed(found, words):
    verdict = Verdict(model="tiny-1", tiers=None, **found)
    assert verdict.accepted
    assert verdict.words == words


def test_a_refused_candidate_is_told_by_its_reason_alone():
    verdict = Verdict(model="tiny-1", tiers=None, reason="answers nan", p99_ms=1.0, budget_ms=2.0)
    assert not verdict.accepted
    assert verdict.words == "answers nan"


@pytest.fixture
def served():
    policy, _ = made_policy()
    return made_served(policy, TradingConfig(decision_interval_ms=5_000), "moderate-0123456789ab")


def test_a_served_model_names_what_it_is_and_how_it_was_trained(served):
    assert served.key == ("moderate-0123456789ab", None)
    assert served.trading.decision_interval_ms == 5_000
    assert served.window == max(t.engine.spec.level.window for t in served.policy.tiers)


def test_the_time_of_the_whole_network_is_infinite_where_it_was_not_measured_or_is_not_there(served):
    def with_tiers(*tiers):
        policy = TieredPolicy(served.policy.spec, tiers)
        return dataclasses.replace(served, policy=policy).tier_3_ms

    *small, whole = served.policy.tiers
    assert with_tiers(*small, whole._replace(group_p50_ms=1.5)) == 1.5
    assert with_tiers(*small, whole._replace(group_p50_ms=None)) == np.inf
    assert with_tiers(whole._replace(number=2, group_p50_ms=1.5)) == np.inf
