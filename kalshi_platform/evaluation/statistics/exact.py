"""Exact intervals that follow from counting alone: of a share, and of a percentile of seen values.

Owns       Clopper-Pearson's interval of a share, the order statistics that bound a percentile, and how many
           observations a percentile needs before it has both bounds.
Assumes    observations that are independent of each other. Where neighbours are alike (latencies in a stall)
           the true interval is wider.
Not        means over blocks (bootstrap.py).
"""

import math
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from kalshi_platform.domain.errors import ContractError

#: Confidence of an interval that names no other.
CONFIDENCE: Final = 0.95


class ShareBounds(NamedTuple):
    """Bounds of the share behind a count, both in [0, 1]."""

    low: float
    high: float


class BoundPlaces(NamedTuple):
    """BoundPlaces, from 1, of the sorted values that bound a percentile; None: no value is far enough out."""

    low: int | None
    high: int | None


def share_bounds(hits: int, n: int, confidence: float = CONFIDENCE) -> ShareBounds:
    """Clopper-Pearson bounds of the share of which ``hits`` of ``n`` were seen; (0, 1) for n = 0.

    ContractError unless 0 <= hits <= n.
    """
    if not 0 <= hits <= n:
        raise ContractError(f"{hits} of {n} is no share")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return ShareBounds(low, high)


def percentile_places(n: int, share: float, confidence: float = CONFIDENCE) -> BoundPlaces:
    """BoundPlaces of the sorted values of ``n`` between which the ``share`` percentile lies.

    With B the number of values below the percentile, binomial(n, share), each bound is missed with at most
    half of 1 - confidence: the low place is the largest l with P(B < l) within it, the high place the
    smallest h with P(B >= h) within it.
    """
    tail = (1 - confidence) / 2
    width = 10 * math.sqrt(n * share * (1 - share)) + 10  # what lies outside has no weight worth counting
    first, last = max(0, math.floor(n * share - width)), min(n, math.ceil(n * share + width))
    counts = np.arange(first, last + 1)
    up_to = special.bdtr(counts, n, share) if n else np.ones(1)  # P(B <= count)
    low = int(counts[np.searchsorted(up_to, tail, side="right")])  # P(B <= low - 1) <= tail
    beyond = np.flatnonzero(1 - up_to <= tail)  # P(B > count) <= tail, so P(B >= count + 1) is
    high = int(counts[beyond[0]]) + 1 if beyond.size else n + 1
    return BoundPlaces(low if low >= 1 else None, high if high <= n else None)


def needed_for(share: float, confidence: float = CONFIDENCE) -> int:
    """Least number of values with which the ``share`` percentile (at least the median) has both bounds.

    The highest of n values lies below the percentile with probability share^n.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(share))
