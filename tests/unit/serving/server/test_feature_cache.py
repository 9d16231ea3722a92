"""Left-out columns: filled with the market's own last values, within their bounds, or refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.features.spec import FEATURE_SETS, features_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.server.feature_cache import (
    CLASS_OF_COLUMN,
    CLASS_OF_GROUP,
    FeatureCache,
    FeatureCacheConfig,
    FeatureClass,
    MissingColumnsError,
)

MS = 1_000_000
FAST, SLOW, STATIC = "yes_mid", "close_log_hours", "is_sports"
NAMES = (FAST, SLOW, STATIC)
BOUND_NS = {SLOW: 500 * MS, STATIC: 5_000 * MS}


def cache(**config):
    return FeatureCache(NAMES, FeatureCacheConfig(**config))


def rows(*values):
    return np.array(values, np.float32)


def test_every_group_of_the_table_has_a_class_and_prices_and_the_account_are_fast():
    assert set(CLASS_OF_GROUP) == set(FEATURE_SETS)
    fast = {
        f.name for f in features_of(["orderbook", "temporal", "trade_flow", "microstructure", "portfolio"])
    }
    assert {name for name, kind in CLASS_OF_COLUMN.items() if kind is FeatureClass.FAST} == fast
    assert (CLASS_OF_COLUMN[SLOW], CLASS_OF_COLUMN[STATIC]) == (FeatureClass.SLOW, FeatureClass.STATIC)


def test_a_left_out_column_gets_the_markets_own_last_value_in_the_models_order():
    found = cache()
    whole = found.fill("me", (STATIC, FAST, SLOW), rows([1, 0.2, 0.3], [0, 0.4, 0.5]), ["A", "B"], 0)
    np.testing.assert_array_equal(whole.rows, rows([0.2, 0.3, 1], [0.4, 0.5, 0]))
    np.testing.assert_array_equal(whole.age_ns, [0, 0])
    later = found.fill("me", (FAST,), rows([0.7], [0.6]), ["B", "A"], 400 * MS)
    np.testing.assert_array_equal(later.rows, rows([0.7, 0.5, 0], [0.6, 0.3, 1]))
    np.testing.assert_array_equal(later.age_ns, [400 * MS] * 2)
    assert found.stats[FeatureClass.SLOW].hits == found.stats[FeatureClass.STATIC].hits == 2


@pytest.mark.parametrize("column", [SLOW, STATIC])
def test_a_value_serves_up_to_its_bound_and_a_ns_later_is_refused_and_counted(column):
    found, rest = cache(), tuple(name for name in NAMES if name != column)
    found.fill("me", NAMES, rows([0.1, 0.2, 0.3]), ["A"], 0)
    found.fill("me", rest, rows([0.1, 0.2]), ["A"], BOUND_NS[column])
    with pytest.raises(
        MissingColumnsError, match=rf"{column}.* too old .*allowed {BOUND_NS[column] // MS} ms.* A"
    ):
        found.fill("me", rest, rows([0.1, 0.2]), ["A"], BOUND_NS[column] + 1)
    stats = found.stats[CLASS_OF_COLUMN[column]]
    assert (stats.hits, stats.misses, stats.expired) == (1, 0, 1)


def test_a_fast_column_is_never_filled():
    found = cache()
    found.fill("me", NAMES, rows([0.1, 0.2, 0.3]), ["A"], 0)
    with pytest.raises(MissingColumnsError, match=f"{FAST}.*every message"):
        found.fill("me", (SLOW, STATIC), rows([0.2, 0.3]), ["A"], 0)


def test_what_was_never_sent_is_named_with_its_markets_and_nothing_is_remembered_of_the_request():
    found = cache()
    with pytest.raises(MissingColumnsError, match=rf"{STATIC}.* never sent for A, B"):
        found.fill("me", (FAST, SLOW), rows([0.1, 0.2], [0.1, 0.2]), ["A", "B"], 0)
    with pytest.raises(MissingColumnsError, match=SLOW):
        found.fill("me", (FAST, STATIC), rows([0.1, 0.2]), ["A"], 0)
    assert found.stats[FeatureClass.STATIC].misses == 2
    assert len(found) == 0


def test_nobody_is_shown_what_another_owner_sent():
    found = cache()
    found.fill("me", NAMES, rows([0.1, 0.2, 0.3]), ["A"], 0)
    with pytest.raises(MissingColumnsError, match="never sent"):
        found.fill("you", (FAST,), rows([0.1]), ["A"], 0)


def test_a_clock_set_back_makes_nothing_fresh():
    found = cache()
    found.fill("me", NAMES, rows([0.1, 0.2, 0.3]), ["A"], 10_000 * MS)
    with pytest.raises(MissingColumnsError, match="too old"):
        found.fill("me", (FAST,), rows([0.1]), ["A"], 9_999 * MS)


def test_the_market_least_recently_sent_leaves_and_its_place_holds_nothing_of_it():
    found = cache(max_markets=2)
    for market in "ABAC":  # B is the oldest when C comes
        found.fill("me", NAMES, rows([0.1, 0.2, 0.3]), [market], 0)
    assert len(found) == 2
    found.fill("me", (FAST,), rows([0.1], [0.1]), ["A", "C"], 1)
    found.fill("me", (FAST, SLOW), rows([0.5, 0.9]), ["A"], 2)
    with pytest.raises(MissingColumnsError, match="never sent for B"):
        found.fill("me", (FAST, SLOW), rows([0.1, 0.2]), ["B"], 2)


@pytest.mark.parametrize(
    ("columns", "values", "words"),
    [
        (("nonsense", FAST), rows([0.1, 0.2]), "nonsense"),
        ((FAST, FAST, SLOW, STATIC), rows([0.1, 0.2, 0.3, 0.4]), "more than once"),
        (NAMES, rows([0.1, 0.2]), r"expected float32 \(1, 3\)"),
        (NAMES, np.zeros((1, 3)), "float64"),
        (NAMES, rows([0.1, np.nan, 0.3]), f"{SLOW} of A is nan"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(columns, values, words):
    with pytest.raises(ContractError, match=words):
        cache().fill("me", columns, values, ["A"], 0)


def test_a_model_of_another_feature_table_is_refused():
    with pytest.raises(ContractError, match="other_table"):
        FeatureCache(("yes_mid", "other_table"))


def test_an_endless_variety_of_column_lists_does_not_fill_the_memory():
    names = tuple(f.name for f in features_of(["orderbook"]))
    found = FeatureCache(names)
    for k in range(200):
        order = tuple(np.random.default_rng(k).permutation(names))
        found.fill("me", order, np.zeros((1, len(names)), np.float32), ["A"], 0)
    assert len(found._plans) <= 64


sends = st.lists(
    st.tuples(
        st.integers(0, 3_000 * MS),  # since the request before
        st.sets(st.sampled_from([SLOW, STATIC])),  # columns left out
        st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=30,
)


@given(sends=sends, max_markets=st.integers(4, 6))
def test_what_is_filled_is_what_that_market_sent_last_within_its_bound(sends, max_markets):
    found, model, now, number = cache(max_markets=max_markets), {}, 0, 0
    for gap_ns, left_out, markets in sends:
        now += gap_ns
        columns = tuple(name for name in NAMES if name not in left_out)
        values = np.arange(number, number + len(markets) * len(columns), dtype=np.float32)
        values, number = values.reshape(len(markets), -1), number + values.size  # every value is its own
        wanted = [(m, c) for m in markets for c in left_out]
        due = all((m, c) in model and now - model[m, c][1] <= BOUND_NS[c] for m, c in wanted)
        if not due:
            with pytest.raises(MissingColumnsError):
                found.fill("me", columns, values, markets, now)
            continue
        filled = found.fill("me", columns, values, markets, now)
        for row, market in enumerate(markets):
            for place, name in enumerate(NAMES):
                sent = values[row, columns.index(name)] if name in columns else model[market, name][0]
                assert filled.rows[row, place] == sent
            ages = [now - model[market, c][1] for c in left_out]
            assert filled.age_ns[row] == max(ages, default=0)
        model |= {
            (m, c): (values[r, k], now)
            for r, m in enumerate(markets)
            for k, c in enumerate(columns)
            if c in BOUND_NS
        }
