"""A rollback of the alias that one replica has yet to write into the registry.

Invariant  it is written by the log in which the alias still named the bad model: where somebody changed the
           alias since, or another replica was faster, it is left as it is.
Threads    ``plan`` anywhere; ``write`` off the answering path.
"""

from typing import NamedTuple

from kalshi_platform.domain.errors import LimitError
from kalshi_platform.models.registry.aliases import AliasLog
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.inference.ready import ModelKey


class PlannedRollback(NamedTuple):
    """From which model, by which log, why, and to which model."""

    bad: ModelKey
    log: AliasLog
    reason: str
    to: str  # id of the model that answers again


class AliasRollback:
    """Writes at most one rollback at a time; a new plan replaces one that was not written."""

    def __init__(self, registry: Registry, alias: str, events: GuardEvents) -> None:
        self._registry, self._alias, self._events = registry, alias, events
        self._planned: PlannedRollback | None = None

    def plan(self, planned: PlannedRollback) -> None:
        """Keep a rollback for the next :meth:`write`."""
        self._planned = planned

    def write(self) -> None:
        """Write the planned rollback, if there is one; errors of the registry come through, and it stays."""
        planned = self._planned
        if planned is None:
            return
        try:
            entry = self._registry.rollback(
                self._alias, reason=planned.reason, seen=planned.log, to=planned.to
            )
        except LimitError as err:
            self._events.add(EventKind.ALIAS_LEFT, planned.bad, str(err))
        else:
            words = f"{planned.reason}; it names {entry.model} now"
            self._events.add(EventKind.ALIAS_CHANGED, planned.bad, words)
        self._planned = None
