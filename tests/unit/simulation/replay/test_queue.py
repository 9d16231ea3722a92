"""Queue of a resting order: it joins behind what is displayed, prints and cancels ahead shorten it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.replay_bank import DEEP, Script, bank_of, book, market, rows_of

from kalshi_platform.data.market_data.schema import NO
from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.bank import FULL_DEPTH, MARKET_DTYPE, PRINTS_ONLY, ROW_DTYPE, TOP_ONLY
from kalshi_platform.simulation.replay.queue import (
    LATE_NS,
    QUEUE_UNKNOWN,
    count_queue,
    cut_queue,
    displayed_ahead_e2,
    join_queue,
    pass_queue,
)
from kalshi_platform.simulation.replay.state import allocate

ASK = ((5_000, DEEP),)
KERNELS = pytest.mark.parametrize("plain", [False, True], ids=["numba", "python"])


def pick(kernel, plain):
    return kernel.py_func if plain else kernel


def row_of(bids):
    row = np.zeros(1, ROW_DTYPE).view(np.recarray)[0]
    row.bid_px_e4[:] = row.ask_px_e4[:] = -1
    for k, (price, qty) in enumerate(bids):
        row.bid_px_e4[k], row.bid_qty_e2[k] = price, qty
    return row


def market_of(source):
    found = np.zeros(1, MARKET_DTYPE).view(np.recarray)[0]
    found.source = source
    return found


def queued(ahead, qty=1_000, price=4_000):
    slot = allocate(1, 1)[1][0, 0]
    slot.order_qty_e2, slot.order_price_e4 = qty, price
    join_queue(slot, ahead)
    return slot


FIVE = tuple((4_000 - 100 * k, 10 + k) for k in range(5))


@KERNELS
@pytest.mark.parametrize(
    ("source", "bids", "price", "due"),
    [
        (FULL_DEPTH, FIVE, 3_800, 12),
        (FULL_DEPTH, FIVE, 4_100, 0),  # better than the best: nobody is there
        (FULL_DEPTH, FIVE, 3_850, 0),  # between two levels
        (FULL_DEPTH, FIVE, 3_500, QUEUE_UNKNOWN),  # a sixth level is not known
        (FULL_DEPTH, FIVE[:4], 3_500, 0),  # there are only four
        (FULL_DEPTH, (), 3_500, 0),
        (TOP_ONLY, ((4_000, 7),), 4_000, 7),
        (TOP_ONLY, ((4_000, -1),), 4_000, QUEUE_UNKNOWN),
        (TOP_ONLY, ((4_000, 7),), 3_900, QUEUE_UNKNOWN),  # quotes do not tell who stands behind the best
        (TOP_ONLY, (), 3_900, 0),
        (PRINTS_ONLY, FIVE, 4_000, QUEUE_UNKNOWN),
    ],
)
def test_an_order_stands_behind_what_is_displayed_at_its_price(plain, source, bids, price, due):
    found = pick(displayed_ahead_e2, plain)(row_of(bids), market_of(source), price, True)
    assert found == due


@KERNELS
def test_a_print_meets_what_stands_ahead_before_the_order(plain):
    slot, meet = queued(500), pick(pass_queue, plain)
    assert [meet(slot, qty, 0) for qty in (300, 250, 40)] == [0, 50, 40]
    assert (slot.queue_e2, slot.passed_e2) == (0, 500)


@KERNELS
def test_a_queue_of_unknown_length_is_never_passed(plain):
    slot = queued(QUEUE_UNKNOWN)
    assert pick(pass_queue, plain)(slot, 10**9, 0) == 0
    assert slot.queue_e2 == QUEUE_UNKNOWN


@KERNELS
def test_less_displayed_cuts_the_queue_and_more_does_not_lengthen_it(plain):
    slot, cut, full = queued(500), pick(cut_queue, plain), market_of(FULL_DEPTH)
    found = []
    for shown in (700, 200, 900, 50):
        cut(row_of(((4_000, shown),)), full, slot, True, 0)
        found.append(int(slot.queue_e2))
    assert found == [500, 200, 200, 50]


@KERNELS
def test_a_print_that_comes_after_its_change_of_the_level_is_not_counted_twice(plain):
    # 300 of the 500 ahead trade: the level shrinks first, the print of 300 comes a second later
    slot = queued(500)
    pick(cut_queue, plain)(row_of(((4_000, 200),)), market_of(FULL_DEPTH), slot, True, 0)
    assert pick(pass_queue, plain)(slot, 300, NS_PER_SECOND) == 0
    assert (slot.queue_e2, slot.cut_e2, slot.passed_e2) == (200, 0, 300)
    assert pick(pass_queue, plain)(slot, 230, NS_PER_SECOND) == 30


@KERNELS
def test_after_two_seconds_what_was_cut_had_been_cancelled(plain):
    slot = queued(500)
    pick(cut_queue, plain)(row_of(((4_000, 200),)), market_of(FULL_DEPTH), slot, True, 0)
    assert pick(pass_queue, plain)(slot, 300, LATE_NS + 1) == 100


@KERNELS
def test_a_level_that_comes_into_sight_bounds_a_queue_that_nobody_knew(plain):
    slot = queued(QUEUE_UNKNOWN)
    pick(cut_queue, plain)(row_of(((4_000, 80),)), market_of(FULL_DEPTH), slot, True, 0)
    assert slot.queue_e2 == 80
    assert pick(pass_queue, plain)(slot, 10_000, LATE_NS) == 0  # may be why so little is left
    assert pick(pass_queue, plain)(slot, 100, LATE_NS + 1) == 20


@KERNELS
def test_what_stood_ahead_is_counted_where_it_was_known(plain):
    slot = queued(500)
    slot.passed_e2 = 350
    pick(count_queue, plain)(slot)
    slot.placed_ahead_e2 = QUEUE_UNKNOWN
    pick(count_queue, plain)(slot)
    assert (slot.n_queued, slot.ahead_e2, slot.passed_ahead_e2) == (1, 500, 350)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 900), st.integers(0, 900)), max_size=30))
def test_an_order_gets_no_more_than_prints_alone_and_cuts_older_than_two_seconds_explain(told):
    slot, full, now, printed, got, cut = queued(600), market_of(FULL_DEPTH), 0, 0, 0, 0
    for seconds, size, shown in told:
        now += seconds * NS_PER_SECOND
        got += pass_queue.py_func(slot, size, now)
        printed += size
        before = int(slot.queue_e2)
        cut_queue.py_func(row_of(((4_000, shown),)), full, slot, True, now)
        cut += before - int(slot.queue_e2)
        assert 0 <= slot.queue_e2 <= shown or slot.queue_e2 == before
        assert slot.cut_e2 <= cut
        assert got <= max(printed - 600 + cut, 0)
        assert got + slot.passed_e2 == printed


def test_the_records_tell_the_size_ahead_and_what_of_it_traded():
    # 500 ahead: 300 are printed, the level falls to 100, and the next print of 250 fills the first 150
    bid = ((4_000, 500),)
    books = [
        book(0, bid, ASK),
        book(10, bid, ASK, (NO, 4_000, 300)),
        book(20, ((4_000, 100),), ASK),
        book(30, bid, ASK, (NO, 4_000, 250)),
        book(40, bid, ASK),
    ]
    s = Script(bank_of(market(rows_of(*books))), order_style="maker", order_qty_e2=1_000)
    s.run(BUY_YES, HOLD, HOLD, HOLD)
    r = s.records()
    assert (r.n_fills[0], r.traded_e2[0]) == (1, 150)
    assert (r.n_queued[0], r.ahead_e2[0], r.passed_ahead_e2[0]) == (1, 500, 400)
