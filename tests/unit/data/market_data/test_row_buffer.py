"""Rows of one market collected one by one: a whole message or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.data.market_data.row_buffer import Levels, RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FACTS,
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SIDE,
    SNAPSHOT,
    STATUS,
    STATUS_PAUSED,
    YES,
)
from kalshi_platform.domain.errors import DataError


def test_a_buffer_notes_from_which_row_on_facts_are_known_and_forgets_it_with_the_rows() -> None:
    buffer, facts = RowBuffer(), MarketFacts(close_ns=9)
    buffer.add_gap(1, 1, 1, 2, 1)
    buffer.tell(2, facts, 5)
    buffer.trade_ids.append("id-1")
    assert [tuple(told) for told in buffer.told] == [(1, 2, facts)]
    buffer.clear()
    assert buffer.told == []
    assert buffer.trade_ids == []
    buffer.tell(3, facts, 6)
    rows, lines = buffer.rows()  # facts are counted for ever: a second telling is number two
    assert (rows.kind.tolist(), rows.qty_e2.tolist(), lines.tolist()) == ([FACTS], [2], [6])


def test_facts_of_a_market_without_rows_wait_for_its_first() -> None:
    buffer = RowBuffer()
    buffer.tell(2, MarketFacts(close_ns=9), 1)
    buffer.tell(3, MarketFacts(close_ns=8), 2)
    assert len(buffer) == 0
    buffer.add_snapshot(5, 1, 7, [(4_200, 5)], [], 3)
    rows, _ = buffer.rows()
    assert rows.kind.tolist() == [FACTS, SNAPSHOT, SNAPSHOT]
    assert rows.recv_ns.tolist() == [5, 5, 5]
    assert [tuple(told) for told in buffer.told] == [(0, 3, MarketFacts(close_ns=8))]


def test_rows_come_back_in_order_with_the_line_of_each() -> None:
    buffer = RowBuffer()
    buffer.add(5, -1, 1, 7, DELTA, NO, 4_200, -250, FLAG_LAST, 31)
    buffer.add_status(6, 5, 2, 1, STATUS_PAUSED, 32)
    rows, lines = buffer.rows()
    assert len(buffer) == 2
    assert [int(column[0]) for column in rows] == [5, -1, 1, 7, DELTA, NO, 4_200, -250, FLAG_LAST]
    assert (rows.kind[1], rows.side[1], rows.qty_e2[1], rows.flags[1]) == (
        STATUS,
        NO_SIDE,
        STATUS_PAUSED,
        FLAG_LAST,
    )
    assert lines.tolist() == [31, 32]


@given(
    yes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 10**9)), max_size=4),
    no=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 10**9)), max_size=4),
)
def test_a_snapshot_is_one_message_a_start_row_and_a_row_a_level(yes: Levels, no: Levels) -> None:
    buffer = RowBuffer()
    buffer.add_snapshot(5, 1, 7, yes, no, 3)
    rows, _ = buffer.rows()
    assert rows.side.tolist() == [NO_SIDE] + [YES] * len(yes) + [NO] * len(no)
    assert list(zip(rows.price_e4.tolist(), rows.qty_e2.tolist(), strict=True))[1:] == yes + no
    assert [bool(f & FLAG_START) for f in rows.flags] == [True] + [False] * (len(yes) + len(no))
    assert [bool(f & FLAG_LAST) for f in rows.flags] == [False] * (len(yes) + len(no)) + [True]


def test_a_number_beyond_64_bits_is_refused_and_leaves_the_rows_before_it() -> None:
    buffer = RowBuffer()
    buffer.add_gap(1, 1, 1, 2, 1)
    with pytest.raises(DataError, match=str(1 << 63)):
        buffer.add(2, -1, 1, 2, DELTA, YES, 4_200, 1 << 63, FLAG_LAST, 2)
    with pytest.raises(DataError):
        buffer.add_snapshot(3, 1, 3, [(4_200, 5), (4_300, 1 << 63)], [], 3)
    rows, lines = buffer.rows()
    assert rows.recv_ns.tolist() == lines.tolist() == [1]
