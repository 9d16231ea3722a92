"""Words of the exchange's error bodies: flat, nested, a bare text, or nothing that can be read.

Forms   {"code", "message", "details"}, {"error": {"code", "message", "details"}}, {"error": "text"}.
"""

from typing import Any, Final, NamedTuple

from pydantic_core import from_json

_SHOWN: Final = 300


class ErrorWords(NamedTuple):
    """Code of an error, where it has one, and a line for people."""

    code: str | None
    text: str


def words_of(body: bytes) -> ErrorWords:
    """Return the words of an error's body; a body in no known form is shown as it is, cut."""
    try:
        parsed: Any = from_json(body)
    except ValueError:
        return ErrorWords(None, _shown(body.decode("utf-8", "replace")))
    return words_in(parsed)


def words_in(parsed: Any) -> ErrorWords:
    """Return the words of an error that is parsed JSON."""
    inner = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(inner, dict):
        return ErrorWords(None, _shown(str(inner)))
    parts = [inner[name] for name in ("code", "message", "details") if inner.get(name)]
    code = inner.get("code")
    text = ": ".join(map(str, parts)) if parts else str(inner)
    return ErrorWords(code if isinstance(code, str) and code else None, _shown(text))


def _shown(text: str) -> str:
    """Text on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
