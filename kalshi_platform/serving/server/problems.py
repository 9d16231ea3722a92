"""Refusals as RFC 9457 problem details, and the search for the first wrong field of a request.

Owns       Problem (an error that knows its status and field), its body, and the functions that look at
           markets one by one and name the first wrong field. They also read requests that reading.py cannot
           read at once: markets of which some are packed, histories of different lengths.
Units      numbers as the feature table bounds them; H numbers in a row of history.
Invariant  every refusal is answered as ``application/problem+json`` with type, title, status, detail, field
           and request_id, and counted by Observability.
"""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kalshi_platform.data.features.spec import SPEC, Feature
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.api.packed import PACKED_FIELDS, unpack
from kalshi_platform.serving.api.requests import Group, MarketRow

MEDIA_TYPE: Final = "application/problem+json"
#: Types are relative references (RFC 9457, 3.1.1): they name the kind, there is nothing behind them to fetch.
TYPE_PREFIX: Final = "/problems/"
FEATURE: Final[dict[str, Feature]] = {feature.name: feature for feature in SPEC}
#: Lowest and highest number of each column, (C,) f8 both.
Bounds = tuple[np.ndarray, np.ndarray]


class Problem(PlatformError):  # noqa: N818  (the RFC's word)
    """Refusal of a request: status, kind, words, and the field that is wrong."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.field = status, kind, detail, field
        self.headers = headers or {}

    def body(self, request_id: str) -> bytes:
        """JSON text of the problem details for the answer to ``request_id``."""
        told = {
            "type": TYPE_PREFIX + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "request_id": request_id,
        }
        return json_text(told).encode()


def of_validation(error: ValidationError) -> Problem:
    """Problem for the first error in a body: 400 where it is no JSON, else 422 with the field's path."""
    errors = error.errors(include_url=False, include_context=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return Problem(400, "malformed-json", f"the body is not JSON: {first['msg']}")
    where = ".".join(_path(first["loc"]))
    value = repr(first["input"])
    if len(value) > 80:
        value = value[:80] + "..."
    more = sum(not _is_other_kind(each) for each in errors) - 1
    others = f" ({more} more fields are wrong)" if more else ""
    return Problem(
        422, "invalid-field", f"{where or 'body'} = {value}: {first['msg']}{others}", where or None
    )


def _path(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Path to a field, without the names that pydantic gives the members of a union of numbers."""
    return tuple(
        str(part)
        for k, part in enumerate(loc)
        if isinstance(part, int) or not k or loc[k - 1] not in PACKED_FIELDS
    )


def _is_other_kind(error: ErrorDetails) -> bool:
    """True for the errors of a union's other members: pydantic reports one for each of them."""
    loc = error["loc"]
    return error["type"] in ("string_type", "none_required") and len(_path(loc)) < len(loc)


class FieldPlace(NamedTuple):
    """One market of a request, with its group and slot."""

    group: int
    slot: int
    market: MarketRow

    def field(self, name: str = "") -> str:
        """Path of the market, or of one of its fields, in the request."""
        return f"groups.{self.group}.markets.{self.slot}" + (f".{name}" if name else "")


def bounds_of(features: Sequence[Feature]) -> Bounds:
    """Lowest and highest numbers that columns may hold."""
    return np.array([f.low for f in features], np.float64), np.array([f.high for f in features], np.float64)


def refusal(kind: str, detail: str, field: str) -> Problem:
    """Problem 422 about one field."""
    return Problem(422, kind, detail, field)


def repeated_market(g: int, group: Group) -> Problem:
    """Problem for two markets of group ``g`` with one id."""
    ids = [market.id for market in group.markets]
    s = next(s for s, name in enumerate(ids) if name in ids[:s])
    detail = f"market {ids[s]!r} stands twice in group {g}"
    return refusal("repeated-market", detail, f"groups.{g}.markets.{s}.id")


def require_known(columns: tuple[str, ...], known: Collection[str]) -> None:
    """Raise Problem where a column is not among ``known`` or stands twice."""
    for i, name in enumerate(columns):
        if name not in known:
            detail = f"the model does not read {name!r}: GET /v1/model lists what it reads"
            raise refusal("unknown-feature", detail, f"columns.{i}")
        if name in columns[:i]:
            raise refusal("repeated-feature", f"{name!r} stands twice in columns", f"columns.{i}")


def wrong_number(name: str, value: float, place: FieldPlace, field: str) -> Problem:
    """Problem for a number of feature ``name`` that is not finite or outside its bounds."""
    feature, market = FEATURE[name], place.market.id
    if not np.isfinite(value):
        detail = f"{name} of market {market!r} is {value}: send a finite number"
        return refusal("invalid-field", detail, place.field(field))
    detail = (
        f"{name} of market {market!r} is {value:g}; the feature table bounds it to "
        f"[{feature.low:g}, {feature.high:g}]"
    )
    return refusal("out-of-bounds", detail, place.field(field))


def rows_one_by_one(places: Sequence[FieldPlace], n_columns: int) -> np.ndarray:
    """Rows (M, C) f8 as sent, packed or not; Problem where one has not ``n_columns`` numbers."""
    rows = np.empty((len(places), n_columns), np.float64)
    for m, place in enumerate(places):
        shown = place.market.row
        row = _unpacked(shown, place, "row") if isinstance(shown, str) else shown
        if len(row) != n_columns:
            detail = f"market {place.market.id!r} has {len(row)} numbers, columns names {n_columns}"
            raise refusal("wrong-shape", detail, place.field("row"))
        rows[m] = row
    return rows


def history_one_by_one(
    place: FieldPlace, window: int, features: Sequence[Feature], bounds: Bounds
) -> np.ndarray:
    """The last rows (n, H) f8 of a market's history, at most ``window``, within ``bounds``."""
    history, names = place.market.history, [feature.name for feature in features]
    if not history:
        detail = (
            f"the model reads {window} rows of history and market {place.market.id!r} has none; the present "
            "row is the last of them"
        )
        raise refusal("missing-history", detail, place.field("history"))
    rows, first = _last_rows(history, place, window, names)
    wrong = ~((rows >= bounds[0]) & (rows <= bounds[1]))
    if wrong.any():
        i, c = (int(k[0]) for k in np.nonzero(wrong))
        raise wrong_number(names[c], rows[i, c], place, f"history.{first + i}.{c}")
    return rows


def _last_rows(
    history: str | list[list[float]], place: FieldPlace, window: int, names: Sequence[str]
) -> tuple[np.ndarray, int]:
    """At most ``window`` rows (n, H) f8, and the number of the first of them."""
    expected = f"expected {', '.join(names)}"
    if isinstance(history, str):
        numbers = _unpacked(history, place, "history")
        if numbers.size % len(names):
            detail = (
                f"the history packs {numbers.size} numbers, no multiple of {len(names)}; a row: {expected}"
            )
            raise refusal("wrong-shape", detail, place.field("history"))
        rows = numbers.reshape(-1, len(names)).astype(np.float64)
        return rows[-window:], max(len(rows) - window, 0)
    first = max(len(history) - window, 0)
    for i, row in enumerate(history[first:], first):
        if len(row) != len(names):
            detail = f"row {i} of the history has {len(row)} numbers; {expected}"
            raise refusal("wrong-shape", detail, place.field(f"history.{i}"))
    return np.array(history[first:], np.float64), first


def _unpacked(text: str, place: FieldPlace, name: str) -> np.ndarray:
    try:
        return unpack(text)
    except ContractError as error:
        raise refusal("invalid-field", str(error), place.field(name)) from None
