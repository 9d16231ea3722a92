"""Averages that let a block count once: market -> event -> block.

Owns   the order of the averages and the least number of blocks from which anything may be concluded.
Units  those of the values given; a block is one independent draw.
Not    the intervals over blocks (bootstrap.py).
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

#: Fewer independent blocks than this decide nothing: no Sharpe ratio, interval, gate, ranking or comparison.
MIN_BLOCKS: Final = 3


def decides_nothing(n_blocks: int) -> str:
    """Words for a figure of fewer than MIN_BLOCKS blocks; empty where there are enough."""
    return f"n = {n_blocks}, decides nothing" if n_blocks < MIN_BLOCKS else ""


def nested_means(values: np.ndarray, levels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(ids, means) of the coarsest groups: means of means, so that each group counts once in the next.

    ``values`` (M,) f8; ``levels`` are ids (M,) from the finest groups to the coarsest, each in the next.
    """
    values, levels = np.asarray(values, np.float64), [np.asarray(level) for level in levels]
    while levels:
        ids, first, code = np.unique(levels[0], return_index=True, return_inverse=True)
        values = np.bincount(code, values, minlength=ids.size) / np.bincount(code, minlength=ids.size)
        levels = [level[first] for level in levels[1:]]
    return ids, values


def hashed_halves(names: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The distinct names in the order of their sha256, cut in the middle; an odd one is in the first half."""
    ordered = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    middle = (len(ordered) + 1) // 2
    return frozenset(ordered[:middle]), frozenset(ordered[middle:])


def group_sums(values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first, sums): place of the first member of each distinct group, ascending by id, and its sum."""
    _, first, code = np.unique(group, return_index=True, return_inverse=True)
    return first, np.bincount(code, np.asarray(values, np.float64), minlength=first.size)
