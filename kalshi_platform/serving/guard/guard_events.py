"""Events of the models of one replica: kept and logged, and handed to one listener.

Invariant  at most ``kept`` events are kept, oldest first; an event that repeats the latest is not kept again.
Threads    any.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from kalshi_platform.serving.api.requests import ModelEvent
from kalshi_platform.serving.inference.ready import ModelKey

_LOG: Final = logging.getLogger(__name__)


class EventKind(StrEnum):
    """The ``kind`` of a ModelEvent."""

    LOADED = "loaded"  # the first model
    SWAPPED = "swapped"
    REFUSED = "refused"
    STANDS = "stands"  # the watch after a swap ended well
    TAKEN_BACK = "taken_back"  # automatic: a bound was crossed
    NOT_TAKEN_BACK = "not_taken_back"  # the model to which the alias was rolled back crossed a bound
    ROLLED_BACK = "rolled_back"  # by hand
    ALIAS_CHANGED = "alias_changed"  # this replica wrote the rollback into the registry
    ALIAS_LEFT = "alias_left"  # somebody else had changed it, or there was nothing before
    UNREACHABLE = "unreachable"  # the registry could not be read, or an alias not be changed
    NOT_WRITTEN = "not_written"  # the registry did not take a verdict; the event says who knows of it
    SHADOWED = "shadowed"  # a challenger decides beside the active model from now on
    SHADOW_REFUSED = "shadow_refused"  # the model that its alias names cannot decide beside it
    SHADOW_ENDED = "shadow_ended"  # it failed too often, or there is nothing to compare any more


class GuardEvents:
    """The events of one replica."""

    def __init__(
        self,
        kept: int,
        clock: Callable[[], int],
        listener: Callable[[ModelEvent], None] = lambda event: None,
    ) -> None:
        """Begin empty; ``clock`` gives ns, and the thread that adds an event calls ``listener`` with it."""
        self._events: deque[ModelEvent] = deque(maxlen=kept)
        self._lock, self._clock, self._listener = threading.Lock(), clock, listener

    @property
    def all(self) -> tuple[ModelEvent, ...]:
        """The kept events, oldest first."""
        with self._lock:
            return tuple(self._events)

    def add(self, kind: EventKind, key: ModelKey, words: str) -> None:
        """Keep and log an event, unless it only repeats the latest."""
        event = ModelEvent(
            at_ns=self._clock(), kind=kind.value, model=key.model, tiers=key.tier_set, words=words
        )
        with self._lock:
            latest = self._events[-1] if self._events else None
            if latest is not None and latest.model_copy(update={"at_ns": event.at_ns}) == event:
                return
            self._events.append(event)
        _LOG.warning("%s: %s: %s", kind.value, key.model, words)
        self._listener(event)
