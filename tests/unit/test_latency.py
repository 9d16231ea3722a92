"""Measured latency of a decision: what is reported, not how fast this machine is."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.latency import Latency, decision_latency
from kalshi_platform.models.levels import LEVELS, level_named
from kalshi_platform.models.networks import build_network
from kalshi_platform.models.policy import FrozenPolicy
from kalshi_platform.models.spec import PolicySpec


def made_policy(level: str) -> FrozenPolicy:
    spec = PolicySpec(
        level=level_named(level),
        n_slots=5,
        market=("a", "b"),
        portfolio=("p",),
        n_history=3,
        feature_digest="f" * 12,
        groups=("orderbook",),
    )
    return FrozenPolicy(build_network(spec, 0))


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_can_be_timed(level: str):
    found = decision_latency(made_policy(level), n_groups=2, repeats=100)
    assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms
    assert found.cpu_p99_ms > 0
    assert (found.n_groups, found.n_slots, found.repeats) == (2, 5, 100)


def test_a_budget_holds_for_all_but_one_decision_in_a_hundred():
    latency = Latency(
        p50_ms=1.0, p99_ms=10.0, max_ms=99.0, cpu_p99_ms=9.0, n_groups=1, n_slots=5, repeats=300
    )
    assert latency.within(10.0)
    assert not latency.within(9.99)


@pytest.mark.parametrize(("n_groups", "repeats"), [(0, 300), (1, 99)])
def test_too_few_repeats_for_a_p99_are_refused(n_groups: int, repeats: int):
    with pytest.raises(
        ContractError, match=f"n_groups={n_groups}, repeats={repeats}: want at least 1 and 100"
    ):
        decision_latency(made_policy("tiny"), n_groups, repeats)
