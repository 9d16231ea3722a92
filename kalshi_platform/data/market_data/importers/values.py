"""Columns of other people's files to the house's exact integers, whole columns at a time.

A number with a fraction is read by its shortest decimal text, so that 0.43 is exactly 0.43; one that is finer
than the house's unit is refused, never rounded. An empty text is null.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.market_data.moments import (
    UNIT_WORDS,
    UNITS_NS,
    unit_of_size,
    utc_ns,
    zone_hint,
)
from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import parse_rfc3339

#: Units of a price, a size and a time: how many of the house's (1e-4 dollar, 1e-2 contract, ns) one of it is.
PRICE_UNITS: Final = {"dollars": 10_000, "cents": 100, "e4": 1}
SIZE_UNITS: Final = {"contracts": 100, "e2": 1}
TIME_UNITS: Final = {**UNITS_NS, "rfc3339": 1, "utc": 1}
#: A number whose unit its size shows (``moments.unit_of_size``), the same in every row.
BY_SIZE: Final = "by size"

_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_NULLS: Final = pa.array(["", "null", "None", "NULL", "nan", "NaN", "NaT", "NA"])


class Place(NamedTuple):
    """Place of a column's values, for refusals: row ``i`` of the column is ``unit`` number ``first + i``."""

    path: str
    unit: str  # "row", "line" or "record"
    first: int

    def refuse(self, at: int, what: str) -> NoReturn:
        """Raise a DataError about row ``at`` of the column."""
        raise DataError(
            f"{self.path}: {self.unit} {self.first + at}: {bounded_message(what, 250)}; correct it, or say "
            "how the columns are to be read: kalshi-platform dataset convert FILE --columns map.yaml --out "
            "FILE.parquet"
        )


def without_blanks(values: pa.Array) -> pa.Array:
    """Column in which texts that mean nothing are null."""
    if not _is_text(values.type):
        return values
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.is_in(trimmed, _NULLS), pa.scalar(None, pa.string()), trimmed)


def exact_ints(values: pa.Array, factor: int, what: str, place: Place) -> pa.Array:
    """``factor`` times each value, as int64; DataError for a value that is no number or too fine."""
    values = without_blanks(values)
    if pa.types.is_null(values.type):
        return values.cast(pa.int64())
    if pa.types.is_integer(values.type):
        return pc.multiply_checked(values.cast(pa.int64()), factor)
    texts = values.cast(pa.string())
    try:
        number = texts.cast(pa.decimal128(28, 9))
        return pc.multiply(number, pa.scalar(Decimal(factor), pa.decimal128(6, 0))).cast(pa.int64())
    except pa.ArrowInvalid:
        scaled = [
            None if text is None else _scaled(text, factor, what, place, at)
            for at, text in enumerate(texts.to_pylist())
        ]
        return pa.array(scaled, pa.int64())


def _scaled(text: str, factor: int, what: str, place: Place, at: int) -> int:
    """``factor`` times the number in ``text``; DataError where it is none or too fine."""
    try:
        value = Decimal(text) * factor
        whole = int(value)
    except (ArithmeticError, ValueError):
        place.refuse(at, f"{what} = {text[:40]!r} is not a decimal number")
    if value != whole:
        place.refuse(at, f"{what} = {text[:40]} is finer than 1/{factor} of its unit; round it in the source")
    if abs(whole) >= 1 << 62:
        place.refuse(at, f"{what} = {text[:40]} does not fit into 64 bits")
    return whole


def times_ns(values: pa.Array, unit: str | None, what: str, place: Place) -> pa.Array:
    """Times as int64 ns; the unit of a Parquet timestamp is its own, without zone it is UTC."""
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("ns", values.type.tz)).cast(pa.int64())
    values = without_blanks(values)
    if unit is None or unit == BY_SIZE:
        unit = unit_shown(values, what, place)
    elif unit not in _TEXTS:
        _check_unit(values, unit, what, place)
    if unit in _TEXTS:
        return _texts(values, what, place, _TEXTS[unit])
    if _is_text(values.type) or pa.types.is_floating(values.type):
        # a fraction of a second beyond 1 ns is no error of anybody's: it is cut off
        return _cut_ints(values.cast(pa.string()), UNITS_NS[unit], what, place)
    return exact_ints(values, UNITS_NS[unit], what, place)


