"""Decides which model answers: finds it in the registry, checks it, swaps it in, watches it, takes it back.

Owns       the active and the previous model of one replica, the states they answered, the challenger beside
           them, and the record of everything that changed them.
Invariant  one assignment replaces the active model; a request keeps the model that it began with. A candidate
           that fails a check never becomes active, and is not tried again until the alias changes.
Watched    a model that was swapped in, against its bounds and the model before. Where it crosses them this
           replica goes back at once, and rolls back the registry's alias with it; of several replicas one
           writes, the others find it written. The guard never takes back a model to which the alias was
           rolled back: that is left to a person.
Threads    ``current``, ``answered`` and ``failed`` on the answering path (no input or output); ``start``,
           ``refresh``, ``poll``, ``prepare``, ``rollback`` and ``follow_shadow`` off it, because they load,
           measure and talk to the registry; everything else anywhere.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError, PlatformError, StorageError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.models.registry.aliases import AliasEntry, AliasLog
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.marks import marks_of
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import newest_tier_set
from kalshi_platform.serving.api.requests import ModelEvent, ShadowFound
from kalshi_platform.serving.guard.candidate import Candidate, CheckConfig, Rival, Wanted, examine
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.guard.recorded import RecordedStates
from kalshi_platform.serving.guard.served import ServedModel, Verdict
from kalshi_platform.serving.guard.shadow import Challenger, Compared, Load
from kalshi_platform.serving.guard.watch import Figures, Watch, WatchConfig, crossing
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.ready import ModelKey, key_of, ready_model
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy

_LOG: Final = logging.getLogger(__name__)
#: Answers between two looks at the figures.
_LOOK_EVERY: Final = 32


class GuardConfig(Config):
    """Aliases that the guard follows, and the bounds within which it serves their models."""

    alias: str = CHAMPION
    shadow: str | None = Field(None, description="alias of the model that decides beside it; None: none does")
    check: CheckConfig = Field(default_factory=CheckConfig)
    watch: WatchConfig = Field(default_factory=WatchConfig)
    caches: TieredConfig = Field(default_factory=TieredConfig, description="caches of the model that answers")
    max_events: int = Field(200, ge=1, description="events kept")


class _State(NamedTuple):
    active: ServedModel
    previous: ServedModel | None
    log: AliasLog  # the latest in which the alias names the active model
    before: Figures | None  # of the previous model at the swap; None: the active one is not watched


class _AliasRollback(NamedTuple):
    """A rollback that this replica has yet to write into the registry."""

    model: ModelKey
    log: AliasLog
    reason: str


class ModelGuard:
    """Follows an alias: the one object of a replica that knows which model answers."""

    def __init__(
        self,
        registry: Registry,
        config: GuardConfig | None = None,
        *,
        announce: Callable[[ModelKey], None] | None = None,
        listener: Callable[[ModelEvent], None] = lambda event: None,
        compared: Compared | None = None,
        load: Load = ready_model,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin without a model; :meth:`start` loads the first.

        The guard calls ``announce`` before it checks a model, so that the process that holds its tier 3 loads
        it too. It calls ``listener`` with every event; the challenger's own thread calls ``compared`` with
        every comparison. ``load`` makes the tiers of a verified model ready; ``clock`` gives ns since the
        epoch.
        """
        self.config, self.states = config or GuardConfig(), RecordedStates()
        self._registry, self._load, self._announce, self._clock = registry, load, announce, clock
        self._numbers = count(1)
        self._state: _State | None = None
        self._changing = threading.Lock()  # held for an assignment, never while anything is computed or read
        self._refreshing = threading.Lock()  # one thread at a time talks to the registry
        self._refused: tuple[ModelKey, int] | None = None
        self._to_write: _AliasRollback | None = None
        self._events = GuardEvents(self.config.max_events, clock, listener)
        alias = self.config.shadow
        self._challenger = None if alias is None else Challenger(registry, alias, load, clock, compared)

    def current(self) -> ServedModel | None:
        """The model that answers, None before ``start``; a request asks once and keeps it."""
        state = self._state
        return None if state is None else state.active

    @property
    def active(self) -> ServedModel:
        """The model that answers; ContractError before ``start``."""
        return self._now.active

    @property
    def previous(self) -> ServedModel | None:
        """The model that a rollback goes back to; None before a swap and after a rollback."""
        return self._now.previous

    @property
    def events(self) -> tuple[ModelEvent, ...]:
        """Latest ``max_events`` events, and those of the challenger, oldest first."""
        if self._challenger is None:
            return self._events.all
        both = (*self._events.all, *self._challenger.events)
        return tuple(sorted(both, key=lambda event: event.at_ns))

    def shadow(self) -> ShadowFound | None:
        """Counts of the challenger that decides beside the active model; None where none does."""
        return None if self._challenger is None else self._challenger.report()

    # The answering path

    def answered(self, served: ServedModel, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        """Record that ``served`` answered ``batch`` within ``taken_ns``.

        The guard keeps the states for later candidates, judges the time, and offers both to the challenger.
        """
        self.states.add(served.number, batch, decisions)
        self._note(served, taken_ns, failed=False)
        if self._challenger is not None:
            self._challenger.offer(served.number, batch, decisions, time.monotonic_ns())

    def failed(self, served: ServedModel, taken_ns: int) -> None:
        """Count a request that the networks of ``served`` failed; too many bring back the model before it."""
        self._note(served, taken_ns, failed=True)

    # Off the answering path

    def start(self) -> ServedModel:
        """Load, check and serve the model that the alias names now.

        LimitError says why the checks refused it; errors of the registry come through as they are.
        """
        self._refused = None
        wanted = self.poll()
        assert wanted is not None  # nothing is active or refused
        candidate = self.prepare(wanted)
        if candidate.served is None:
            reason = candidate.verdict.reason
            raise LimitError(f"{self.config.alias} is {wanted.key.model}, which cannot be served: {reason}")
        served = replace(candidate.served, since_ns=self._clock())
        with self._changing:
            self._state = _State(served, None, wanted.log, None)
        self._events.add(EventKind.LOADED, served.key, served.words)
        return served

    def refresh(self) -> Verdict | None:
        """Bring this replica and the registry together: write a rollback, look, prepare, swap.

        Returns the verdict on the model it prepared. None where the registry asks for no change, or where it
        did not answer: the latter is an event and leaves the active model as it is.
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
                self._events.add(EventKind.UNREACHABLE, self.active.key, str(err))
                return None

    def poll(self) -> Wanted | None:
        """Ask the registry which model the alias names now; None if that model is active or was refused.

        ContractError where the alias names nothing; errors of the registry come through as they are.
        """
        log = self._registry.aliases()
        entry = self._latest(log)
        if entry is None:
            raise ContractError(
                f"{self._registry.uri} has no alias {self.config.alias!r}: promote a model first "
                "(kalshi-platform models promote)"
            )
        tier_set = newest_tier_set(self._registry, entry.model)
        key = key_of(entry.model, tier_set)
        with self._changing:
            state = self._state
            if state is not None and state.active.record.id == entry.model:
                marks = marks_of(state.active.record, log, self.config.alias)
                self._state = state._replace(active=state.active.marked(marks), log=log)
            if (state is not None and state.active.key == key) or self._refused == (key, entry.number):
                return None
        is_return = entry.kind == "rollback" and state is not None and state.active.record.id != entry.model
        return Wanted(key, tier_set, entry, log, is_return)

    def prepare(self, wanted: Wanted) -> Candidate:
        """Load, verify and check the wanted model; the active model goes on answering, untouched.

        A model that fails is refused with the reason, and the guard remembers it. Where the alias was rolled
        back to a model, it need not agree with the active model: the active one is the bad one then.
        StorageError where the registry did not answer: that says nothing about the candidate.
        """
        active = self._state.active if self._state else None
        against = active.number if active else None
        verdict = Verdict(model=wanted.key.model, tiers=wanted.key.tier_set)
        try:
            loaded = load_model(self._registry, wanted.key.model)
            if self._announce is not None:
                self._announce(wanted.key)
            ready = self._load(self._registry, loaded, wanted.tier_set)
            policy = TieredPolicy(loaded.record.spec, ready.tiers, self.config.caches)
            rival = None
            if active is not None:
                rival = Rival(active, self.states.decided_by(active.number), not wanted.is_return)
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
            number=next(self._numbers), ready=ready, policy=policy, verdict=verdict,
            probe_actions=probe_actions, watch=Watch(self.config.watch), since_ns=0,
            marks=marks_of(loaded.record, wanted.log, self.config.alias),
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
            # After a return nobody goes back to the model that the alias was rolled back from.
            previous = None if candidate.wanted.is_return else state.active
            self._state = _State(served, previous, candidate.wanted.log, before)
        words = f"instead of {state.active.record.id}: {served.words}"
        self._events.add(EventKind.SWAPPED, served.key, words)
        return True

    def rollback(self, reason: str) -> ServedModel:
        """Go back by hand, in this replica at once and then in the registry; returns the model in service.

        Without a previous model here the registry goes back first, and this replica loads the model it names
        then. In that case LimitError says that there is nothing to go back to, or why the checks refused that
        model.
        """
        words = f"by hand: {reason}"
        if self.previous is not None:
            self._go_back(self._now, EventKind.ROLLED_BACK, words)
            with self._refreshing:
                try:
                    self._write_rollback()
                except PlatformError as err:  # tried again by the next refresh
                    self._events.add(EventKind.UNREACHABLE, self.active.key, str(err))
            return self.active
        state = self._now
        entry = self._registry.rollback(self.config.alias, reason=words, seen=state.log)
        self._events.add(EventKind.ALIAS_CHANGED, state.active.key, f"{words}; it names {entry.model} now")
        verdict = self.refresh()
        if self.active.record.id != entry.model:
            why = verdict.reason if verdict else "see the events"
            raise LimitError(
                f"{self.config.alias} is {entry.model} again, but it cannot be served here: {why}"
            )
        return self.active

    def follow_shadow(self) -> None:
        """Bring the challenger and the registry together; ``start`` comes first."""
        if self._challenger is not None:
            self._challenger.follow(self.active)

    def close(self) -> None:
        """End the comparison with the challenger."""
        if self._challenger is not None:
            self._challenger.close()

    @property
    def _now(self) -> _State:
        if self._state is None:
            raise ContractError("no model is served yet: call start() first")
        return self._state

    def _latest(self, log: AliasLog) -> AliasEntry | None:
        return next((e for e in reversed(log.entries) if e.alias == self.config.alias), None)

    def _refuse(self, wanted: Wanted, verdict: Verdict, against: int | None) -> Candidate:
        with self._changing:
            self._refused = (wanted.key, wanted.entry.number)
        self._events.add(EventKind.REFUSED, wanted.key, verdict.words)
        return Candidate(None, verdict, wanted, against)

    def _note(self, served: ServedModel, taken_ns: int, *, failed: bool) -> None:
        """Count one request that ``served`` answered or should have answered; it may take the model back.

        A request in which a tier failed counts as failed, also where the tier below it answered.
        """
        state = self._now
        if state.active.number != served.number:
            return  # it was replaced meanwhile, and is not judged any more
        now_ns, failures = self._clock(), served.policy.failures.total()
        failed = failed or failures > served.watch.tier_failures
        served.watch.tier_failures = failures
        served.watch.add(now_ns, taken_ns, failed)
        if state.before is not None and (failed or served.watch.total % _LOOK_EVERY == 0):
            self._judge(state, state.before, now_ns)

    def _judge(self, state: _State, before: Figures, now_ns: int) -> None:
        """Take the active model back where it crosses a bound, or end its watch where the time is over."""
        served, config = state.active, self.config.watch
        if now_ns - served.since_ns > round(config.watch_s * NS_PER_SECOND):
            if self._end_watch(state):
                self._events.add(
                    EventKind.STANDS, served.key, f"{served.watch.figures(now_ns)} after its watch"
                )
            return
        words = crossing(served.watch.figures(now_ns), before, config)
        if not words:
            return
        if state.previous is None:
            if self._end_watch(state):
                why = f"{words}; but {self.config.alias} was rolled back to it: look at it yourself"
                self._events.add(EventKind.NOT_TAKEN_BACK, served.key, why)
            return
        self._go_back(state, EventKind.TAKEN_BACK, f"automatic: {words}")

    def _end_watch(self, state: _State) -> bool:
        """End the watch; True where this call ended it, which of two threads one does."""
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
            entry = self._latest(now.log)
            assert entry is not None  # the log names the active model
            self._refused = (bad.key, entry.number)
            if bad.record.id != good.record.id:  # the alias says nothing about tier sets
                self._to_write = _AliasRollback(bad.key, now.log, words)
        self._events.add(kind, bad.key, f"{words}; {good.record.id} answers again")

    def _write_rollback(self) -> None:
        """Roll the alias back as this replica was; where somebody changed the alias since, leave it."""
        wanted = self._to_write
        if wanted is None:
            return
        try:
            entry = self._registry.rollback(self.config.alias, reason=wanted.reason, seen=wanted.log)
        except LimitError as err:
            self._events.add(EventKind.ALIAS_LEFT, wanted.model, str(err))
        else:
            words = f"{wanted.reason}; it names {entry.model} now"
            self._events.add(EventKind.ALIAS_CHANGED, wanted.model, words)
        self._to_write = None
