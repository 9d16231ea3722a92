"""Columns to exact integers."""

import pyarrow as pa
import pytest

from kalshi_platform.data.market_data.importers.values import (
    BY_SIZE,
    Place,
    exact_ints,
    flags,
    times_ns,
    words,
)
from kalshi_platform.domain.errors import DataError

PLACE = Place("x.csv", "line", 2)


@pytest.mark.parametrize(
    ("column", "factor", "ints"),
    [
        (
            pa.array(["0.43", "4.3e-1", " 1 ", "", "null", None]),
            10_000,
            [4_300, 4_300, 10_000, None, None, None],
        ),
        (pa.array([0.43, 0.07, None]), 10_000, [4_300, 700, None]),
        (pa.array([43, None], pa.int32()), 100, [4_300, None]),
        (pa.array(["-1.25"]), 100, [-125]),
        (pa.array([None, None]), 100, [None, None]),
    ],
)
def test_numbers_are_read_by_their_decimal_text(column: pa.Array, factor: int, ints: list) -> None:
    assert exact_ints(column, factor, "price", PLACE).to_pylist() == ints


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["0.43", "0.12345"]), r"x\.csv: line 3: price = 0\.12345 is finer than 1/10000"),
        (pa.array([0.1 + 0.2]), "line 2: price = 0.30000000000000004 is finer"),
        (pa.array(["1", "dear"]), "line 3: price = 'dear' is not a decimal number"),
        (pa.array(["1e30"]), "line 2: price = 1e30 does not fit"),
        (pa.array(["inf"]), "line 2: price = 'inf' is not a decimal number"),
    ],
)
def test_a_number_that_cannot_be_held_is_refused_never_rounded(column: pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        exact_ints(column, 10_000, "price", PLACE)


def test_times_have_the_unit_of_their_type_their_name_or_their_size() -> None:
    second = 1_795_400_000
    stamp = pa.array([second * 1_000 + 5], pa.timestamp("ms"))
    assert times_ns(stamp, "s", "t", PLACE).to_pylist() == [(second * 1_000 + 5) * 10**6]
    assert times_ns(pa.array([second]), "s", "t", PLACE).to_pylist() == [second * 10**9]
    assert times_ns(pa.array(["1795400000.25"]), BY_SIZE, "t", PLACE).to_pylist() == [
        second * 10**9 + 25 * 10**7
    ]
    assert times_ns(pa.array(["2026-11-23T02:13:20Z", None]), BY_SIZE, "t", PLACE).to_pylist() == [
        second * 10**9,
        None,
    ]
    with pytest.raises(
        DataError, match="line 2: t = 1795400000 looks like seconds; it was to be milliseconds"
    ):
        times_ns(pa.array([second]), "ms", "t", PLACE)


def test_words_and_flags_are_read_in_any_case_and_others_are_named() -> None:
    assert words(pa.array(["YES", "no", None]), "side", PLACE, {"yes": "yes", "no": "no"}).to_pylist() == [
        "yes",
        "no",
        None,
    ]
    assert flags(pa.array(["True", "0", None]), "f", PLACE).to_pylist() == [True, False, None]
    assert flags(pa.array([1, 0]), "f", PLACE).to_pylist() == [True, False]
    with pytest.raises(DataError, match="line 2: side = 'up'; expected 'yes' or 'no'"):
        words(pa.array(["up"]), "side", PLACE, {"yes": "yes", "no": "no"})


def test_text_without_a_zone_is_refused_with_the_unit_that_reads_it() -> None:
    column, place = pa.array(["2026-11-23 02:13"]), Place("f.csv", "line", 2)
    with pytest.raises(DataError, match="has no zone; where it is UTC, say unit: utc in a map"):
        times_ns(column, None, "When", place)
    assert times_ns(column, "utc", "When", place).to_pylist() == [1_795_399_980 * 10**9]
