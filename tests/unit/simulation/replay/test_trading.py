"""Settings shared by replay and serving: read from the JSON of the environment a model was trained in."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.trading import TradingConfig


def test_a_recorded_environment_gives_the_same_execution_without_its_rewards():
    env = EnvConfig(
        n_slots=3, order_style="maker", direct_member=False, reward_scale=7.0, decision_interval_ms=250
    )
    trading = TradingConfig.of_environment(env.model_dump(mode="json"))
    assert trading.execution == env.execution
    assert trading.interval_ns == 250_000_000
    assert (trading.n_slots, trading.groups, trading.capital_e6) == (3, env.groups, env.capital_e6)


def test_a_recorded_environment_no_order_fits_into_is_refused():
    with pytest.raises(ContractError, match="order_qty_e2=200 exceeds position_limit_e2=100"):
        TradingConfig.of_environment({"order_qty_e2": 200, "position_limit_e2": 100, "reward_scale": 1.0})
