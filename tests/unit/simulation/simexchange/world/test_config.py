"""The settings of a world of agents: what cannot be is refused with the range or with what would fit."""

import math

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.world import MakerConfig, WorldConfig

FAR = MakerConfig(levels=10, offset_cents=20, spacing_cents=9)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"informed_share": 1.5}, "informed_share.*1"),
        ({"jump_share": 1.0}, "jump_share"),
        ({"jump_share": 0.0}, "jump_share"),
        ({"resolved": 1.0}, "resolved"),
        ({"branching": 1.0}, "branching"),
        ({"takers_per_hour": 0}, "takers_per_hour"),
        ({"arbitrage_ms": 101}, "arbitrage_ms.*100"),
        ({"makers": ()}, "makers"),
        ({"makers": (FAR,)}, r"makers.0 quotes up to 101 cents .* less than 99"),
        ({"cash_usd": 1_000}, r"cash_usd=1000 cannot pay what makers.0 .* dollars in 4 markets"),
        ({"limits_per_hour": 50_000, "limit_life_s": 60}, "rest 833 orders a market .* at most 100"),
        ({"category_shares": (0.5, 0.5, 0.5, 0.5)}, "add up to 1"),
        ({"category_shares": (1.5, -0.5, 0.0, 0.0)}, "add up to 1"),
        ({"category_shares": (math.nan, 0.5, 0.5, 0.5)}, "add up to 1"),
        ({"stagger_s": 10**12}, "n_events=80 with stagger_s=1,000,000,000,000 .* at most 6,307,200,000 s"),
        ({"single_share": 0.7, "nested_share": 0.7}, "above 1"),
        ({"min_markets": 5, "max_markets": 4}, "min_markets=5 is above max_markets=4"),
        ({"child_contracts": 5_000}, "child_contracts=5000 is above whale_contracts=1500"),
        ({"unknown_knob": 1}, "unknown_knob"),
    ],
)
def test_a_world_that_cannot_be_is_refused_with_the_value_and_what_fits(changes, named):
    with pytest.raises(ContractError, match=named):
        WorldConfig().replace(**changes)


def test_makers_that_could_never_rest_a_quote_are_refused():
    with pytest.raises(ContractError, match="max_contracts=50 is below contracts=200"):
        MakerConfig.parse({"max_contracts": 50})
    with pytest.raises(ContractError, match="max_contracts=10 is below lot_contracts=1000"):
        MakerConfig.parse({"max_contracts": 10, "contracts": 1, "lot_contracts": 1_000})
    for offset in (0, 50):
        with pytest.raises(ContractError, match="offset_cents"):
            MakerConfig.parse({"offset_cents": offset})


def test_agents_that_hardly_ever_act_are_refused_with_the_number_of_messages():
    lazy = MakerConfig(levels=1, refresh_s=3_600)
    with pytest.raises(ContractError, match="these agents send about 3 messages a market"):
        WorldConfig().replace(makers=(lazy,), limits_per_hour=0, takers_per_hour=10, min_duration_s=600)


def test_the_expected_rows_count_a_ladder_twice_a_cycle():
    # one maker of 2 levels a side: 4 quotes set and 4 cancelled every 10 s; 36 takers an hour set off as many
    maker = MakerConfig(levels=2, refresh_s=9.0, pause_ms=1_000)
    config = WorldConfig(
        makers=(maker,), limits_per_hour=0, takers_per_hour=36, branching=0.5, single_share=1.0,
        nested_share=0.0, n_events=2, min_duration_s=1_000, max_duration_s=1_000,
    )  # fmt: skip
    assert config.rows_a_second == pytest.approx(0.8 + 0.02)
    assert config.expected_rows == pytest.approx(2 * 820)
