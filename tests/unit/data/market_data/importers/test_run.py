"""An import job: lifecycle frames, grids declared, inferred and told in the middle of a recording."""

import json
from pathlib import Path

import pytest
from made import both_doors as wire
from made.market_files import (
    T0,
    capture,
    load,
    rest,
    snapshot,
    trade,
    write,
)
from made.market_rows import CENTS, TENTHS, bands

from kalshi_platform.domain.errors import DataError


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


def test_a_price_off_a_declared_grid_is_refused(tmp_path: Path) -> None:
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
    (tmp_path / "m.json").write_text(json.dumps({"markets": [rest("A-1", "EV", price_ranges=bands)]}))
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("A-1", 2, 4_210)])
    with pytest.raises(DataError, match=r"t\.parquet: row 1, market A-1: .*4210"):
        load(tmp_path)


def test_an_undeclared_grid_is_inferred_but_never_finer_than_a_tenth_of_a_cent(tmp_path: Path) -> None:
    markets, counters = load(write(tmp_path / "t.parquet", [trade("A-1", 1, 4_210), trade("B-1", 1, 4_200)]))
    assert (markets["A-1"].spec.tick_e4, markets["B-1"].spec.tick_e4) == (10, 100)
    assert counters["grid_inferred"] == 1
    with pytest.raises(DataError, match=r"u\.parquet: row 0, market A-1: .*4211"):
        load(write(tmp_path / "u.parquet", [trade("A-1", 1, 4_211)]))


def test_each_row_is_checked_against_the_grid_in_force_at_its_time(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.lifecycle("created", TENTHS),
        wire.snapshot(1, {"0.4210": "75.00"}),
        wire.delta(2, "0.4210", "-75.00"),
        wire.lifecycle("price_level_structure_updated", CENTS),
        wire.delta(3, "0.4200", "5.00"),
    )
    both = wire.assert_doors_agree(wire.write_frames(tmp_path / "c.jsonl", frames))
    assert both.rows[wire.TICKER].bid_px_e4[:, 0].tolist() == [-1, 4_210, -1, -1, 4_200]  # two rows of facts
    assert (both.markets[wire.TICKER].spec.price_ranges, both.markets[wire.TICKER].tick_e4) == (CENTS, 10)
    assert both.counters["grid_changed"] == 1
    grids = [known.price_ranges for known in both.markets[wire.TICKER].history.known]
    assert (grids, both.rows[wire.TICKER].known.tolist()) == ([CENTS, TENTHS, CENTS], [1, 1, 1, 2, 2])


def test_a_price_of_the_old_grid_is_refused_by_both_once_the_new_one_is_in_force(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.lifecycle("created", TENTHS),
        wire.snapshot(1, {"0.4210": "75.00"}),
        wire.lifecycle("price_level_structure_updated", CENTS),
        wire.delta(2, "0.4210", "-75.00"),
    )
    capture = wire.write_frames(tmp_path / "c.jsonl", frames)
    live = wire.lived(capture)
    assert [int(row.valid[0]) for row in live.rows[wire.TICKER]] == [0, 1, 1, 0]
    with pytest.raises(DataError, match=r"line 4, .*4210"):
        wire.imported(capture)
    assert live.refused[0].startswith("stream: frame 4, ")


def test_a_grid_told_by_a_frame_beats_that_of_the_metadata_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(
        json.dumps({"markets": [rest(wire.TICKER, "KXDEMO-26DEC01", price_ranges=wire.dollars(CENTS))]})
    )
    frames = wire.one_connection(
        wire.snapshot(1, {"0.4200": "75.00"}),
        wire.lifecycle("price_level_structure_updated", TENTHS),
        wire.delta(2, "0.4210", "5.00"),
    )
    capture = wire.write_frames(tmp_path / "c.jsonl", frames)
    spec = wire.imported(capture, tmp_path / "m.json").markets[wire.TICKER].spec.replace(price_ranges=CENTS)
    both = wire.assert_doors_agree(capture, tmp_path / "m.json", specs=[spec])
    assert both.markets[wire.TICKER].spec.price_ranges == TENTHS


def test_a_grid_told_late_does_not_reach_back(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.snapshot(1, {"0.4211": "75.00"}),
        wire.lifecycle("created", bands(0, 1, 10_000)),
        wire.delta(2, "0.4211", "1.00"),
    )
    capture = wire.write_frames(tmp_path / "c.jsonl", frames)
    assert wire.lived(capture).refused
    with pytest.raises(DataError, match=r"line 1, .*4211"):
        wire.imported(capture)


def test_a_frame_that_repeats_the_grid_in_force_declares_nothing_new(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.snapshot(1, {"0.4200": "75.00"}),
        wire.lifecycle("created", CENTS),
        wire.delta(2, "0.4210", "1.00"),
    )
    both = wire.assert_doors_agree(wire.write_frames(tmp_path / "c.jsonl", frames))
    assert both.markets[wire.TICKER].spec.price_ranges == TENTHS


def test_a_grid_told_by_one_recorder_holds_for_the_rows_of_another_from_its_time_on(tmp_path: Path) -> None:
    first = wire.one_connection(
        wire.lifecycle("created", bands(0, 1, 10_000)), wire.snapshot(1, {"0.4211": "75.00"})
    )
    wire.write_frames(tmp_path / "a.jsonl", first)
    later = wire.write_frames(
        tmp_path / "b.jsonl", wire.one_connection(wire.snapshot(1, {"0.4212": "75.00"}))
    )
    later.write_text(later.read_text().replace(str(wire.T0_NS), str(wire.T0_NS + 10**6)))
    both = wire.imported(tmp_path)
    assert both.markets[wire.TICKER].tick_e4 == 1
