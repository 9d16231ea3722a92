"""Drift: newer documents of the exchange against the facts that this client was written from.

Reads    OpenAPI (endpoints, fields of schemas, values of enumerations) and AsyncAPI (channels, fields of
         messages, error codes), from YAML or JSON, with references inside the document.
Reports  what is new, what is gone, and what changed its type; each with its use. Something used that is gone
         or changed breaks the client: ``is_broken``.
Facts    coverage_facts.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange import coverage_facts as pinned
from kalshi_platform.trading.exchange.stream_errors import STREAM_ERRORS

USED, KNOWN, IGNORED = "used", "known", "ignored"
_METHODS: Final = ("get", "post", "put", "delete", "patch")
_DEEP: Final = 20
_OPEN: Final = "?"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a document says: its type where it has one, and its use here."""

    kind: str  # channel, message field, error, endpoint, schema field, enum value
    name: str
    use: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference of a document from the pinned facts."""

    change: str  # new, removed, changed
    kind: str
    name: str
    use: str
    was: str
    now: str

    @property
    def is_broken(self) -> bool:
        """True where something that the client uses is gone or changed."""
        return self.use == USED and self.change != "new"


def pinned_facts(kind_of_document: str) -> dict[tuple[str, str], Fact]:
    """Pinned facts that a document of this kind, ``openapi`` or ``asyncapi``, speaks of."""
    found = _pinned_rest() if kind_of_document == "openapi" else _pinned_stream()
    return {(fact.kind, fact.name): fact for fact in found}


def compare_document(path: Path) -> list[Drift]:
    """Differences of one document from the facts, the broken ones first; DataError where it is neither
    kind."""
    document = _load(path)
    kind = next((kind for kind in ("openapi", "asyncapi") if kind in document), None)
    if kind is None:
        raise DataError(
            f"{path}: neither 'openapi' nor 'asyncapi' stands at its top; give one of the two documents"
        )
    try:
        told = dict(_rest_facts(document) if kind == "openapi" else _stream_facts(document))
    except RecursionError:
        raise DataError(f"{path}: its schemas nest too deep; fetch it again") from None
    if not told:
        raise DataError(f"{path}: an {kind} document without a single endpoint or channel; fetch it again")
    facts = pinned_facts(kind)
    drifts = list(_differences(facts, told))
    return sorted(drifts, key=lambda each: (not each.is_broken, each.change, each.kind, each.name))


def _differences(
    facts: Mapping[tuple[str, str], Fact], told: Mapping[tuple[str, str], str]
) -> Iterator[Drift]:
    """Differences between the facts and what a document tells."""
    for (kind, name), fact in facts.items():
        now = told.get((kind, name))
        if now is None:
            yield Drift("removed", kind, name, fact.use, fact.type, "")
        elif _OPEN not in (fact.type, now) and now != fact.type:
            yield Drift("changed", kind, name, fact.use, fact.type, now)
    groups = {(kind, name.partition(".")[0]) for kind, name in facts}
    for (kind, name), now in told.items():
        # Of a message or schema that nobody here reads, fields are no news.
        is_ours = kind in ("channel", "endpoint", "error") or (kind, name.partition(".")[0]) in groups
        if (kind, name) not in facts and is_ours:
            yield Drift("new", kind, name, IGNORED, "", now)


# The pinned facts


def _pinned_stream() -> Iterator[Fact]:
    for name, use in pinned.CHANNELS.items():
        yield Fact("channel", name, use)
    for name, fields in pinned.MESSAGES.items():
        yield from _fields("message field", name, fields)
    for code in STREAM_ERRORS:
        yield Fact("error", str(code), USED)


def _pinned_rest() -> Iterator[Fact]:
    for name, use in pinned.ENDPOINTS.items():
        yield Fact("endpoint", name, use)
    for name, fields in pinned.SCHEMAS.items():
        yield from _fields("schema field", name, fields)
    for name, values in pinned.ENUMS.items():
        for value in values.split():
            yield Fact("enum value", f"{name}.{value}", USED)


def _fields(kind: str, owner: str, fields: str) -> Iterator[Fact]:
    """Facts of a text such as ``a:string! b:integer``."""
    for each in fields.split():
        name, _, type_ = each.removesuffix("!").partition(":")
        yield Fact(kind, f"{owner}.{name}", USED if each.endswith("!") else KNOWN, type_)


# What a document tells: ((kind, name), type)

_Told = Iterator[tuple[tuple[str, str], str]]


def _rest_facts(document: Mapping[str, Any]) -> _Told:
    """Endpoints, fields and values of an OpenAPI document."""
    for path, calls in _mapping(document.get("paths")).items():
        for method in _METHODS:
            if method in _mapping(calls):
                yield ("endpoint", f"{method.upper()} {path}"), ""
    for name, schema in _mapping(_mapping(document.get("components")).get("schemas")).items():
        for field, inner in _properties(document, schema).items():
            yield ("schema field", f"{name}.{field}"), _type_of(document, inner)
        for value in _list(_mapping(schema).get("enum")):
            yield ("enum value", f"{name}.{value}"), ""


def _stream_facts(document: Mapping[str, Any]) -> _Told:
    """Channels, fields of messages and error codes of an AsyncAPI document."""
    for name, channel in _mapping(document.get("channels")).items():
        address = str(_mapping(channel).get("address", name))
        if not address.startswith("/"):
            yield ("channel", address), ""
    for message in _mapping(_mapping(document.get("components")).get("messages")).values():
        fields = _properties(document, _resolved(document, message).get("payload"))
        kind = _constant(document, fields.get("type"))
        if kind is None or "cmd" in fields:
            continue
        msg = _properties(document, fields.get("msg"))
        for field, inner in msg.items():
            yield ("message field", f"{kind}.{field}"), _type_of(document, inner)
        if kind == "error":
            for code in _list(_resolved(document, msg.get("code")).get("enum")):
                yield ("error", str(code)), ""


def _properties(document: Mapping[str, Any], schema: Any, above: tuple[int, ...] = ()) -> dict[str, Any]:
    """Properties of an object schema, with those that it takes from others; ``above``: those that took it."""
    inner = _resolved(document, schema)
    found: dict[str, Any] = {}
    if id(inner) in above:  # a schema that takes from itself
        return found
    for part in (part for name in ("allOf", "oneOf", "anyOf") for part in _list(inner.get(name))):
        found |= _properties(document, part, (*above, id(inner)))
    return found | dict(_mapping(inner.get("properties")))


def _type_of(document: Mapping[str, Any], schema: Any, above: tuple[int, ...] = ()) -> str:
    """JSON type of a schema, ``?`` where it is open; ``above``: schemas that took their type from it."""
    inner = _resolved(document, schema)
    if id(inner) in above:
        return _OPEN
    type_ = inner.get("type")
    if isinstance(type_, list):  # OpenAPI 3.1: [string, "null"]
        left = [each for each in type_ if each != "null"]
        type_ = left[0] if len(left) == 1 else None
    if type_ is None:
        parts = [_type_of(document, part, (*above, id(inner))) for part in _list(inner.get("allOf"))]
        type_ = next((part for part in parts if part != _OPEN), None)
    if type_ is None and "enum" in inner:
        type_ = "string"
    return str(type_ or _OPEN)


def _constant(document: Mapping[str, Any], schema: Any) -> str | None:
    """The one value that a schema allows; None where it allows several."""
    inner = _resolved(document, schema)
    allowed = [inner["const"]] if "const" in inner else _list(inner.get("enum"))
    return str(allowed[0]) if len(allowed) == 1 else None


def _resolved(document: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """Schema behind its references; empty where a reference leads nowhere or in a circle."""
    for _ in range(_DEEP):
        inner = _mapping(schema)
        reference = inner.get("$ref")
        if not isinstance(reference, str):
            return inner
        schema = document
        for part in reference.removeprefix("#/").split("/"):
            schema = _mapping(schema).get(part.replace("~1", "/").replace("~0", "~"))
    return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _load(path: Path) -> Mapping[str, Any]:
    """Document of a YAML or JSON file: JSON is YAML too."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror or err}); give the document's path") from None
    except (yaml.YAMLError, ValueError) as err:
        reason = bounded_message(str(err).splitlines()[0], 200)
        raise DataError(f"{path}: neither YAML nor JSON ({reason})") from None
    except RecursionError:
        raise DataError(f"{path}: its lists and objects nest too deep; fetch it again") from None
    if not isinstance(document, Mapping):
        raise DataError(
            f"{path}: {type(document).__name__}, not an object; give an OpenAPI or AsyncAPI document"
        )
    return document
