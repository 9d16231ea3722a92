"""Tables beside a manifest: verified, and refused by name where they are not what was written."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from made.stored import make_dataset

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.dataset.tables import (
    digest_column,
    digests,
    encode_table,
    first_not_ascending,
    is_table,
    place_in,
    read_table,
    sha256_of,
    strings,
)
from kalshi_platform.domain.errors import ChecksumError, DataError, StorageError
from kalshi_platform.storage.storage import open_storage


def test_a_table_comes_back_without_a_copy_and_equal_columns_have_equal_bytes(tmp_path):
    columns = {"market": pa.array([3, 1, 2])}
    table, storage = encode_table("order", columns), open_storage(tmp_path)
    assert table.data.equals(encode_table("order", columns).data)
    assert is_table(table.shard.path)
    assert not is_table("tables/notes.arrow")
    storage.write_bytes_atomic(table.shard.path, table.data)
    found = read_table(storage, table.shard, {"market": pa.int64()})["market"]
    assert found.to_numpy(zero_copy_only=True).tolist() == [3, 1, 2]
    with pytest.raises(DataError, match=r"columns \['market'\], expected \['place'\]"):
        read_table(storage, table.shard, {"place": pa.int64()})


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_or_missing_table_is_refused_by_name(tmp_path, rng, number):
    _, manifest = make_dataset(tmp_path, rng)
    path = tmp_path / manifest.text.tables[number].path
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match=f"{path}: sha256 .* the manifest says"):
        Dataset.open(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=f"{path} is missing, the manifest names it"):
        Dataset.open(tmp_path)


def test_a_text_is_found_where_the_column_ascends_or_an_order_sorts_it():
    texts = strings(["b", "d", "a"])
    order = np.array([2, 0, 1])
    assert [place_in(texts, name, order) for name in "abcde"] == [2, 0, None, 1, None]
    assert [place_in(strings([*"abd"]), name) for name in "abcde"] == [0, 1, None, 2, None]
    assert first_not_ascending(texts) == 2
    assert first_not_ascending(strings([*"aab"])) == 1
    assert first_not_ascending(strings([])) is None


def test_checksums_come_back_from_their_column():
    rows = np.arange(96, dtype=np.uint8).reshape(3, 32)
    np.testing.assert_array_equal(digests(digest_column(rows)), rows)
    np.testing.assert_array_equal(digests(digest_column(rows).slice(1)), rows[1:])


def test_a_table_of_several_record_batches_is_refused_for_that(tmp_path):
    (field,) = pa.schema([("market", pa.int64())])
    schema, storage = (
        pa.schema([field], metadata={b"kalshi_platform.table": b"order 1"}),
        open_storage(tmp_path),
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema):
        pass
    data = sink.getvalue()
    shard = encode_table("order", {"market": pa.array([1])}).shard
    shard = shard.replace(sha256=hashlib.sha256(data).hexdigest(), n_bytes=data.size)
    storage.write_bytes_atomic(shard.path, data)
    with pytest.raises(DataError, match="0 record batches, expected 1; rebuild"):
        read_table(storage, shard, {"market": pa.int64()})


NAMES = pa.large_list(pa.large_string())


def texts_at(offsets: list[int], data: bytes) -> pa.Array:
    """Column whose texts begin at ``offsets`` of ``data``, made without a check."""
    buffers = [None, pa.py_buffer(np.array(offsets)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (texts_at([0, 1], b"\xfe"), "no table .*UTF8"),
        (texts_at([0, 900, 3, 5], b"abcde"), "no table "),
        (pa.array([[None]], NAMES), "columns "),
    ],
)
def test_texts_that_are_none_are_refused_when_the_table_is_read(tmp_path, column, words):
    table, storage = encode_table("names", {"names": column}), open_storage(tmp_path)
    storage.write_bytes_atomic(table.shard.path, table.data)
    with pytest.raises(DataError, match=words):
        read_table(storage, table.shard, {"names": column.type})


def test_a_table_that_goes_while_it_is_read_is_a_failure_of_the_storage(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*/gone: No such file.*; open the dataset again"):
        sha256_of(open_storage(tmp_path), "gone", pa.py_buffer(b""))
