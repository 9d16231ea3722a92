"""Refusals as RFC 9457 problem details, and the search for the first wrong field of a request.

Owns       Problem (an error that knows its status and field), its body, and the functions that look at
           markets one by one and name the first wrong field. They also read requests that reading.py cannot
           read at once: markets of which some are packed, histories of different lengths.
Units      numbers as the feature table bounds them; H numbers in a row of history.
Invariant  every refusal is answered as ``application/problem+json`` with type, title, status, detail, field
           and request_id, and counted by Observability.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from kalshi_platform.data.features.spec import SPEC, Feature
from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.api.packed import unpack
from kalshi_platform.serving.api.requests import Group, MarketRow
from kalshi_platform.serving.api.wrong_fields import (
    MAX_COUNTED,
    MAX_LISTED,
    WrongField,
    WrongFields,
    shortened,
    wrong_fields,
)

MEDIA_TYPE: Final = "application/problem+json"
#: Status of a request whose client left before it was read: nginx's, as no standard has one for it.
_CLIENT_LEFT: Final = 499
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
        wrong: WrongFields | None = None,
    ) -> None:
        detail = bounded_message(detail)  # names of markets, and words of the registry, may be long
        super().__init__(detail)
        self.wrong = wrong
        self.status, self.kind, self.detail, self.field = status, kind, detail, field
        self.headers = headers or {}

    def body(self, request_id: str) -> bytes:
        """JSON text of the problem details for the answer to ``request_id``."""
        told = {
            "type": TYPE_PREFIX + self.kind,
            "title": "Client Closed Request"
            if self.status == _CLIENT_LEFT
            else HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "errors": [each._asdict() for each in self.wrong.listed] if self.wrong else [],
            "more_errors": self.wrong.n - len(self.wrong.listed) if self.wrong else 0,
            "request_id": request_id,
        }
        return json_text(told).encode()


def of_validation(model: type[BaseModel], body: bytes, error: ValidationError) -> Problem:
    """Problem for a body that ``model`` refuses: 400 where it is no JSON, else 422 with every wrong field."""
    if error.error_count() == 1:
        only = error.errors(include_url=False, include_input=False)[0]
        if only["type"] == "json_invalid":
            return Problem(400, "malformed-json", f"the body is not JSON: {only['msg']}")
    return of_wrong("invalid-field", wrong_fields(model, from_json(body), error))


def of_wrong(kind: str, found: WrongFields, detail: str = "") -> Problem:
    """Problem 422 of a ``kind`` that lists the wrong fields ``found``, one at least.

    ``detail`` is a sentence about the first of them, where the field's own words do not tell enough.
    """
    first, others = found.listed[0], found.n - 1
    at_least = "" if found.is_all else "at least "
    more = f" (and {at_least}{others} more wrong field{'s' * (others != 1)}: see errors)" if others else ""
    return Problem(422, kind, f"{detail or first.words}{more}", first.field or None, wrong=found)


def of_problems(problems: Iterable[Problem]) -> Problem:
    """One problem of many about single fields: the first of them, listing the fields of all, each once."""
    found: dict[str, WrongField] = {}
    first, is_all = None, True
    for problem in problems:
        first = first or problem
        if len(found) == MAX_COUNTED:
            is_all = False
            break
        for each in problem.wrong.listed if problem.wrong else ():
            found.setdefault(each.field, each)
    assert first is not None
    wrong = WrongFields(tuple(found.values())[:MAX_LISTED], len(found), is_all=is_all)
    return of_wrong(first.kind, wrong, first.detail)


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


def refusal(kind: str, detail: str, field: str, value: str = "", allowed: str = "") -> Problem:
    """Problem 422 about one field: its ``value`` as sent; ``allowed`` where ``detail`` tells more."""
    wrong = WrongField(field, bounded_message(value), bounded_message(allowed or detail))
    return Problem(422, kind, detail, field, wrong=WrongFields((wrong,), 1, is_all=True))


def too_many_markets(g: int, group: Group, n_slots: int) -> Problem:
    """Problem for a group ``g`` of more markets than the model has slots."""
    n = len(group.markets)
    detail = (
        f"group {g} has {n} markets; the model decides at most {n_slots} at once: make several groups of them"
    )
    return refusal("too-many-markets", detail, f"groups.{g}.markets", f"a list of {n}")


def repeated_markets(g: int, group: Group) -> Iterator[Problem]:
    """Problem for every market of group ``g`` that has the id of an earlier one."""
    seen = set()
    for s, market in enumerate(group.markets):
        if market.id in seen:
            detail = f"market {market.id!r} stands twice in group {g}: send each market of a group once"
            yield refusal("repeated-market", detail, f"groups.{g}.markets.{s}.id", repr(market.id))
        seen.add(market.id)


def wrong_columns(columns: tuple[str, ...], known: Collection[str]) -> Iterator[Problem]:
    """Problem for every column that is not among ``known`` or stands twice."""
    seen = set()
    for i, name in enumerate(columns):
        if name not in known:
            detail = f"the model does not read {shortened(name)}: GET /v1/model lists what it reads"
            yield refusal("unknown-feature", detail, f"columns.{i}", shortened(name))
        elif name in seen:
            detail = f"{name!r} stands twice in columns: name each column once"
            yield refusal("repeated-feature", detail, f"columns.{i}", repr(name))
        seen.add(name)


def wrong_number(name: str, value: float, place: FieldPlace, field: str) -> Problem:
    """Problem for a number of feature ``name`` that is not finite or outside its bounds."""
    feature, market = FEATURE[name], place.market.id
    if not np.isfinite(value):
        detail = f"{name} of market {market!r} is {value}: send a finite number"
        return refusal("invalid-field", detail, place.field(field), str(value), "send a finite number")
    detail = (
        f"{name} of market {market!r} is {value:g}; the feature table bounds it to "
        f"[{feature.low:g}, {feature.high:g}]"
    )
    allowed = f"send a number from {feature.low:g} to {feature.high:g} ({name} of market {market!r})"
    return refusal("out-of-bounds", detail, place.field(field), f"{value:g}", allowed)


def rows_one_by_one(places: Sequence[FieldPlace], n_columns: int) -> np.ndarray:
    """Rows (M, C) f8 as sent, packed or not; Problem where one has not ``n_columns`` numbers."""
    rows = np.empty((len(places), n_columns), np.float64)
    for m, place in enumerate(places):
        shown = place.market.row
        row = _unpacked(shown, place, "row") if isinstance(shown, str) else shown
        if len(row) != n_columns:
            many = f"{len(row)} number{'' if len(row) == 1 else 's'}"
            detail = f"market {place.market.id!r} has {many}, columns names {n_columns}"
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
    found = _wrong_numbers(rows, bounds, names, place, [f"history.{first + i}." for i in range(len(rows))])
    for problem in found:
        raise problem
    return rows


def wrong_row(place: FieldPlace, columns: tuple[str, ...]) -> Iterator[Problem]:
    """Problem for every wrong number of a market's row, or for its shape."""
    try:
        rows = rows_one_by_one([place], len(columns))
    except Problem as problem:
        yield problem
        return
    read = [c for c, name in enumerate(columns) if name in FEATURE]
    features = [FEATURE[columns[c]] for c in read]
    for c, feature in zip(read, features, strict=True):
        if not feature.low <= rows[0, c] <= feature.high:
            yield wrong_number(feature.name, rows[0, c], place, f"row.{c}")


def wrong_history(
    place: FieldPlace, window: int, features: Sequence[Feature], bounds: Bounds
) -> Iterator[Problem]:
    """Problem for every wrong number of a market's history, or for its shape."""
    try:
        history_one_by_one(place, window, features, bounds)
    except Problem as problem:
        if problem.kind not in ("invalid-field", "out-of-bounds") or isinstance(place.market.history, str):
            yield problem
            return
        names = [feature.name for feature in features]
        rows, first = _last_rows(place.market.history or [], place, window, names)
        yield from _wrong_numbers(
            rows, bounds, names, place, [f"history.{first + i}." for i in range(len(rows))]
        )


def _wrong_numbers(
    rows: np.ndarray, bounds: Bounds, names: Sequence[str], place: FieldPlace, paths: Sequence[str]
) -> Iterator[Problem]:
    """Problem for every number of ``rows`` (n, C) outside ``bounds``; ``paths`` name the rows."""
    wrong = ~((rows >= bounds[0]) & (rows <= bounds[1]))
    for i, c in zip(*(k.tolist() for k in np.nonzero(wrong)), strict=True):
        yield wrong_number(names[c], rows[i, c], place, f"{paths[i]}{c}")


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
