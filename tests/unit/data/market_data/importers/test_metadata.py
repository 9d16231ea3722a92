"""Metadata of every shape to one catalogue: events, times, outcomes, contradictions."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import (
    load,
    meta,
    rest,
    trade,
    write,
)

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.domain.errors import DataError


def test_metadata_names_event_times_and_outcome_and_missing_metadata_is_said(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("B-1", 1, 4_200), trade("C-1", 1, 4_200)])
    write(
        tmp_path / "m.parquet", [meta("A-1", "EV", "yes"), meta("B-1", "EV", None), meta("Z-1", "EV", "no")]
    )
    markets, counters = load(tmp_path)
    assert {t: m.spec.event for t, m in markets.items()} == {"A-1": "EV", "B-1": "EV", "C-1": "C"}
    assert markets["A-1"].spec.close_ns == 1_723_870_740 * 10**9
    assert markets["A-1"].settlement is not None
    assert markets["A-1"].settlement.value_e4 == 10_000
    assert markets["B-1"].settlement is None
    assert markets["C-1"].settlement is None
    assert (counters["metadata_missing"], counters["event_inferred"], counters["metadata_unused"]) == (
        1,
        1,
        1,
    )


def test_outcomes_of_markets_without_rows_are_kept_for_the_history(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200)])
    write(tmp_path / "m.parquet", [meta("A-1", "EV", None), meta("Z-1", "OTHER", "no")])
    assert [r.spec.ticker for r in discover([tmp_path]).settled] == ["Z-1"]


@pytest.mark.parametrize(
    "document",
    [
        lambda m: [{"event_ticker": "EV", "category": "Sports", "markets": m}],
        lambda m: {"events": [{"event_ticker": "EV", "category": "Sports", "markets": m}], "cursor": ""},
        lambda m: {"event": {"event_ticker": "EV", "category": "Sports"}, "markets": m},
        lambda m: {"markets": [{**x, "category": "Sports"} for x in m], "cursor": ""},
        lambda m: {"market": {**m[0], "category": "Sports"}},
    ],
    ids=["list", "events", "event", "markets", "market"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_rest_answers_of_every_shape_are_metadata(
    tmp_path: Path, document: Callable[..., Any], indent: int | None
) -> None:
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    market = rest("A-1", "EV", price_ranges=bands, result="scalar", settlement_value_dollars="0.3700")
    (tmp_path / "r.gz").write_bytes(gzip.compress(json.dumps(document([market]), indent=indent).encode()))
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_210)])
    markets, _ = load(tmp_path)
    spec, settlement = markets["A-1"].spec, markets["A-1"].settlement
    assert (spec.event, spec.category, spec.tick_e4) == ("EV", "Sports", 10)
    assert settlement is not None
    assert settlement.value_e4 == 3_700


def test_contradicting_metadata_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200)])
    write(tmp_path / "m.parquet", [meta("A-1", "EV", "yes")])
    (tmp_path / "n.json").write_text(json.dumps({"markets": [rest("A-1", "EV", result="no")]}))
    with pytest.raises(
        DataError, match=r"n\.json: market A-1 settled at 0, another metadata file says 10000"
    ):
        discover([tmp_path])


def test_an_unreadable_outcome_leaves_the_settlement_unknown_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200)])
    write(tmp_path / "m.parquet", [meta("A-1", "EV", "void")])
    markets, counters = load(tmp_path)
    assert markets["A-1"].settlement is None
    assert counters["settlement_unreadable"] == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", None])
def test_timestamps_of_a_table_count_their_own_unit_and_are_utc_without_zone(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("B-1", 1, 4_200)])
    close = 1_723_870_740 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    rows = [{k: v for k, v in meta(t, "EV", "yes").items() if k != "close_time"} for t in ("A-1", "B-1")]
    table = pa.Table.from_pylist(rows)
    fraction = 0 if unit == "s" else 1  # a part of a second is kept
    closes = pa.array([close + fraction, None], pa.timestamp(unit, zone))
    pq.write_table(table.append_column("close_time", closes), tmp_path / "m.parquet")
    markets, counters = load(tmp_path)
    more_ns = {"s": 0, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    assert markets["A-1"].history.close_ns == 1_723_870_740 * 10**9 + more_ns
    assert markets["B-1"].history.close_ns is None
    assert counters["timestamps_without_zone_read_as_utc"] == (0 if zone else 2)


def test_a_document_with_values_as_numbers_is_read_exactly(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("B-1", 1, 4_200)])
    markets = [
        rest("A-1", "EV", result="scalar", settlement_value_dollars=0.57, last_price_dollars=0.07),
        rest("B-1", "EV", result="no", settlement_value_dollars=1),
    ]
    (tmp_path / "m.json").write_text(json.dumps({"markets": markets}))
    found, counters = load(tmp_path)
    assert found["A-1"].settlement is not None
    assert found["A-1"].settlement.value_e4 == 5_700
    assert found["B-1"].settlement is None
    assert counters["outcome_contradicts_result"] == 1
