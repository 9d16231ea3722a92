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
from kalshi_platform.data.market_data.importers.recognise import FileKind, read_json, recognise
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


# Text


@pytest.mark.parametrize("packed", [False, True])
def test_a_document_with_byte_order_mark_and_crlf_is_read_and_its_decimals_exactly(
    tmp_path: Path, packed: bool
) -> None:
    lines = [
        '{"markets": [',
        '  {"ticker": "E-A", "event_ticker": "E", "last_price_dollars": 0.30000000000000001}',
        "]}",
    ]
    text = b"\xef\xbb\xbf" + "\r\n".join(["", " ", *lines, ""]).encode()
    path = tmp_path / "m.json"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert recognise(path) is FileKind.METADATA_REST
    assert str(read_json(path)["markets"][0]["last_price_dollars"]) == "0.30000000000000001"


def test_a_capture_with_byte_order_mark_is_a_capture(tmp_path: Path) -> None:
    plain = capture(tmp_path / "a.jsonl", [(1, 1, {})])
    marked = tmp_path / "b"
    marked.write_bytes(b"\xef\xbb\xbf\r\n" * 1 + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert recognise(marked) is FileKind.CAPTURE


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_utf_16_is_refused_by_name_and_elsewhere_passed_over(tmp_path: Path, coding: str) -> None:
    write(tmp_path / "good.parquet", [trade("E-A", 1, 4_200)])
    (tmp_path / "notes").write_bytes(b"\xff\xfen\x00")
    assert list(discover([tmp_path]).skipped) == [str(tmp_path / "notes")]
    (tmp_path / "a.jsonl").write_bytes('{"recv_ns": 1}'.encode(coding))
    for inputs in ([tmp_path / "a.jsonl"], [tmp_path]):
        with pytest.raises(DataError, match=r"a\.jsonl: is UTF-16 text .*iconv"):
            discover(inputs)


def test_a_document_nested_beyond_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"deep\.json: is not JSON"):
        read_json(tmp_path / "deep.json")
