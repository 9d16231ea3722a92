"""GAP rows look alike wherever they are made; prints and gaps stand before the rows they belong to."""

import numpy as np
import pytest
from made.market_rows import MadeMarket

from kalshi_platform.data.market_data import gaps
from kalshi_platform.data.market_data.gaps import NOTHING_MISSING, put_before
from kalshi_platform.data.market_data.row_buffer import RowBuffer
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    GAP,
    NO,
    NO_SEQ,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
    empty,
)
from kalshi_platform.domain.units import NO_PRICE, NO_TIME, UNKNOWN_QTY

CELLS = ("kind", "side", "price_e4", "qty_e2", "flags")


def cells(rows: MarketRows) -> list[tuple[int, ...]]:
    return list(zip(*(getattr(rows, name).tolist() for name in CELLS), strict=True))


def test_a_gap_looks_the_same_wherever_it_is_made() -> None:
    buffer = RowBuffer()
    buffer.add_gap(5, 1, 7, UNKNOWN_QTY, 3)
    message = MadeMarket().snapshot([(4_200, 100)]).rows()
    made = [buffer.rows()[0], gaps.gap_at(5), gaps.gap_in_place_of(message)]
    assert [cells(rows) for rows in made] == [[(GAP, NO_SIDE, NO_PRICE, UNKNOWN_QTY, FLAG_LAST)]] * 3


def test_a_gap_in_place_of_a_message_keeps_its_time_and_number_and_leaves_the_message_alone() -> None:
    message = MadeMarket().snapshot([(4_200, 100)]).rows()
    gap = gaps.gap_in_place_of(message)
    assert (gap.recv_ns[0], gap.sid[0], gap.seq[0]) == (1, 1, 1)
    assert message.kind.tolist() == [0, 0]


def deltas(*rows: tuple[int, int, int, int]) -> MarketRows:
    """(side, own-side price, change, further flags) a row."""
    out = empty(len(rows))
    out.recv_ns[:] = out.seq[:] = np.arange(len(rows)) + 1
    out.exch_ns[:] = 50
    out.kind[:], out.flags[:] = DELTA, FLAG_LAST
    for i, (side, price_e4, qty_e2, flags) in enumerate(rows):
        out.side[i], out.price_e4[i], out.qty_e2[i] = side, price_e4, qty_e2
        out.flags[i] |= flags
    return out


def test_a_row_after_a_hole_that_is_a_fill_becomes_three() -> None:
    rows = deltas((YES, 4_200, 5, 0), (NO, 5_500, -3, FLAG_FILL), (YES, 4_200, -5, FLAG_FILL))
    out, source = put_before(rows, np.array([NOTHING_MISSING, 7, NOTHING_MISSING]))
    assert source.tolist() == [0, 1, 1, 1, 2, 2]
    assert cells(out) == [
        (DELTA, YES, 4_200, 5, FLAG_LAST),
        (GAP, NO_SIDE, NO_PRICE, 7, FLAG_LAST),
        (TRADE, YES, 4_500, 3, 0),  # a NO bid at 0.55 was hit by a taker of YES at 0.45
        (DELTA, NO, 5_500, -3, FLAG_LAST | FLAG_FILL),
        (TRADE, NO, 4_200, 5, 0),
        (DELTA, YES, 4_200, -5, FLAG_LAST | FLAG_FILL),
    ]
    assert out.seq.tolist() == [1, 2, 2, 2, 3, 3]
    assert out.exch_ns.tolist() == [50, NO_TIME, 50, 50, 50, 50]


@pytest.mark.parametrize(("recorded", "side"), [(NO_SIDE, YES), (YES, YES), (NO, NO)])
def test_a_recorded_taker_beats_the_inferred_one(recorded: int, side: int) -> None:
    rows = deltas((NO, 5_500, -3, FLAG_FILL))
    out, _ = put_before(rows, np.array([NOTHING_MISSING]), np.array([recorded]))
    assert out.side.tolist() == [side, NO]


def test_no_rows_stay_no_rows() -> None:
    out, source = put_before(empty(0), np.zeros(0, np.int64))
    assert out.kind.size == source.size == 0


@pytest.mark.parametrize(
    ("kinds", "seqs", "detection"),
    [
        ([SNAPSHOT, DELTA], [1, 2], "sequence"),
        ([SNAPSHOT, DELTA], [1, NO_SEQ], "none"),
        ([SNAPSHOT, TRADE, GAP], [1, NO_SEQ, NO_SEQ], "sequence"),  # only the book's own numbers count
        ([TRADE, TRADE], [1, 2], "none"),
        ([QUOTE, QUOTE], [NO_SEQ, NO_SEQ], "none"),
        ([], [], "none"),
    ],
)
def test_gaps_show_only_where_every_row_of_the_book_has_a_number(
    kinds: list[int], seqs: list[int], detection: str
) -> None:
    rows = empty(len(kinds))
    rows.kind[:], rows.seq[:] = kinds, seqs
    assert gaps.gap_detection_of(rows) == detection
