"""JSON text as the standard has it, without NaN and Infinity, which other programs refuse to read; and back.

Invariant  every JSON that this package writes by hand is made here; a number that is not finite becomes null.
Not        pydantic's ``model_dump_json``, which writes null for such numbers by itself.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

_TIGHT: Final = (",", ":")


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False, tight: bool = False) -> str:
    """``value`` as JSON; ``tight`` leaves out the blanks after commas and colons."""
    style: dict[str, Any] = {
        "indent": indent,
        "sort_keys": sort_keys,
        "separators": _TIGHT if tight else None,
    }
    try:
        return json.dumps(value, allow_nan=False, **style)
    except ValueError:  # a number that is not finite, or a circle, which the second call reports again
        return json.dumps(_finite(value), allow_nan=False, **style)


def json_value(text: str | bytes) -> Any:
    """Value of a JSON text; ValueError where it is none, also where it nests deeper than Python reads."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its lists and objects nest too deep") from None


def _finite(value: Any) -> Any:
    """Copy of ``value`` with None for every float that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_finite_key(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _finite_key(key: Any) -> Any:
    return str(key) if isinstance(key, float) and not math.isfinite(key) else key
