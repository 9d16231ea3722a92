"""Which model answers: found in the registry, checked off the answering path, swapped, watched, taken back.

Owns       the active and the previous model of one replica, and the record of everything that changed them.
Invariant  the active model is replaced by one assignment; a request keeps the model that it began with. A
           candidate that fails a check never becomes active and is not tried again until the alias changes.
Watched    a model that was swapped in, against its bounds and the model before. Where it crosses them this
           replica goes back at once, and the registry's alias with it: of several replicas one writes, the
           others find it written. What the alias was rolled back to is never taken back by itself.
Threads    ``note`` on the answering path (no input or output); ``refresh``, ``poll``, ``prepare`` and
           ``rollback`` off it; everything else anywhere.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError, PlatformError, StorageError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog
from kalshi_platform.models.registry.load import LoadedModel, load_model
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set
from kalshi_platform.serving.guard.candidate import Active, CheckConfig, Verdict, examine
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvent, GuardEvents, ModelKey
from kalshi_platform.serving.guard.recorded import RecordedStates
from kalshi_platform.serving.guard.watch import Figures, Watch, WatchConfig, crossing
from kalshi_platform.serving.inference.tiered import TieredPolicy

_LOG: Final = logging.getLogger(__name__)
#: Makes a model ready to answer, with every tier, also one that is asked elsewhere: all are checked here.
Loader = Callable[[Registry, LoadedModel, TierSet | None], TieredPolicy]
#: Answers between two looks at the figures.
_LOOK_EVERY: Final = 32


class GuardConfig(Config):
    """What is served, and within which bounds."""

    alias: str = CHAMPION
    check: CheckConfig = Field(default_factory=CheckConfig)
    watch: WatchConfig = Field(default_factory=WatchConfig)
    max_events: int = Field(200, ge=1, description="events kept")


@dataclass(frozen=True)
class ServedModel:
    """A model that answers, or did, or may."""

    number: int  # of this replica, ascending
    policy: TieredPolicy
    record: ModelRecord
    tier_set: TierSet | None
    entry: AliasEntry  # of the alias that asked for it
    verdict: Verdict
    probe_actions: np.ndarray  # what it decided of the probes of its check
    watch: Watch
    since_ns: int  # when it last became active; 0 before

    @property
    def key(self) -> ModelKey:
        """What tells it apart."""
        return ModelKey(self.record.id, self.tier_set.digest if self.tier_set else None)

    @property
    def engines(self) -> Mapping[int, str]:
        """Tier -> what runs it."""
        return {tier.number: tier.engine.form for tier in self.policy.tiers}


class Wanted(NamedTuple):
    """What the registry asks for."""

    key: ModelKey
    tier_set: TierSet | None
    entry: AliasEntry
    log: AliasLog
    is_return: bool  # the alias was rolled back to another model than is active


class Candidate(NamedTuple):
    """What was prepared; ``served`` is None where it was refused."""

    served: ServedModel | None
    verdict: Verdict
    wanted: Wanted
    against: int | None  # number of the model it was compared with


class _State(NamedTuple):
    active: ServedModel
    previous: ServedModel | None
    log: AliasLog  # the latest in which the alias names the active model
    before: Figures | None  # of the previous model at the swap; None: the active one is not watched


class _AliasRollback(NamedTuple):
    """A rollback that is still to be written into the registry."""

    model: ModelKey
    log: AliasLog
    reason: str


class ModelGuard:
    """Keeps one replica's model honest."""

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        config: GuardConfig | None = None,
        *,
        clock: Callable[[], int],
        states: RecordedStates,
    ) -> None:
        """``clock`` gives ns since the epoch; ``states`` is filled by who answers."""
        self.config, self.states = config or GuardConfig(), states
        self._registry, self._loader, self._clock = registry, loader, clock
        self._numbers = count(1)
        self._state: _State | None = None
        self._changing = threading.Lock()  # held for an assignment, never while anything is computed or read
        self._refreshing = threading.Lock()  # one thread at a time talks to the registry
        self._refused: tuple[ModelKey, int] | None = None
        self._to_write: _AliasRollback | None = None
        self._events = GuardEvents(self.config.max_events, clock)

    @property
    def active(self) -> ServedModel:
        """What answers; take it once a request. ContractError before ``start``."""
        return self._now.active

    @property
    def previous(self) -> ServedModel | None:
        """What a rollback goes back to; None where nothing was swapped, or it was gone back to."""
        return self._now.previous

    @property
    def events(self) -> tuple[GuardEvent, ...]:
        """What happened, oldest first, the latest ``max_events``."""
        return self._events.all

    @property
    def counts(self) -> Mapping[EventKind, int]:
        """How often each kind of event happened since the start."""
        return self._events.counts

    def start(self) -> ServedModel:
        """Load, check and serve what the alias names now.

        LimitError says why it was refused; errors of the registry are raised as they are.
        """
        self._refused = None
        wanted = self.poll()
        assert wanted is not None  # nothing is active or refused
        candidate = self.prepare(wanted)
        if candidate.served is None:
            raise LimitError(f"{self.config.alias} is {wanted.key.model}, which cannot be served: "
                             f"{candidate.verdict.reason}")  # fmt: skip
        served = replace(candidate.served, since_ns=self._clock())
        with self._changing:
            self._state = _State(served, None, wanted.log, None)
        self._events.tell(EventKind.LOADED, served.key, served.verdict.words)
        return served

    def refresh(self) -> Verdict | None:
        """Bring this replica and the registry together: write a rollback, look, prepare, swap.

        The verdict of what was prepared; None where nothing was asked for or the registry did not answer,
        which is an event and leaves the active model as it is.
        """
        with self._refreshing:
            try:
                while True:
                    self._write_rollback()
                    wanted = self.poll()
                    if wanted is None:
                        return None
                    candidate = self.prepare(wanted)
                    if candidate.served is None or self.swap(candidate):
                        return candidate.verdict
                    # The active model was taken back meanwhile: look again.
            except PlatformError as err:
                self._events.tell(EventKind.UNREACHABLE, self.active.key, str(err))
                return None

    def poll(self) -> Wanted | None:
        """What the alias names now and its newest tier set; None where that is active, or was refused.

        ContractError where the alias names nothing; errors of the registry as they are.
        """
        log = self._registry.aliases()
        entry = self._latest(log)
        if entry is None:
            raise ContractError(
                f"{self._registry.uri} has no alias {self.config.alias!r}: promote a model first "
                "(kalshi-platform models promote)"
            )
        tier_set = newest_tier_set(self._registry, entry.model)
        key = ModelKey(entry.model, tier_set.digest if tier_set else None)
        with self._changing:
            state = self._state
            if state is not None and state.active.record.id == entry.model:
                self._state = state._replace(log=log)
            if (state is not None and state.active.key == key) or self._refused == (key, entry.number):
                return None
        is_return = entry.kind == "rollback" and state is not None and state.active.record.id != entry.model
        return Wanted(key, tier_set, entry, log, is_return)

    def prepare(self, wanted: Wanted) -> Candidate:
        """Load, verify and check what is wanted; the active model is not touched and goes on answering.

        What fails is refused with the reason, and remembered. How far it agrees with the active model is
        not held against a model that the alias was rolled back to: the active one is the bad one then.
        StorageError where the registry did not answer: that says nothing about the candidate.
        """
        active = self._state.active if self._state else None
        against = active.number if active else None
        verdict = Verdict(model=wanted.key.model, tiers=wanted.key.tiers)
        try:
            loaded = load_model(self._registry, wanted.key.model)
            policy = self._loader(self._registry, loaded, wanted.tier_set)
            rival = self._as_rival(active, must_agree=not wanted.is_return)
            budget_ms = loaded.record.spec.level.latency_budget_ms
            verdict, probe_actions = examine(policy, verdict, budget_ms, rival, self.config.check)
        except StorageError:
            raise
        except PlatformError as err:
            return self._refuse(wanted, verdict.replace(reason=str(err)), against)
        except Exception as err:  # whatever a candidate's code raises, the active model goes on answering
            _LOG.exception("%s could not be prepared", wanted.key.model)
            reason = f"preparing it failed: {type(err).__name__}: {err}"
            return self._refuse(wanted, verdict.replace(reason=reason), against)
        if not verdict.accepted:
            return self._refuse(wanted, verdict, against)
        served = ServedModel(
            number=next(self._numbers), policy=policy, record=loaded.record, tier_set=wanted.tier_set,
            entry=wanted.entry, verdict=verdict, probe_actions=probe_actions,
            watch=Watch(self.config.watch), since_ns=0,
        )  # fmt: skip
        return Candidate(served, verdict, wanted, against)

    def swap(self, candidate: Candidate) -> bool:
        """Let a candidate answer from now on; False where it was checked against another active model.

        ContractError for a refused candidate.
        """
        if candidate.served is None:
            raise ContractError(f"{candidate.wanted.key.model} was refused: {candidate.verdict.reason}")
        now_ns = self._clock()
        served = replace(candidate.served, since_ns=now_ns)
        with self._changing:
            state = self._now
            if state.active.number != candidate.against:
                return False
            before = state.active.watch.figures(now_ns)
            # What the alias was rolled back from is nothing to go back to.
            previous = None if candidate.wanted.is_return else state.active
            self._state = _State(served, previous, candidate.wanted.log, before)
        words = f"instead of {state.active.record.id}: {served.verdict.words}"
        self._events.tell(EventKind.SWAPPED, served.key, words)
        return True

    def note(self, served: ServedModel, latency_ns: int, failed: bool) -> None:
        """Count one request that ``served`` answered, or should have; cheap, and may take the model back.

        A request in which a tier failed counts as failed, also where the tier below it answered.
        """
        now_ns, failures = self._clock(), served.policy.failures.total()
        failed = failed or failures > served.watch.tier_failures
        served.watch.tier_failures = failures
        served.watch.add(now_ns, latency_ns, failed)
        state = self._now
        if state.before is None:
            return
        if failed or served.watch.total % _LOOK_EVERY == 0:
            self._judge(state, state.before, now_ns)

    def rollback(self, reason: str) -> ServedModel:
        """Go back by hand, in this replica at once and then in the registry; the model that answers now.

        Without a previous model here the registry goes back first, and what it names then is loaded. There
        LimitError says that there is nothing to go back to, or why what is named then was refused.
        """
        words = f"by hand: {reason}"
        if self.previous is not None:
            self._go_back(self._now, EventKind.ROLLED_BACK, words)
            with self._refreshing:
                try:
                    self._write_rollback()
                except PlatformError as err:  # tried again by the next refresh
                    self._events.tell(EventKind.UNREACHABLE, self.active.key, str(err))
            return self.active
        state = self._now
        entry = self._registry.rollback(self.config.alias, reason=words, seen=state.log)
        self._events.tell(EventKind.ALIAS_CHANGED, state.active.key, f"{words}; it names {entry.model} now")
        verdict = self.refresh()
        if self.active.record.id != entry.model:
            why = verdict.reason if verdict else "see the events"
            raise LimitError(
                f"{self.config.alias} is {entry.model} again, but it cannot be served here: {why}"
            )
        return self.active

    @property
    def _now(self) -> _State:
        if self._state is None:
            raise ContractError("no model is served yet: call start() first")
        return self._state

    def _latest(self, log: AliasLog) -> AliasEntry | None:
        return next((e for e in reversed(log.entries) if e.alias == self.config.alias), None)

    def _as_rival(self, active: ServedModel | None, must_agree: bool) -> Active | None:
        if active is None:
            return None
        recorded = self.states.decided_by(active.number)
        return Active(active.policy.spec, active.policy.window, active.probe_actions, recorded, must_agree)

    def _refuse(self, wanted: Wanted, verdict: Verdict, against: int | None) -> Candidate:
        with self._changing:
            self._refused = (wanted.key, wanted.entry.number)
        self._events.tell(EventKind.REFUSED, wanted.key, verdict.words)
        return Candidate(None, verdict, wanted, against)

    def _judge(self, state: _State, before: Figures, now_ns: int) -> None:
        """Take the active model back, or end its watch, where it is time."""
        served, config = state.active, self.config.watch
        if now_ns - served.since_ns > round(config.watch_s * NS_PER_SECOND):
            if self._end_watch(state):
                self._events.tell(
                    EventKind.STANDS, served.key, f"{served.watch.figures(now_ns)} after its watch"
                )
            return
        words = crossing(served.watch.figures(now_ns), before, config)
        if not words:
            return
        if state.previous is None:
            if self._end_watch(state):
                why = f"{words}; but {self.config.alias} was rolled back to it: look at it yourself"
                self._events.tell(EventKind.NOT_TAKEN_BACK, served.key, why)
            return
        self._go_back(state, EventKind.TAKEN_BACK, f"automatic: {words}")

    def _end_watch(self, state: _State) -> bool:
        """Whether this call ended the watch: of two threads one does."""
        with self._changing:
            now = self._now
            if now.active.number != state.active.number or now.before is None:
                return False
            self._state = now._replace(before=None)
            return True

    def _go_back(self, state: _State, kind: EventKind, words: str) -> None:
        """Answer with the previous model again, unless somebody changed the active one in between."""
        now_ns = self._clock()
        with self._changing:
            now = self._now
            if now.active.number != state.active.number or now.previous is None:
                return
            bad, good = now.active, replace(now.previous, since_ns=now_ns)
            self._state = _State(good, None, now.log, None)
            entry = self._latest(now.log) or bad.entry
            self._refused = (bad.key, entry.number)
            if bad.record.id != good.record.id:  # the alias says nothing about tier sets
                self._to_write = _AliasRollback(bad.key, now.log, words)
        self._events.tell(kind, bad.key, f"{words}; {good.record.id} answers again")

    def _write_rollback(self) -> None:
        """Roll the alias back as this replica was; where somebody changed it since, it is left as it is."""
        wanted = self._to_write
        if wanted is None:
            return
        try:
            entry = self._registry.rollback(self.config.alias, reason=wanted.reason, seen=wanted.log)
        except LimitError as err:
            self._events.tell(EventKind.ALIAS_LEFT, wanted.model, str(err))
        else:
            words = f"{wanted.reason}; it names {entry.model} now"
            self._events.tell(EventKind.ALIAS_CHANGED, wanted.model, words)
        self._to_write = None
