"""The feature table: groups, columns, digest, and the switch."""

import pytest

from kalshi_platform.data.features import spec
from kalshi_platform.domain.errors import ContractError


def test_groups_have_the_sizes_of_the_design() -> None:
    sizes = {group: len(spec.features_of([group])) for group in spec.FEATURE_SETS}
    assert (sizes["orderbook"], sizes["temporal"]) == (12, 16)
    assert [sizes[g] for g in ("trade_flow", "market_meta", "temporal_adv", "resolution")] == [6, 7, 6, 3]
    assert 8 <= sizes["microstructure"] <= 12
    assert sum(sizes.values()) == spec.N_ROW_FEATURES + spec.N_PORTFOLIO


def test_names_are_unique_and_bounds_lie_within_one() -> None:
    assert len({f.name for f in spec.SPEC}) == len(spec.SPEC)
    assert all((f.low, f.high) in {(-1, 1), (0, 1)} for f in spec.SPEC)


def test_no_feature_names_an_identity() -> None:
    words = " ".join(f"{f.name} {f.formula}" for f in spec.SPEC)
    assert not any(word in words for word in ("ticker", "event_id", "series", "market id", "result"))


def test_columns_are_those_of_the_rows_in_table_order() -> None:
    assert spec.columns(["orderbook"]) == list(range(12))
    assert spec.columns(["temporal", "orderbook"]) == list(range(28))
    assert spec.columns(["portfolio"]) == []
    assert (range(12), range(12, 28)) == (spec.ORDERBOOK, spec.TEMPORAL)


def test_an_unknown_group_is_refused_with_the_known_ones() -> None:
    known = f"known sets: {', '.join(spec.FEATURE_SETS)}"
    with pytest.raises(ContractError, match=rf"'weather' is unknown; {known}"):
        spec.columns(["orderbook", "weather"])
    with pytest.raises(ContractError, match="not stored in rows"):
        spec.column_range("portfolio")


def test_the_digest_follows_the_meaning_not_the_order_of_asking() -> None:
    assert spec.digest(["orderbook", "temporal"]) == spec.digest(["temporal", "orderbook"])
    assert spec.digest(["orderbook"]) != spec.digest(["temporal"])
    assert spec.digest(spec.ROW_FEATURE_SETS) == spec.FEATURE_DIGEST


def test_a_changed_formula_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec.digest(["orderbook"])
    first, *rest = spec.SPEC
    monkeypatch.setattr(spec, "SPEC", (first._replace(formula="b"), *rest))
    assert spec.digest(["orderbook"]) != before
