"""Files of every format to events: recognised by schema, converted exactly, refused clearly."""

import gzip
import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY
from kalshi_platform.events.capture import CaptureWriter
from kalshi_platform.events.importers import ImportedMarket, discover, run_job
from kalshi_platform.events.importers.recognise import FileKind, recognise
from kalshi_platform.events.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    TRADE,
    YES,
)

T0 = 1_700_000_000  # seconds


def write(
    path: Path, rows: list[dict[str, Any]], schema: dict[str, pa.DataType] | None = None, **options: Any
) -> Path:
    fields = pa.schema(list(schema.items())) if schema else None
    pq.write_table(pa.Table.from_pylist(rows, schema=fields), path, **options)
    return path


def trade(
    ticker: str, second: int, price: int, qty: int = 100, side: str = "yes", **more: Any
) -> dict[str, Any]:
    return {
        "ts_us": (T0 + second) * 10**6,
        "market_ticker": ticker,
        "yes_price_e4": price,
        "count_e2": qty,
        "taker_side": side,
        **more,
    }


def quote(ticker: str, second: int, bid: int | None, ask: int | None, **more: Any) -> dict[str, Any]:
    return {
        "recv_ts_ms": (T0 + second) * 1_000,
        "market_ticker": ticker,
        "yes_bid_e4": bid,
        "yes_ask_e4": ask,
        **more,
    }


def book(
    ticker: str,
    second: int,
    kind: str,
    side: str | None = None,
    price: int | None = None,
    size: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "recv_ts_us": (T0 + second) * 10**6,
        "market_ticker": ticker,
        "sid": None,
        "seq": None,
        "session": 0,
        "type": "delta" if kind == "delta" else "snapshot",
        "snap_start": None if kind == "delta" else kind == "start",
        "side": side,
        "price_e4": price,
        "size_e2": size,
        "taker_side": None,
        "is_fill": None,
        **more,
    }


BOOK_SCHEMA = {
    "recv_ts_us": pa.int64(),
    "market_ticker": pa.string(),
    "sid": pa.int64(),
    "seq": pa.int64(),
    "session": pa.int32(),
    "type": pa.string(),
    "snap_start": pa.bool_(),
    "side": pa.string(),
    "price_e4": pa.int32(),
    "size_e2": pa.int64(),
    "taker_side": pa.string(),
    "is_fill": pa.bool_(),
}


def load(*inputs: Path, **options: Any) -> tuple[dict[str, ImportedMarket], Counter[str]]:
    """Every market of the inputs, and all counters."""
    plan = discover(list(inputs), **options)
    counters = Counter(plan.counters)
    markets: dict[str, ImportedMarket] = {}
    for job in plan.jobs():
        for event in run_job(pickle.loads(pickle.dumps(job))):
            counters += event.counters
            markets.update({m.spec.ticker: m for m in event.markets})
    return markets, counters


def table(market: ImportedMarket, *names: str) -> list[tuple[int, ...]]:
    columns = (getattr(market.events, name).tolist() for name in names)
    return list(zip(*columns, strict=True))


CORE = ("kind", "side", "price_e4", "qty_e2", "flags")


# Trades


def test_trades_become_prints_and_equal_rows_are_all_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.bin", [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200), trade("E-B", 2, 100, 50, "no")]
    )
    markets, _ = load(path)
    assert table(markets["E-A"], *CORE) == [(TRADE, YES, 4_200, 100, FLAG_LAST)] * 2
    assert table(markets["E-B"], *CORE) == [(TRADE, NO, 100, 50, FLAG_LAST)]
    assert markets["E-A"].events.recv_ns.tolist() == [(T0 + 1) * 10**9] * 2
    assert markets["E-A"].provenance == "trade_implied"
    assert markets["E-A"].source == "x.bin"


def test_prints_of_one_order_are_put_in_the_order_it_walks_the_book(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, p) for p in (3_800, 3_600, 4_000)] + [
        trade("E-A", 1, p, side="no") for p in (3_000, 3_200)
    ]
    markets, counters = load(write(tmp_path / "t.parquet", [*rows, trade("E-A", 2, 3_500)]))
    assert markets["E-A"].events.price_e4.tolist() == [3_600, 3_800, 4_000, 3_200, 3_000, 3_500]
    assert counters["prints_put_in_walk_order"] > 0


