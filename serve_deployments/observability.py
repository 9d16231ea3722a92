"""What a replica tells about itself: metrics through Ray's exporter and structured log lines.

Owns       Observability, the observer of one replica, and the thread that exports beside its answers.
Metrics    are counted in plain Python (``kalshi_platform/serving/server/metrics.py``) and handed to
           ``ray.serve.metrics`` once a second. Every Ray node exports them on its metrics port, with or
           without Ray's dashboard, as ``ray_<name>`` with the labels application, deployment and replica. Ray
           gathers from its processes every 10 s (RAY_metrics_report_interval_ms): a count is seen after that.
           Ray keeps buckets only: quantiles of a histogram are right, its ``_sum`` is a guess from them.
Logs       one record an event with its fields under ``kalshi``; with LOGGING as the deployment's
           ``logging_config`` Serve writes it as one JSON line into the replica's log.
Invariant  no token, no body and no value of a request is ever logged: kinds, names, times and ids only.
"""

import asyncio
import logging
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from pydantic import Field
from ray.serve.schema import LoggingConfig

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.inference.batch import NOTES_OF, TIER_NAMES, Decisions
from kalshi_platform.serving.inference.caches import CacheStats
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.server.metrics import (
    EVENT_SECONDS,
    FEATURE_AGE_SECONDS,
    FRAMES,
    METRICS,
    READY,
    RELOADS,
    RESUMES,
    SESSIONS,
    TIER3_PAUSED,
    Key,
    Metric,
    ServeMetrics,
    Snapshot,
)

#: Serve's own logger: what is said below it lands in the replica's log.
SERVE_LOGGER: Final = "ray.serve"
#: For ``logging_config`` of a deployment. Serve's access log says less of the same requests than ours.
LOGGING: Final = LoggingConfig(encoding="JSON", enable_access_log=False)

_LOG: Final = logging.getLogger(f"{SERVE_LOGGER}.kalshi")
_LONGEST: Final = 200
#: Calls into Ray between two chances for other threads: about 0.1 ms of the interpreter's lock.
_AT_ONCE: Final = 40


class ObservabilityArgs(Config):
    """How much a replica tells."""

    log_share: float = Field(1.0, ge=0, le=1, description="decided requests logged; refusals always are")
    export_s: float = Field(1.0, gt=0, le=60, description="time between two exports")


class ModelNames(Protocol):
    """A served model, as far as it is told of."""

    @property
    def model(self) -> str:
        """Its id."""
        ...

    @property
    def tier_set(self) -> str | None:
        """Digest of its tier set."""
        ...

    @property
    def policy(self) -> TieredPolicy:
        """What decides."""
        ...


class Refusal(Protocol):
    """Why a request was refused, as far as it is told of."""

    kind: str
    status: int
    field: str | None


