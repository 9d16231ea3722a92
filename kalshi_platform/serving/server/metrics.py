"""What a replica counts: the table of its metrics, and plain counters that know no framework.

Owns       METRICS, the one table that the exporter, the dashboard, the alerts and the docs are checked by.
Units      in the name: ``_seconds``, ``_total`` (a count that only grows).
Invariant  names are ``kalshi_serve_*``; labels have few values and are never a market, a client or a token.
Cost       a call is a dictionary entry or a bisection (under 1 us); nothing waits and nothing is exported on
           the way of an answer (``serve_deployments/observability.py`` exports beside it).
Threads    any; one lock.
"""

from bisect import bisect_left
from collections.abc import Mapping
from threading import Lock
from typing import Final, Literal, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.batch import NOTE_NAMES, TIER_NAMES, Decisions
from kalshi_platform.serving.inference.caches import CacheStats

#: Bounds of latencies, s: 50 us to 5 s. 0.075 is the alert's, 0.050 the promise's.
LATENCY_S: Final = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 1.0, 5.0,
)  # fmt: skip
#: Bounds of ages, s: 10 ms to an hour. 900 is the alert's.
AGE_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0)
#: Groups a request.
SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


_ACTION_LABELS: Final = {number: name.lower() for number, name in enumerate(ACTION_NAMES)}