def test_trades_with_an_id_are_kept_once(tmp_path: Path) -> None:
    rows = [trade("E-A", i, 4_200, trade_id=name) for i, name in enumerate(["a", "b", "a", None, None])]
    markets, counters = load(write(tmp_path / "t.parquet", rows))
    assert len(markets["E-A"].events.kind) == 4
    assert counters["repeated_trades"] == 1


# Quotes


def test_quotes_emit_only_the_sides_that_changed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q",
        [
            quote("E-A", 1, 4_000, 4_200),
            quote("E-A", 2, 4_000, 4_300),
            quote("E-A", 3, 4_000, 4_300),
            quote("E-A", 4, None, 4_300),
            quote("E-A", 5, 4_100, None),
        ],
    )
    markets, counters = load(path)
    assert table(markets["E-A"], *CORE) == [
        (QUOTE, YES, 4_000, UNKNOWN_QTY, 0),
        (QUOTE, NO, 5_800, UNKNOWN_QTY, FLAG_LAST),
        (QUOTE, NO, 5_700, UNKNOWN_QTY, FLAG_LAST),
        (QUOTE, YES, NO_PRICE, 0, FLAG_LAST),
        (QUOTE, YES, 4_100, UNKNOWN_QTY, 0),
        (QUOTE, NO, NO_PRICE, 0, FLAG_LAST),
    ]
    assert counters["quotes_unchanged"] == 1
    assert markets["E-A"].provenance == "quotes"


def test_crossed_and_locked_quotes_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [quote("E-A", 1, 4_000, 4_200), quote("E-A", 2, 4_300, 4_200), quote("E-A", 3, 4_200, 4_200)]
    markets, counters = load(write(tmp_path / "q", [*rows, quote("E-A", 4, 4_100, 4_200)]))
    assert markets["E-A"].events.price_e4.tolist() == [4_000, 5_800, 4_100]
    assert counters["quotes_crossed"] == counters["quotes_locked"] == 1


def test_a_bid_of_zero_and_an_ask_of_zero_or_one_are_empty_sides(tmp_path: Path) -> None:
    markets, _ = load(write(tmp_path / "q", [quote("E-A", 1, 0, 10_000), quote("E-B", 1, 4_000, 0)]))
    assert table(markets["E-A"], "price_e4", "qty_e2") == [(NO_PRICE, 0), (NO_PRICE, 0)]
    assert table(markets["E-B"], "price_e4", "qty_e2") == [(4_000, UNKNOWN_QTY), (NO_PRICE, 0)]


def test_recorded_quote_sizes_are_kept_and_their_changes_are_messages(tmp_path: Path) -> None:
    rows = [
        quote("E-A", i, 4_000, 4_200, yes_bid_size_e2=size, yes_ask_size_e2=None)
        for i, size in enumerate([500, 500, 700], 1)
    ]
    markets, _ = load(write(tmp_path / "q", rows))
    assert table(markets["E-A"], "side", "qty_e2") == [(YES, 500), (NO, UNKNOWN_QTY), (YES, 700)]


# Level 2


def test_level2_snapshots_fills_and_deltas(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l2",
        [
            book("E-A", 1, "start"),
            book("E-A", 1, "level", "yes", 4_000, 500),
            book("E-A", 1, "level", "no", 5_500, 300),
            book("E-A", 2, "delta", "no", 5_500, -100, is_fill=True),
            book("E-A", 3, "delta", "yes", 4_000, 50, is_fill=False),
            book("E-A", 4, "delta", "yes", 4_000, -50, is_fill=True),
        ],
        BOOK_SCHEMA,
    )
    markets, _ = load(path)
    # a resting NO bid at 0.55 was hit by a YES taker at 0.45; a resting YES bid at 0.40 by a NO taker at 0.40
    assert table(markets["E-A"], *CORE) == [
        (SNAPSHOT, NO_SIDE, NO_PRICE, 0, FLAG_START),
        (SNAPSHOT, YES, 4_000, 500, 0),
        (SNAPSHOT, NO, 5_500, 300, FLAG_LAST),
        (TRADE, YES, 4_500, 100, 0),
        (DELTA, NO, 5_500, -100, FLAG_LAST | FLAG_FILL),
        (DELTA, YES, 4_000, 50, FLAG_LAST),
        (TRADE, NO, 4_000, 50, 0),
        (DELTA, YES, 4_000, -50, FLAG_LAST | FLAG_FILL),
    ]
    assert markets["E-A"].provenance == "recorded"


