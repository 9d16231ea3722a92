"""Counts and logs of one replica about itself.

Metrics    counted in plain Python; ``serve_deployments/observability.py`` exports them beside the answers.
Cost       a count is a dictionary entry or a bisection (under 1 us); nothing waits and nothing is exported on
           the way of an answer.
Logs       one record for each thing that happened, its fields under ``kalshi``.
Invariant  no token, no body and no value of a request is ever logged: kinds, names, times and ids only.
Threads    any; one lock around the counters.
"""

import logging
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.api.requests import ModelEvent
from kalshi_platform.serving.guard.guard_events import EventKind
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import NOTE_NAMES, NOTES_OF, TIER_NAMES, Decisions
from kalshi_platform.serving.inference.caches import CacheStats
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.server.metrics import (
    ACTION_LABELS,
    ACTIONS_TAKEN,
    CACHE_LOOKS,
    DECISIONS,
    EVENT_SECONDS,
    FEATURE_AGE_SECONDS,
    FRAME_WAITS,
    FRAMES,
    GROUPS,
    MODEL,
    NOTES,
    READY,
    REFUSALS,
    RELOADS,
    REQUEST_SECONDS,
    REQUESTS,
    RESUMES,
    SESSIONS,
    SHADOW,
    STAGE_SECONDS,
    TIER_3_PAUSED,
    WAIT_SECONDS,
    Metric,
)
from kalshi_platform.serving.server.problems import Problem

_LONGEST: Final = 200
#: Result in RELOADS of what happens to a model; the other kinds change nothing that is served or compared.
_RESULTS: Final[Mapping[str, str]] = {
    EventKind.SWAPPED: "accepted",
    EventKind.REFUSED: "refused",
    EventKind.TAKEN_BACK: "rolled_back",
    EventKind.ROLLED_BACK: "rolled_back",
    EventKind.UNREACHABLE: "failed",
    EventKind.NOT_WRITTEN: "failed",
    EventKind.SHADOW_REFUSED: "shadow_refused",
    EventKind.SHADOW_ENDED: "shadow_ended",
}

#: A metric's name and the values of its labels, in their order.
Key = tuple[str, tuple[str, ...]]

_TIER_KEYS: Final[dict[int, Key]] = {tier: (DECISIONS.name, (name,)) for tier, name in TIER_NAMES.items()}
_NOTE_KEYS: Final[dict[int, Key]] = {note: (NOTES.name, (name,)) for note, name in NOTE_NAMES.items()}
_ACTION_KEYS: Final[dict[tuple[int, int], Key]] = {
    (tier, action): (ACTIONS_TAKEN.name, (name, took))
    for tier, name in TIER_NAMES.items()
    for action, took in ACTION_LABELS.items()
}


class Buckets(NamedTuple):
    """A histogram: how often each bucket was hit (the last is beyond every bound), and the exact sum."""

    counts: tuple[int, ...]
    total: float


class Snapshot(NamedTuple):
    """Everything counted so far."""

    counters: Mapping[Key, float]
    gauges: Mapping[Key, float]
    histograms: Mapping[Key, Buckets]


