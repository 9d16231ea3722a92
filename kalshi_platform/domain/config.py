"""Base of every configuration: frozen, refuses unknown keys, carries its digest."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.near import did_you_mean, nearest
from kalshi_platform.domain.setting import Setting, name_at, settings_of

#: Characters of the lines of one refusal, and of a field's name in it; path and remedy stand around them.
_MOST_CHARS: Final = 300
_MOST_NAME: Final = 80


class Config(BaseModel):
    """Immutable settings; equal settings have equal digests on every machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 of the settings as canonical JSON."""
        return digest_of(self.model_dump(mode="json"))

    def replace(self, **changes: Any) -> Self:
        """A copy with ``changes``, validated again (``model_copy(update=...)`` skips validation)."""
        return self.parse({**self.model_dump(by_alias=False), **changes})

    def with_values(self, assignments: dict[str, Any]) -> Self:
        """A copy with settings replaced by dotted name, e.g. ``train.learning_rate``.

        ContractError names a wrong name with the nearest ones, and a wrong value with what is allowed.
        """
        known = settings_of(type(self))
        values = self.model_dump()
        for path, value in assignments.items():
            if path not in known:
                meanings = {name: setting.meaning for name, setting in known.items()}
                raise ContractError(f"unknown setting {shown_value(path)}; {did_you_mean(path, meanings)}")
            *sections, name = path.split(".")
            part = values
            for section in sections:
                part = part[section]
            part[name] = value
        return self.parse(values)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build from a mapping; a ContractError names every field that is wrong, its value and why."""
        if (place := _unwritable(values)) is not None:
            raise ContractError(
                f"settings refused:\n  {cls.__name__}.{place}: holds a character that no file can hold"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            lines = "\n".join(f"  {line}" for line in _first(_refusals(cls, err)))
            raise ContractError(f"settings refused:\n{lines}") from None


def _refusals(model: type[BaseModel], error: ValidationError) -> list[str]:
    """One line a wrong field: its name and value, why it is refused, and what is allowed."""
    known = settings_of(model)
    reasons: dict[tuple[str, str], list[str]] = {}
    for wrong in error.errors():
        name = _bounded_name(name_at(model, wrong["loc"]))
        told = reasons.setdefault((name, shown_value(wrong.get("input"))), [])
        # Where several kinds of value are allowed, each says that it is not this one.
        told.append(wrong["msg"] if wrong["type"] != "extra_forbidden" else _unknown(wrong, name, known))
    return [
        # A refusal of the whole has no field: its words name the fields that do not go together.
        f"{model.__name__}{f'.{name} = {value}' if name else ''}: {' or '.join(dict.fromkeys(told))}"
        f"{_allowed(known.get(name))}"
        for (name, value), told in reasons.items()
    ]


def _unwritable(value: Any) -> str | None:
    """Place of the first text in ``value`` that UTF-8 cannot write (half a surrogate pair), else None."""
    if isinstance(value, str):
        if value.isascii():
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            return shown_value(value)
        return None
    pairs = (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(value)
        if isinstance(value, list | tuple)
        else ()
    )
    for name, entry in pairs:
        if _unwritable(name) is not None:
            return _bounded_name(str(name))
        if (place := _unwritable(entry)) is not None:
            return f"{_bounded_name(str(name))} = {place}" if isinstance(entry, str) else f"{name}.{place}"
    return None


def _first(lines: list[str]) -> list[str]:
    """The first of ``lines``, as many as a message holds, and how many are left out."""
    kept, left = [bounded_message(lines[0], _MOST_CHARS)], _MOST_CHARS - len(lines[0])
    for line in lines[1:]:
        left -= len(line)
        if left < 0:
            break
        kept.append(line)
    n_more = len(lines) - len(kept)
    return [*kept, f"({n_more} more {'is' if n_more == 1 else 'are'} wrong)"] if n_more else kept


def _bounded_name(name: str) -> str:
    """``name`` of a field, which a file may have chosen, on one line."""
    cut = name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def _unknown(wrong: Any, name: str, known: dict[str, Setting]) -> str:
    near = {other: known[other].meaning for other in nearest(name, known)}
    return f"{wrong['msg']}; {did_you_mean(name, near)}" if near else str(wrong["msg"])


def _allowed(setting: Setting | None) -> str:
    """Allowed values and meaning of a setting, to stand after the reason; empty where all are allowed."""
    if setting is None or not setting.allowed:
        return ""
    unit = f" ({setting.unit})" if setting.unit else ""
    meaning = f" [{setting.meaning}]" if setting.meaning else ""
    return f"; allowed: {setting.allowed}{unit}{meaning}"


def with_present_names(values: Any, present: Mapping[str, str]) -> Any:
    """Copy of ``values`` in which settings have today's names; ``present`` is old name -> name of today.

    ValueError where both names of one field stand there. Anything but a mapping is returned as it is.
    """
    if not isinstance(values, Mapping):
        return values
    found = dict(values)
    for old in present.keys() & values.keys():
        if present[old] in values:
            raise ValueError(f"{old} is the old name of {present[old]}: give one of them")
        found[present[old]] = found.pop(old)
    return found


def digest_of(value: Any) -> str:
    """First 12 hex digits of the sha256 of ``value`` as canonical JSON."""
    text = json_text(value, sort_keys=True, tight=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
