"""Which model decides beside the active one: what another alias names, followed like the active one's.

Owns       the shadow of one replica, from the registry to its thread, and the record of what became of it.
Invariant  one comparison is of one pair of models: another champion or another challenger begins a new one.
           What cannot be loaded or reads other columns is an event, and not tried again until the alias names
           something else. Nothing that happens here reaches an answer.
Threads    ``offer`` on the answering path; ``follow`` and ``close`` off it, one thread at a time.
Not        how the two are compared (shadow.py), nor the active model (reload.py).
"""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from kalshi_platform.domain.errors import PlatformError, StorageError
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set
from kalshi_platform.serving.guard.candidate import other_view
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvent, GuardEvents, ModelKey
from kalshi_platform.serving.guard.reload import Loader, ServedModel
from kalshi_platform.serving.guard.shadow import Compared, Shadow, ShadowConfig, ShadowReport
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.tiered import TieredPolicy

_LOG: Final = logging.getLogger(__name__)
_MAX_EVENTS: Final = 50


class _Pair(NamedTuple):
    """Who is compared with whom."""

    champion: int  # number of the served model
    challenger: ModelKey


class Challenger:
    """Follows an alias and has what it names decide beside the active model."""

    def __init__(
        self,
        registry: Registry,
        alias: str,
        loader: Loader,
        *,
        clock: Callable[[], int],
        config: ShadowConfig | None = None,
        compared: Compared | None = None,
    ) -> None:
        """``clock`` gives ns since the epoch, for events."""
        self.alias, self.config = alias, config
        self._registry, self._loader, self._compared = registry, loader, compared
        self._events = GuardEvents(_MAX_EVENTS, clock)
        self._loaded: tuple[ModelKey, TieredPolicy] | None = None
        self._refused: ModelKey | None = None
        self._running: tuple[_Pair, Shadow] | None = None  # replaced by one assignment

    @property
    def events(self) -> tuple[GuardEvent, ...]:
        """What became of challengers, oldest first."""
        return self._events.all

    def offer(self, number: int, batch: Batch, decisions: Decisions, now_ns: int) -> bool:
        """Tell what the served model ``number`` decided; False where nobody compares it."""
        running = self._running
        if running is None or running[0].champion != number:
            return False
        return running[1].offer(batch, decisions, now_ns)

    def report(self) -> ShadowReport | None:
        """What the present comparison found so far; None where there is none."""
        running = self._running
        return None if running is None else running[1].report()

    def follow(self, active: ServedModel) -> None:
        """Bring the shadow of ``active`` and the registry together; what fails is an event."""
        try:
            self._follow(active)
        except PlatformError as err:
            self._events.tell(EventKind.UNREACHABLE, ModelKey(self.alias, None), str(err))

    def close(self) -> None:
        """End the comparison."""
        running, self._running = self._running, None
        if running is not None:
            running[1].stop()

    def _follow(self, active: ServedModel) -> None:
        wanted = self._wanted()
        if wanted is None:
            self._end(ModelKey(self.alias, None), f"{self._registry.uri} has no alias {self.alias!r}")
            return
        key, tier_set = wanted
        if self._refused != key:
            self._refused = None
        if key == active.key:
            self._end(key, f"{self.alias} is the model that answers: there is nothing to compare")
            return
        pair = _Pair(active.number, key)
        if self._running is not None and self._running[0] == pair:
            if reason := self._running[1].report().switched_off:
                self._events.tell(EventKind.SHADOW_ENDED, key, reason)
            return
        self.close()
        if self._refused == key:
            return
        policy = self._ready(key, tier_set, active)
        if policy is None:
            return
        spec, window = active.policy.spec, active.policy.window
        shadow = Shadow(key.model, policy, spec, window, self.config, self._compared)
        shadow.start()
        self._running = pair, shadow
        self._events.tell(EventKind.SHADOWED, key, f"it decides beside {active.record.id}")

    def _wanted(self) -> tuple[ModelKey, TierSet | None] | None:
        model = self._registry.aliases().model(self.alias)
        if model is None:
            return None
        tier_set = newest_tier_set(self._registry, model)
        return ModelKey(model, tier_set.digest if tier_set else None), tier_set

    def _ready(self, key: ModelKey, tier_set: TierSet | None, active: ServedModel) -> TieredPolicy | None:
        """The challenger, loaded now or before; None where it cannot be compared with ``active``."""
        if self._loaded is not None and self._loaded[0] == key:
            return self._loaded[1]
        self._loaded = None  # of two challengers one is in memory
        try:
            model = load_model(self._registry, key.model)
            policy = self._loader(self._registry, model, tier_set)
        except StorageError:
            raise  # says nothing about the challenger
        except PlatformError as err:
            reason = str(err)
        except Exception as err:  # whatever a challenger's code raises, nobody waits for it
            _LOG.exception("challenger %s could not be prepared", key.model)
            reason = f"preparing it failed: {type(err).__name__}: {err}"
        else:
            reason = other_view(policy.spec, policy.window, active.policy.spec, active.policy.window)
            if not reason:
                self._loaded = key, policy
                return policy
        self._refused = key
        self._events.tell(EventKind.SHADOW_REFUSED, key, reason)
        return None

    def _end(self, key: ModelKey, reason: str) -> None:
        self.close()
        self._events.tell(EventKind.SHADOW_ENDED, key, reason)
