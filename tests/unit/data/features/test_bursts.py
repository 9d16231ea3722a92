"""Which messages are one burst, by hand."""

import numpy as np
import pytest
from made.feature_rows import MS, SNAP, SPEC, messages
from made.strategies import START_NS

from kalshi_platform.data.features.bursts import BURST_NS, mark_burst_ends
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.schema import SNAPSHOT, YES
from kalshi_platform.domain.units import NO_TIME

MARK = pytest.mark.parametrize("mark", [mark_burst_ends, mark_burst_ends.py_func], ids=["numba", "python"])


def ends(mark, recv_ms, exch, valid=None):
    n = len(recv_ms)
    out = np.full(n, 7, np.uint8)
    valid = np.ones(n, np.uint8) if valid is None else np.array(valid, np.uint8)
    recv_ns = np.array([round(t * MS) for t in recv_ms], np.int64)
    mark(recv_ns, np.array(exch, np.int64), valid, out)
    return out.tolist()


@MARK
def test_equal_exchange_times_are_one_burst_however_late_they_came(mark):
    assert ends(mark, [0, 90, 91, 91], [5, 5, 6, 6]) == [0, 1, 0, 1]


@MARK
def test_without_an_exchange_time_it_lasts_five_milliseconds_from_its_first_row(mark):
    assert BURST_NS == 5 * MS
    unknown = [NO_TIME] * 5
    # the fourth row is 2 ms after the third, but 6 ms after the first
    assert ends(mark, [0, 3, 5, 6, 11], unknown) == [0, 0, 1, 0, 1]


@MARK
def test_one_unknown_exchange_time_is_enough_to_go_by_receive_time(mark):
    assert ends(mark, [0, 1, 2], [5, NO_TIME, 5]) == [0, 0, 1]
    assert ends(mark, [0, 1, 2], [5, NO_TIME, 6]) == [0, 1, 1]
    assert ends(mark, [0, 9, 10], [5, NO_TIME, 5]) == [1, 0, 1]


@MARK
def test_an_invalid_row_ends_the_burst_and_a_crossed_one_does_not(mark):
    assert ends(mark, [0, 0, 0, 0], [5, 5, 5, 5], [1, 2, 0, 1]) == [0, 1, 1, 1]


@MARK
def test_no_rows_and_one_row(mark):
    assert ends(mark, [], []) == []
    assert ends(mark, [0], [NO_TIME]) == [1]


def test_rows_of_a_market_carry_it_by_the_time_of_the_message_s_last_row():
    level = [SNAP, (SNAPSHOT, YES, 4_000, 1)]
    recorded = messages(*((START_NS + k * 10 * MS, level) for k in range(3)))
    recorded.exch_ns[[1, 3]] = 77
    assert build_rows(recorded, SPEC).burst_end.tolist() == [0, 1, 1]
