"""What a file is, told from its schema, and what a wrong one gets."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import (
    BOOK_SCHEMA,
    T0,
    book,
    capture,
    load,
    meta,
    quote,
    trade,
    write,
)

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.data.market_data.importers.recognise import FileKind, recognise
from kalshi_platform.data.market_data.schema import GAP, SNAPSHOT
from kalshi_platform.domain.errors import DataError

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
        ([book("E-A", 1, "level", "yes", 4_000, 5)], "a snapshot level without its marker"),
        ([book("E-A", 1, "start"), book("E-A", 2, "delta", None, 4_000, 1)], "a level or delta without"),
        ([book("E-A", 1, "start"), book("E-A", 2, "start", type="update")], "type = 'update'"),
    ],
)
def test_impossible_level2_rows_are_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: row [01], market E-A: {message}"):
        load(write(tmp_path / "x.parquet", rows, BOOK_SCHEMA))


def test_a_level_below_zero_is_a_gap(tmp_path: Path) -> None:
    rows = [book("E-A", 1, "start"), book("E-A", 2, "delta", "yes", 4_000, -1)]
    markets, counters = load(write(tmp_path / "x", rows, BOOK_SCHEMA))
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, GAP]
    assert counters["negative_levels_to_gaps"] == 1
