"""Simulated files beside recorded ones: neither is ever taken for the other."""

from pathlib import Path
from typing import Any

import pytest
from made.market_files import (
    BOOK_SCHEMA,
    CORE,
    book,
    load,
    notes_of,
    table,
    write,
)

from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    TRADE,
    YES,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY


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


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([book("E-A", 1, "start"), book("E-A", 2, "start", type="update")], "type = 'update'"),
    ],
)
def test_impossible_level2_rows_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: row [01], market E-A: {message}"):
        load(write(tmp_path / "x.parquet", rows, BOOK_SCHEMA))


def test_a_delta_without_a_side_is_put_aside_and_the_book_is_lost_with_it(tmp_path: Path) -> None:
    rows = [book("E-A", 1, "start"), book("E-A", 2, "delta", None, 4_000, 1, is_fill=True)]
    path = write(tmp_path / "x.parquet", rows, BOOK_SCHEMA)
    markets, counters = load(path)
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, GAP]
    assert counters["rows_refused:no_side"] == 1
    assert "x.parquet: row 1, market E-A: delta has no side" in notes_of(path)


def test_levels_without_their_marker_row_are_one_gap(tmp_path: Path) -> None:
    rows = [
        book("E-A", 1, "start"), book("E-A", 1, "level", "yes", 4_000, 5),
        book("E-A", 2, "delta", "yes", 4_000, 1),
        book("E-A", 3, "level", "yes", 4_100, 5), book("E-A", 3, "level", "no", 4_200, 5),
        book("E-A", 4, "start"), book("E-A", 4, "level", "yes", 4_000, 5),
    ]  # fmt: skip
    markets, counters = load(write(tmp_path / "x", rows, BOOK_SCHEMA))
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, DELTA, GAP, SNAPSHOT, SNAPSHOT]
    assert counters["snapshot_levels_without_marker"] == 2


def test_a_level_below_zero_is_a_gap(tmp_path: Path) -> None:
    rows = [book("E-A", 1, "start"), book("E-A", 2, "delta", "yes", 4_000, -1)]
    markets, counters = load(write(tmp_path / "x", rows, BOOK_SCHEMA))
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, GAP]
    assert counters["books_ended:level_below_zero"] == 1


def test_levels_at_nought_and_a_dollar_are_put_aside_and_counted(tmp_path: Path) -> None:
    rows = [
        book("E-A", 1, "start"),
        book("E-A", 1, "level", "yes", 4_000, 5),
        book("E-A", 1, "level", "no", 10_000, 5),
        book("E-A", 2, "delta", "yes", 0, 7),
        book("E-A", 3, "delta", "yes", 4_100, 7),
    ]
    markets, counters = load(write(tmp_path / "x", rows, BOOK_SCHEMA))
    found = list(zip(markets["E-A"].rows.kind, markets["E-A"].rows.price_e4, strict=True))
    assert found == [(SNAPSHOT, -1), (SNAPSHOT, 4_000), (DELTA, 4_100)]
    assert markets["E-A"].rows.flags.tolist() == [FLAG_START, FLAG_LAST, FLAG_LAST]
    assert counters["levels_outside_0_1"] == 2


def test_a_file_of_nothing_but_edges_has_no_market(tmp_path: Path) -> None:
    markets, counters = load(write(tmp_path / "x", [book("E-A", 2, "delta", "yes", 0, 7)], BOOK_SCHEMA))
    assert (markets, counters["levels_outside_0_1"]) == ({}, 1)
