"""Files of one market's prints or quotes made one: nothing lost, nothing twice, wherever they were cut."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made.prints import T0_S, Print, made_prints, multiset

from kalshi_platform.data.market_data.importers.prints import NO_ID, Prints
from kalshi_platform.data.market_data.importers.uniting import (
    SINGLE_INSTANTS,
    Overlaps,
    PrintFile,
    files_that_overlap,
    unite_prints,
    unite_quotes,
    walk_order,
)
from kalshi_platform.data.market_data.schema import (
    FLAG_BLOCK,
    FLAG_LAST,
    NO,
    QUOTE,
    YES,
    MarketRows,
    empty,
)

NOTHING_SHARED: Overlaps = frozenset()


def united_of(files: Sequence[Prints], counters: Counter[str], overlaps: Overlaps = NOTHING_SHARED) -> Prints:
    """The files united; file k is named after k."""
    return unite_prints([PrintFile(str(k), file) for k, file in enumerate(files)], overlaps, counters)


PRINTS = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from([4_200, 4_300]), st.sampled_from([100, 250]), st.integers(0, 1)
    ),
    min_size=1,
    max_size=24,
).map(lambda prints: sorted(prints, key=lambda p: p[0]))


@st.composite
def recordings_in_files(draw: st.DrawFn, with_ids: bool) -> tuple[list[Print], list[Prints]]:
    """A recording, and files that hold it: cut anywhere, some with rows of the file before them, shuffled.

    Without ids, files that both hold a row share more than one instant.
    """
    prints = draw(PRINTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(prints)), min_size=1, max_size=4)))
    stretches = [
        (max(begin - draw(st.integers(0, 6)), 0), stop)
        for begin, stop in zip([0, *cuts], [*cuts, len(prints)], strict=True)
    ]
    stretches = [s for s in stretches if s[0] < s[1]]
    spans = [(prints[b][0], prints[e - 1][0]) for b, e in stretches]
    for (a, (a0, a1)), (b, (b0, b1)) in combinations(zip(stretches, spans, strict=True), 2):
        assume(with_ids or not set(range(*a)) & set(range(*b)) or (a0 < b1 and b0 < a1))
    files = [made_prints(prints[b:e], list(range(b, e)) if with_ids else None) for b, e in stretches]
    return prints, draw(st.permutations(files))


@given(recordings_in_files(with_ids=True))
def test_any_files_with_ids_give_back_every_trade_once(made: tuple[list[Print], list[Prints]]) -> None:
    prints, files = made
    united = united_of(files, Counter())
    assert multiset(united) == Counter(prints)
    assert sorted(united.ids.tolist()) == list(range(len(prints)))


@given(recordings_in_files(with_ids=False))
def test_any_files_without_ids_give_back_every_trade_once(made: tuple[list[Print], list[Prints]]) -> None:
    prints, files = made
    united = united_of(files, Counter())
    assert multiset(united) == Counter(prints)
    assert (np.diff(united.rows.recv_ns) >= 0).all()


def test_a_cut_through_equal_prints_of_one_instant_loses_none() -> None:
    counters: Counter[str] = Counter()
    x = (3, 4_200, 100, YES)
    united = united_of(
        [made_prints([x, (4, 1_000, 1, NO)]), made_prints([(1, 1_000, 1, NO), x, x])], counters
    )
    assert multiset(united)[x] == 3
    assert counters["trades_of_unclear_overlap"] == 1
    assert counters["trades_repeated_between_files"] == 0


def test_two_pages_that_share_one_instant_of_a_market_without_equal_prints_hold_it_twice() -> None:
    x = (9, 4_200, 100, YES)
    before = made_prints([*((s, 4_300, 100, YES) for s in range(SINGLE_INSTANTS)), x])
    after = made_prints([x, (12, 4_300, 100, YES)])
    counters: Counter[str] = Counter()
    united = united_of([after, before], counters)
    assert multiset(united)[x] == 1
    assert counters["trades_of_unclear_overlap"] == counters["trades_repeated_between_files"] == 1


def test_files_that_share_one_second_but_no_trade_lose_none() -> None:
    before = made_prints([(s, 4_300 + s, 100, YES) for s in range(9)])
    after = made_prints([(8, 4_100, 100, YES), (9, 4_100, 100, YES)])
    counters: Counter[str] = Counter()
    assert len(united_of([before, after], counters)) == 11
    assert +counters == Counter()


def test_a_trade_that_one_file_tells_more_of_is_kept_with_all_that_is_told() -> None:
    x = (1, 4_200, 100, YES)
    plain = made_prints([(0, 4_000, 1, NO), x, (2, 4_000, 1, NO)])
    told = made_prints([(1, 4_200, 100, YES), (3, 4_000, 1, NO)], [5, 6])
    told.rows.flags[0] |= FLAG_BLOCK
    again = made_prints([x, (3, 4_000, 1, NO)], [5, 6])
    united = united_of([plain, told, again], Counter())
    assert united.ids.tolist() == [NO_ID, 5, NO_ID, 6]
    assert united.rows.flags.tolist() == [FLAG_LAST, FLAG_LAST | FLAG_BLOCK, FLAG_LAST, FLAG_LAST]


def test_prints_of_one_order_walk_the_book_though_two_files_hold_them() -> None:
    before = made_prints([(0, 4_000, 1, NO), (5, 4_100, 1, YES), (5, 4_400, 1, YES)])
    united = united_of([made_prints([(5, 4_200, 1, YES)]), before], Counter())
    assert united.rows.price_e4.tolist() == [4_000, 4_100, 4_200, 4_400]
    columns = [np.array(c) for c in ([0, 0, 1], [5, 5, 5], [NO, NO, NO], [10, 20, 30])]
    assert walk_order(*columns).tolist() == [1, 0, 2]


def quote_rows(records: list[tuple[int, int, int]]) -> MarketRows:
    """Rows of (second, YES bid, NO bid) records as the importer writes them: the sides that changed."""
    rows, before = [], (None, None)
    for second, *prices in records:
        changed = [side for side in (YES, NO) if prices[side] != before[side]]
        rows += [(second, side, prices[side], side == changed[-1]) for side in changed]
        before = tuple(prices)
    made = empty(len(rows))
    made.kind[:], made.qty_e2[:] = QUOTE, 100
    made.recv_ns[:] = [T0_S * 10**9 + row[0] for row in rows]
    made.side[:], made.price_e4[:] = [row[1] for row in rows], [row[2] for row in rows]
    made.flags[:] = [FLAG_LAST if row[3] else 0 for row in rows]
    return made


RECORDS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=14
).map(lambda records: sorted(records, key=lambda record: record[0]))


@given(RECORDS, st.integers(0, 13), st.integers(0, 5), st.booleans())
def test_quotes_of_two_overlapping_files_tell_the_same_book_as_the_whole_recording(
    records: list[tuple[int, int, int]], cut: int, back: int, swapped: bool
) -> None:
    cut = 1 + cut % (len(records) - 1)
    files = [quote_rows(records[:cut]), quote_rows(records[max(cut - back, 0) :])]
    assume(len({int(t) for file in files for t in (file.recv_ns[0], file.recv_ns[-1])}) > 1)
    counters: Counter[str] = Counter()
    parts, is_used = unite_quotes(files[::-1] if swapped else files, counters)
    assert counters["rows_of_overlapping_source"] == 0
    assert is_used == [True, True]
    united = MarketRows(*(np.concatenate(c) for c in zip(*parts, strict=True)))
    assert (np.diff(united.recv_ns) >= 0).all()
    assert _states(united) == _states(quote_rows(records))


def _states(rows: MarketRows) -> dict[int, tuple[int, int]]:
    """Best bids of both sides after each instant at which they changed."""
    best, found = [0, 0], {}
    for time, side, price in zip(
        *(getattr(rows, n).tolist() for n in ("recv_ns", "side", "price_e4")), strict=True
    ):
        best[side] = price
        found[time] = tuple(best)
    return {
        time: state
        for (_, before), (time, state) in pairwise([(0, (0, 0)), *found.items()])
        if state != before
    }


def test_of_two_quote_files_that_contradict_each_other_the_longer_one_is_kept() -> None:
    long = quote_rows([(s, 10 + s, 20) for s in range(6)])
    other = quote_rows([(2, 30, 20), (3, 31, 20), (4, 32, 20)])
    counters: Counter[str] = Counter()
    parts, is_used = unite_quotes([other, long], counters)
    assert (is_used, counters["rows_of_overlapping_source"]) == ([False, True], len(other.kind))
    assert parts[0].price_e4.tolist() == long.price_e4.tolist()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_thousand_random_cuts_of_a_long_recording(share: float) -> None:
    random = np.random.default_rng([7, int(share * 10)])
    time = np.sort(random.integers(0, 400, 1_000))
    prints = [
        (int(t), int(p), 100, int(s))
        for t, p, s in zip(
            time, 100 * random.integers(40, 43, 1_000), random.integers(0, 2, 1_000), strict=True
        )
    ]
    whole = made_prints(prints)
    for _ in range(50):
        cuts = np.sort(random.integers(1, 999, 4))
        begins = [0, *cuts]
        if share:
            begins = [0, *(int(c) - 40 if random.random() < share else int(c) for c in cuts)]
            begins = [max(b, 0) for b in begins]
        files = [whole.pick(np.arange(b, e)) for b, e in zip(begins, [*cuts, 1_000], strict=True) if e > b]
        random.shuffle(files)
        assert multiset(united_of(files, Counter())) == Counter(prints)


def test_files_that_share_trades_at_two_instants_of_an_event_share_those_at_the_edge_of_a_market_too() -> (
    None
):
    x, y = (5, 4_200, 100, YES), (6, 4_200, 100, YES)
    markets = [
        [
            PrintFile("0", made_prints([(1, 4_200, 1, YES), p])),
            PrintFile("1", made_prints([p, (9, 4_200, 1, NO)])),
        ]
        for p in (x, y)
    ]
    assert files_that_overlap(markets[:1]) == NOTHING_SHARED  # one instant may be a cut through equal prints
    overlaps = files_that_overlap(markets)
    assert overlaps == {frozenset("01")}
    counters: Counter[str] = Counter()
    assert multiset(united_of([f.prints for f in markets[0]], counters, overlaps))[x] == 1
    assert counters == Counter(trades_repeated_between_files=1)
    assert multiset(united_of([f.prints for f in markets[0]], counters))[x] == 2
    assert counters["trades_of_unclear_overlap"] == 1
