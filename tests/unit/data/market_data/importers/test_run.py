"""Captures, metadata, and several sources that tell of one market."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made.market_files import (
    T0,
    capture,
    delta,
    load,
    meta,
    quote,
    rest,
    snapshot,
    trade,
    write,
)

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.data.market_data.schema import DELTA, GAP, SNAPSHOT
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE

# Captures


def test_capture_files_that_follow_one_another_are_one_recording(tmp_path: Path) -> None:
    capture(tmp_path / "2.jsonl.gz", [(3, 1, delta("E-A", 3)), (4, 1, delta("E-A", 6))])
    capture(tmp_path / "1.jsonl", [(1, 1, snapshot("E-A", 1)), (2, 1, snapshot("F-B", 2))])
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, SNAPSHOT, DELTA, GAP]
    assert markets["F-B"].rows.kind.tolist() == [
        SNAPSHOT,
        SNAPSHOT,
        SNAPSHOT,
        GAP,
    ]  # its frames stand in file 1 only
    assert counters["deltas_quarantined"] == 1


def test_two_recorders_of_one_market_keep_the_longer_record(tmp_path: Path) -> None:
    capture(tmp_path / "a.jsonl", [(1, 1, snapshot("E-A", 1)), (9, 1, delta("E-A", 2))])
    capture(
        tmp_path / "b.jsonl", [(2, 1, snapshot("E-A", 1)), (3, 1, delta("E-A", 2)), (4, 1, delta("E-A", 3))]
    )
    markets, counters = load(tmp_path)
    assert markets["E-A"].source == "b.jsonl"
    assert counters["rows_of_overlapping_source"] == 4


def test_a_market_with_prints_only_is_trade_implied(tmp_path: Path) -> None:
    msg = {
        "market_ticker": "E-B",
        "yes_price_dollars": "0.4300",
        "count_fp": "1.00",
        "taker_outcome_side": "yes",
    }
    path = capture(
        tmp_path / "a.jsonl",
        [(1, 1, snapshot("E-A", 1)), (2, 1, {"type": "trade", "sid": 2, "seq": 1, "msg": msg})],
    )
    markets, _ = load(path)
    assert {t: m.provenance for t, m in markets.items()} == {"E-A": "recorded", "E-B": "trade_implied"}


def test_the_wrong_price_scale_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    # NO levels on the YES scale: an ask at 0.45 and one at 0.70, read as NO bids the book is crossed
    message = snapshot("E-A", 1)
    message["msg"]["no_dollars_fp"] = [["0.4500", "3.00"], ["0.7000", "3.00"]]
    path = capture(tmp_path / "a.jsonl", [(1, 1, message)])
    with pytest.raises(
        DataError, match=r"crossed with use_yes_price=False; import it with use_yes_price=True"
    ):
        load(path)
    markets, _ = load(path, use_yes_price=True)
    assert markets["E-A"].rows.price_e4.tolist() == [NO_PRICE, 4_000, 5_500, 3_000]


def test_lifecycle_frames_settle_a_market_without_metadata(tmp_path: Path) -> None:
    end = {
        "market_ticker": "E-A",
        "event_type": "determined",
        "determination_ts": T0 + 9,
        "result": "no",
        "settlement_value": "0.0000",
    }
    path = capture(
        tmp_path / "a.jsonl",
        [(1, 1, snapshot("E-A", 1)), (9, 1, {"type": "market_lifecycle_v2", "sid": 3, "seq": 1, "msg": end})],
    )
    markets, counters = load(path)
    settlement = markets["E-A"].settlement
    assert settlement is not None
    assert (settlement.value_e4, settlement.determined_ns) == (0, (T0 + 9) * 10**9)
    assert counters["metadata_missing"] == counters["event_inferred"] == 1


# Metadata


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


def test_a_price_off_a_declared_grid_is_refused(tmp_path: Path) -> None:
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
    (tmp_path / "m.json").write_text(json.dumps({"markets": [rest("A-1", "EV", price_ranges=bands)]}))
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("A-1", 2, 4_210)])
    with pytest.raises(
        DataError, match=r"t\.parquet: row 1, market A-1: trade has a price off the market's grid .*: 4210"
    ):
        load(tmp_path)


def test_an_undeclared_grid_is_inferred_but_never_finer_than_a_tenth_of_a_cent(tmp_path: Path) -> None:
    markets, counters = load(write(tmp_path / "t.parquet", [trade("A-1", 1, 4_210), trade("B-1", 1, 4_200)]))
    assert (markets["A-1"].spec.tick_e4, markets["B-1"].spec.tick_e4) == (10, 100)
    assert counters["grid_inferred"] == 1
    with pytest.raises(DataError, match="off the market's grid"):
        load(write(tmp_path / "u.parquet", [trade("A-1", 1, 4_211)]))


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


# Several sources


def test_the_richest_provenance_of_a_market_is_kept_whole(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("E-A", 1, 4_200), trade("E-B", 1, 4_200)])
    write(tmp_path / "q.parquet", [quote("E-A", 1, 4_000, 4_200)])
    markets, counters = load(tmp_path)
    assert {t: m.provenance for t, m in markets.items()} == {"E-A": "quotes", "E-B": "trade_implied"}
    assert counters["rows_of_poorer_source:trade_implied"] == 1


def test_files_that_follow_one_another_are_joined_and_overlapping_ones_not(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [trade("E-A", s, 4_200) for s in (1, 2, 3)])
    write(tmp_path / "b.parquet", [trade("E-A", s, 4_300) for s in (5, 6)])
    write(tmp_path / "c.parquet", [trade("E-A", 2, 9_900)])
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.price_e4.tolist() == [4_200] * 3 + [4_300] * 2
    assert markets["E-A"].source == "a.parquet+b.parquet"
    assert counters["rows_of_overlapping_source"] == 1
