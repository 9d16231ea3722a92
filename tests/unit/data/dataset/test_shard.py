"""Feature shards: rows come back bit for bit, other feature tables are refused."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from kalshi_platform.data.dataset.shard import decode_rows, encode_rows
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.domain.errors import DataError


@st.composite
def any_rows(draw, width):
    n = draw(st.integers(0, 20))
    blank = rows_module.empty(n, width)
    return Rows(*(draw(npst.arrays(column.dtype, column.shape)) for column in blank))


@given(st.data(), st.integers(1, 30))
def test_rows_come_back_bit_for_bit(data, width):
    markets = [(f"M{i}", data.draw(any_rows(width))) for i in range(data.draw(st.integers(1, 3)))]
    encoded = encode_rows(markets)
    assert encoded.equals(encode_rows(markets))
    back = decode_rows(encoded, "x")
    assert [ticker for ticker, _ in back] == [ticker for ticker, _ in markets]
    for (_, have), (_, want) in zip(back, markets, strict=True):
        for name, a, b in zip(Rows._fields, have, want, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), name
            assert a.tobytes() == b.tobytes(), name


def test_one_record_batch_a_market():
    data = encode_rows([("A", rows_module.empty(3, 2)), ("B", rows_module.empty(5, 2))])
    reader = pa.ipc.open_file(data)
    assert [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)] == [3, 5]


def test_rows_of_another_feature_table_are_refused():
    data = encode_rows([("A", rows_module.empty(1, 2))], "0123456789ab")
    with pytest.raises(
        DataError, match=r"f/E.arrow: made with feature table 0123456789ab, this program has ba98"
    ):
        decode_rows(data, "f/E.arrow", "ba9876543210")


def test_a_shard_of_another_layout_is_refused(monkeypatch):
    monkeypatch.setattr("kalshi_platform.data.dataset.shard.SHARD_VERSION", 9)
    data = encode_rows([("A", rows_module.empty(1, 2))])
    monkeypatch.undo()
    with pytest.raises(
        DataError, match=r"E.arrow: shard layout 9, this program reads \d+; rebuild the dataset"
    ):
        decode_rows(data, "E.arrow")


@pytest.mark.parametrize("data", [b"", b"junk", b"ARROW1\0\0junkjunk"])
def test_a_file_that_is_no_shard_is_refused_by_name(data):
    with pytest.raises(DataError, match=r"E.arrow"):
        decode_rows(pa.py_buffer(data), "E.arrow")


def test_a_shard_cut_short_is_refused_by_name():
    data = encode_rows([("A", rows_module.empty(100, 2))])
    with pytest.raises(DataError, match=r"E.arrow"):
        decode_rows(data.slice(0, data.size - 10), "E.arrow")


def test_rows_read_back_cannot_be_written_to():
    ((_, rows),) = decode_rows(encode_rows([("A", rows_module.empty(2, 2))]), "x")
    with pytest.raises(ValueError, match="read-only"):
        rows.features[0, 0] = np.float32(1)
