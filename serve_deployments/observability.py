"""Hand a replica's metrics to Ray, and its log lines to Serve.

Metrics    ``kalshi_platform/serving/server/observability.py`` counts them; once a second a thread hands them
           to ``ray.serve.metrics``. Every Ray node exports them on its metrics port, with or without Ray's
           dashboard, as ``ray_<name>`` with the labels application, deployment and replica. Ray gathers from
           its processes every 10 s (RAY_metrics_report_interval_ms): a count shows up after that. Counters
           are shown at 0 from the start (metrics.py, ``keys_at_zero``). Ray keeps
           buckets only: quantiles of a histogram are right, its ``_sum`` is a guess from them.
Logs       with LOGGING as the deployment's ``logging_config`` Serve writes each record as one JSON line into
           the replica's log.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from ray.serve.schema import LoggingConfig

from kalshi_platform.serving.server.metrics import METRICS, Metric, keys_at_zero
from kalshi_platform.serving.server.observability import Key, Snapshot

#: Serve's own logger; Serve writes the records of the loggers below it into the replica's log.
SERVE_LOGGER: Final = "ray.serve"
#: ``logging_config`` of a deployment; no access log, because our records say more of the same requests.
LOGGING: Final = LoggingConfig(encoding="JSON", enable_access_log=False)

LOG: Final = logging.getLogger(f"{SERVE_LOGGER}.kalshi")
#: Calls into Ray between two chances for other threads: about 0.1 ms of the interpreter's lock.
_AT_ONCE: Final = 40


def start_exporting(collect: Callable[[], Snapshot], every_s: float) -> None:
    """Start the thread that exports ``collect()`` every ``every_s`` seconds as long as the process lives.

    The replica calls this once.
    """
    from ray.serve import metrics  # noqa: PLC0415  (its labels are those of this replica)

    told = (collect, Exporter(metrics), every_s, threading.Event())
    threading.Thread(target=export_until, args=told, name="metrics", daemon=True).start()


def export_until(
    collect: Callable[[], Snapshot], exporter: "Exporter", every_s: float, stopped: threading.Event
) -> None:
    """Export every ``every_s`` seconds until ``stopped`` is set, and once more after that."""
    is_last = False
    while not is_last:
        is_last = stopped.wait(every_s)
        try:
            exporter.export(collect())
            flush_logs()
        except Exception:  # exporting must not end because one export failed
            LOG.exception("metrics could not be exported; the next attempt is in %g s", every_s)


class Exporter:
    """Passes the counts made since the last export on to Ray's metrics."""

    def __init__(self, kinds: ModuleType | Any) -> None:
        """``kinds`` has Counter, Gauge and Histogram as ``ray.serve.metrics`` has them."""
        self._made = {metric.name: (metric, _make(kinds, metric)) for metric in METRICS}
        self._counted: dict[Key, float] = {}
        self._buckets: dict[Key, tuple[int, ...]] = {}
        self._calls = 0
        for metric, labels in keys_at_zero():
            _show_zero(self._made[metric.name][1], dict(zip(metric.labels, labels, strict=True)))

    def export(self, now: Snapshot) -> None:
        """Pass on the counts that ``now`` has beyond the last snapshot, and the gauges as they stand."""
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


def _show_zero(counter: Any, tags: dict[str, str]) -> None:
    """Make a counter's series begin at 0; ``inc`` refuses to, so this takes the way below it (Ray 2.60.0)."""
    counter._record(0.0, tags)


def _middle(bounds: tuple[float, ...], place: int) -> float:
    """Value in the middle of bucket ``place``; twice the last bound for the bucket beyond it."""
    if place == len(bounds):
        return 2 * bounds[-1]
    return (bounds[place] + (bounds[place - 1] if place else 0.0)) / 2


def flush_logs() -> None:
    """Write out the log records that Serve buffers: a thousand with RAY_SERVE_THROUGHPUT_OPTIMIZED."""
    for handler in logging.getLogger(SERVE_LOGGER).handlers:
        handler.flush()
