"""Random numbers that kernels draw from a key: the same key and counter give the same number, always.

No state   a draw depends on its key alone (a time, an episode, a slot), so that a run that is resumed, or a
           live session, draws what an unbroken replay draws.
Method     three rounds of a 32-bit integer hash (xor-shift and multiply); tests hold it against uniform
           counts. Not for secrets.
"""

import math
from typing import Final

from kalshi_platform.domain.compiled import kernel

_BITS: Final = 0xFFFFFFFF


@kernel
def _mixed(x: int) -> int:
    """Return 32 bits in which every bit of ``x``, 0..2**32 - 1, has its part."""
    x ^= x >> 16
    x = x * 0x7FEB352D & _BITS
    x ^= x >> 15
    x = x * 0x846CA68B & _BITS
    return x ^ x >> 16


@kernel
def draw_bits(key: int, counter: int) -> int:
    """Return an integer of 0..2**32 - 1 for a key (64 bits) and a counter (32 bits)."""
    found = _mixed(key & _BITS)
    found = _mixed(found ^ (key >> 32 & _BITS))
    return _mixed(found ^ (counter & _BITS))


@kernel
def draw_below(key: int, counter: int, n: int) -> int:
    """Return an integer of 0..n - 1; n at most 2**31."""
    return draw_bits(key, counter) * n >> 32


@kernel
def draw_normal(key: int, counter: int) -> float:
    """Return a draw of the standard normal distribution (Box and Muller); it takes two counters."""
    radius = math.sqrt(-2.0 * math.log((draw_bits(key, counter) + 0.5) / 2.0**32))
    return radius * math.cos(2.0 * math.pi * (draw_bits(key, counter + 1) / 2.0**32))