class ServeMetrics:
    """Counters, gauges and histograms of one replica."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counters: dict[Key, float] = {}
        self._gauges: dict[Key, float] = {}
        self._histograms: dict[Key, list[float]] = {}  # counts of the buckets, then the sum
        self._caches: dict[str, tuple[CacheStats, tuple[int, int, int]]] = {}
        self._model: tuple[str, str] | None = None

    def add(self, metric: Metric, *labels: str, n: float = 1) -> None:
        """Count ``n`` more; nothing where ``n`` is 0."""
        if n:
            key = _key(metric, labels)
            with self._lock:
                self._counters[key] = self._counters.get(key, 0) + n

    def set(self, metric: Metric, *labels: str, value: float) -> None:
        """Set a gauge to ``value``."""
        with self._lock:
            self._gauges[_key(metric, labels)] = value

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """Count ``value`` in its bucket: the first whose bound is not below it."""
        key, place = _key(metric, labels), bisect_left(metric.bounds, value)
        with self._lock:
            counts = self._histograms.get(key)
            if counts is None:
                counts = self._histograms[key] = [0.0] * (len(metric.bounds) + 2)
            counts[place] += 1
            counts[-1] += value

    def decided(self, decisions: Decisions, occupied: np.ndarray, timings_ms: Mapping[str, float]) -> None:
        """Count a request that was answered.

        ``occupied`` (N, S) bool: slots that hold a market. ``timings_ms`` by stage, and ``total``.
        """
        self.add(REQUESTS, "decided")
        self.observe(GROUPS, value=float(len(decisions.tier)))
        self.count_groups(decisions, occupied)
        for stage, taken_ms in timings_ms.items():
            if stage == "total":
                self.observe(REQUEST_SECONDS, value=taken_ms / 1e3)
            else:
                self.observe(STAGE_SECONDS, stage, value=taken_ms / 1e3)

    def count_groups(self, decisions: Decisions, occupied: np.ndarray) -> None:
        """Count tiers, actions and notes of the groups of a request or of a stream's decision.

        ``occupied`` (N, S) bool: slots that hold a market.
        """
        found: list[Key] = []
        columns = (decisions.tier, decisions.notes, decisions.actions, occupied)
        # Lists: for the one or few groups of a request they cost a third of what numpy's calls do.
        for tier, notes, actions, there in zip(*(column.tolist() for column in columns), strict=True):
            found.append(_TIER_KEYS[tier])
            found += [_ACTION_KEYS[tier, a] for a, is_there in zip(actions, there, strict=True) if is_there]
            if notes:
                found += [key for bit, key in _NOTE_KEYS.items() if notes & bit]
        with self._lock:
            for key in found:
                self._counters[key] = self._counters.get(key, 0) + 1

    def refused(self, kind: str, status: int) -> None:
        """Count a refusal by its kind; from 500 on the service failed, below it the client was wrong."""
        self.add(REQUESTS, "failed" if status >= 500 else "refused")
        self.add(REFUSALS, kind)

    def cache(self, name: str, stats: CacheStats) -> None:
        """Count the looks into ``stats`` since the last call; a new cache under the name starts at 0."""
        now = (stats.hits, stats.misses, stats.expired)
        with self._lock:
            known, before = self._caches.get(name, (stats, (0, 0, 0)))
            self._caches[name] = (stats, now)
        if known is not stats:
            before = (0, 0, 0)
        for result, n, earlier in zip(("hit", "miss", "expired"), now, before, strict=True):
            self.add(CACHE_LOOKS, name, result, n=n - earlier)

    def shadow(self, champion: np.ndarray, challenger: np.ndarray, occupied: np.ndarray) -> None:
        """Count where two policies' actions (N, S) agree on the slots ``occupied`` (N, S) bool."""
        same = int(np.count_nonzero((champion == challenger) & occupied))
        self.add(SHADOW, "agree", n=same)
        self.add(SHADOW, "disagree", n=int(np.count_nonzero(occupied)) - same)

    def serves(self, key: ModelKey) -> None:
        """Set the gauge of the model that answers from now on; that of the one before goes to 0."""
        now = (key.model, key.tier_set or "")
        with self._lock:
            before, self._model = self._model, now
        if before is not None and before != now:
            self.set(MODEL, *before, value=0)
        self.set(MODEL, *now, value=1)

    def snapshot(self) -> Snapshot:
        """Everything counted so far."""
        with self._lock:
            histograms = {
                key: Buckets(tuple(int(n) for n in counts[:-1]), counts[-1])
                for key, counts in self._histograms.items()
            }
            return Snapshot(dict(self._counters), dict(self._gauges), histograms)


