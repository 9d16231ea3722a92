"""What happened to the models of one replica: kept, counted and logged.

Invariant  at most ``kept`` events are kept, oldest first; the counts are of all of them.
Threads    any.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from kalshi_platform.domain.config import Config

_LOG: Final = logging.getLogger(__name__)


class ModelKey(NamedTuple):
    """What tells two served models apart."""

    model: str
    tiers: str | None  # digest of the tier set


class EventKind(StrEnum):
    """What happened."""

    LOADED = "loaded"  # the first model
    SWAPPED = "swapped"
    REFUSED = "refused"
    STANDS = "stands"  # the watch after a swap ended well
    TAKEN_BACK = "taken_back"  # automatic: a bound was crossed
    NOT_TAKEN_BACK = "not_taken_back"  # a bound was crossed by what the alias had been rolled back to
    ROLLED_BACK = "rolled_back"  # by hand
    ALIAS_CHANGED = "alias_changed"  # this replica wrote the rollback into the registry
    ALIAS_LEFT = "alias_left"  # somebody else had changed it, or there was nothing before
    UNREACHABLE = "unreachable"  # the registry could not be read or written
    SHADOWED = "shadowed"  # a challenger decides beside the active model from now on
    SHADOW_REFUSED = "shadow_refused"  # what its alias names cannot
    SHADOW_ENDED = "shadow_ended"  # it failed too often, or there is nothing to compare any more


class GuardEvent(Config):
    """One thing that happened."""

    at_ns: int
    kind: EventKind
    model: str
    tiers: str | None
    words: str


class GuardEvents:
    """The events of one replica."""

    def __init__(self, kept: int, clock: Callable[[], int]) -> None:
        """``clock`` gives ns."""
        self._events: deque[GuardEvent] = deque(maxlen=kept)
        self._counts: Counter[EventKind] = Counter()
        self._lock, self._clock = threading.Lock(), clock

    @property
    def all(self) -> tuple[GuardEvent, ...]:
        """Those that are kept, oldest first."""
        with self._lock:
            return tuple(self._events)

    @property
    def counts(self) -> Mapping[EventKind, int]:
        """How often each kind happened since the start, 0 included."""
        with self._lock:
            return {kind: self._counts[kind] for kind in EventKind}

    def tell(self, kind: EventKind, key: ModelKey, words: str) -> None:
        """Record an event; one that only repeats the latest is counted, not listed or logged again."""
        event = GuardEvent(at_ns=self._clock(), kind=kind, model=key.model, tiers=key.tiers, words=words)
        with self._lock:
            self._counts[kind] += 1
            latest = self._events[-1] if self._events else None
            if latest is not None and latest.replace(at_ns=event.at_ns) == event:
                return
            self._events.append(event)
        _LOG.warning("%s: %s: %s", kind.value, key.model, words)
