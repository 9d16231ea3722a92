"""Group orderbook against numbers worked by hand: mid, spread, imbalance, empty and crossed books."""

import math

import pytest
from made.feature_rows import (
    SPEC,
    TENTHS,
    book_features,
    feature,
    messages,
)
from made.strategies import START_NS

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.schema import (
    NO,
    QUOTE,
    TRADE,
    YES,
)


def test_orderbook_features_match_values_worked_by_hand() -> None:
    # bid 0.40 with 300 contracts behind 100 more at 0.39; NO bid 0.56 = ask 0.44 with 100
    f = book_features((YES, 4_000, 30_000), (YES, 3_900, 10_000), (NO, 5_600, 10_000))
    mid = 0.42  # (0.40 + 0.44) / 2
    expected = {
        "yes_mid": mid,
        "no_mid": 0.58,
        "yes_deviation": -0.16,  # 2 x 0.42 - 1
        "no_deviation": 0.16,
        "yes_spread": 0.04 / 0.42,
        "no_spread": 0.04 / 0.58,
        "yes_imbalance": 0.6,  # (400 - 100) / 500
        "no_imbalance": -0.6,
        "yes_extremity": 0.84,  # 2 x min(0.42, 0.58)
        "no_extremity": 0.84,
        "arbitrage": 0.0,
        "total_volume": math.log(501) / math.log(1_000_001),
    }
    assert {name: f[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_imbalance_counts_the_five_best_levels_only() -> None:
    deep = [(YES, 4_000 - 100 * n, 100) for n in range(6)]
    # 5 x 1 contract against 5 contracts; the sixth level would give 6 / 11 - 5 / 11
    assert book_features(*deep, (NO, 5_000, 500))["yes_imbalance"] == 0.0


def test_empty_sides_count_as_the_ends_of_the_price_scale() -> None:
    only_ask = book_features((NO, 1_000, 100))  # ask 0.90, bid 0 -> mid 0.45, spread 0.90 > mid
    assert only_ask["yes_mid"] == pytest.approx(0.45)
    assert only_ask["yes_spread"] == 1.0
    assert only_ask["yes_imbalance"] == -1.0
    empty = book_features()
    assert (empty["yes_mid"], empty["yes_spread"], empty["yes_imbalance"]) == (0.5, 1.0, 0.0)


def test_the_spread_at_an_extreme_price_is_relative_to_one_cent_at_least() -> None:
    # bid 0, ask 0.002 on a finer ladder: mid 0.001, so 0.002 / max(0.001, 0.01) = 0.2
    assert book_features((NO, 9_980, 100), spec=TENTHS)["yes_spread"] == pytest.approx(0.2)


def test_a_crossed_book_shows_what_it_would_pay() -> None:
    f = book_features((YES, 6_000, 100), (NO, 4_300, 100))  # ask 0.57 under bid 0.60
    assert f["arbitrage"] == pytest.approx(0.03)
    assert f["yes_spread"] == 0.0


def test_unknown_sizes_are_neutral() -> None:
    rows = build_rows(messages((START_NS, [(QUOTE, YES, 4_000, -1), (QUOTE, NO, 5_000, 700)])), SPEC)
    assert feature(rows, "yes_imbalance") == [0.0]
    assert feature(rows, "total_volume") == [0.0]


def test_an_implied_book_with_one_side_stands_at_its_print() -> None:
    rows = build_rows(
        messages((START_NS, [(TRADE, YES, 9_000, 1)]), (START_NS, [(TRADE, NO, 8_800, 1)])), SPEC
    )
    assert feature(rows, "yes_mid") == pytest.approx([0.9, 0.89])
    assert feature(rows, "yes_spread") == pytest.approx([1.0, 0.02 / 0.89], rel=1e-6)