class Observability:
    """Counts and logs the decisions, refusals and model changes of one replica."""

    def __init__(self, log_share: float = 1.0, log: logging.Logger | None = None) -> None:
        """``log_share``: share of the decided requests that are logged; ``log``: None is this module's."""
        self.metrics = ServeMetrics()
        for gauge in (SESSIONS, TIER_3_PAUSED):  # alerts and boards ask for them before the first event
            self.metrics.set(gauge, value=0.0)
        self._log_share, self._log = log_share, log or logging.getLogger(__name__)

    def decided(
        self,
        request_id: str,
        served: ServedModel,
        decisions: Decisions,
        timings_ms: Mapping[str, float],
        occupied: np.ndarray,
    ) -> None:
        """Count and log a request that was answered; ``occupied`` (N, S) bool: slots with a market."""
        self.metrics.decided(decisions, occupied, timings_ms)
        if _chosen(request_id, self._log_share):
            fields = _decision_fields(request_id, served.key, decisions, timings_ms)
            self._say(logging.INFO, "decided", **fields)

    def refused(self, request_id: str, problem: Problem) -> None:
        """Count and log a request that was refused or failed."""
        self.metrics.refused(problem.kind, problem.status)
        level = logging.WARNING if problem.status >= 500 else logging.INFO
        field = None if problem.field is None else problem.field[:_LONGEST]
        self._say(
            level, "refused", request_id=request_id, kind=problem.kind, status=problem.status, field=field
        )

    def fell_back(self, request_id: str, model: str, tier: int, error: BaseException) -> None:
        """Log that a tier did not answer and a lower one did; the notes of the decision count it."""
        self._say(
            logging.WARNING, "fallback", request_id=request_id, model=model, tier=TIER_NAMES[tier],
            error=type(error).__name__, reason=str(error)[:_LONGEST],
        )  # fmt: skip

    def happened(self, event: ModelEvent) -> None:
        """Count and log an event of the models that is about which of them answers, or decides no more."""
        result = _RESULTS.get(event.kind)
        if result is None:
            return
        self.metrics.add(RELOADS, result)
        level = logging.INFO if result == "accepted" else logging.WARNING
        self._say(level, "reload", result=result, model=event.model, reason=event.words)

    def filled(self, age_ns: int) -> None:
        """Count the age of the oldest value that stood in for one left out of a request."""
        self.metrics.observe(FEATURE_AGE_SECONDS, value=age_ns / NS_PER_SECOND)

    def waited(self, seconds: float) -> None:
        """Count how long one look at the event loop waited for it."""
        self.metrics.observe(WAIT_SECONDS, value=seconds)

    def frames(self, n: int, *, refused: str = "") -> None:
        """Count ``n`` texts that a stream took in; ``refused`` says what was refused of the latest."""
        self.metrics.add(FRAMES, n=n)
        if refused:
            self.metrics.add(REFUSALS, f"stream-{refused}")

    def frame_waited(self) -> None:
        """Count a frame that waited, because its client sends more than it may."""
        self.metrics.add(FRAME_WAITS)

    def ended(self, kind: str) -> None:
        """Count and log a stream that this server ended, by ``kind``."""
        self.metrics.add(REFUSALS, kind)
        self._say(logging.INFO, "ended", kind=kind)

    def event(self, decisions: Decisions, occupied: np.ndarray, taken_ns: int, age_ns: int) -> None:
        """Count a stream's decision, ``taken_ns`` after its frame, on a row that is ``age_ns`` old."""
        self.metrics.count_groups(decisions, occupied)
        self.metrics.observe(EVENT_SECONDS, value=taken_ns / NS_PER_SECOND)
        self.metrics.observe(FEATURE_AGE_SECONDS, value=age_ns / NS_PER_SECOND)

    def sessions(self, n: int, *, resumed: bool = False) -> None:
        """Set the number of streams open now; ``resumed``: the latest goes on with an old session."""
        self.metrics.set(SESSIONS, value=float(n))
        self.metrics.add(RESUMES, n=int(resumed))

    def ready(self, is_ready: bool) -> None:
        """Note the result of a probe of every tier: ``is_ready`` says if the replica can decide."""
        self.metrics.set(READY, value=float(is_ready))

    def tier_3_paused(self, is_paused: bool) -> None:
        """Note and log that tier 3 is not asked for a while, or that it answered again."""
        self.metrics.set(TIER_3_PAUSED, value=float(is_paused))
        self._say(logging.WARNING if is_paused else logging.INFO, "tier_3", paused=is_paused)

    def collect(self, served: ServedModel | None) -> Snapshot:
        """Everything counted so far, with the name and the caches of ``served``, which answers now."""
        if served is not None:
            self.metrics.serves(served.key)
            for name, stats in _policy_caches(served.policy).items():
                self.metrics.cache(name, stats)
        return self.metrics.snapshot()

    def _say(self, level: int, event: str, **fields: object) -> None:
        self._log.log(level, event, extra={"kalshi": fields})


def _key(metric: Metric, labels: tuple[str, ...]) -> Key:
    if len(labels) != len(metric.labels):
        raise ContractError(f"{metric.name} has the labels {metric.labels}; given {labels}")
    if metric.values and labels[-1] not in metric.values:
        raise ContractError(
            f"{metric.name}: {metric.labels[-1]} {labels[-1]!r}; expected one of {', '.join(metric.values)}"
        )
    return metric.name, labels


def _policy_caches(policy: TieredPolicy) -> dict[str, CacheStats]:
    codes = {f"codes_tier_{number}": cache.stats for number, cache in policy.codes.items()}
    return {"inference": policy.answers.stats, **codes}


def _chosen(request_id: str, share: float) -> bool:
    """True where a request is logged: the same requests in every replica and on every retry."""
    return share >= 1 or zlib.crc32(request_id.encode()) < share * 2**32


def _decision_fields(
    request_id: str, key: ModelKey, decisions: Decisions, timings_ms: Mapping[str, float]
) -> dict[str, object]:
    tiers = Counter(TIER_NAMES[tier] for tier in decisions.tier.tolist())
    bits = int(np.bitwise_or.reduce(decisions.notes)) if len(decisions.notes) else 0
    return {
        "request_id": request_id,
        "model": key.model,
        "tier_set": key.tier_set,
        "groups": len(decisions.tier),
        "tiers": dict(tiers),
        "notes": NOTES_OF[bits],
        "timings_ms": {stage: round(taken, 3) for stage, taken in timings_ms.items()},
    }