def test_a_new_session_is_a_gap_until_its_snapshot(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l2",
        [
            book("E-A", 1, "start"),
            book("E-A", 1, "level", "yes", 4_000, 500),
            book("E-A", 5, "delta", "yes", 4_000, 10, session=1),
            book("E-A", 6, "start", session=1),
        ],
        BOOK_SCHEMA,
    )
    markets, counters = load(path)
    assert markets["E-A"].events.kind.tolist() == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT]
    assert markets["E-A"].events.qty_e2[2] == UNKNOWN_QTY
    assert counters["deltas_quarantined"] == 1


def test_a_hole_in_level2_numbers_is_a_gap_in_every_market_of_the_subscription(tmp_path: Path) -> None:
    def numbered(
        ticker: str, second: int, seq: int, kind: str, *cells: Any, sid: int = 1, **more: Any
    ) -> dict[str, Any]:
        return book(ticker, second, kind, *cells, sid=sid, seq=seq, **more)

    path = write(
        tmp_path / "l2",
        [
            numbered("E-A", 1, 1, "start"),
            numbered("E-A", 1, 1, "level", "yes", 4_000, 500),
            numbered("E-B", 2, 2, "start"),
            numbered("E-B", 2, 2, "level", "yes", 4_000, 500),
            numbered("E-C", 2, 1, "start", sid=2),
            numbered("E-A", 3, 5, "delta", "yes", 4_000, 10),
            numbered("E-B", 4, 6, "delta", "yes", 4_000, 10, is_fill=True),
            numbered("E-C", 5, 2, "delta", "yes", 4_000, 10, sid=2),
            numbered("E-C", 5, 2, "delta", "yes", 4_000, 10, sid=2),
        ],
        BOOK_SCHEMA,
    )
    markets, counters = load(path)
    for ticker in ("E-A", "E-B"):
        assert markets[ticker].events.kind.tolist() == [SNAPSHOT, SNAPSHOT, GAP]
        assert markets[ticker].events.qty_e2[-1] == 2
    assert markets["E-C"].events.kind.tolist() == [SNAPSHOT, DELTA]
    assert counters["repeated_deltas"] == 1
    assert counters["fills_that_add"] == 1


# Captures


def capture(path: Path, messages: list[tuple[int, int, dict[str, Any]]]) -> Path:
    with CaptureWriter(path) as writer:
        for second, conn, message in messages:
            writer.append((T0 + second) * 10**9, conn, json.dumps(message))
    return path


def snapshot(ticker: str, seq: int, yes: str = "0.4000", no: str = "0.5500", sid: int = 1) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "yes_dollars_fp": [[yes, "5.00"]], "no_dollars_fp": [[no, "3.00"]]}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg}


