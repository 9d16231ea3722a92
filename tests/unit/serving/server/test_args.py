"""Settings of the served policy."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.server.args import PolicyAppArgs, require_model


@pytest.mark.parametrize(
    ("name", "words"), [("challenger", "has no challenger"), ("tiny-0123456789ab", "is an id")]
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
