"""Columns that need facts beyond a market's frames, and which of them a policy cannot see to be unknown."""

import numpy as np
import pytest

from kalshi_platform.data.features import market_facts
from kalshi_platform.data.features.needs import COLUMNS_OF, GIVEN_BY, NEUTRAL, in_table_order, lacking
from kalshi_platform.data.features.spec import MARKET_META, SPEC, features_of
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.history import known_facts
from kalshi_platform.domain.market import MarketSpec

ALL = frozenset(feature.name for feature in SPEC)
BARE = MarketSpec(ticker="RAIN-1-A", event="RAIN-1")
WHOLE = BARE.replace(
    category="Sports", open_ns=1, close_ns=9, expected_expiration_ns=8, can_close_early=False
)


def known(spec):
    return known_facts(spec, MarketFacts(), None)


def test_every_named_column_is_in_the_table_and_every_need_says_who_gives_it():
    for need, columns in COLUMNS_OF.items():
        assert set(columns) <= ALL
        assert GIVEN_BY[need]


def test_every_column_whose_formula_names_an_unknown_fact_is_listed():
    listed = {column for columns in COLUMNS_OF.values() for column in columns}
    for feature in SPEC:
        if "unknown" in feature.formula and feature.feature_set in (
            "temporal",
            "market_meta",
            "temporal_adv",
        ):
            assert feature.name in listed, feature.name
    assert {f.name for f in features_of(["resolution"])} <= listed


def test_a_market_of_which_nothing_is_known_lacks_all_and_a_described_one_the_outcomes_alone():
    assert set(lacking(ALL, None, None, outcomes=False)) == {"outcomes", "category", "open_ns", "close_ns"}
    assert set(lacking(ALL, BARE, known(BARE), outcomes=True)) == {"category", "open_ns", "close_ns"}
    assert set(lacking(ALL, WHOLE, known(WHOLE), outcomes=False)) == {"outcomes"}
    assert lacking(ALL, WHOLE, known(WHOLE), outcomes=True) == {}
    assert lacking(frozenset(["yes_mid"]), None, None, outcomes=False) == {}


@pytest.mark.parametrize("category", ["", "  "])
def test_a_blank_category_is_none(category):
    assert "category" in lacking(ALL, WHOLE.replace(category=category), known(WHOLE), outcomes=True)


def test_the_close_of_a_market_that_can_close_early_is_its_expected_expiration():
    spec = WHOLE.replace(can_close_early=True, expected_expiration_ns=None)
    assert set(lacking(ALL, spec, known(spec), outcomes=True)) == {"close_ns"}


def test_an_unknown_category_looks_like_another_category_which_is_why_it_is_neutral():
    schedule = market_facts.schedule_of([known(BARE)])
    told = market_facts.new_facts(BARE.replace(category="Weather"), schedule)
    np.testing.assert_array_equal(market_facts.new_facts(BARE, schedule), told)
    assert "category" in NEUTRAL
    assert MARKET_META.start >= 0


def test_columns_are_named_in_the_order_of_the_table():
    assert in_table_order({"similar_rate", "time_to_close", "yes_mid"}) == [
        "yes_mid", "time_to_close", "similar_rate",
    ]  # fmt: skip
