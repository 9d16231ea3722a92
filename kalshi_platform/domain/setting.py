"""Settings in words: name, meaning, unit, default and allowed values of every field of a configuration.

Source  the fields themselves: description, bounds and type; a unit stands in the name (``latency_ms``) or in
        ``json_schema_extra={"unit": ...}``. Lists of settings and refusals are made of nothing else.
"""

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kalshi_platform.domain.json_text import json_text

#: Units by the end of a name.
_UNITS: Final = {
    "_ns": "ns",
    "_ms": "ms",
    "_per_s": "a second",
    "_s": "s",
    "_e2": "1e-2 contract",
    "_e4": "1e-4 dollar",
    "_e6": "1e-6 dollar",
    "_steps": "steps",
    "_ticks": "ticks",
}

_KIND_WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number", str: "text"}


class Setting(NamedTuple):
    """One setting; ``name`` is dotted as ``--set`` takes it."""

    name: str
    meaning: str
    unit: str  # "" where the value has none
    default: Any  # as JSON
    allowed: str  # "" where every value of the type is

    @property
    def default_text(self) -> str:
        """The default as ``--set`` would take it; text without quotes."""
        return self.default if isinstance(self.default, str) else json_text(self.default)


def settings_of(model: type[BaseModel], values: Mapping[str, Any] | None = None) -> dict[str, Setting]:
    """Every setting of ``model`` by its dotted name, in the order of the fields.

    ``values`` are those of an instance (``model_dump(mode="json")``) that stand in place of the defaults.
    """
    return {setting.name: setting for setting in _walk(model, values or {}, "")}


def name_at(model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """Dotted name of the field at ``place``, as pydantic's errors tell places.

    Where a field allows several kinds of value, pydantic puts the refused kind between its name and the rest.
    """
    names: list[str] = []
    kind: Any = model
    for part in place:
        kinds = _kinds(kind)
        if len(kinds) > 1:  # the part is a kind; only a model's has fields below it
            kind = next((each for each in kinds if getattr(each, "__name__", "") == part), Any)
            continue
        names.append(str(part))
        kind = _inside(kinds[0], part)
    return ".".join(names)


def _kinds(annotation: Any) -> list[Any]:
    """Types that a value of ``annotation`` may have, apart from None."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for part in get_args(annotation) for each in _kinds(part) if part is not type(None)]
    return [annotation]


def _inside(kind: Any, part: int | str) -> Any:
    """Type of the field, entry or element ``part`` of a value of type ``kind``; Any where nobody knows it."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return field.annotation if (field := kind.model_fields.get(str(part))) else Any
    arguments = [each for each in get_args(kind) if each is not Ellipsis]
    return arguments[-1] if arguments else Any


def _walk(model: type[BaseModel], values: Mapping[str, Any], section: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _walk(inner, values.get(name) or {}, f"{section}{name}.")
            continue
        yield Setting(
            name=f"{section}{name}",
            meaning=field.description or "",
            unit=_unit(name, field),
            default=values[name] if name in values else field.get_default(call_default_factory=True),
            allowed=_allowed(inner, field.metadata),
        )


def _unit(name: str, field: FieldInfo) -> str:
    told = field.json_schema_extra
    if isinstance(told, dict) and "unit" in told:
        return str(told["unit"])
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    """Allowed values in words: the choices of a Literal, the bounds of a number."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        bounds = [m for extra in more for m in getattr(extra, "metadata", [extra])]
        return _allowed(inner, [*bounds, *metadata])
    if origin is Literal:
        return " or ".join(str(choice) for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        parts = [_allowed(part, metadata) or _kind_words(part) for part in get_args(annotation)]
        return " or ".join(parts) if all(parts) else ""
    if annotation is bool:
        return "true or false"
    if annotation is type(None):
        return "null"
    return _bounds(metadata)


def _kind_words(annotation: Any) -> str:
    """Words for any value of a type; empty for types that no setting has beside another."""
    (kind, *_) = _kinds(annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "an object of its fields"
    return _KIND_WORDS.get(kind, "")


def _bounds(metadata: list[Any]) -> str:
    low = high = ""
    for bound in metadata:
        match bound:
            case Ge(ge=value):
                low = f"{value} or more"
            case Gt(gt=value):
                low = f"above {value}"
            case Le(le=value):
                high = f"at most {value}"
            case Lt(lt=value):
                high = f"below {value}"
            case MinLen(min_length=value):
                low = f"{value} of them or more"
            case MaxLen(max_length=value):
                high = f"at most {value} of them"
    return ", ".join(filter(None, (low, high)))
