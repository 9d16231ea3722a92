"""Request bodies of a load test: from a file, or the server's own example with its features shaken.

Invariant  a varied body has the shape of the example; a number keeps its sign and its bound of 1, so that a
           feature of [0, 1] or of [-1, 1] stays one. Integers (identifiers, times, counts) and text stay. No
           two requests of all tests carry the same request id.
Packed     numbers (packed.py) are shaken as numbers and packed again.
Why        the server's inference cache would answer equal states, its memory of answers equal ids.
"""

import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.serving.api.packed import PACKED_FIELDS, pack, unpack

#: Key of a body that names the request.
REQUEST_ID: Final = "request_id"


class Bodies:
    """Bodies sent in turn; if any of them has a request id, each request gets one of its own."""

    def __init__(self, bodies: Iterable[dict[str, Any]]) -> None:
        """``bodies``: JSON objects, at least one."""
        self._run = secrets.token_hex(4)
        self._rests: list[bytes] = []
        named = False
        for body in bodies:
            named = named or REQUEST_ID in body
            rest = {key: value for key, value in body.items() if key != REQUEST_ID}
            self._rests.append(json_text(rest, tight=True).encode()[1:])
        self._named = named

    def __len__(self) -> int:
        return len(self._rests)

    def of(self, k: int) -> bytes:
        """Body of request ``k``."""
        rest = self._rests[k % len(self._rests)]
        if not self._named:
            return b"{" + rest
        comma = b"" if rest == b"}" else b","
        return f'{{"{REQUEST_ID}":"load-{self._run}-{k}"'.encode() + comma + rest


def vary(value: Any, rng: np.random.Generator, most: float) -> Any:
    """``value`` (JSON) with every fraction in [-1, 1] moved by at most ``most``, its sign and bound kept."""
    if isinstance(value, dict):
        return {
            key: _vary_packed(each, rng, most)
            if key in PACKED_FIELDS and isinstance(each, str)
            else vary(each, rng, most)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [vary(each, rng, most) for each in value]
    if not isinstance(value, float) or not -1.0 <= value <= 1.0:
        return value
    low, high = (0.0, 1.0) if value >= 0 else (-1.0, 0.0)
    return round(min(max(value + rng.uniform(-most, most), low), high), 6)


def _vary_packed(text: str, rng: np.random.Generator, most: float) -> str:
    """Packed numbers, varied as :func:`vary` varies numbers."""
    numbers = unpack(text)
    low, high = np.where(numbers >= 0, 0.0, -1.0), np.where(numbers >= 0, 1.0, 0.0)
    moved = np.clip(numbers + rng.uniform(-most, most, numbers.size), low, high)
    return pack(np.where(np.abs(numbers) <= 1, moved, numbers))


def varied_bodies(example: dict[str, Any], n: int, most: float, seed: int) -> Iterator[dict[str, Any]]:
    """``n`` bodies made of ``example``, the same ones for the same ``seed``."""
    rng = np.random.default_rng([seed, 1])
    return (vary(example, rng, most) for _ in range(n))


def read_bodies(path: Path, most: int) -> list[dict[str, Any]]:
    """The first ``most`` bodies of a file, one JSON object a line; DataError names a line that is not."""
    try:
        with path.open("rb") as file:
            found = list(islice(_bodies(path, file), most))
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror or err}); check the path") from None
    if not found:
        raise DataError(f"{path}: holds no request body; give one JSON object a line")
    return found


def _bodies(path: Path, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            body = json_value(line)
        except ValueError as err:
            raise DataError(f"{path}: line {number} is not JSON ({err})") from None
        if not isinstance(body, dict):
            raise DataError(f"{path}: line {number} is not a JSON object: {line[:60]!r}")
        yield body
