"""Rows of a replay: five levels a side, the print of the message, and where the rows break."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made.feature_rows import (
    SNAP,
    SPEC,
    messages,
    quote,
)
from made.strategies import START_NS

from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import CROSSED, INVALID, LEVELS, VALID, Rows, find_segments
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_BLOCK,
    GAP,
    NO,
    NO_SIDE,
    SNAPSHOT,
    STATUS,
    STATUS_PAUSED,
    TRADE,
    YES,
)
from kalshi_platform.domain.units import NO_PRICE


def test_rows_hold_five_levels_a_side_on_the_yes_scale_best_first() -> None:
    levels = [(SNAPSHOT, YES, 1_000 + 500 * n, 10 + n) for n in range(6)]
    rows = build_rows(messages((START_NS, [SNAP, *levels, (SNAPSHOT, NO, 5_700, 20)])), SPEC)
    assert rows.bid_px_e4.tolist() == [[3_500, 3_000, 2_500, 2_000, 1_500]]
    assert rows.bid_qty_e2.tolist() == [[15, 14, 13, 12, 11]]
    assert rows.ask_px_e4.tolist() == [[4_300, *[NO_PRICE] * (LEVELS - 1)]]
    assert rows.ask_qty_e2.tolist() == [[20, 0, 0, 0, 0]]


def test_the_print_is_the_last_trade_with_all_that_traded_at_its_price() -> None:
    trades = [(TRADE, NO, 3_000, 5), (TRADE, YES, 4_000, 10), (TRADE, YES, 4_000, 15)]
    block = (TRADE, YES, 9_000, 1_000, FLAG_BLOCK)
    rows = build_rows(messages((START_NS, [*trades, block]), (START_NS, [SNAP]), (START_NS, [block])), SPEC)
    assert rows.print_px_e4.tolist() == [4_000, NO_PRICE, NO_PRICE]
    assert rows.print_qty_e2.tolist() == [25, 0, 0]
    assert rows.print_side.tolist() == [YES, NO_SIDE, NO_SIDE]


def test_rows_are_valid_only_where_the_book_is_and_the_market_trades() -> None:
    rows = build_rows(
        messages(
            (START_NS, [SNAP]),
            (START_NS, [(GAP, NO_SIDE, NO_PRICE, -1)]),
            (START_NS, [(TRADE, YES, 4_000, 1)]),
            (START_NS, [SNAP]),
            (START_NS, [(STATUS, NO_SIDE, NO_PRICE, STATUS_PAUSED)]),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [1, 0, 0, 1, 0]


def test_a_book_whose_bid_reaches_its_ask_is_crossed_and_not_invalid() -> None:
    book = [SNAP, (SNAPSHOT, YES, 4_000, 5), (SNAPSHOT, NO, 5_000, 5)]  # bid 0.40, ask 0.50
    rows = build_rows(
        messages(
            (START_NS, book),
            (START_NS, [(DELTA, YES, 4_900, 1)]),
            (START_NS, [(DELTA, YES, 5_000, 1)]),  # locked: 0.50 against 0.50
            (START_NS, [(DELTA, YES, 5_100, 1)]),
            (START_NS, [(DELTA, NO, 5_000, -5)]),  # no ask is left
            (START_NS, [(STATUS, NO_SIDE, NO_PRICE, STATUS_PAUSED)]),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [VALID, VALID, CROSSED, CROSSED, VALID, INVALID]


def test_quotes_cross_and_prints_never_do() -> None:
    rows = build_rows(messages((START_NS, quote(5_000, 5_000)), (START_NS, quote(4_900, 5_000))), SPEC)
    assert rows.valid.tolist() == [CROSSED, VALID]
    prints = [(START_NS, [(TRADE, side, 4_000, 1)]) for side in (YES, NO, YES)]
    assert build_rows(messages(*prints), SPEC).valid.tolist() == [VALID] * 3


def test_a_gap_mended_within_its_own_message_still_breaks_the_rows() -> None:
    rows = build_rows(
        messages(
            (START_NS, [SNAP]),
            (START_NS, [(GAP, NO_SIDE, NO_PRICE, 1), SNAP]),
            (START_NS, [(TRADE, YES, 1, 1)]),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [1, 0, 1]


def test_where_a_book_of_prints_becomes_a_book_of_levels_the_rows_break() -> None:
    trade = [(TRADE, YES, 4_000, 1)]
    rows = build_rows(messages((START_NS, trade), (START_NS, [SNAP]), (START_NS, trade)), SPEC)
    assert rows.valid.tolist() == [1, 0, 1]


def test_a_slice_of_rows_is_a_view_of_every_column() -> None:
    rows = rows_module.empty(4, 3)
    part = rows_module.take(rows, slice(1, 3))
    assert [column.shape[0] for column in part] == [2] * len(Rows._fields)
    for column, whole in zip(part, rows, strict=True):
        column[:] = 7
        assert (whole.reshape(4, -1)[:, 0] == 7).tolist() == [False, True, True, False]


@given(st.lists(st.booleans(), max_size=30))
def test_segments_are_the_runs_of_valid_rows_that_can_be_stepped(valid):
    starts, stops = find_segments(np.array(valid, np.uint8))
    inside = np.zeros(len(valid), bool)
    for start, stop in zip(starts, stops, strict=True):
        assert stop - start >= 2
        assert all(valid[start:stop])
        assert start == 0 or not valid[start - 1]
        assert stop == len(valid) or not valid[stop]
        inside[start:stop] = True
    for k in np.flatnonzero(~inside):  # what is left out is invalid or alone
        alone = (k == 0 or not valid[k - 1]) and (k + 1 == len(valid) or not valid[k + 1])
        assert not valid[k] or alone
