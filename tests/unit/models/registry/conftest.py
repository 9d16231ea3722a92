"""A registry in a folder, empty and with three models."""

import pytest
from made.registry_models import add

from kalshi_platform.models.registry.store import Registry


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


@pytest.fixture
def three(registry):
    """Ids of three models."""
    return [add(registry, seed).id for seed in range(3)]
