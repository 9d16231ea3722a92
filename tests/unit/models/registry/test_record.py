"""What identifies a registered model: digests that old registries carry must stay what they are."""

from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.record import Digests, digests_of


def test_the_digests_of_a_policy_are_those_that_old_registries_carry():
    spec = PolicySpec(
        level=level_named("moderate"),
        n_slots=3,
        market=("yes_mid", "spread"),
        portfolio=("position",),
        n_history=16,
        feature_digest="000000000000",
        groups=("orderbook",),
    )
    # as computed at commit a4bb0a9; a registered model whose digests differ is refused
    assert digests_of(spec) == Digests(
        observation="708da625b95a", action="5a2420edf59b", feature="000000000000"
    )
