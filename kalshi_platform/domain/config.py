"""Base of every configuration: frozen, refuses unknown keys, carries its digest."""

import hashlib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text


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

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build from a mapping; a ContractError names every field that is wrong, its value and why."""
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            lines = [
                f"  {cls.__name__}.{'.'.join(map(str, e['loc']))} = {e.get('input')!r}: {e['msg']}"
                for e in err.errors()
            ]
            raise ContractError("settings refused:\n" + "\n".join(lines)) from None


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
