"""The rows of an event's markets: bit for bit, long markets in several row groups, old files as ever."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.strategies import random_rows, row_streams

from kalshi_platform.data.dataset.events_file import count_markets, decode_market_rows, encode_market_rows
from kalshi_platform.data.market_data.schema import MarketRows
from kalshi_platform.domain.errors import ContractError, DataError


def rows_of(rng: np.random.Generator, n_rows: int) -> MarketRows:
    """Exactly ``n_rows`` rows; ``random_rows`` counts updates, each of one or more rows."""
    return MarketRows(*(column[:n_rows] for column in random_rows(rng, n_rows)))


@given(st.lists(row_streams().filter(lambda e: e.recv_ns.size > 0), min_size=1, max_size=4))
def test_events_come_back_bit_for_bit(streams):
    data = encode_market_rows([(f"M{i}", rows) for i, rows in enumerate(streams)])
    assert data.equals(encode_market_rows([(f"M{i}", rows) for i, rows in enumerate(streams)]))
    for group, rows in enumerate(streams):
        back = decode_market_rows(data, "x", group)
        for have, want in zip(back, rows, strict=True):
            assert have.dtype == want.dtype
            np.testing.assert_array_equal(have, want)


def test_each_market_is_one_row_group_and_the_file_says_its_version(rng):
    long = MarketRows(*(np.tile(column, 100) for column in rows_of(rng, 2_000)))
    data = encode_market_rows([("A", long), ("B", rows_of(rng, 10))])
    file = pq.ParquetFile(pa.BufferReader(data))
    assert file.num_row_groups == 2
    assert file.schema_arrow.metadata[b"kalshi_platform.events"] == b"1"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_market_without_events_is_refused_by_name():
    with pytest.raises(ContractError, match="market A has no rows"):
        encode_market_rows([("A", random_rows(np.random.default_rng(0), 0, "quotes"))])


def test_a_file_of_another_schema_is_refused_by_name():
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), sink)
    with pytest.raises(DataError, match=r"events/E.parquet: schema version none"):
        decode_market_rows(pa.py_buffer(sink.getvalue()), "events/E.parquet", 0)
    with pytest.raises(DataError, match=r"E.parquet: no event shard"):
        decode_market_rows(pa.py_buffer(b"junk"), "E.parquet", 0)
    with pytest.raises(DataError, match=r"E.parquet: no event shard"):
        count_markets(pa.py_buffer(b"junk"), "E.parquet")


def test_a_long_market_is_cut_into_row_groups_and_comes_back_whole_or_in_part(rng, monkeypatch):
    long, short, other = (rows_of(rng, n) for n in (1_000, 7, 250))
    data = encode_market_rows([("A", long), ("B", short), ("C", other)], rows_a_group=100)
    file = pq.ParquetFile(pa.BufferReader(data))
    assert file.num_row_groups == 10 + 1 + 3
    assert file.schema_arrow.metadata[b"kalshi_platform.events"] == b"2"  # earlier programs refuse it
    assert count_markets(data, "x") == 3
    read = []
    groups = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, which, **how: read.append(which) or groups(self, which, **how),
    )
    for place, rows in enumerate((long, short, other)):
        for have, want in zip(decode_market_rows(data, "x", place), rows, strict=True):
            np.testing.assert_array_equal(have, want)
    read.clear()
    for begin, end in ((0, 1), (99, 101), (350, 420), (900, None), (990, 5_000)):
        for have, want in zip(decode_market_rows(data, "x", 0, begin, end), long, strict=True):
            np.testing.assert_array_equal(have, want[begin:end])
    assert read == [[0], [0, 1], [3, 4], [9], [9]]


def test_a_file_without_a_long_market_has_the_bytes_of_version_1(rng):
    markets = [("A", rows_of(rng, 100)), ("B", rows_of(rng, 3))]
    data = encode_market_rows(markets, rows_a_group=100)
    assert data.equals(encode_market_rows(markets))
    assert b"first_groups" not in b"".join(pq.ParquetFile(pa.BufferReader(data)).schema_arrow.metadata)


def test_a_place_that_no_market_has_is_refused(rng):
    data = encode_market_rows([("A", rows_of(rng, 5))])
    with pytest.raises(DataError, match="no event shard"):
        decode_market_rows(data, "x", 1)
