"""A challenger decides beside the champion, off the answer's path: how often would it have done otherwise?

Counted    slots in which both had a choice, and those decided differently, by the champion's tier and by pair
           of actions. What the difference would have been worth is not known and not claimed.
Invariant  ``offer`` waits for no decision and changes nothing; at most ``max_waiting`` calls wait, more are
           dropped and counted; a challenger that failed ``max_failures`` times is asked no more.
Threads    ``offer`` on the answering path; the challenger is asked by one thread of this class only, which
           shares processors with the answering path: its cost is the challenger's own computing.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from kalshi_platform.domain.actions import ACTION_NAMES, N_ACTIONS
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.serving.guard.candidate import decided_slots, other_view
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier
from kalshi_platform.serving.inference.tiered import TierError

_LOG: Final = logging.getLogger(__name__)
#: The champion's and the challenger's actions (N, S) i1, and the slots (N, S) bool that both had to decide.
Compared = Callable[[np.ndarray, np.ndarray, np.ndarray], None]


class Challenger(Protocol):
    """What is asked; a TieredPolicy that nobody else asks."""

    @property
    def spec(self) -> PolicySpec:
        """What it reads."""
        ...

    @property
    def window(self) -> int:
        """Rows of history it reads."""
        ...

    def decide(self, batch: Batch, now_ns: int) -> Decisions:
        """Decide N groups."""
        ...


class ShadowConfig(Config):
    """Bounds of the shadow."""

    max_waiting: int = Field(64, ge=1, description="calls that wait for the challenger")
    max_failures: int = Field(5, ge=1, description="after so many it is switched off")


class ShadowReport(NamedTuple):
    """What was found since the start."""

    model: str
    offered: int  # calls
    dropped: int  # calls that found the queue full, or came while it was off
    groups: int  # groups compared
    slots: int  # slots compared: a market stands there and no rule forces it
    differing: int  # of them decided differently
    by_tier: dict[str, tuple[int, int]]  # the champion's tier -> slots, differing
    pairs: dict[tuple[str, str], int]  # champion's and challenger's action -> slots, where they differ
    failures: int
    switched_off: str  # why; empty while it is asked

    @property
    def disagreement(self) -> float | None:
        """Share of slots decided differently; None before the first."""
        return self.differing / self.slots if self.slots else None


class _Call(NamedTuple):
    batch: Batch
    decisions: Decisions
    now_ns: int


class Shadow:
    """Asks a challenger what it would have decided."""

    def __init__(
        self,
        model: str,
        challenger: Challenger,
        spec: PolicySpec,
        window: int,
        config: ShadowConfig | None = None,
        compared: Compared | None = None,
    ) -> None:
        """``spec`` and ``window`` are the champion's; ContractError where the challenger reads other.

        ``compared`` is told of every comparison, in the shadow's thread.
        """
        if reason := other_view(challenger.spec, challenger.window, spec, window):
            raise ContractError(f"{model} cannot be a challenger here: {reason}")
        self.model, self.spec, self.config = model, spec, config or ShadowConfig()
        self._compared = compared
        self._challenger = challenger
        self._waiting: deque[_Call] = deque()
        self._changed = (
            threading.Condition()
        )  # guards everything below; not held while the challenger decides
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._offered = self._dropped = self._groups = self._failures = 0
        self._pairs = np.zeros(
            (max(Tier) + 1, N_ACTIONS, N_ACTIONS), np.int64
        )  # tier, champion's, challenger's
        self._off = ""

    def start(self) -> None:
        """Begin to ask; ContractError where it was started before."""
        if self._thread is not None:
            raise ContractError(f"the shadow of {self.model} was started before: make a new one")
        self._thread = threading.Thread(target=self._run, name=f"shadow-{self.model}", daemon=True)
        self._thread.start()

    def stop(self, *, finish: bool = False) -> None:
        """End the thread and wait for it: at once after the call in hand, or when all that waits is done."""
        with self._changed:
            self._stopping = True
            if not finish:
                self._dropped += len(self._waiting)
                self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def offer(self, batch: Batch, decisions: Decisions, now_ns: int) -> bool:
        """Tell what the champion decided, False where it was dropped; arrays are copied."""
        with self._changed:
            self._offered += 1
            if self._thread is None or self._stopping or self._off or self._is_full:
                self._dropped += 1
                return False
            self._waiting.append(_copied(batch, decisions, now_ns))
            self._changed.notify()
        return True

    def report(self) -> ShadowReport:
        """What was found so far."""
        with self._changed:
            pairs = self._pairs.copy()
            differing = pairs * ~np.eye(N_ACTIONS, dtype=np.bool_)
            both = differing.sum(0)
            return ShadowReport(
                model=self.model,
                offered=self._offered,
                dropped=self._dropped,
                groups=self._groups,
                slots=int(pairs.sum()),
                differing=int(both.sum()),
                by_tier={
                    tier.name.lower(): (int(pairs[tier].sum()), int(differing[tier].sum()))
                    for tier in Tier
                    if pairs[tier].any()
                },
                pairs={
                    (ACTION_NAMES[a], ACTION_NAMES[b]): int(both[a, b])
                    for a, b in zip(*both.nonzero(), strict=True)
                },
                failures=self._failures,
                switched_off=self._off,
            )

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= self.config.max_waiting

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                call = self._waiting.popleft()
            try:
                self._compare(call, self._challenger.decide(call.batch, call.now_ns))
            except Exception as err:  # whatever a challenger raises or answers, nobody waits for it
                if self._failed(err):
                    return

    def _failed(self, err: Exception) -> bool:
        """Count a failure; whether it was one too many."""
        with self._changed:
            self._failures += 1
            _LOG.warning("challenger %s failed: %s: %s", self.model, type(err).__name__, err)
            if self._failures < self.config.max_failures:
                return False
            self._off = f"it failed {self._failures} times, last with {type(err).__name__}: {err}"
            self._dropped += len(self._waiting)
            self._waiting.clear()
            return True

    def _compare(self, call: _Call, found: Decisions) -> None:
        if (found.notes & np.uint8(Note.FALLBACK)).any():  # what stood in for its network is not its answer
            raise TierError("a tier of it failed; its own log line says how")
        slots = decided_slots(self.spec, call.batch)
        tiers = np.broadcast_to(call.decisions.tier[:, None], slots.shape)[slots]
        with self._changed:
            np.add.at(self._pairs, (tiers, call.decisions.actions[slots], found.actions[slots]), 1)
            self._groups += call.batch.n
        if self._compared is not None:
            self._compared(call.decisions.actions, found.actions, slots)


def _copied(batch: Batch, decisions: Decisions, now_ns: int) -> _Call:
    windows = None if batch.windows is None else batch.windows.copy()
    copied = Batch(batch.flat.copy(), windows, batch.forced.copy())
    return _Call(copied, Decisions(*(column.copy() for column in decisions)), now_ns)
