"""Answers of REST: bodies, errors in the exchange's form, pages."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from aiohttp import web

from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.trading.simserver.config import ErrorBody

PREFIX: Final = "/trade-api/v2"
_SHOWN: Final = 200
#: Digits of the largest number that is read: Python refuses those of thousands of digits.
_MOST_DIGITS: Final = 18
T = TypeVar("T")


class ApiError(Exception):
    """A request that is answered with an error body."""

    def __init__(
        self, status: int, code: str, message: str = "", details: str = "", *, is_flat: bool = False
    ) -> None:
        """``is_flat`` leaves the body flat whatever form the server's other errors have."""
        super().__init__(f"{status} {code} {details}".strip())
        self.status, self.code, self.message, self.details = status, code, message or code, details[:_SHOWN]
        self.is_flat = is_flat

    def response(self, form: ErrorBody) -> web.Response:
        """Answer in the form that was seen live (nested) or is documented (flat)."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "details": self.details}
        if self.status == 429:
            body = {"error": "too many requests"}
        elif form == "nested" and not self.is_flat:
            body = {"error": body}
        return answer(body, self.status)


def answer(body: Any, status: int = 200) -> web.Response:
    """JSON answer."""
    return web.Response(text=json_text(body, tight=True), status=status, content_type="application/json")


def missing(what: str = "") -> ApiError:
    """Return the error for a thing that does not exist."""
    return ApiError(404, "not_found", "not found", what)


def invalid(details: str) -> ApiError:
    """Return the error for a parameter that is wrong."""
    return ApiError(400, "invalid_parameters", "invalid parameters", details)


def not_modelled(details: str) -> ApiError:
    """Return the refusal of something that this server has no model of; no code of the exchange's own."""
    return ApiError(400, "not_modelled", "the simulated exchange does not model this", details)


def unreadable(details: str) -> ApiError:
    """Return the error for a body that cannot be parsed; the exchange documents it as flat."""
    return ApiError(400, "bad_request", "bad request", details, is_flat=True)


async def read_json(request: web.Request) -> Any:
    """Return the body of a request; ApiError 400 where it is no JSON."""
    try:
        return json_value(await request.read())
    except ValueError:
        raise unreadable("the body is no JSON") from None


def is_number(text: str, most_digits: int = _MOST_DIGITS) -> bool:
    """True for plain digits of a number that Python and the exchange can hold."""
    return text.isascii() and text.isdigit() and len(text) <= most_digits


def whole(query: Any, name: str, least: int, most: int, default: int | None = None) -> int | None:
    """Whole number of the query within bounds; ``default`` where it is not given."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not is_number(text):
        raise invalid(f"{name} {text[:40]!r} is no whole number")
    value = int(text)
    if not least <= value <= most:
        raise invalid(f"{name} {value} is outside {least}..{most}")
    return value


def page(
    query: Any, rows: Iterable[T], key: str, most: int, default: int, *,
    number: Callable[[T], int], body: Callable[[T], Any], newest_first: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One page of ``rows`` under ``key`` in the order of their numbers, and the cursor, empty at the end.

    The cursor is the number of the last row shown: rows that come or go between two pages move no other.
    """
    limit = whole(query, "limit", 1, most, default)
    assert limit is not None  # there is a default
    cursor = query.get("cursor") or ""
    sign = -1 if newest_first else 1
    ordered = sorted(rows, key=lambda row: sign * number(row))
    start = 0
    if cursor:
        if not is_number(cursor):
            raise invalid("cursor is none of this server's")
        start = bisect_right(ordered, sign * int(cursor), key=lambda row: sign * number(row))
    shown = ordered[start : start + limit]
    is_last = start + limit >= len(ordered)
    return {key: [body(row) for row in shown], "cursor": "" if is_last else str(number(shown[-1]))}
