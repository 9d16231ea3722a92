"""The event format: columns, Arrow round trip, and the helpers every stage uses."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import DTYPES, NO_SEQ, MarketRows
from kalshi_platform.domain.units import NO_TIME


def any_rows(n: int, seed: int) -> MarketRows:
    """Rows of any bits: what the format must carry, not what a market can do."""
    rng = np.random.default_rng([seed, n])
    return MarketRows(*(rng.integers(0, 256, n * dtype.itemsize, "u1").view(dtype) for dtype in DTYPES))


def recorded() -> st.SearchStrategy[MarketRows]:
    return st.builds(any_rows, st.integers(0, 20), st.integers(0, 2**32))


def assert_same(left: MarketRows, right: MarketRows) -> None:
    for name, a, b in zip(MarketRows._fields, left, right, strict=True):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)


@given(recorded())
def test_rows_survive_arrow_bit_for_bit(rows):
    assert_same(schema.from_arrow(schema.to_arrow(rows)), rows)


@given(recorded(), st.integers(0, 20))
def test_cutting_and_joining_gives_the_rows_back(rows, cut):
    parts = [schema.take(rows, slice(None, cut)), schema.take(rows, slice(cut, None))]
    assert_same(schema.concat(parts), rows)


@given(recorded())
def test_the_columns_become_arrow_without_a_copy(rows):
    table = schema.to_arrow(rows)
    buffer = table.column("recv_ns").chunk(0).buffers()[1]
    if rows.recv_ns.size:
        assert buffer.address == rows.recv_ns.ctypes.data


def test_the_arrow_schema_carries_its_version_and_admits_no_null():
    assert schema.ARROW_SCHEMA.metadata == {b"kalshi_platform.events": str(schema.SCHEMA_VERSION).encode()}
    assert schema.ARROW_SCHEMA.names == list(MarketRows._fields)
    assert not any(field.nullable for field in schema.ARROW_SCHEMA)
    assert schema.ARROW_SCHEMA.field("price_e4").type == pa.int32()


def test_empty_rows_say_that_clock_sid_and_seq_are_absent():
    rows = schema.empty(3)
    assert [c.dtype for c in rows] == list(DTYPES)
    assert rows.exch_ns.tolist() == [NO_TIME] * 3
    assert rows.sid.tolist() == rows.seq.tolist() == [NO_SEQ] * 3
    assert rows.recv_ns.tolist() == rows.kind.tolist() == [0] * 3


def test_joining_nothing_gives_no_rows_of_the_right_types():
    rows = schema.concat([])
    assert [c.dtype for c in rows] == list(DTYPES)
    assert rows.recv_ns.size == 0


def test_columns_of_different_lengths_are_refused():
    rows = schema.empty(2)._replace(side=np.zeros(3, "u1"))
    with pytest.raises(pa.ArrowInvalid):
        schema.to_arrow(rows)


def test_kind_names_follow_the_kind_numbers():
    for name in schema.KIND_NAMES:
        assert schema.KIND_NAMES[getattr(schema, name.upper())] == name