class Observability:
    """Counts and logs what one replica does; ``start`` begins to export."""

    def __init__(self, args: ObservabilityArgs | None = None, metrics: ServeMetrics | None = None) -> None:
        self.args, self.metrics = args or ObservabilityArgs(), metrics or ServeMetrics()
        self._caches: dict[str, CacheStats] = {}
        self._current: Callable[[], ModelNames | None] = lambda: None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def decided(
        self,
        request_id: str,
        served: ModelNames,
        decisions: Decisions,
        timings_ms: Mapping[str, float],
        occupied: np.ndarray | None = None,
    ) -> None:
        """A request was answered; ``occupied`` (N, S) bool: slots with a market, None = every slot.

        On an event loop this is counted and logged when the loop comes to it: once the answer is on its way.
        """
        if occupied is None:
            occupied = np.ones(decisions.actions.shape, bool)
        told = request_id, served, decisions, timings_ms, occupied
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no loop, nobody who waits for the answer
            self._decided(*told)
        else:
            loop.call_soon(self._decided, *told)

    def _decided(
        self,
        request_id: str,
        served: ModelNames,
        decisions: Decisions,
        timings_ms: Mapping[str, float],
        occupied: np.ndarray,
    ) -> None:
        self.metrics.decided(decisions, occupied, timings_ms)
        if _chosen(request_id, self.args.log_share):
            self._say(logging.INFO, "decided", **_decision_fields(request_id, served, decisions, timings_ms))

    def refused(self, request_id: str, problem: Refusal) -> None:
        """A request was refused or failed."""
        self.metrics.refused(problem.kind, problem.status)
        level = logging.WARNING if problem.status >= 500 else logging.INFO
        field = None if problem.field is None else problem.field[:_LONGEST]
        self._say(
            level, "refused", request_id=request_id, kind=problem.kind, status=problem.status, field=field
        )

    def fell_back(self, request_id: str, model: str, tier: int, error: BaseException) -> None:
        """A tier did not answer and a lower one did; the notes of the decision count it."""
        self._say(
            logging.WARNING, "fallback", request_id=request_id, model=model, tier=TIER_NAMES[tier],
            error=type(error).__name__, reason=str(error)[:_LONGEST],
        )  # fmt: skip

    def reloaded(self, result: str, model: str, reason: str | None = None) -> None:
        """The served model changed or did not; ``result``: accepted, refused, rolled_back or failed."""
        self.metrics.add(RELOADS, result)
        level = logging.INFO if result == "accepted" else logging.WARNING
        self._say(level, "reload", result=result, model=model, reason=reason)

    def filled(self, age_ns: int) -> None:
        """Features were left out of a request; the oldest value that stood in was ``age_ns`` old."""
        self.metrics.observe(FEATURE_AGE_SECONDS, value=age_ns / NS_PER_SECOND)

    def frames(self, n: int) -> None:
        """A stream took in ``n`` frames."""
        self.metrics.add(FRAMES, n=n)

    def event(self, decisions: Decisions, occupied: np.ndarray, taken_ns: int, age_ns: int) -> None:
        """A stream's event was decided ``taken_ns`` after its frame; its oldest row was ``age_ns`` old."""
        self.metrics.count_groups(decisions, occupied)
        self.metrics.observe(EVENT_SECONDS, value=taken_ns / NS_PER_SECOND)
        self.metrics.observe(FEATURE_AGE_SECONDS, value=age_ns / NS_PER_SECOND)

    def sessions(self, n: int, *, resumed: bool = False) -> None:
        """So many streams are open now; the latest was taken up again, or not."""
        self.metrics.set(SESSIONS, value=float(n))
        self.metrics.add(RESUMES, n=int(resumed))

    def ready(self, is_ready: bool) -> None:
        """What the last probe of this replica found."""
        self.metrics.set(READY, value=float(is_ready))

    def tier3_paused(self, is_paused: bool) -> None:
        """Tier 3 is not asked any more for a while, or answered again."""
        self.metrics.set(TIER3_PAUSED, value=float(is_paused))
        self._say(logging.WARNING if is_paused else logging.INFO, "tier_3", paused=is_paused)

    def follow(self, current: Callable[[], ModelNames | None]) -> None:
        """Ask ``current`` before every export which model answers: its name and its caches are exported."""
        self._current = current

    def watch(self, name: str, stats: CacheStats) -> None:
        """Export what another cache counts from now on, under ``name``."""
        self._caches[name] = stats

    def start(self, kinds: ModuleType | None = None) -> None:
        """Export until ``close``; called once, in the replica. ``kinds`` stands in for ray.serve.metrics."""
        if kinds is None:
            from ray.serve import metrics as kinds  # noqa: PLC0415  (its labels are those of this replica)
        exporter = Exporter(kinds)
        self._thread = threading.Thread(target=self._run, args=(exporter,), name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Export what is left and stop; nothing where it never started."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def collect(self) -> Snapshot:
        """Everything counted so far, the model that answers and its caches included."""
        served, caches = self._current(), dict(self._caches)
        if served is not None:
            self.metrics.serves(served.model, served.tier_set)
            caches |= _policy_caches(served.policy)
        for name, stats in caches.items():
            self.metrics.cache(name, stats)
        return self.metrics.snapshot()

    def _run(self, exporter: "Exporter") -> None:
        is_last = False
        while not is_last:
            is_last = self._stopped.wait(self.args.export_s)
            try:
                exporter.export(self.collect())
                flush_logs()
            except Exception:  # telling must not end because it failed once
                _LOG.exception(
                    "metrics could not be exported; the next attempt is in %g s", self.args.export_s
                )

    def _say(self, level: int, event: str, **fields: object) -> None:
        _LOG.log(level, event, extra={"kalshi": fields})


class Exporter:
    """Hands what was counted since the last time to metrics of Ray's kind."""

    def __init__(self, kinds: ModuleType | Any) -> None:
        """``kinds`` has Counter, Gauge and Histogram as ``ray.serve.metrics`` has them."""
        self._made = {metric.name: (metric, _make(kinds, metric)) for metric in METRICS}
        self._counted: dict[Key, float] = {}
        self._buckets: dict[Key, tuple[int, ...]] = {}
        self._calls = 0

    def export(self, now: Snapshot) -> None:
        """Export what is new in ``now``."""
        for key, value in now.counters.items():
            more, self._counted[key] = value - self._counted.get(key, 0), value
            if more > 0:
                _, counter, tags = self._of(key)
                counter.inc(more, tags)
        for key, value in now.gauges.items():
            _, gauge, tags = self._of(key)
            gauge.set(value, tags)
        for key, buckets in now.histograms.items():
            metric, histogram, tags = self._of(key)
            before = self._buckets.get(key, (0,) * len(buckets.counts))
            self._buckets[key] = buckets.counts
            for place, (n, earlier) in enumerate(zip(buckets.counts, before, strict=True)):
                for _ in range(n - earlier):
                    histogram.observe(_middle(metric.bounds, place), tags)
                    self._let_others_run()

    def _of(self, key: Key) -> tuple[Metric, Any, dict[str, str]]:
        metric, made = self._made[key[0]]
        self._let_others_run()
        return metric, made, dict(zip(metric.labels, key[1], strict=True))

    def _let_others_run(self) -> None:
        self._calls += 1
        if self._calls % _AT_ONCE == 0:
            time.sleep(0)  # the event loop answers requests meanwhile


def _make(kinds: Any, metric: Metric) -> Any:
    if metric.kind == "histogram":
        return kinds.Histogram(
            metric.name, description=metric.text, boundaries=list(metric.bounds), tag_keys=metric.labels
        )
    kind = kinds.Counter if metric.kind == "counter" else kinds.Gauge
    return kind(metric.name, description=metric.text, tag_keys=metric.labels)


def _middle(bounds: tuple[float, ...], place: int) -> float:
    """A value in the middle of bucket ``place``; the one beyond every bound has none, twice the last does."""
    if place == len(bounds):
        return 2 * bounds[-1]
    return (bounds[place] + (bounds[place - 1] if place else 0.0)) / 2


def _policy_caches(policy: TieredPolicy) -> dict[str, CacheStats]:
    codes = {f"codes_tier_{number}": cache.stats for number, cache in policy.codes.items()}
    return {"inference": policy.answers.stats, **codes}


def _chosen(request_id: str, share: float) -> bool:
    """Whether a request is logged: the same ones in every replica and on every retry."""
    return share >= 1 or zlib.crc32(request_id.encode()) < share * 2**32


def _decision_fields(
    request_id: str, served: ModelNames, decisions: Decisions, timings_ms: Mapping[str, float]
) -> dict[str, object]:
    tiers = Counter(TIER_NAMES[tier] for tier in decisions.tier.tolist())
    bits = int(np.bitwise_or.reduce(decisions.notes)) if len(decisions.notes) else 0
    return {
        "request_id": request_id,
        "model": served.model,
        "tier_set": served.tier_set,
        "groups": len(decisions.tier),
        "tiers": dict(tiers),
        "notes": NOTES_OF[bits],
        "timings_ms": {stage: round(taken, 3) for stage, taken in timings_ms.items()},
    }


def flush_logs() -> None:
    """Write out what Serve buffers: with RAY_SERVE_THROUGHPUT_OPTIMIZED it keeps a thousand records."""
    for handler in logging.getLogger(SERVE_LOGGER).handlers:
        handler.flush()
