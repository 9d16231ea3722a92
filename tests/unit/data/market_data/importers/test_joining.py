"""Prints put into the book of another file: when they count as received, and which the book holds already."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_rows import MadeMarket
from made.prints import T0_S, made_prints, multiset

from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.importers.joining import (
    ASSUMED_DELAY_NS,
    ENOUGH_DELAYS,
    FILL_WINDOW_NS,
    Delay,
    Joined,
    PrintDelays,
    end_book,
    join,
    percentile_delay,
)
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.prints import NO_ID, Prints, are_fills, prints_of
from kalshi_platform.data.market_data.importers.types import JoinedPrints
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_JOINED,
    FLAG_LAST,
    GAP,
    NO,
    SNAPSHOT,
    TRADE,
    YES,
    MarketRows,
    empty,
)
from kalshi_platform.domain.units import NO_TIME

T0_NS = T0_S * 10**9
MS = 10**6
ONE_MS = Delay(MS, True)


def book(heard_ms: list[int], delays_ms: list[int] | None = None) -> MarketRows:
    """One DELTA a time; the exchange's times are known where ``delays_ms`` are."""
    rows = empty(len(heard_ms))
    rows.kind[:], rows.flags[:], rows.price_e4[:], rows.qty_e2[:] = DELTA, FLAG_LAST, 4_200, 100
    rows.recv_ns[:] = [T0_NS + ms * MS for ms in heard_ms]
    if delays_ms is not None:
        rows.exch_ns[:] = rows.recv_ns - np.array(delays_ms) * MS
    return rows


def joined(
    rows: MarketRows, prints: Prints, delay: Delay = ONE_MS, received: bool = False
) -> tuple[Joined, Counter[str]]:
    counters: Counter[str] = Counter()
    ids = np.full(int((rows.kind == TRADE).sum()), NO_ID)
    return join(rows, ids, prints, received, delay, False, counters), counters


def piece(rows: MarketRows, source: str) -> Piece:
    return Piece("E-A", "recorded", rows, Origin(source, "line", 1), source)


def test_the_delay_is_that_which_99_of_100_rows_of_the_file_do_not_exceed_over_all_its_markets() -> None:
    # 100 delays of 1..100 ms lie in two markets: the 99th percentile, not interpolated downwards, is 100 ms
    # (rank 0.99 x 99 = 98.01, the next higher observation). Negative ones do not count.
    first = book(list(range(50)), list(range(1, 51)))
    second = book(list(range(53)), [*range(51, 101), -5, -6, -7])
    delays = PrintDelays([piece(first, "a"), piece(second, "a"), piece(book([1]), "b")])
    assert delays.of("a") == Delay(100 * MS, True)
    assert delays.of("b") == Delay(ASSUMED_DELAY_NS, False)


@pytest.mark.parametrize("delays_ms", [[5] * (ENOUGH_DELAYS - 1), [0] * 200, [-3] * 200, []])
def test_a_file_that_shows_too_few_delays_or_one_clock_only_gets_the_assumed_delay(
    delays_ms: list[int],
) -> None:
    assert percentile_delay(np.array(delays_ms) * MS) == Delay(10**9, False)


@given(st.integers(1, 400), st.lists(st.integers(0, 5_000), min_size=1, max_size=30), st.data())
def test_a_print_is_never_early_where_the_delay_is_constant(
    delay_ms: int, made_ms: list[int], data: st.DataObject
) -> None:
    made_ms = sorted(made_ms)
    heard = sorted(data.draw(st.lists(st.integers(0, 6_000), min_size=ENOUGH_DELAYS, max_size=40)))
    rows = book(heard, [delay_ms] * len(heard))
    prints = made_prints([(ms / 1_000, 4_200, 100 + i, YES) for i, ms in enumerate(made_ms)])
    delay = PrintDelays([piece(rows, "a")]).of("a")
    (whole, _, told), counters = joined(rows, prints, delay)
    late_ns = (whole.recv_ns - whole.exch_ns)[whole.kind == TRADE]
    assert (late_ns >= delay_ms * MS).all()
    assert told == JoinedPrints(len(made_ms), int(late_ns[0]), True)
    assert counters["prints_joined"] == len(made_ms)
    assert (np.diff(whole.recv_ns) >= 0).all()
    assert [column[whole.kind != TRADE].tolist() for column in whole] == [column.tolist() for column in rows]


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0])
def test_at_most_one_print_in_a_hundred_is_received_before_its_true_receive_time(unit: float) -> None:
    """A recording whose true receive times are known; the trades' file tells them cut off to ``unit`` s."""
    random = np.random.default_rng([5, round(-np.log10(unit))])
    n = 20_000
    made_ns = np.sort(random.integers(0, 10**12, n))
    true_heard_ns = T0_NS + made_ns + (5 * MS * random.lognormal(1.0, 0.8, n)).astype(np.int64)
    of_book = random.random(n) < 0.5
    rows = empty(int(of_book.sum()))
    order = np.argsort(true_heard_ns[of_book], kind="stable")
    rows.kind[:], rows.flags[:] = DELTA, FLAG_LAST
    rows.recv_ns[:] = true_heard_ns[of_book][order]
    rows.exch_ns[:] = T0_NS + made_ns[of_book][order]
    unit_ns = round(unit * 10**9)
    sizes = np.arange(1, 1 + int((~of_book).sum()))  # a size names its trade
    prints = made_prints([(0, 4_200, int(size), YES) for size in sizes])
    prints.rows.exch_ns[:] = T0_NS + made_ns[~of_book] // unit_ns * unit_ns
    prints.rows.recv_ns[:] = prints.rows.exch_ns
    whole = joined(rows, prints, PrintDelays([piece(rows, "a")]).of("a"))[0].rows
    at = np.argsort(whole.qty_e2[whole.kind == TRADE])
    heard_ns = whole.recv_ns[whole.kind == TRADE][at]
    assert (heard_ns < true_heard_ns[~of_book]).mean() <= 0.0125  # 1 %, and what 10,000 draws may add to it


