"""Refusals as RFC 9457 problem details.

Owns       Problem (an error that knows its status and field) and its body.
Invariant  whatever is refused is answered ``application/problem+json`` with type, title, status, detail,
           field and request_id, and told to the observer, who counts.
"""

import json
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.serving.api.packed import PACKED_FIELDS

MEDIA_TYPE: Final = "application/problem+json"
#: Types are relative references (RFC 9457, 3.1.1): they name the kind, there is nothing behind them to fetch.
TYPE_PREFIX: Final = "/problems/"


class Problem(PlatformError):  # noqa: N818  (the RFC's word)
    """Why a request is refused."""

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
        """The problem details as JSON."""
        told = {
            "type": TYPE_PREFIX + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "request_id": request_id,
        }
        return json.dumps(told).encode()


def of_validation(error: ValidationError) -> Problem:
    """The first thing that is wrong with a body: 400 where it is no JSON, else 422 with the field's path."""
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
    """The way to a field, without the names pydantic gives the kinds that numbers may be of."""
    return tuple(
        str(part)
        for k, part in enumerate(loc)
        if isinstance(part, int) or not k or loc[k - 1] not in PACKED_FIELDS
    )


def _is_other_kind(error: ErrorDetails) -> bool:
    """Whether pydantic only says that what are no right numbers is no text and not null either."""
    loc = error["loc"]
    return error["type"] in ("string_type", "none_required") and len(_path(loc)) < len(loc)
