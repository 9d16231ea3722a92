"""The models of one replica: which answers, what a request tells of it, and following the registry.

Owns       the way from a registry to a policy in this process, and what the service sees of it.
Invariant  a request is answered by one ``Served`` from beginning to end.
Threads    ``current``, ``answered`` and ``failed`` on the event loop; ``start``, ``refresh``, ``rollback``
           and ``follow_shadow`` in a thread: they load, measure and talk to the registry.
Not        the checks of a candidate, its watch and its return (kalshi_platform/serving/guard/reload.py).
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.load import LoadedModel
from kalshi_platform.models.registry.record import MODEL_ID
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierSet
from kalshi_platform.serving.guard.candidate import Verdict
from kalshi_platform.serving.guard.challenger import Challenger
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvent
from kalshi_platform.serving.guard.recorded import RecordedStates
from kalshi_platform.serving.guard.reload import GuardConfig, ModelGuard, ServedModel
from kalshi_platform.serving.guard.shadow import Compared, ShadowReport
from kalshi_platform.serving.inference.batch import Batch, Decisions, Tier
from kalshi_platform.serving.inference.ready import ready_model
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.simulation.replay.trading import TradingConfig

#: What an observer is told of an event; the others change nothing that is served.
RESULTS: Final = {
    EventKind.SWAPPED: "accepted",
    EventKind.REFUSED: "refused",
    EventKind.TAKEN_BACK: "rolled_back",
    EventKind.ROLLED_BACK: "rolled_back",
    EventKind.UNREACHABLE: "failed",
}

#: Told of a model that is about to be checked, in the thread that prepares it: (model id, tier set).
Prepare = Callable[[str, str | None], None]
#: (result, model, reason)
Reloaded = Callable[[str, str, str | None], None]


class Served(NamedTuple):
    """A model that answers."""

    model: str
    tier_set: str | None  # digest; None: the network alone
    policy: TieredPolicy
    trading: TradingConfig  # what its environment observed and how it traded
    number: int = 0  # of this replica, ascending

    @property
    def full_ms(self) -> float:
        """Median of tier 3 about one group in this process, as measured; infinite where it was not."""
        last = self.policy.tiers[-1]
        return float("inf") if last.number != Tier.FULL or last.group_p50_ms is None else last.group_p50_ms


class Models(Protocol):
    """What a service needs to know of the models of its process."""

    def current(self) -> Served | None:
        """What answers now; None before the first is loaded."""
        ...

    def answered(self, served: Served, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        """``served`` answered a request."""
        ...

    def failed(self, served: Served, taken_ns: int) -> None:
        """``served`` should have answered and did not: one of its networks failed."""
        ...

    def refresh(self) -> Verdict | None:
        """Look at the registry now; the verdict on what it asks for, None where that is served already."""
        ...

    def rollback(self, reason: str) -> str:
        """Go back to the model before; the id of the one that answers now."""
        ...

    def events(self) -> tuple[GuardEvent, ...]:
        """What happened to the models, oldest first."""
        ...

    def shadow(self) -> ShadowReport | None:
        """How far a challenger would have decided otherwise; None where none is asked."""
        ...


class GuardedModels:
    """Follows an alias: every change is checked beside the answers and swapped in between two of them."""

    def __init__(
        self,
        registry: Registry,
        guard: GuardConfig,
        tiered: TieredConfig,
        *,
        prepare: Prepare | None = None,
        reloaded: Reloaded | None = None,
        shadow: str | None = None,
        compared: Compared | None = None,
    ) -> None:
        """``prepare`` is called before a model is checked: whoever holds its tier 3 elsewhere loads it.

        ``shadow``: alias of the model that decides beside the one that answers, None for none; ``compared``
        is told what it would have done, in a thread of its own.
        """
        self._states = RecordedStates()
        self._tiered, self._prepare, self._reloaded = tiered, prepare, reloaded
        self._guard = ModelGuard(registry, self._load, guard, clock=time.time_ns, states=self._states)
        self._challenger = (
            None
            if shadow is None
            else Challenger(registry, shadow, _load_alone, clock=time.time_ns, compared=compared)
        )
        self._served: Served | None = None
        self._told_ns = time.time_ns()

    def start(self) -> Served:
        """Load and check what the alias names; errors say why it cannot be served."""
        self._guard.start()
        served = self.current()
        assert served is not None
        return served

    def current(self) -> Served | None:
        """What answers now; None before ``start``."""
        try:
            active = self._guard.active
        except ContractError:
            return None
        if self._served is None or self._served.number != active.number:
            self._served = _served_of(active)
        return self._served

    def answered(self, served: Served, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        """Record the states that a candidate will be compared on, and how long they took."""
        self._states.add(served.number, batch, decisions)
        self._note(served, taken_ns, failed=False)
        if self._challenger is not None:
            self._challenger.offer(served.number, batch, decisions, time.monotonic_ns())

    def failed(self, served: Served, taken_ns: int) -> None:
        """Count a failure of the model's networks; too many of a new one bring back the one before."""
        self._note(served, taken_ns, failed=True)

    def refresh(self) -> Verdict | None:
        """Bring this replica and the registry together; not on the event loop."""
        verdict = self._guard.refresh()
        self._tell()
        return verdict

    def rollback(self, reason: str) -> str:
        """Go back here and in the registry; LimitError where there is nothing to go back to."""
        model = self._guard.rollback(reason).record.id
        self._tell()
        return model

    def events(self) -> tuple[GuardEvent, ...]:
        """What happened to the models, those in the shadow included, oldest first."""
        if self._challenger is None:
            return self._guard.events
        both = (*self._guard.events, *self._challenger.events)
        return tuple(sorted(both, key=lambda event: event.at_ns))

    def follow_shadow(self) -> None:
        """Bring the shadow and the registry together, after ``start``; not on the event loop."""
        if self._challenger is not None:
            self._challenger.follow(self._guard.active)

    def shadow(self) -> ShadowReport | None:
        """How far the challenger would have decided otherwise; None where none is asked."""
        return None if self._challenger is None else self._challenger.report()

    def close(self) -> None:
        """End what runs beside the answers."""
        if self._challenger is not None:
            self._challenger.close()

    def _note(self, served: Served, taken_ns: int, *, failed: bool) -> None:
        active = self._guard.active
        if active.number == served.number:  # what was replaced meanwhile is not judged any more
            self._guard.note(active, taken_ns, failed)

    def _load(self, registry: Registry, model: LoadedModel, tier_set: TierSet | None) -> TieredPolicy:
        if self._prepare is not None:
            self._prepare(model.record.id, tier_set.digest if tier_set else None)
        ready = ready_model(registry, model, tier_set)
        return TieredPolicy(model.record.spec, ready.tiers, self._tiered)

    def _tell(self) -> None:
        """Pass on what happened since the last time."""
        new = [event for event in self._guard.events if event.at_ns > self._told_ns]
        for event in new:
            self._told_ns = event.at_ns
            if self._reloaded is not None and event.kind in RESULTS:
                self._reloaded(RESULTS[event.kind], event.model, event.words)


def _load_alone(registry: Registry, model: LoadedModel, tier_set: TierSet | None) -> TieredPolicy:
    """A challenger with every tier in this process, without the cache of answers: each call is decided."""
    ready = ready_model(registry, model, tier_set)
    return TieredPolicy(model.record.spec, ready.tiers, TieredConfig(inference_ttl_ms=0))


def require_model(registry: Registry, name: str) -> str:
    """The id that ``name`` stands for; ContractError says how to get a model where there is none."""
    if MODEL_ID.fullmatch(name):
        raise ContractError(
            f"model {name!r} is an id: a service follows an alias, so that a bad model can be taken back; "
            "promote it (kalshi-platform models) and name the alias"
        )
    model = registry.aliases().model(name)
    if model is None:
        raise ContractError(
            f"{registry.uri} has no {name}: train a model and promote it (kalshi-platform quickstart, then "
            "kalshi-platform models), or name another registry"
        )
    return model


def _served_of(active: ServedModel) -> Served:
    return Served(
        active.record.id,
        active.tier_set.digest if active.tier_set else None,
        active.policy,
        TradingConfig.of_environment(active.record.environment),
        active.number,
    )