def test_a_print_stands_behind_all_rows_of_the_book_of_its_time_and_inside_no_message() -> None:
    market = MadeMarket().snapshot([(4_200, 500), (4_100, 300)], [(5_500, 100)]).delta(YES, 4_200, 100)
    rows = market.rows()  # received at ns 1 (four rows) and 2
    prints = made_prints([(0, 4_300, 100, YES)])
    prints.rows.exch_ns[:] = prints.rows.recv_ns[:] = 1
    (whole, _, _), _ = joined(rows, prints, Delay(0, True))
    assert whole.kind.tolist() == [SNAPSHOT] * 4 + [TRADE, DELTA]
    assert whole.flags[3:].tolist() == [FLAG_LAST, FLAG_LAST | FLAG_JOINED, FLAG_LAST]


def test_a_print_that_was_received_by_another_recorder_is_not_put_before_that() -> None:
    prints = made_prints([(1, 4_200, 100, YES)], heard_ns=[T0_NS + 1_500 * MS])
    (whole, _, _), _ = joined(book([0, 9_000]), prints, Delay(1, True), received=True)
    assert whole.recv_ns[1] == T0_NS + 2_000 * MS  # whole seconds: it may have been made at 1.999
    prints.rows.exch_ns[:] = NO_TIME
    (whole, _, _), _ = joined(book([0, 9_000]), prints, Delay(MS, True), received=True)
    assert whole.recv_ns[1] == T0_NS + 1_500 * MS


def test_a_fill_of_a_book_without_trade_times_is_the_trade_of_its_value_within_two_seconds() -> None:
    market = MadeMarket().snapshot([(4_200, 5_000)]).fill(YES, 4_200, 100).fill(YES, 4_200, 100)
    rows = market.rows()
    assert are_fills(rows).all()
    rows.recv_ns[1:] = T0_NS + 10**9
    near, far = 1 - FILL_WINDOW_NS / 10**9, 1 + FILL_WINDOW_NS / 10**9 + 0.001
    made = [(near, 4_200, 100, NO), (1.5, 4_200, 100, NO), (1.6, 4_200, 100, NO), (far, 4_200, 100, NO)]
    (whole, _, told), counters = joined(
        rows, made_prints([*made, (1.5, 4_200, 100, YES), (1.5, 4_200, 200, NO)])
    )
    assert counters["prints_already_in_book_source"] == 2  # each fill is one trade at most
    assert told is not None
    assert told.prints == 4
    assert int((whole.kind == TRADE).sum()) == 6


def test_a_fill_that_several_trades_of_one_instant_made_is_those_trades() -> None:
    rows = MadeMarket().snapshot([(4_200, 5_000)]).fill(YES, 4_200, 300).rows()
    rows.recv_ns[:] = T0_NS
    prints = made_prints([(0.1, 4_200, 100, NO), (0.1, 4_200, 200, NO), (0.2, 4_200, 50, NO)])
    (whole, _, _), counters = joined(rows, prints)
    assert multiset(prints_of(whole, np.zeros(2, np.int64)))[0.2, 4_200, 50, NO] == 1
    assert (counters["prints_already_in_book_source"], counters["prints_joined"]) == (2, 1)


def test_where_every_print_is_known_the_book_stays_as_it_is() -> None:
    rows = MadeMarket().snapshot([(4_200, 5_000)]).fill(YES, 4_200, 300).rows()
    rows.recv_ns[:] = T0_NS
    (whole, _, told), _ = joined(rows, made_prints([(0, 4_200, 300, NO)]))
    assert whole is rows
    assert told is None


def test_a_book_ends_in_a_gap_before_the_first_print_made_after_its_last_row() -> None:
    prints = made_prints([(1.0, 4_200, 1, YES), (2.5, 4_200, 2, YES), (4.5, 4_200, 3, YES)])
    (whole, _, _), counters = joined(book([0, 2_000]), prints, Delay(3 * 10**9, True))
    ended = end_book(whole, T0_NS + 2 * 10**9, counters)
    # The first print was made while the book was recorded and is only heard of later.
    assert ended.kind.tolist() == [DELTA, DELTA, TRADE, GAP, TRADE, TRADE]
    assert counters["gaps_where_book_ends"] == 1
    assert end_book(book([0]), 0, counters).kind.tolist() == [DELTA]
