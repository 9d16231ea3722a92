"""Exported weights: equal for equal policies, and refused where they answer differently."""

import pytest
from made.registry_models import made_policy

from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.registry.export import export_weights, require_equal


def test_an_export_that_acts_differently_is_refused():
    one, other = made_policy(seed=0), made_policy(seed=1)
    with pytest.raises(DataError, match="probabilities differ from the original's by up to"):
        require_equal(one, other)
    assert export_weights(one) == export_weights(made_policy(seed=0))
