"""The simulated exchange's config: impossible ones are refused, presets differ as they say."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange import SimConfig


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"min_markets": 6, "max_markets": 4}, "min_markets=6"),
        ({"single_share": 0.7, "nested_share": 0.7}, "above 1"),
        ({"n_events": 0}, "n_events"),
        ({"unknown_knob": 1}, "unknown_knob"),
    ],
)
def test_an_impossible_config_is_refused_by_name(changes, named):
    with pytest.raises(ContractError, match=named):
        SimConfig().replace(**changes)
