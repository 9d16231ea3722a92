"""The same trade in two sources: by id, else by value, each print at most once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_rows import MadeMarket
from made.prints import made_prints

from kalshi_platform.data.market_data.importers import prints as room
from kalshi_platform.data.market_data.importers.prints import (
    ALONE,
    NO_ID,
    are_fills,
    id_codes,
    join_prints,
    pair,
    same_trades,
    unit_ns,
)
from kalshi_platform.data.market_data.schema import NO, TRADE, YES


@pytest.mark.parametrize("compiled", [True, False])
@given(
    a=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=8),
    b=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=8),
    window=st.integers(0, 2),
)
def test_as_many_prints_as_can_be_have_a_partner_of_their_own(compiled, a, b, window) -> None:
    if not compiled:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "walk_pairs", room.walk_pairs.py_func)
            partner = pair(*_columns(a), *_columns(b), window)
    else:
        partner = pair(*_columns(a), *_columns(b), window)
    found = [(a[i], b[j]) for j, i in enumerate(partner) if i != ALONE]
    taken = [i for i in partner if i != ALONE]
    assert len(set(taken)) == len(taken)
    assert all(x[0] == y[0] and abs(x[1] - y[1]) <= window for x, y in found)
    assert len(found) == _most_pairs(a, b, window)


def _columns(prints):
    return np.array([p[0] for p in prints], "i8"), np.array([p[1] for p in prints], "i8")


def _most_pairs(a, b, window) -> int:
    """Size of the largest matching, by augmenting paths."""
    owner: dict[int, int] = {}

    def free(j: int, seen: set[int]) -> bool:
        for i, x in enumerate(a):
            if i not in seen and x[0] == b[j][0] and abs(x[1] - b[j][1]) <= window:
                seen.add(i)
                if i not in owner or free(owner[i], seen):
                    owner[i] = j
                    return True
        return False

    return sum(free(j, set()) for j in range(len(b)))


def test_two_ids_are_two_trades_however_equal_and_one_id_is_one_trade() -> None:
    a = made_prints([(1, 4_200, 100, YES), (1, 4_200, 100, YES)], [7, 8])
    b = made_prints([(1, 4_200, 100, YES), (5, 4_300, 100, YES)], [9, 8])
    assert same_trades(a, b).tolist() == [ALONE, 1]


def test_a_print_without_id_is_found_by_its_value_once() -> None:
    a = made_prints([(1, 4_200, 100, YES)], [7])
    b = made_prints([(1, 4_200, 100, YES)] * 2 + [(1, 4_200, 100, NO)])
    assert sorted(same_trades(a, b).tolist()) == [ALONE, ALONE, 0]
    assert same_trades(a, b, by_value=False).tolist() == [ALONE] * 3


def test_a_source_of_milliseconds_agrees_with_one_of_microseconds_to_the_millisecond() -> None:
    coarse = made_prints([(1.123, 4_200, 100, YES), (1.5, 4_200, 100, YES)])
    fine = made_prints([(1.123456, 4_200, 100, YES), (1.502, 4_200, 100, YES)])
    assert same_trades(coarse, fine).tolist() == [0, ALONE]
    assert (unit_ns(coarse.time_ns), unit_ns(fine.time_ns)) == (10**6, 10**3)


def test_equal_ids_of_two_sources_have_equal_numbers_and_none_has_none() -> None:
    ids = [pa.array(["x", None], pa.large_string()), None, pa.array(["y", "x"], pa.large_string())]
    first, second, third = id_codes(ids, [2, 3, 2])
    assert first[0] == third[1] != third[0]
    assert [first[1], *second] == [NO_ID] * 4
    assert id_codes([None, pa.nulls(1, pa.large_string())], [1, 1])[1].tolist() == [NO_ID]


def test_a_print_that_only_a_marked_delta_shows_is_a_fill() -> None:
    market = MadeMarket().snapshot([(4_200, 500)]).add(TRADE, YES, 4_300, 100)
    assert are_fills(market.fill(YES, 4_200, 100).rows()).tolist() == [False, True]


def test_prints_of_several_parts_stand_one_part_after_the_other() -> None:
    whole = join_prints([made_prints([(1, 1_000, 1, YES)], [3]), made_prints([(2, 2_000, 2, NO)])])
    assert (whole.rows.price_e4.tolist(), whole.ids.tolist()) == ([1_000, 2_000], [3, NO_ID])
