"""Complexity levels: the sizes of the brief, and sizes that do not fit together."""

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS, Level, level_named


def test_an_unknown_level_is_refused_with_the_names_there_are():
    with pytest.raises(ContractError, match="'huge' is none of tiny, simple, moderate"):
        level_named("huge")


def test_one_regime_alone_is_refused():
    with pytest.raises(ContractError, match="n_regimes=1: one regime tells nothing apart"):
        Level.parse({**level_named("advanced").model_dump(), "n_regimes": 1})


def test_levels_are_the_briefs():
    names = ("simple", "moderate", "advanced", "complex")
    levels = [level_named(name) for name in names]
    assert [x.hidden_sizes for x in levels] == [(64,), (128, 64), (256, 128, 64), (512, 256, 128)]
    assert [x.lstm_hidden for x in levels] == [32, 64, 128, 256]
    assert [x.attention_heads for x in levels[1:]] == [2, 4, 8]
    assert [x.attention_layers for x in levels[1:]] == [1, 2, 3]
    assert [x.latency_budget_ms for x in levels] == [2, 10, 30, 50]
    assert [x.n_regimes > 0 for x in levels] == [False, False, True, True]
    assert [x.microstructure for x in levels] == [False, False, False, True]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attention_heads": 3}, ("64", "3")),
        ({"window": 0}, ("window=0", "lstm_hidden=128")),
        ({"lstm_hidden": 0}, ("window=16", "lstm_hidden=0")),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused_with_both(changes, named):
    with pytest.raises(ContractError) as refused:
        Level.parse({**level_named("advanced").model_dump(), **changes})
    assert all(value in str(refused.value) for value in named)


def test_every_level_is_found_by_its_name_and_no_tier_s_network_is():
    assert all(level_named(name).name == name for name in LEVELS)
    for level in TIER_LEVELS.values():
        with pytest.raises(ContractError, match=level.name):
            level_named(level.name)


def test_only_levels_with_a_head_of_their_own_have_an_auxiliary_loss():
    assert [name for name in LEVELS if level_named(name).has_auxiliary] == ["advanced", "complex"]
