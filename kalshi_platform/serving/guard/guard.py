"""Decides which model answers: finds it in the registry, checks it, swaps it in, watches it, takes it back.

Owns       the active and the previous model of one replica, the states they answered, the challenger beside
           them, and the record of everything that changed them.
Invariant  one assignment replaces the active model; a request keeps the model that it began with. A candidate
           that fails a check never becomes active, and no replica, not even one that starts, tries it again
           until the alias changes (alias_verdicts.py).
Watched    a model that was swapped in, against its bounds and the model before. Where it crosses them this
           replica goes back at once, and rolls back the registry's alias with it; of several replicas one
           writes, the others find it written. The guard never takes back a model to which the alias was
           rolled back: that is left to a person.
Threads    ``current``, ``answered`` and ``failed`` on the answering path (no input or output); ``start``,
           ``refresh``, ``poll``, ``prepare``, ``rollback`` and ``follow_shadow`` off it, because they load,
           measure and talk to the registry; everything else anywhere.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, LimitError, PlatformError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.models.registry.aliases import AliasLog
from kalshi_platform.models.registry.marks import marks_at, marks_of
from kalshi_platform.models.registry.store import CHAMPION, Registry
from kalshi_platform.models.registry.tiers import newest_tier_set
from kalshi_platform.serving.api.requests import ModelEvent, ShadowFound
from kalshi_platform.serving.guard.alias_rollback import AliasRollback, PlannedRollback
from kalshi_platform.serving.guard.alias_verdicts import AliasVerdicts, Deployed
from kalshi_platform.serving.guard.candidate import Candidate, CheckConfig, Rival, Wanted
from kalshi_platform.serving.guard.checker import Checker
from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.guard.recorded import RecordedStates
from kalshi_platform.serving.guard.served import ServedModel, Verdict
from kalshi_platform.serving.guard.shadow import Challenger, Compared, Load
from kalshi_platform.serving.guard.watch import Figures, WatchConfig, crossing
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.ready import ModelKey, key_of, ready_model
from kalshi_platform.serving.inference.tiered import TieredConfig

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


class ModelGuard:
    """Follows an alias: the one object of a replica that knows which model answers."""

    def __init__(
        self,
        registry: Registry,
        config: GuardConfig | None = None,
        *,
        deployed: Deployed | None = None,
        announce: Callable[[ModelKey], None] | None = None,
        listener: Callable[[ModelEvent], None] = lambda event: None,
        compared: Compared | None = None,
        load: Load = ready_model,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin without a model; :meth:`start` loads the first.

        ``deployed`` is what the alias named when the service was deployed. ``announce`` is called before a
        model is checked, so that the process that holds its tier 3 loads it too; ``listener`` with every
        event; ``compared`` with every comparison, by the challenger's own thread. ``load`` makes the tiers
        of a verified model ready; ``clock`` gives ns since the epoch.
        """
        self.config, self.states = config or GuardConfig(), RecordedStates()
        self._registry, self._clock = registry, clock
        checks = self.config.check, self.config.watch, self.config.caches
        self._checker = Checker(registry, load, announce, *checks)
        self._state: _State | None = None
        self._changing = threading.Lock()  # held for an assignment, never while anything is computed or read
        self._refreshing = threading.Lock()  # one thread at a time talks to the registry
        self._events = GuardEvents(self.config.max_events, clock, listener)
        self._verdicts = AliasVerdicts(registry, self.config.alias, self._events, deployed)
        self._rollback = AliasRollback(registry, self.config.alias, self._events)
        alias, of_it = self.config.shadow, (load, clock, compared, None, listener)
        self._challenger = None if alias is None else Challenger(registry, alias, *of_it)

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
        others = () if self._challenger is None else self._challenger.events
        return tuple(sorted((*self._events.all, *others), key=lambda event: event.at_ns))

    def shadow(self) -> ShadowFound | None:
        """Counts of the challenger that decides beside the active model; None where none does."""
        return None if self._challenger is None else self._challenger.report()

    # The answering path

    def answered(self, served: ServedModel, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        """Keep the states for later candidates, judge the time ``taken_ns``, offer both to the challenger."""
        self.states.add(served.number, batch, decisions)
        self._note(served, taken_ns, failed=False)
        if self._challenger is not None:
            self._challenger.offer(served.number, batch, decisions, time.monotonic_ns())

    def failed(self, served: ServedModel, taken_ns: int) -> None:
        """Count a request that the networks of ``served`` failed; too many bring back the model before it."""
        self._note(served, taken_ns, failed=True)

    # Off the answering path

    def start(self) -> ServedModel:
        """Serve the model that stood last under the alias, then bring in what the alias names, if it may.

        Returns the model that answers. LimitError says why the checks refused the only one there is; errors
        of the registry come through as they are.
        """
        log = self._verdicts.read_log()
        newest, reasons = self._verdicts.named(log, None), []
        for first in self._verdicts.beginnings(log, newest):
            served, verdict = self._checker.check(first.key, first.tier_set, None)
            if served is not None:
                break
            self._events.add(EventKind.REFUSED, first.key, verdict.words)
            if self._verdicts.stood(first.key, first.entry.number):  # another start may try it again
                self._verdicts.refuse(verdict, first.entry.number, durably=False)
            reasons.append(f"{first.key.model}, which cannot be served: {verdict.reason}")
        else:
            if bound := self._verdicts.refusal(newest.key, newest.entry.number):
                reasons.insert(0, f"{newest.key.model}, which stays refused: {bound.reason}")
            raise LimitError(f"{self.config.alias} is {'; before it stood '.join(reasons)}")
        # The promotion of an earlier model marks it as it was then; of the named one the latest counts.
        entry = newest.entry if first.key.model == newest.key.model else first.entry
        served = replace(served, since_ns=self._clock(), marks=marks_at(served.record, log, entry))
        with self._changing:
            self._state = _State(served, None, log, None)
        self._events.add(EventKind.LOADED, served.key, served.words)
        self._verdicts.serves(served.key, first.entry.number, served.verdict.words)
        self._verdicts.write()
        if first.key != newest.key:
            with suppress(PlatformError):  # an event says so, and the next refresh looks again
                self.refresh()
        return self.active

    def refresh(self) -> Verdict | None:
        """Bring this replica and the registry together: write what is due, look, prepare, swap.

        Returns the verdict on the model that the alias names, also where it was refused before; None where
        that model answers. Where the registry cannot be read or holds something damaged, the active model
        goes on answering, an event says why, and the error comes through.
        """
        with self._refreshing:
            try:
                while True:
                    self._verdicts.write()
                    self._rollback.write()
                    wanted = self.poll()
                    if wanted is None or isinstance(wanted, Verdict):
                        return wanted
                    candidate = self.prepare(wanted)
                    if candidate.served is None or self.swap(candidate):
                        self._verdicts.write()
                        return candidate.verdict
                    # The active model was taken back meanwhile: look again.
            except PlatformError as err:
                self._events.add(EventKind.UNREACHABLE, self.active.key, str(err))
                raise

    def poll(self) -> Wanted | Verdict | None:
        """Ask the registry what the alias names: a change, a refusal that stands, or None where it answers.

        ContractError where the alias names nothing, DataError where the log is damaged or has shrunk; errors
        of the registry come through as they are.
        """
        state = self._state
        wanted = self._verdicts.named(self._verdicts.read_log(), state and state.active.key)
        key, number = wanted.key, wanted.entry.number
        with self._changing:
            state = self._state
            if state is not None and state.active.record.id == key.model:
                marks = marks_of(state.active.record, wanted.log, self.config.alias)  # it may be judged anew
                self._state = state = state._replace(active=state.active.marked(marks), log=wanted.log)
        if state is None or state.active.key != key:
            return self._verdicts.refusal(key, number) or wanted
        self._verdicts.serves(key, number, "it answered already when the alias came to name it")
        if state.before is None or state.previous is None:
            return None
        refusal = self._verdicts.refusal(key, number)
        if refusal is not None:  # by another replica, while this one has the model on trial
            self._go_back(state, EventKind.TAKEN_BACK, refusal.reason, in_registry=False)
        return refusal

    def prepare(self, wanted: Wanted) -> Candidate:
        """Load, verify and check the wanted model; the active model goes on answering, untouched.

        A model that fails is refused with the reason, for all that share the registry. One to which
        the alias was rolled back need not agree with the active model, the bad one then; where it answered
        here before, it is taken as it is. StorageError where the registry did not answer.
        """
        active, kept = self.active, self.previous
        if wanted.is_return and kept is not None and kept.key == wanted.key:
            served: ServedModel | None = kept
            verdict = kept.verdict
        else:
            rival = Rival(active, self.states.decided_by(active.number), not wanted.is_return)
            served, verdict = self._checker.check(wanted.key, wanted.tier_set, rival)
        if served is None:
            self._verdicts.refuse(verdict, wanted.entry.number, durably=True)
            self._events.add(EventKind.REFUSED, wanted.key, verdict.words)
            self._verdicts.write()
            return Candidate(None, verdict, wanted, active.number)
        served = served.marked(marks_at(served.record, wanted.log, wanted.entry))
        return Candidate(served, verdict, wanted, active.number)

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
        self._verdicts.serves(served.key, candidate.wanted.entry.number, words)
        return True

    def rollback(self, reason: str) -> ServedModel:
        """Go back by hand, in this replica at once and then in the registry; returns the model in service.

        Without a previous model here, the one that the registry had before is checked first and the alias
        changed then. LimitError says that there is nothing to go back to, or why that model cannot be served
        here; no alias was changed in that case. Errors of the registry come through as they are.
        """
        words = f"by hand: {reason}"
        if self.previous is not None:
            self._go_back(self._now, EventKind.ROLLED_BACK, words)
            with self._refreshing:
                self._verdicts.write()
                try:
                    self._rollback.write()
                except PlatformError as err:  # tried again by the next refresh
                    self._events.add(EventKind.UNREACHABLE, self.active.key, str(err))
            return self.active
        with self._refreshing:
            is_in = self._return_by_registry(self._now, words)
        if not is_in:  # the active model changed meanwhile: what the alias names is checked beside that one
            self.refresh()
        return self.active

    def _return_by_registry(self, state: _State, words: str) -> bool:
        """Check what the alias named before, roll back to it, serve it; False where it is not served yet."""
        alias, active = self.config.alias, state.active
        named = self._verdicts.read_log().model(alias)  # a damaged log is not written to
        if named != active.record.id:
            raise LimitError(
                f"{alias} names {named}, which does not answer here (GET /v1/models/events says why), "
                f"{active.record.id} does: there is nothing to go back from; set the alias itself back with "
                f"kalshi-platform models rollback --alias {alias}"
            )
        target = self._registry.before(alias, state.log)
        tier_set = newest_tier_set(self._registry, target)
        key, candidate = key_of(target, tier_set), None
        if key != active.key:
            rival = Rival(active, self.states.decided_by(active.number), must_agree=False)
            candidate = self._checker.check(key, tier_set, rival)
            if candidate.served is None:
                why = candidate.verdict.reason
                self._events.add(EventKind.REFUSED, key, f"{words}: {why}")
                raise LimitError(
                    f"{target}, which {alias} named before, cannot be served here, and {alias} was not "
                    f"changed: {why}"
                )
        entry = self._registry.rollback(alias, reason=words, seen=state.log)
        self._events.add(EventKind.ALIAS_CHANGED, active.key, f"{words}; it names {entry.model} now")
        if candidate is None or candidate.served is None:
            return True
        log = AliasLog((*state.log.entries, entry))
        wanted = Wanted(key, tier_set, entry, log, is_return=True)
        served = candidate.served.marked(marks_at(candidate.served.record, log, entry))
        return self.swap(Candidate(served, candidate.verdict, wanted, active.number))

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

    def _go_back(self, state: _State, kind: EventKind, words: str, *, in_registry: bool = True) -> None:
        """Answer with the previous model again, unless somebody changed the active one in between."""
        now_ns = self._clock()
        with self._changing:
            now = self._now
            if now.active.number != state.active.number or now.previous is None:
                return
            bad, good = now.active, replace(now.previous, since_ns=now_ns)
            self._state = _State(good, None, now.log, None)
            entry = now.log.latest(self.config.alias)
            assert entry is not None  # the log names the active model
            if in_registry:
                verdict = Verdict(model=bad.key.model, tiers=bad.key.tier_set, reason=words, fault="model")
                self._verdicts.refuse(verdict, entry.number, durably=True)
            if in_registry and bad.record.id != good.record.id:  # the alias says nothing about tier sets
                self._rollback.plan(PlannedRollback(bad.key, now.log, words, good.record.id))
        self._events.add(kind, bad.key, f"{words}; {good.record.id} answers again")