class Metric(NamedTuple):
    """One line of the table."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str  # what it says, for the docs and the exporter
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()  # upper bounds of a histogram's buckets, ascending
    values: tuple[str, ...] = ()  # all that the last label can be; empty = anything


REQUESTS: Final = Metric(
    "kalshi_serve_requests_total", "counter",
    "Requests by how they ended: decided, refused (4xx) or failed (5xx).", ("outcome",), (),
    ("decided", "refused", "failed"),
)  # fmt: skip
REFUSALS: Final = Metric(
    "kalshi_serve_refusals_total", "counter",
    "Refused requests and frames, by the kind their problem details name.", ("kind",),
)  # fmt: skip
DECISIONS: Final = Metric(
    "kalshi_serve_decisions_total", "counter",
    "Groups decided, by the tier that decided; its share of all is the tier's exit share.", ("tier",), (),
    tuple(TIER_NAMES.values()),
)  # fmt: skip
ACTIONS_TAKEN: Final = Metric(
    "kalshi_serve_actions_total", "counter", "Slots with a market, by tier and action.",
    ("tier", "action"), (), tuple(_ACTION_LABELS.values()),
)  # fmt: skip
NOTES: Final = Metric(
    "kalshi_serve_notes_total", "counter",
    "Groups answered from the cache (cached), by a lower tier for lack of time (deadline), or because a "
    "tier failed (fallback).", ("note",), (), tuple(NOTE_NAMES.values()),
)  # fmt: skip
CACHE_LOOKS: Final = Metric(
    "kalshi_serve_cache_looks_total", "counter",
    "Looks into a cache: hit, miss (never there, or evicted), expired (there, and too old).",
    ("cache", "result"), (), ("hit", "miss", "expired"),
)  # fmt: skip
REQUEST_SECONDS: Final = Metric(
    "kalshi_serve_request_seconds", "histogram",
    "From a request's arrival in the replica to its answer.", (), LATENCY_S,
)  # fmt: skip
STAGE_SECONDS: Final = Metric(
    "kalshi_serve_stage_seconds", "histogram",
    "Time in one stage: parse, read, cache, rules, tier_1, tier_2, tier_3 (its hop included), decide.",
    ("stage",), LATENCY_S,
)  # fmt: skip
GROUPS: Final = Metric("kalshi_serve_request_groups", "histogram", "Groups a request asks about.", (), SIZES)
EVENT_SECONDS: Final = Metric(
    "kalshi_serve_event_to_decision_seconds", "histogram",
    "Streams: from a frame's arrival in the replica to its decision.", (), LATENCY_S,
)  # fmt: skip
FEATURE_AGE_SECONDS: Final = Metric(
    "kalshi_serve_feature_age_seconds", "histogram",
    "How old the oldest row was that a stream's decision was made on, or the oldest value that stood in for "
    "one left out of a request.", (), AGE_S,
)  # fmt: skip
SESSIONS: Final = Metric("kalshi_serve_stream_sessions", "gauge", "Streams that are open now.")
FRAMES: Final = Metric(
    "kalshi_serve_stream_frames_total", "counter", "Frames taken in by streams, malformed ones left out."
)
RESUMES: Final = Metric(
    "kalshi_serve_stream_resumes_total",
    "counter",
    "Streams taken up again from their last acknowledged frame.",
)
SHADOW: Final = Metric(
    "kalshi_serve_shadow_slots_total", "counter",
    "Slots that the challenger decided beside the champion: same action (agree) or another (disagree).",
    ("result",), (), ("agree", "disagree"),
)  # fmt: skip
RELOADS: Final = Metric(
    "kalshi_serve_reloads_total", "counter",
    "Changes of the served model: accepted, refused (a candidate failed its checks), rolled_back (by hand or "
    "by itself), failed (the registry could not be read).", ("result",), (),
    ("accepted", "refused", "rolled_back", "failed"),
)  # fmt: skip
MODEL: Final = Metric(
    "kalshi_serve_model_info", "gauge", "1 for the model that answers now, 0 for those before it.",
    ("model", "tier_set"),
)  # fmt: skip
READY: Final = Metric(
    "kalshi_serve_ready", "gauge",
    "1 where the replica could decide at its last probe, every tier in it answering, else 0.",
)  # fmt: skip
TIER3_PAUSED: Final = Metric(
    "kalshi_serve_tier3_paused", "gauge",
    "1 while tier 3 is asked only now and then, because its last answers failed or came too late, else 0.",
)  # fmt: skip

METRICS: Final = (
    REQUESTS, REFUSALS, DECISIONS, ACTIONS_TAKEN, NOTES, CACHE_LOOKS, REQUEST_SECONDS, STAGE_SECONDS, GROUPS,
    EVENT_SECONDS, FEATURE_AGE_SECONDS, SESSIONS, FRAMES, RESUMES, SHADOW, RELOADS, MODEL, READY,
    TIER3_PAUSED,
)  # fmt: skip

#: A metric's name and the values of its labels, in their order.
Key = tuple[str, tuple[str, ...]]

_TIER_KEYS: Final[dict[int, Key]] = {tier: (DECISIONS.name, (name,)) for tier, name in TIER_NAMES.items()}
_NOTE_KEYS: Final[dict[int, Key]] = {note: (NOTES.name, (name,)) for note, name in NOTE_NAMES.items()}
_ACTION_KEYS: Final[dict[tuple[int, int], Key]] = {
    (tier, action): (ACTIONS_TAKEN.name, (name, took))
    for tier, name in TIER_NAMES.items()
    for action, took in _ACTION_LABELS.items()
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
    """Counters of one replica."""

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
        """Say what a gauge stands at."""
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
        """Count who decided, what, and with which notes; of a request or of an event in a stream."""
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
        """Take over what a cache counted since it was seen last; a new cache under the name starts at 0."""
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

    def serves(self, model: str, tier_set: str | None) -> None:
        """Say which model answers from now on."""
        now = (model, tier_set or "")
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


def _key(metric: Metric, labels: tuple[str, ...]) -> Key:
    if len(labels) != len(metric.labels):
        raise ContractError(f"{metric.name} has the labels {metric.labels}; given {labels}")
    if metric.values and labels[-1] not in metric.values:
        raise ContractError(
            f"{metric.name}: {metric.labels[-1]} {labels[-1]!r}; expected one of {', '.join(metric.values)}"
        )
    return metric.name, labels
