"""A challenger decides beside the champion, off the answer's path: how often would it have done otherwise?

Owns       the challenger of one replica: the alias that names it, its tiers, its thread, and the counts.
Counted    slots in which both had a choice, and those decided differently, by the champion's tier and by pair
           of actions. Nobody knows what the difference would have earned, and the counts do not claim to.
Invariant  one comparison is of one pair of models: another champion or another challenger begins a new one. A
           challenger that cannot be loaded or reads other columns is an event, and is not tried again until
           the alias names something else. ``offer`` waits for no decision and changes nothing; at most
           ``max_waiting`` calls wait, more are dropped and counted; a challenger that failed ``max_failures``
           times is asked no more. Nothing that happens here reaches an answer.
Threads    ``offer`` on the answering path; ``follow`` and ``close`` off it, one thread at a time. One thread
           of this module asks the challenger; it shares processors with the answering path, which therefore
           pays for the challenger's own computing.
Not        the model that answers (guard.py).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.actions import ACTION_NAMES, N_ACTIONS
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, PlatformError, StorageError
from kalshi_platform.models.registry.load import LoadedModel, load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set
from kalshi_platform.serving.api.requests import ModelEvent, ShadowFound
from kalshi_platform.serving.guard.candidate import decided_slots, other_view
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import TIER_NAMES, Batch, Decisions, Note, Tier
from kalshi_platform.serving.inference.ready import ModelKey, ReadyModel, key_of
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy, TierError

_LOG: Final = logging.getLogger(__name__)
_MAX_EVENTS: Final = 50
#: Makes all tiers of a verified model ready, also one that another process answers for: checks ask them all.
Load = Callable[[Registry, LoadedModel, TierSet | None], ReadyModel]
#: The champion's and the challenger's actions (N, S) i1, and the slots (N, S) bool that both had to decide.
Compared = Callable[[np.ndarray, np.ndarray, np.ndarray], None]


class ShadowConfig(Config):
    """Bounds of what a challenger may cost."""

    max_waiting: int = Field(64, ge=1, description="calls that wait for the challenger")
    max_failures: int = Field(5, ge=1, description="after so many it is switched off")


class _Pair(NamedTuple):
    """The two models of one comparison."""

    champion: int  # number of the served model
    challenger: ModelKey


class Challenger:
    """Follows an alias and lets the model it names decide beside the active one."""

    def __init__(
        self,
        registry: Registry,
        alias: str,
        load: Load,
        clock: Callable[[], int],
        compared: Compared | None = None,
        config: ShadowConfig | None = None,
        listener: Callable[[ModelEvent], None] = lambda event: None,
    ) -> None:
        """``clock`` gives ns since the epoch, for events; ``listener`` hears each of them."""
        self.alias, self.config = alias, config
        self._registry, self._load, self._compared = registry, load, compared
        self._events = GuardEvents(_MAX_EVENTS, clock, listener)
        self._loaded: tuple[ModelKey, TieredPolicy] | None = None
        self._refused: ModelKey | None = None
        self._running: tuple[_Pair, Shadow] | None = None  # replaced by one assignment

    @property
    def events(self) -> tuple[ModelEvent, ...]:
        """The kept events of challengers, oldest first."""
        return self._events.all

    def offer(self, number: int, batch: Batch, decisions: Decisions, now_ns: int) -> bool:
        """Hand on the decisions of the served model ``number``; False where they are not compared."""
        running = self._running
        if running is None or running[0].champion != number:
            return False
        return running[1].offer(batch, decisions, now_ns)

    def report(self) -> ShadowFound | None:
        """Counts of the present comparison; None where there is none."""
        running = self._running
        return None if running is None else running[1].report()

    def follow(self, active: ServedModel) -> None:
        """Start or end the comparison beside ``active`` as the alias says; a failure is an event."""
        try:
            self._follow(active)
        except PlatformError as err:
            self._events.add(EventKind.UNREACHABLE, ModelKey(self.alias, None), str(err))

    def close(self) -> None:
        """End the comparison."""
        running, self._running = self._running, None
        if running is not None:
            running[1].stop()

    def _follow(self, active: ServedModel) -> None:
        model = self._registry.aliases().model(self.alias)
        if model is None:
            self._end(ModelKey(self.alias, None), f"{self._registry.uri} has no alias {self.alias!r}")
            return
        tier_set = newest_tier_set(self._registry, model)
        key = key_of(model, tier_set)
        if self._refused != key:
            self._refused = None
        if key == active.key:
            self._end(key, f"{self.alias} is the model that answers: there is nothing to compare")
            return
        pair = _Pair(active.number, key)
        if self._running is not None and self._running[0] == pair:
            if reason := self._running[1].report().switched_off:
                self._events.add(EventKind.SHADOW_ENDED, key, reason)
            return
        self.close()
        if self._refused == key:
            return
        policy = self._ready(key, tier_set, active)
        if policy is None:
            return
        shadow = Shadow(key.model, policy, active.policy, self.config, self._compared)
        shadow.start()
        self._running = pair, shadow
        self._events.add(EventKind.SHADOWED, key, f"it decides beside {active.key.model}")

    def _ready(self, key: ModelKey, tier_set: TierSet | None, active: ServedModel) -> TieredPolicy | None:
        """Challenger, loaded now or before; None where it cannot be compared with ``active``."""
        if self._loaded is not None and self._loaded[0] == key:
            return self._loaded[1]
        self._loaded = None  # only one challenger is in memory at a time
        try:
            ready = self._load(self._registry, load_model(self._registry, key.model), tier_set)
            # Without the cache of answers: each call is decided.
            policy = TieredPolicy(ready.model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))
        except StorageError:
            raise  # says nothing about the challenger
        except PlatformError as err:
            reason = str(err)
        except Exception as err:  # whatever a challenger's code raises, nobody waits for it
            _LOG.exception("challenger %s could not be prepared", key.model)
            reason = f"preparing it failed: {type(err).__name__}: {err}"
        else:
            reason = other_view(policy, active.policy)
            if not reason:
                self._loaded = key, policy
                return policy
        self._refused = key
        self._events.add(EventKind.SHADOW_REFUSED, key, reason)
        return None

    def _end(self, key: ModelKey, reason: str) -> None:
        self.close()
        self._events.add(EventKind.SHADOW_ENDED, key, reason)


class _Call(NamedTuple):
    batch: Batch
    decisions: Decisions
    now_ns: int


class Shadow:
    """Asks a challenger about the champion's groups, and counts where the two differ."""

    def __init__(
        self,
        model: str,
        challenger: TieredPolicy,
        champion: TieredPolicy,
        config: ShadowConfig | None = None,
        compared: Compared | None = None,
    ) -> None:
        """Prepare; ContractError where ``challenger`` reads other columns than ``champion``.

        Nobody else may ask ``challenger``. The shadow's thread calls ``compared`` with every comparison.
        """
        if reason := other_view(challenger, champion):
            raise ContractError(f"{model} cannot be a challenger here: {reason}")
        self.model, self.spec, self.config = model, champion.spec, config or ShadowConfig()
        self._compared = compared
        self._challenger = challenger
        self._waiting: deque[_Call] = deque()
        self._changed = threading.Condition()  # guards all below; not held while the challenger decides
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._offered = self._dropped = self._groups = self._failures = 0
        # counts by tier, champion's action, challenger's action
        self._pairs = np.zeros((max(Tier) + 1, N_ACTIONS, N_ACTIONS), np.int64)
        self._off = ""

    def start(self) -> None:
        """Start the thread; ContractError where it was started before."""
        if self._thread is not None:
            raise ContractError(f"the shadow of {self.model} was started before: make a new one")
        self._thread = threading.Thread(target=self._run, name=f"shadow-{self.model}", daemon=True)
        self._thread.start()

    def stop(self, *, finish: bool = False) -> None:
        """End the thread and wait for it: after the call in hand, or (``finish``) after all that wait."""
        with self._changed:
            self._stopping = True
            if not finish:
                self._dropped += len(self._waiting)
                self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def offer(self, batch: Batch, decisions: Decisions, now_ns: int) -> bool:
        """Queue copies of the champion's decisions for comparison; False where they were dropped."""
        with self._changed:
            self._offered += 1
            if self._thread is None or self._stopping or self._off or self._is_full:
                self._dropped += 1
                return False
            self._waiting.append(_copied(batch, decisions, now_ns))
            self._changed.notify()
        return True

    def report(self) -> ShadowFound:
        """Counts of the comparison so far."""
        with self._changed:
            pairs = self._pairs.copy()
            differing = pairs * ~np.eye(N_ACTIONS, dtype=np.bool_)
            both = differing.sum(0)
            return ShadowFound(
                model=self.model,
                offered=self._offered,
                dropped=self._dropped,
                groups=self._groups,
                slots=int(pairs.sum()),
                differing=int(both.sum()),
                by_tier={
                    TIER_NAMES[tier]: (int(pairs[tier].sum()), int(differing[tier].sum()))
                    for tier in Tier
                    if pairs[tier].any()
                },
                pairs={
                    f"{ACTION_NAMES[a]} > {ACTION_NAMES[b]}": int(both[a, b])
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
        """Count a failure; True where it was one too many."""
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
        if (found.notes & np.uint8(Note.FALLBACK)).any():  # the answer of a lower tier is not its answer
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
