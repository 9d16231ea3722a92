"""The simulated exchange's config: impossible ones are refused."""

import math

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
        ({"news_messages": math.inf}, "news_messages.*at most"),
        ({"maker_rate": 1e308, "lean_rate": 1e308}, "maker_rate.*at most"),
        ({"max_duration_s": 10**15}, "max_duration_s=1,000,000,000,000,000 .* at most 6,307,200,000 s"),
        ({"messages_per_market": 10**6}, "come up to 20 s late, after the close; at most 950,000 messages"),
    ],
)
def test_an_impossible_config_is_refused_by_name(changes, named):
    with pytest.raises(ContractError, match=named):
        SimConfig().replace(**changes)


def test_a_martingale_has_no_consensus_error_and_no_lean_and_is_else_the_default():
    plain = SimConfig.martingale(seed=3)
    assert (plain.mispricing_sd_cents, plain.lean) == (0.0, 0.0)
    own = SimConfig()
    assert plain.replace(mispricing_sd_cents=own.mispricing_sd_cents, lean=own.lean) == SimConfig(seed=3)


@pytest.mark.parametrize("pair", [("duration_s", 9_000, 8_000), ("resolved", 0.3, 0.2)])
def test_a_least_value_above_the_most_is_refused_with_both(pair):
    name, low, high = pair
    with pytest.raises(ContractError) as refused:
        SimConfig.parse({f"min_{name}": low, f"max_{name}": high})
    assert f"min_{name}={low}" in str(refused.value)
    assert f"max_{name}={high}" in str(refused.value)