def delta(ticker: str, seq: int, qty: str = "1.00", price: str = "0.4000", sid: int = 1) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": qty, "side": "yes"}
    return {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": msg}


def test_capture_files_that_follow_one_another_are_one_recording(tmp_path: Path) -> None:
    capture(tmp_path / "2.jsonl.gz", [(3, 1, delta("E-A", 3)), (4, 1, delta("E-A", 6))])
    capture(tmp_path / "1.jsonl", [(1, 1, snapshot("E-A", 1)), (2, 1, snapshot("F-B", 2))])
    markets, counters = load(tmp_path)
    assert markets["E-A"].events.kind.tolist() == [SNAPSHOT, SNAPSHOT, SNAPSHOT, DELTA, GAP]
    assert markets["F-B"].events.kind.tolist() == [
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
    assert markets["E-A"].events.price_e4.tolist() == [NO_PRICE, 4_000, 5_500, 3_000]


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


def meta(ticker: str, event: str, result: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "market_ticker": ticker,
        "event_ticker": event,
        "series_ticker": "S",
        "close_time": "2024-08-17T04:59:00Z",
        "result": result,
        **more,
    }


def rest(ticker: str, event: str, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "event_ticker": event,
        "close_time": "2024-08-17T04:59:00.5Z",
        "status": "active",
        "result": "",
        **more,
    }


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
    assert markets["E-A"].events.price_e4.tolist() == [4_200] * 3 + [4_300] * 2
    assert markets["E-A"].source == "a.parquet+b.parquet"
    assert counters["rows_of_overlapping_source"] == 1


# Recognition and refusal


def test_names_do_not_matter(tmp_path: Path) -> None:
    assert recognise(write(tmp_path / "a.jsonl.txt", [trade("E-A", 1, 1)])) is FileKind.TRADES
    assert recognise(write(tmp_path / "b", [quote("E-A", 1, 1, 2)])) is FileKind.QUOTES
    assert recognise(write(tmp_path / "c", [book("E-A", 1, "start")], BOOK_SCHEMA)) is FileKind.LEVEL2
    assert recognise(write(tmp_path / "d", [meta("A", "B")])) is FileKind.METADATA_TABLE
    assert (
        recognise(capture(tmp_path / "e.parquet.gz", [(1, 1, {})]).rename(tmp_path / "e")) is FileKind.CAPTURE
    )


def test_a_named_file_of_unknown_schema_is_refused_and_one_in_a_folder_is_listed(tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.parquet", [{"a": 1, "b": 2}])
    (tmp_path / "README.md").write_text("# notes")
    write(tmp_path / "t.parquet", [trade("E-A", 1, 4_200)])
    with pytest.raises(DataError, match=r"odd\.parquet: unknown columns a, b; known are"):
        discover([odd])
    with pytest.raises(DataError, match=r"README\.md: neither Parquet nor JSON"):
        discover([tmp_path / "README.md"])
    plan = discover([tmp_path])
    assert {Path(p).name for p in plan.skipped} == {"odd.parquet", "README.md"}
    assert plan.counters["files_skipped"] == 2
    assert plan.sources == ("t.parquet",)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.parquet", b"", "the file is empty"),
        ("a.jsonl.gz", b"", "the file is empty"),
        ("a.gz", gzip.compress(b""), "the file is empty"),
        ("a.parquet", b"not parquet at all", "is not Parquet"),
        ("a.parquet", b"PAR1 cut off", "cannot be read as Parquet"),
        ("a.json", b'{"markets": [\n{"ticker": ', "is not JSON"),
        ("a.jsonl", b'{"recv_ns": 1, "conn": 1, "ra', "line 1 is not JSON"),
        ("a.jsonl", b'{"recv_ns": 1, "conn": 1}\n', "line 1 has no 'raw'"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"recv_ns": 1, "conn": 1, "raw": "{}"}\n' * 500)[:-12],
            "ends in the middle",
        ),
    ],
)
def test_broken_data_files_are_refused_named_or_not(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    write(tmp_path / "good.parquet", [trade("E-A", 1, 4_200)])
    (tmp_path / name).write_bytes(data)
    for inputs in ([tmp_path / name], [tmp_path]):
        with pytest.raises(DataError, match=rf"{name}: .*{message}"):
            discover(inputs)


def test_an_empty_table_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no market data in"):
        discover([tmp_path / "none"])
    with pytest.raises(DataError, match="no such file or directory"):
        discover([tmp_path / "gone"])
    pq.write_table(pa.Table.from_pylist([trade("E-A", 1, 1)]).slice(0, 0), tmp_path / "e.parquet")
    with pytest.raises(DataError, match=r"e\.parquet: the file is empty \(no rows\)"):
        discover([tmp_path])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [trade("E-A", 2, 4_200), trade("E-A", 1, 4_200)],
            r"row 1, market E-A: trade is 1000000000 ns before",
        ),
        (
            [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200, side="both")],
            r"row 1, market E-A: taker_side = 'both'",
        ),
        ([trade("E-A", 1, 4_200, side=None)], r"row 0, market E-A: taker_side = None"),
        ([trade("E-A", 1, 10_100)], r"row 0, market E-A: trade has a price outside 0..10000 .*: 10100"),
        ([trade("E-A", 1, 4_200, 0)], r"row 0, market E-A: trade has a size that is not above zero"),
        ([trade("E-A", -T0, 4_200)], r"row 0, market E-A: ts_us = 0 is no time"),
        ([trade("E A/..", 1, 4_200)], r"ticker 'E A/\.\.'"),
        (
            [{**trade("E-A", 1, 1), "count_e2": None}, trade("E-A", 1, 100)],
            r"row 0, market E-A: count_e2 is null",
        ),
        ([{**trade("E-A", 1, 1), "yes_price_e4": 41.5}], r"column yes_price_e4 does not hold whole numbers"),
        ([quote("E-A", 1, 4_000, 10_001)], r"row 0, market E-A: yes_ask_e4 = 10001 is outside"),
        (
            [quote("E-A", 2, 4_000, 4_100), quote("E-A", 1, 4_000, 4_200)],
            r"row 1, market E-A: quote is .* before",
        ),
    ],
)
def test_impossible_rows_are_refused_with_file_row_and_value(
    tmp_path: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: .*{message}|x\.parquet: {message}"):
        load(write(tmp_path / "x.parquet", rows))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([book("E-A", 1, "start"), book("E-A", 2, "delta", "yes", 4_000, -1)], "delta takes 1 from a level"),
        ([book("E-A", 1, "level", "yes", 4_000, 5)], "a snapshot level without its marker"),
        ([book("E-A", 1, "start"), book("E-A", 2, "delta", None, 4_000, 1)], "a level or delta without"),
        ([book("E-A", 1, "start"), book("E-A", 2, "start", type="update")], "type = 'update'"),
    ],
)
def test_impossible_level2_rows_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: row [01], market E-A: {message}"):
        load(write(tmp_path / "x.parquet", rows, BOOK_SCHEMA))


