"""Settings of the served policy."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.server.args import PolicyAppArgs, require_model


@pytest.mark.parametrize(
    ("name", "words"), [("challenger", "no model 'challenger'"), ("tiny-0123456789ab", "is an id")]
)
def test_a_name_that_cannot_be_followed_is_refused_with_what_to_do(tmp_path, name, words):
    with pytest.raises(ContractError, match=words):
        require_model(Registry(tmp_path / "registry"), name)


def test_the_guard_follows_what_the_application_is_told_to():
    args = PolicyAppArgs.parse(
        {"access": {"require_token": False}, "model": "candidate", "shadow": "rival", "inference_ttl_ms": 7}
    )
    guard = args.guard
    assert (guard.alias, guard.shadow, guard.caches.inference_ttl_ms) == ("candidate", "rival", 7)
    assert (guard.check, guard.watch) == (args.check, args.watch)


def test_a_config_file_of_an_older_release_keeps_its_meaning():
    older = {"tier3": False, "tier3_inside_ms": 0.5, "tier3_replicas": 2, "tier3_cpus": 0}
    args = PolicyAppArgs.parse({"access": {"require_token": False}, **older})
    assert (args.tier_3, args.tier_3_inside_ms, args.tier_3_replicas, args.tier_3_cpus) == (False, 0.5, 2, 0)
    with pytest.raises(ContractError, match="tier3_cpus is the old name of tier_3_cpus"):
        PolicyAppArgs.parse({"access": {"require_token": False}, "tier3_cpus": 0, "tier_3_cpus": 0})