def _of_rfc3339(text: str) -> int:
    """Time of RFC 3339 text; DataError names the way out where only the zone is missing."""
    if hint := zone_hint(text):
        raise DataError(f"{hint}; where it is UTC, say unit: utc in a map")
    return parse_rfc3339(text)


#: Units of times that are text.
_TEXTS: Final = {"rfc3339": _of_rfc3339, "utc": utc_ns}


def unit_shown(values: pa.Array, what: str, place: Place) -> str:
    """Unit that every value of the column shows: RFC 3339 text, or the size of its numbers."""
    shown, at_first = None, 0
    for at, value in enumerate(values.to_pylist()):
        if value is None:
            continue
        unit = _unit_of(value)
        if unit is None:
            place.refuse(at, f"{what} = {shown_value(value)} is no time between 2021 and 2100 in any unit")
        if shown is not None and unit != shown:
            place.refuse(
                at,
                f"{what} = {shown_value(value)} looks like {UNIT_WORDS.get(unit, unit)}, {place.unit} "
                f"{place.first + at_first} like {UNIT_WORDS.get(shown, shown)}",
            )
        if shown is None:
            shown, at_first = unit, at
    return shown or "ns"


def _check_unit(values: pa.Array, unit: str, what: str, place: Place) -> None:
    """Refuse the first number that is no time between 2021 and 2100 in ``unit``."""
    for at, value in enumerate(values.to_pylist()):
        if value is None or (looks := _unit_of(value)) == unit:
            continue
        words = f"looks like {UNIT_WORDS.get(looks, 'text')}" if looks else "is no time between 2021 and 2100"
        place.refuse(at, f"{what} = {shown_value(value)} {words}; it was to be {UNIT_WORDS[unit]}")


def _unit_of(value: Any) -> str | None:
    """Unit of one time without a named unit; None where it is no time."""
    try:
        return unit_of_size(float(value))
    except (TypeError, ValueError):
        return "rfc3339" if isinstance(value, str) else None


def _cut_ints(texts: pa.Array, factor: int, what: str, place: Place) -> pa.Array:
    """``factor`` times each number, digits below one cut off."""

    def cut(text: str) -> int:
        try:
            return int(Decimal(text) * factor)
        except (ArithmeticError, ValueError):
            raise DataError(f"{text[:40]!r} is not a decimal number") from None

    return _texts(texts, what, place, cut)


def _texts(values: pa.Array, what: str, place: Place, convert: Callable[[str], int]) -> pa.Array:
    """``convert`` of each value; its DataError is told with the place of the value."""
    done: list[int | None] = []
    for at, value in enumerate(values.to_pylist()):
        try:
            done.append(None if value is None else _in_64_bits(convert(value), value))
        except DataError as err:
            place.refuse(at, f"{what}: {err}")
    return pa.array(done, pa.int64())


def _in_64_bits(number: int, text: str) -> int:
    """``number``, read from ``text``; DataError where no column of 64 bits holds it."""
    if not -(1 << 63) <= number < 1 << 63:
        raise DataError(
            f"{shown_value(text)} lies outside 1677 to 2262, the times that 64 bits of ns can hold"
        )
    return number


def words(values: pa.Array, what: str, place: Place, known: dict[str, str]) -> pa.Array:
    """Texts of the column in lower case by ``known``; DataError names any other one."""
    texts = without_blanks(values).cast(pa.string())
    done: list[str | None] = []
    for at, text in enumerate(texts.to_pylist()):
        if text is not None and text.lower() not in known:
            place.refuse(at, f"{what} = {shown_value(text)}; expected {' or '.join(map(repr, known))}")
        done.append(None if text is None else known[text.lower()])
    return pa.array(done, pa.string())


def flags(values: pa.Array, what: str, place: Place) -> pa.Array:
    """Booleans of the column, also from texts and 0 and 1."""
    if pa.types.is_boolean(values.type):
        return values
    known = {name: str(value) for name, value in _FLAGS.items()}
    return pc.equal(words(values.cast(pa.string()), what, place, known), "True")


def _is_text(kind: pa.DataType) -> bool:
    """True for a column of texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
