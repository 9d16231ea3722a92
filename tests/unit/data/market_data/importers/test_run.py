"""An import job: lifecycle frames, grids declared, inferred and told in the middle of a recording."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from made import both_doors as wire
from made.market_files import (
    T0,
    capture,
    load,
    notes_of,
    rest,
    snapshot,
    trade,
    write,
)
from made.market_rows import CENTS, TENTHS, bands

from kalshi_platform.domain.fee_schedule import terms_at


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


def test_a_price_off_a_declared_grid_is_put_aside_and_named(tmp_path: Path) -> None:
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
    (tmp_path / "m.json").write_text(json.dumps({"markets": [rest("A-1", "EV", price_ranges=bands)]}))
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("A-1", 2, 4_210)])
    markets, counters = load(tmp_path)
    assert markets["A-1"].rows.price_e4.tolist() == [4_200]
    assert counters["rows_refused:price_off_grid"] == 1
    assert re.search(r"put aside: .*t\.parquet: row 1, market A-1: .*4210", notes_of(tmp_path))


def test_an_undeclared_grid_is_inferred_but_never_finer_than_a_tenth_of_a_cent(tmp_path: Path) -> None:
    markets, counters = load(write(tmp_path / "t.parquet", [trade("A-1", 1, 4_210), trade("B-1", 1, 4_200)]))
    assert (markets["A-1"].spec.tick_e4, markets["B-1"].spec.tick_e4) == (10, 100)
    assert counters["grid_inferred"] == 1
    finer = write(tmp_path / "u.parquet", [trade("A-1", 1, 4_211)])
    assert load(finer)[1]["markets_without_usable_rows"] == 1
    assert re.search(r"u\.parquet: row 0, market A-1: .*4211", notes_of(finer))


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


def test_orders_that_rest_when_the_grid_changes_may_be_taken_or_shown_but_no_new_one_may_come(
    tmp_path: Path,
) -> None:
    frames = wire.one_connection(
        wire.lifecycle("created", TENTHS),
        wire.snapshot(1, {"0.4210": "75.00"}),
        wire.lifecycle("price_level_structure_updated", CENTS),
        wire.delta(2, "0.4210", "-70.00"),
        wire.trade(1, "0.4210", "5.00"),
        wire.snapshot(3, {"0.4210": "5.00"}),
        wire.delta(4, "0.4210", "-5.00"),
        wire.lifecycle("price_level_structure_updated", TENTHS),
        wire.delta(5, "0.4310", "5.00"),
    )
    both = wire.assert_doors_agree(wire.write_frames(tmp_path / "c.jsonl", frames))
    assert both.rows[wire.TICKER].bid_px_e4[-1, 0] == 4_310
    assert both.rows[wire.TICKER].valid[1:].all()  # the first row tells of the market, not of its book


def test_a_new_order_on_the_old_grid_is_refused_live_and_put_aside_on_import(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.lifecycle("created", TENTHS),
        wire.snapshot(1, {"0.4210": "75.00"}),
        wire.lifecycle("price_level_structure_updated", CENTS),
        wire.delta(2, "0.4210", "5.00"),
    )
    capture = wire.write_frames(tmp_path / "c.jsonl", frames)
    live, replay = wire.lived(capture), wire.imported(capture)
    assert live.rows[wire.TICKER][-1].valid[0] == 0
    assert live.refused[0].startswith("stream: frame 4, ")
    assert replay.counters["rows_refused:price_off_grid"] == 1
    assert re.search("put aside: .*line 4, .*4210", notes_of(capture))
    wire.assert_same_rows(live.rows[wire.TICKER], replay.rows[wire.TICKER], wire.TICKER)


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


def test_metadata_that_tell_the_last_of_several_grids_bind_no_row_before_the_first_telling(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.json").write_text(
        json.dumps({"markets": [rest(wire.TICKER, "KXDEMO-26DEC01", price_ranges=wire.dollars(CENTS))]})
    )
    frames = wire.one_connection(
        wire.snapshot(1, {"0.4210": "75.00"}),
        wire.lifecycle("price_level_structure_updated", TENTHS),
        wire.delta(2, "0.4210", "-75.00"),
        wire.lifecycle("price_level_structure_updated", CENTS),
        wire.delta(3, "0.4200", "5.00"),
    )
    found = wire.imported(wire.write_frames(tmp_path / "c.jsonl", frames), tmp_path / "m.json")
    assert found.rows[wire.TICKER].valid.all()
    assert not [name for name in found.counters if name.startswith("rows_refused")]


def test_a_grid_told_late_does_not_reach_back(tmp_path: Path) -> None:
    frames = wire.one_connection(
        wire.snapshot(1, {"0.4211": "75.00"}),
        wire.lifecycle("created", bands(0, 1, 10_000)),
        wire.delta(2, "0.4211", "1.00"),
    )
    capture = wire.write_frames(tmp_path / "c.jsonl", frames)
    assert wire.lived(capture).refused
    assert wire.imported(capture).counters["markets_without_usable_rows"] == 1
    assert re.search("line 1, .*4211", notes_of(capture))


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


def fee_frame(
    second: int, event: str, kind: str | None, multiplier: float | None
) -> tuple[int, int, dict[str, Any]]:
    msg = {"event_ticker": event, "fee_type_override": kind, "fee_multiplier_override": multiplier}
    return second, 1, {"type": "event_fee_update", "sid": 3, "seq": second, "msg": msg}


def test_fees_that_frames_tell_of_an_event_hold_from_their_time_on(tmp_path: Path) -> None:
    maker = "quadratic_with_maker_fees"
    frames = [
        (1, 1, snapshot("KXA-1-A", 1)),
        (2, 1, snapshot("KXA-2-A", 2)),
        fee_frame(5, "KXA-1", maker, 0.25),
        fee_frame(8, "KXA-1", None, None),
        (9, 1, snapshot("KXA-1-A", 3)),
    ]
    markets, counters = load(capture(tmp_path / "c.jsonl", frames))
    assert counters["fees:assumed"] == 2
    told, other = markets["KXA-1-A"].history.fees, markets["KXA-2-A"].history.fees
    seconds = [(terms_at(told, (T0 + s) * 10**9), terms_at(other, (T0 + s) * 10**9)) for s in (4, 5, 7, 8)]
    assert [a.fee_multiplier_e6 for a, _ in seconds] == [1_000_000, 250_000, 250_000, 1_000_000]
    assert [a.fee_type for a, _ in seconds] == ["quadratic", maker, maker, "quadratic"]
    assert [a.source for a, _ in seconds] == ["assumed", "known", "known", "assumed"]
    assert {b.fee_multiplier_e6 for _, b in seconds} == {1_000_000}


def test_subscriptions_end_and_begin_anew_alike_imported_and_live(tmp_path: Path) -> None:
    book, other = {"0.4000": "10.00"}, {"0.3000": "7.00"}
    overflow = {"type": "error", "sid": 1, "seq": 3, "msg": {"code": 25}}
    event = {"type": "event_lifecycle", "msg": {"event_ticker": "E", "series_ticker": "S"}}
    fee = {"type": "event_fee_update", "msg": {"event_ticker": "E", "fee_multiplier_override": "0.5"}}
    odd = wire.delta(3, "0.3000", "1.00")
    frames = [
        wire.snapshot(1, book), wire.delta(2, "0.4000", "1.00"), wire.trade(1, "0.5000", "1.00"),
        wire.snapshot(1, book), wire.delta(2, "0.4000", "1.00"),  # once more: repeats
        wire.snapshot(1, other), wire.delta(2, "0.3000", "1.00"), event,  # the count begins anew
        overflow, wire.trade(1, "0.6000", "2.00"), wire.delta(4, "0.3000", "1.00"), fee,
        wire.snapshot(1, book), {**odd, "seq": 2.5}, wire.delta(4, "0.4000", "1.00"),
    ]  # fmt: skip
    path = wire.write_frames(tmp_path / "a.jsonl", wire.one_connection(*frames))
    replay = wire.assert_doors_agree(path)
    assert replay.rows[wire.TICKER].valid.tolist() == [
        True, True, True, False, True, True, False, False, False, True, True, False,
    ]  # fmt: skip
    names = ("repeated_frames", "sequence_restarts", "subscriptions_ended:error_25", "seq_unreadable")
    # restarts: of the book, of the trades beside it, of the book once its subscription ended
    assert [replay.counters[name] for name in names] == [2, 3, 1, 1]


@pytest.mark.parametrize("name", ["KXMADE-ÜB", "KX MADE", "x" * 200])
def test_a_frame_of_a_name_that_no_market_has_is_lost_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    frames = [wire.snapshot(1, {"0.4200": "75.00"}), wire.snapshot(2, {"0.4100": "5.00"}, ticker=name)]
    frames += [wire.delta(3, "0.4200", "1.00"), wire.snapshot(4, {"0.4300": "9.00"})]
    path = wire.write_frames(tmp_path / "c.jsonl", wire.one_connection(*frames))
    replay, live = wire.imported(path), wire.lived(path)
    wire.assert_same_rows(live.rows[wire.TICKER], replay.rows[wire.TICKER], wire.TICKER)
    assert replay.rows.keys() == live.rows.keys() == {wire.TICKER}
    assert replay.rows[wire.TICKER].valid.tolist() == [1, 0, 1]
    assert replay.counters["refused_frames"] == live.counters["refused_frames"] == 1
    assert len(live.refused) == 1
