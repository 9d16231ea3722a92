"""Caches that cannot serve anything too old: bounded in count and age, every look counted.

Owns       TimedCache (least recently used leaves first) and the keys of quantised states.
Units      time ns of any one clock that does not run backwards; the caller passes it.
Invariant  what ``get`` returns was put at most ``ttl_ns`` before ``now_ns`` under an equal key.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.batch import Batch

Value = TypeVar("Value")

#: Finest difference of two features that the inference cache tells apart. The best bid or ask moves by
#: 1e-4 dollar at least, the mid by half of it and yes_deviation = 2 mid - 1 by 1e-4: no two mids share a key.
QUANTUM: Final = 2.0**-14


@dataclass(slots=True)
class CacheStats:
    """Counts of the looks into a cache since it was made."""

    hits: int = 0
    misses: int = 0  # never there, or evicted
    expired: int = 0  # there, and too old
    evicted: int = 0


class TimedCache(Generic[Value]):
    """At most ``capacity`` values, each served for ``ttl_ns``."""

    def __init__(self, capacity: int, ttl_ns: int) -> None:
        if capacity < 1 or ttl_ns < 0:
            raise ContractError(f"a cache of {capacity} values for {ttl_ns} ns; expected >= 1 and >= 0")
        self.capacity, self.ttl_ns = capacity, ttl_ns
        self.stats = CacheStats()
        self._kept: OrderedDict[bytes, tuple[int, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now_ns: int) -> Value | None:
        """The value put under ``key`` at most ``ttl_ns`` ago; None where there is none."""
        return self.get_many([key], now_ns)[0]

    def get_many(self, keys: Iterable[bytes], now_ns: int) -> list[Value | None]:
        """Values of ``keys`` in order, as :meth:`get` gives them; a call with 100 markets looks 200 times."""
        kept, oldest_ns = self._kept, now_ns - self.ttl_ns
        values: list[Value | None] = []
        misses = expired = 0
        for key in keys:
            found = kept.get(key)
            if found is None:
                misses += 1
                values.append(None)
            elif oldest_ns <= found[0] <= now_ns:
                kept.move_to_end(key)
                values.append(found[1])
            else:
                del kept[key]
                expired += 1
                values.append(None)
        self.stats.misses += misses
        self.stats.expired += expired
        self.stats.hits += len(values) - misses - expired
        return values

    def put(self, key: bytes, value: Value, now_ns: int) -> None:
        """Keep ``value``; the one least recently used leaves where there is no room."""
        self.put_many([key], [value], now_ns)

    def put_many(self, keys: Iterable[bytes], values: Iterable[Value], now_ns: int) -> None:
        """Keep each of ``values`` under its key, as :meth:`put` does; a call with 100 markets keeps 100."""
        kept = self._kept
        for key, value in zip(keys, values, strict=True):
            if key in kept:
                kept.move_to_end(key)
            kept[key] = (now_ns, value)
        over = max(0, len(kept) - self.capacity)
        for _ in range(over):
            kept.popitem(last=False)
        self.stats.evicted += over

    def clear(self) -> None:
        """Forget every value; the counts stay."""
        self._kept.clear()


@kernel
def quantise(values: np.ndarray, quantum: float, out: np.ndarray) -> None:
    """Write each of ``values`` (M,) f4 as a whole number of ``quantum`` into ``out`` (M,) i2.

    Features lie in [-1, 1]; a value beyond the range of i2 is clipped, so a key is coarser there.
    """
    per = np.float32(1.0 / quantum)  # in single precision the loop runs in vector lanes: 0.1 ns a value
    low, high = np.float32(-32_768.0), np.float32(32_767.0)
    for k in range(values.size):
        out[k] = np.int16(min(max(np.rint(values[k] * per), low), high))


def row_bytes(array: np.ndarray, rows: int) -> list[bytes]:
    """The bytes of each of the ``rows`` equal parts of an array, in order."""
    if rows == 1:
        return [array.tobytes()]
    if not rows:
        return []
    flat = np.ascontiguousarray(array).reshape(rows, -1)
    # Each row seen as one item of an opaque type, which numpy turns into bytes: no loop over rows in Python.
    opaque = np.dtype(("V", flat.shape[1] * flat.itemsize))
    parts: list[bytes] = flat.view(opaque)[:, 0].tolist()
    return parts


def state_keys(batch: Batch, quantum: float = QUANTUM) -> list[bytes]:
    """One key for each group: its quantised observation and windows, and the actions that rules force."""
    states = [batch.flat] if batch.windows is None else [batch.flat, batch.windows]
    parts = [row_bytes(batch.forced, batch.n)]
    for state in states:
        numbers = np.empty(state.shape, np.int16)
        quantise(np.ascontiguousarray(state).reshape(-1), quantum, numbers.reshape(-1))
        parts.append(row_bytes(numbers, batch.n))
    return [b"".join(row) for row in zip(*parts, strict=True)]
