"""What a file is, told from its schema, and what a wrong one gets."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import (
    BOOK_SCHEMA,
    book,
    capture,
    meta,
    quote,
    trade,
    write,
)

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.data.market_data.importers.recognise import FileKind, recognise
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
    with pytest.raises(
        DataError, match=r"odd\.parquet: unknown columns a \(int64, 1\), b \(int64, 2\); no column has"
    ):
        discover([odd])
    with pytest.raises(DataError, match=r"README\.md: neither Parquet, JSON nor CSV"):
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
        ("a.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("a.parquet", b"not parquet at all", "is not Parquet"),
        ("a.parquet", b"PAR1 cut off", "cannot be read as Parquet"),
        ("a.json", b'{"markets": [\n{"ticker": ', "is not JSON"),
        ("a.jsonl", b'{"recv_ns": 1, "conn": 1, "ra', "line 1 "),
        ("a.jsonl", b'{"recv_ns": 1, "conn": 1}\n', "line 1 .*'raw'"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"recv_ns": 1700000000000000000, "conn": 1, "raw": "{}"}\n' * 500, mtime=0)[:-12],
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
