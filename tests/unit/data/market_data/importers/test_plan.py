"""Row-wise files to events: trades, quotes, level 2, and how files are cut into jobs."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import BOOK_SCHEMA, CORE, T0, book, load, quote, table, trade, write

from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.data.market_data.schema import (
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
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

# Trades


def test_trades_become_prints_and_equal_rows_are_all_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.bin", [trade("E-A", 1, 4_200), trade("E-A", 1, 4_200), trade("E-B", 2, 100, 50, "no")]
    )
    markets, _ = load(path)
    assert table(markets["E-A"], *CORE) == [(TRADE, YES, 4_200, 100, FLAG_LAST)] * 2
    assert table(markets["E-B"], *CORE) == [(TRADE, NO, 100, 50, FLAG_LAST)]
    assert markets["E-A"].rows.recv_ns.tolist() == [(T0 + 1) * 10**9] * 2
    assert markets["E-A"].provenance == "trade_implied"
    assert markets["E-A"].source == "x.bin"


def test_prints_of_one_order_are_put_in_the_order_it_walks_the_book(tmp_path: Path) -> None:
    rows = [trade("E-A", 1, p) for p in (3_800, 3_600, 4_000)] + [
        trade("E-A", 1, p, side="no") for p in (3_000, 3_200)
    ]
    markets, counters = load(write(tmp_path / "t.parquet", [*rows, trade("E-A", 2, 3_500)]))
    assert markets["E-A"].rows.price_e4.tolist() == [3_600, 3_800, 4_000, 3_200, 3_000, 3_500]
    assert counters["prints_put_in_walk_order"] > 0


def test_trades_with_an_id_are_kept_once(tmp_path: Path) -> None:
    rows = [trade("E-A", i, 4_200, trade_id=name) for i, name in enumerate(["a", "b", "a", None, None])]
    markets, counters = load(write(tmp_path / "t.parquet", rows))
    assert len(markets["E-A"].rows.kind) == 4
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
    assert markets["E-A"].rows.price_e4.tolist() == [4_000, 5_800, 4_100]
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
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT]
    assert markets["E-A"].rows.qty_e2[2] == UNKNOWN_QTY
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
        assert markets[ticker].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, GAP]
        assert markets[ticker].rows.qty_e2[-1] == 2
    assert markets["E-C"].rows.kind.tolist() == [SNAPSHOT, DELTA]
    assert counters["repeated_deltas"] == 1
    assert counters["fills_that_add"] == 1


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
                assert market.rows.qty_e2.tolist() == wanted


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
    spx = markets["INXD-23APR10-B4075"].rows
    assert spx.recv_ns[0] == 1_681_133_462_651_062_000
