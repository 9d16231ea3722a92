"""Fields of the exchange's REST answers as exact integers, each refused by name where it cannot be read.

Units     dollars to 1e-4 (prices) or 1e-6 (cash), counts to 1e-2 contract, times to ns since 1970 UTC.
Absent    the exchange omits optional keys; some lists are null. A field that is absent, null or an empty text
          where a number is expected is None in the ``maybe`` methods, and refused in the others.
Kept      ``raw`` is the object as it came: fields that nobody here knows stay readable.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import (
    NS_PER_MS,
    NS_PER_SECOND,
    parse_cash,
    parse_price,
    parse_qty,
    parse_rfc3339,
)

Value = TypeVar("Value")
_SHOWN = 60
_LONGEST_NAME: Final = 200
MOST_SHARD: Final = 63


class AnswerFields:
    """One JSON object of an answer; ``where`` names it in errors, such as ``GET /markets: markets[3]``."""

    __slots__ = ("raw", "where")

    def __init__(self, raw: Any, where: str) -> None:
        """DataError where ``raw`` is no JSON object."""
        if not isinstance(raw, Mapping):
            raise DataError(f"{where} is {type(raw).__name__} ({str(raw)[:_SHOWN]}); expected a JSON object")
        self.raw: Mapping[str, Any] = raw
        self.where = where

    def text(self, name: str) -> str:
        """Text, which may be empty."""
        return self._need(self.maybe_text(name), name, "text")

    def name(self, name: str) -> str:
        """Text that names something, such as an id or a ticker: never empty, and printable."""
        value = self.text(name)
        if not value or len(value) > _LONGEST_NAME or not value.isprintable():
            raise self._refusal(name, f"a name of 1 to {_LONGEST_NAME} characters")
        return value

    def maybe_text(self, name: str) -> str | None:
        """Text, which may be empty; None where absent."""
        value = self.raw.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._refusal(name, "text")

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._need(self.maybe_flag(name), name, "true or false")

    def maybe_flag(self, name: str) -> bool | None:
        """True or false; None where absent."""
        value = self.raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self._refusal(name, "true or false")

    def whole(self, name: str) -> int:
        """Whole number."""
        return self._need(self.maybe_whole(name), name, "a whole number")

    def positive(self, name: str) -> int:
        """Whole number of at least 1."""
        value = self.whole(name)
        if value < 1:
            raise self._refusal(name, "a whole number of at least 1")
        return value

    def maybe_whole(self, name: str) -> int | None:
        """Whole number within 64 bits, as the exchange's integers are; None where absent."""
        value = self.raw.get(name)
        if value is None or (type(value) is int and -(2**63) <= value < 2**63):
            return value
        raise self._refusal(name, "a whole number of 64 bits")

    def shard(self, name: str) -> int:
        """Index of a shard, 0 to 63."""
        return self._need(self.maybe_shard(name), name, "a shard's index")

    def maybe_shard(self, name: str) -> int | None:
        """Index of a shard, 0 to 63; None where absent, and never 0 instead."""
        value = self.maybe_whole(name)
        if value is not None and not 0 <= value <= MOST_SHARD:
            raise self._refusal(name, f"a shard's index of 0 to {MOST_SHARD}")
        return value

    def price_e4(self, name: str) -> int:
        """Price of 0 to 1 dollar, 1e-4 dollar."""
        return self._need(self.maybe_price_e4(name), name, "a dollar string")

    def maybe_price_e4(self, name: str) -> int | None:
        """Price of 0 to 1 dollar, 1e-4 dollar; None where absent or empty."""
        return self._parsed(name, parse_price)

    def qty_e2(self, name: str) -> int:
        """Count, which may be negative, 1e-2 contract."""
        return self._need(self.maybe_qty_e2(name), name, "a count string")

    def maybe_qty_e2(self, name: str) -> int | None:
        """Count, which may be negative, 1e-2 contract; None where absent or empty."""
        return self._parsed(name, parse_qty)

    def cash_e6(self, name: str) -> int:
        """Dollars, which may be negative, 1e-6 dollar."""
        return self._need(self.maybe_cash_e6(name), name, "a dollar string")

    def maybe_cash_e6(self, name: str) -> int | None:
        """Dollars, which may be negative, 1e-6 dollar; None where absent or empty."""
        return self._parsed(name, parse_cash)

    def time_ns(self, name: str) -> int:
        """RFC 3339 text, ns since 1970."""
        return self._need(self.maybe_time_ns(name), name, "RFC 3339 text")

    def maybe_time_ns(self, name: str) -> int | None:
        """RFC 3339 text, ns since 1970; None where absent or empty."""
        return self._in_time(name, self._parsed(name, parse_rfc3339))

    def maybe_seconds_ns(self, name: str) -> int | None:
        """Whole seconds since 1970 as ns; None where absent or 0, which says no time."""
        seconds = self.maybe_whole(name)
        return self._in_time(name, seconds * NS_PER_SECOND) if seconds else None

    def seconds_ns(self, name: str) -> int:
        """Whole seconds since 1970 as ns."""
        return self._need(self.maybe_seconds_ns(name), name, "whole seconds since 1970")

    def maybe_ms_ns(self, name: str) -> int | None:
        """Whole milliseconds since 1970 as ns; None where absent."""
        time_ms = self.maybe_whole(name)
        return None if time_ms is None else self._in_time(name, time_ms * NS_PER_MS)

    def ms_ns(self, name: str) -> int:
        """Whole milliseconds since 1970 as ns."""
        return self._need(self.maybe_ms_ns(name), name, "whole milliseconds since 1970")

    def object(self, name: str) -> "AnswerFields":
        """JSON object within this one."""
        return AnswerFields(self.raw.get(name), f"{self.where}: {name}")

    def objects(self, name: str) -> list["AnswerFields"]:
        """JSON objects of a list; none where it is null or absent."""
        return [
            AnswerFields(entry, f"{self.where}: {name}[{i}]") for i, entry in enumerate(self.list_of(name))
        ]

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts of a list; none where it is null or absent."""
        entries = self.list_of(name)
        if not all(isinstance(entry, str) for entry in entries):
            raise self._refusal(name, "a list of texts")
        return tuple(entries)

    def list_of(self, name: str) -> list[Any]:
        """List as it came; empty where it is null or absent."""
        value = self.raw.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self._refusal(name, "a list")

    def listed(self, name: str) -> list["AnswerFields"]:
        """JSON objects of a list that the answer has; null is an empty one, an absent one proves nothing."""
        if name not in self.raw:
            raise self._refusal(name, "a list")
        return self.objects(name)

    def _in_time(self, name: str, time_ns: int | None) -> int | None:
        """``time_ns``; DataError where 64 bits do not hold it, or it lies before 1970."""
        if time_ns is not None and not 0 <= time_ns < 2**63:
            raise self._refusal(name, "a time of 1970 to 2262")
        return time_ns

    def _parsed(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        """Text of a field through ``parse``; None where absent or empty. A number may have lost digits."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self._refusal(name, "text")
        try:
            return parse(value)
        except DataError as err:
            raise DataError(f"{self.where}: {name}: {err}") from None

    def _need(self, value: Value | None, name: str, wanted: str) -> Value:
        """``value`` if there is one."""
        if value is None:
            raise self._refusal(name, wanted)
        return value

    def _refusal(self, name: str, wanted: str) -> DataError:
        shown = f"is {self.raw[name]!r}"[:_SHOWN] if name in self.raw else "is absent"
        return DataError(f"{self.where}: {name} {shown}; expected {wanted}")
