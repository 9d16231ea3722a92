"""Settings of a tier set: replaced by name, refused by name."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.distillation.config import ThresholdsConfig, TiersConfig
from kalshi_platform.serving.server.args import PolicyAppArgs


def test_a_dotted_setting_and_the_seed_are_replaced_and_the_rest_stays():
    changed = TiersConfig().with_values({"learn.epochs": 2, "seed": 7})
    assert (changed.learn.epochs, changed.seed) == (2, 7)
    assert changed.with_values({"learn.epochs": TiersConfig().learn.epochs, "seed": 0}) == TiersConfig()


@pytest.mark.parametrize("name", ["learn.pace", "learn", "epochs", "states.seed", "judge.bootstrap"])
def test_an_unknown_setting_or_a_whole_section_is_refused_by_name(name):
    with pytest.raises(ContractError, match=f"unknown setting '{name}'"):
        TiersConfig().with_values({name: 1})


@pytest.mark.parametrize("leaving", [(), (0.0,), (1.0, 1.1)])
def test_shares_of_states_lie_between_nothing_and_all(leaving):
    with pytest.raises(ContractError, match="leaving"):
        ThresholdsConfig.parse({"leaving": leaving})


def test_the_smoke_settings_are_smaller_in_everything_that_takes_time():
    smoke, whole = TiersConfig.smoke(), TiersConfig()
    assert smoke.states.steps * smoke.states.n_envs < whole.states.steps * whole.states.n_envs
    assert smoke.learn.epochs < whole.learn.epochs
    assert len(smoke.thresholds.leaving) < len(whole.thresholds.leaving)
    assert smoke.judge.max_steps < whole.judge.max_steps


def test_tier_3_costs_a_hop_only_where_a_replica_does_not_ask_its_own():
    config = ThresholdsConfig(tier_3_hop_ms=0.7, tier_3_inside_ms=0.5)
    assert [config.hop_ms(p50) for p50 in (0.02, 0.499, 0.5, 3.0)] == [0.0, 0.0, 0.7, 0.7]
    assert ThresholdsConfig(tier_3_inside_ms=0).hop_ms(0.001) == 1.0  # always the deployment


def test_the_report_reckons_with_the_bound_that_the_service_has():
    args = PolicyAppArgs.parse({"access": {"require_token": False}})
    assert ThresholdsConfig().tier_3_inside_ms == args.tier_3_inside_ms


def test_settings_of_an_older_release_are_read_and_set_by_their_old_names():
    older = {"full_overhead_ms": 0.7, "tier3_inside_ms": 0.5}
    assert ThresholdsConfig.parse(older) == ThresholdsConfig(tier_3_hop_ms=0.7, tier_3_inside_ms=0.5)
    assert TiersConfig().with_values({"thresholds.full_overhead_ms": 0}).thresholds.tier_3_hop_ms == 0
    with pytest.raises(ContractError, match="full_overhead_ms is the old name of tier_3_hop_ms: give one"):
        ThresholdsConfig.parse({"full_overhead_ms": 0.7, "tier_3_hop_ms": 0.7})
