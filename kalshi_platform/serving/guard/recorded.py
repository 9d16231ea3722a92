"""Groups that served models decided lately, with their actions: a new model is compared on them.

Invariant  at most ``capacity`` groups are kept, the latest ones; :meth:`RecordedStates.decided_by` gives
           copies.
Threads    any: the answering path adds groups, the thread that checks a candidate reads them.
"""

import math
import threading
from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier

#: Notes of a decision without all tiers: there was no time for one, or one failed.
_CUT_SHORT = int(Note.DEADLINE | Note.FALLBACK)


class Recorded(NamedTuple):
    """Groups that one model decided."""

    batch: Batch
    actions: np.ndarray  # (N, S) i1, what was answered


class RecordedStates:
    """Ring of groups; it takes at most ``per_call`` of one call, evenly spread, because they are alike."""

    def __init__(self, capacity: int = 512, per_call: int = 8) -> None:
        """Begin empty; ContractError unless 1 <= per_call <= capacity."""
        if not 1 <= per_call <= capacity:
            raise ContractError(
                f"{per_call} groups of a call in a ring of {capacity}; expected 1..{capacity}"
            )
        self.capacity, self.per_call = capacity, per_call
        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._actions = np.empty((0, 0), np.int8)
        self._by = np.empty(0, np.int64)  # number of the served model that decided the group
        self._next = self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, by: int, batch: Batch, decisions: Decisions) -> None:
        """Record groups that the served model numbered ``by`` decided with all of its tiers.

        Groups whose answer lacks a tier, for want of time or because the tier failed, are left out. Groups of
        another shape (a model of another window) begin the ring anew.
        """
        told = zip(decisions.notes.tolist(), decisions.tier.tolist(), strict=True)
        whole = [n for n, (note, tier) in enumerate(told) if tier != Tier.NONE and not note & _CUT_SHORT]
        with self._lock:
            ring = self._ring(batch)
            apart = max(1, math.ceil(len(whole) / self.per_call))  # most calls have one group
            for n in whole[::apart]:
                at = self._next
                ring.flat[at], ring.forced[at] = batch.flat[n], batch.forced[n]
                if ring.windows is not None and batch.windows is not None:
                    ring.windows[at] = batch.windows[n]
                self._actions[at], self._by[at] = decisions.actions[n], by
                self._next = (at + 1) % self.capacity
                self._n = min(self._n + 1, self.capacity)

    def decided_by(self, by: int) -> Recorded | None:
        """The groups that the served model numbered ``by`` decided; None where there are none."""
        with self._lock:
            which = np.flatnonzero(self._by[: self._n] == by)
            if self._batch is None or not which.size:
                return None
            return Recorded(self._batch.take(which), self._actions[which])

    def _ring(self, batch: Batch) -> Batch:
        """Ring for groups of the shape of ``batch``; a new one where they had another shape so far."""
        if self._batch is None or not _alike(self._batch, batch):
            windows = None if batch.windows is None else self._lines(batch.windows)
            self._batch = Batch(self._lines(batch.flat), windows, self._lines(batch.forced))
            self._actions = self._lines(batch.forced)
            self._by = np.empty(self.capacity, np.int64)
            self._next = self._n = 0
        return self._batch

    def _lines(self, like: np.ndarray) -> np.ndarray:
        return np.empty((self.capacity, *like.shape[1:]), like.dtype)


def _alike(one: Batch, other: Batch) -> bool:
    """True if groups of two batches have the same shape."""
    if one.flat.shape[1] != other.flat.shape[1] or one.forced.shape[1] != other.forced.shape[1]:
        return False
    if one.windows is None or other.windows is None:
        return one.windows is other.windows
    return one.windows.shape[1:] == other.windows.shape[1:]
