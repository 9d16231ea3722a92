"""A refusal shows the columns, what is near, and a recipe that exists."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from made.foreign_files import T0_S, M, document, text

from kalshi_platform.data.market_data.importers import discover
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.domain.errors import DataError


def refusal(path: Path) -> str:
    with pytest.raises(UnknownSchemaError) as found:
        discover([path])
    return str(found.value)


def test_a_table_is_refused_with_types_examples_and_the_command(tmp_path: Path) -> None:
    wide = ",".join(f"c{i}" for i in range(20))
    said = refusal(text(tmp_path / "wide.csv", f"{wide}\n" + ",".join(["y" * 50] * 20) + "\n"))
    assert f"c0 (string, '{'y' * 36}...)" in said
    n_shown = len(re.findall(r"c\d+ \(", said))
    assert n_shown >= 1
    assert f"and {20 - n_shown} more" in said
    assert len(said) <= 500 + len(str(tmp_path))
    assert "dataset convert wide.csv --columns map.yaml --out wide-mapped.parquet" in said


def test_the_nearest_kind_is_named_with_what_stands_in_the_way(tmp_path: Path) -> None:
    said = refusal(text(tmp_path / "t.csv", f"ticker,yes_price,count,ts\n{M},0.43,2,{T0_S}\n"))
    assert "nearest are trades: no column for taker_side; the unit of yes_price is not evident" in said
    assert "dataset convert --example trades prints a map" in said


def test_a_table_of_frames_is_refused_with_the_envelope_of_a_frame(tmp_path: Path) -> None:
    said = refusal(text(tmp_path / "f.csv", 'id;body\n1;{"type": "trade", "msg": {}}\n'))
    assert 'a column seems to hold frames: a frame of the exchange needs only {"recv_ns"' in said


def test_json_is_refused_with_its_keys_and_the_envelope_of_a_frame(tmp_path: Path) -> None:
    said = refusal(document(tmp_path / "x.json", {"hello": "world", "n": 1, "deep": {"a": 1}}))
    assert "hello (text, 'world'), n (number, 1), deep (object, {'a': 1})" in said
    assert '{"recv_ns": <ns>, "conn": 0, "raw": "<the frame>"}' in said


@pytest.mark.parametrize(
    ("head", "recipe"),
    [
        (b"SQLite format 3\x00", "sqlite3 -header -csv FILE"),
        (b"PK\x03\x04npz", "a zip or numpy archive"),
        (pa.Codec("zstd").compress(b"\0\1zz", asbytes=True), "zstd -d x"),
        (b"# notes\n", "it begins with b'# notes"),
    ],
)
def test_other_files_are_refused_with_their_own_recipe(tmp_path: Path, head: bytes, recipe: str) -> None:
    (tmp_path / "x").write_bytes(head)
    assert recipe in refusal(tmp_path / "x")


def test_a_table_packed_with_zstd_is_read_as_the_plain_one_and_a_damaged_one_is_refused(
    tmp_path: Path,
) -> None:
    table = f"ticker,yes_price,count,taker_side,created_time\n{M},43,2,no,2026-11-23T02:13:20.388Z\n".encode()
    packed = pa.Codec("zstd").compress(table, asbytes=True)
    (tmp_path / "trades.csv.zst").write_bytes(packed)
    (file,) = discover([tmp_path / "trades.csv.zst"]).files
    assert (file.kind, [market.ticker for market in file.markets]) == ("trades", [M])
    (tmp_path / "cut.csv.zst").write_bytes(packed[:-3])
    with pytest.raises(DataError, match=r"cut\.csv\.zst: damaged or cut zstd data"):
        discover([tmp_path / "cut.csv.zst"])