def test_a_negative_level_can_be_taken_as_a_gap(tmp_path: Path) -> None:
    rows = [book("E-A", 1, "start"), book("E-A", 2, "delta", "yes", 4_000, -1)]
    (job,) = discover([write(tmp_path / "x", rows, BOOK_SCHEMA)]).jobs()
    (event,) = run_job(job, on_negative="gap")
    assert event.markets[0].events.kind.tolist() == [SNAPSHOT, GAP]


# Jobs


def test_jobs_hold_whole_events_whatever_the_order_of_rows_and_row_groups(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    names = [f"E{e}-{m}" for e in range(7) for m in range(3)]
    rows = [
        trade(names[i], second, 4_200, qty=second + 1)
        for second, i in enumerate(rng.integers(len(names), size=900))
    ]
    path = write(tmp_path / "t.parquet", rows, row_group_size=64)
    plan = discover([path])
    jobs = plan.jobs(target_rows=200)
    assert len(jobs) > 2
    assert plan.n_events == 7
    assert sorted(e for j in jobs for e in j.events) == [f"E{e}" for e in range(7)]
    assert sum(j.n_rows for j in jobs) == 900
    for job in jobs:
        for event in run_job(job):
            assert [m.spec.ticker for m in event.markets] == [n for n in names if n.startswith(event.event)]
            for market in event.markets:
                wanted = [r["count_e2"] for r in rows if r["market_ticker"] == market.spec.ticker]
                assert market.events.qty_e2.tolist() == wanted


def test_strings_may_be_dictionaries_or_large(tmp_path: Path) -> None:
    plain = pa.Table.from_pylist([trade("E-A", 1, 4_200), trade("E-A", 2, 4_300, side="no")])
    for name, kind in (("d", pa.dictionary(pa.int8(), pa.string())), ("l", pa.large_string())):
        cast = plain
        for column in ("market_ticker", "taker_side"):
            at = cast.column_names.index(column)
            cast = cast.set_column(at, column, cast.column(column).cast(kind))
        pq.write_table(cast, tmp_path / name)
        markets, _ = load(tmp_path / name)
        assert table(markets["E-A"], "side", "price_e4") == [(YES, 4_200), (NO, 4_300)]


# Recorded data


@pytest.mark.recorded
def test_all_recorded_data_passes_the_door(recorded_data: Path) -> None:
    markets, counters = load(recorded_data)
    kinds = Counter(m.provenance for m in markets.values())
    assert kinds == {"trade_implied": 8_288, "quotes": 992, "recorded": 27}
    assert counters["rows:trade_implied"] == 935_290
    assert counters["metadata_missing"] == 0
    assert sum(m.settlement is not None for m in markets.values()) == 4_635
    assert (counters["quotes_crossed"], counters["negative_levels_to_gaps"], counters["sequence_gaps"]) == (
        12,
        0,
        0,
    )
    spx = markets["INXD-23APR10-B4075"].events
    assert spx.recv_ns[0] == 1_681_133_462_651_062_000
