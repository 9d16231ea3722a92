"""Settings of the environment: what fits together and what is refused."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig


def test_an_order_larger_than_the_position_limit_is_no_setting():
    with pytest.raises(ValueError, match=r"order_qty_e2=200 .*position_limit_e2=100"):
        EnvConfig(order_qty_e2=200, position_limit_e2=100)


def test_episodes_shorter_than_their_least_length_are_refused_with_both():
    assert EpisodeConfig(min_steps=7, max_steps=7).max_steps == 7
    with pytest.raises(ContractError) as refused:
        EpisodeConfig.parse({"min_steps": 8, "max_steps": 7})
    assert "max_steps=7" in str(refused.value)
    assert "min_steps=8" in str(refused.value)


@pytest.mark.parametrize("change", [{"holding_cost_per_day": -0.1}, {"reward_scale": 0}, {"n_slots": 0}])
def test_a_reward_or_a_size_that_cannot_be_is_refused_by_field(change):
    (field,) = change
    with pytest.raises(ContractError, match=f"EnvConfig.{field}"):
        EnvConfig.parse(change)
