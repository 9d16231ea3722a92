"""Metrics handed to Ray, log lines handed to Serve."""

import json
import logging
import threading
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from ray._common.formatters import JSONFormatter

from kalshi_platform.serving.server.metrics import (
    DECISIONS,
    FRAMES,
    METRICS,
    NOTES,
    READY,
    RELOADS,
    REQUEST_SECONDS,
    REQUESTS,
    SESSIONS,
)
from kalshi_platform.serving.server.observability import Observability, ServeMetrics
from serve_deployments.observability import LOG, Exporter, export_until


class FakeKinds:
    """Stands in for ray.serve.metrics: what each metric was told."""

    def __init__(self):
        self.made = {}

    def _make(self, name, description, tag_keys=(), boundaries=None):
        told = []
        self.made[name] = told

        def tell(value, tags):
            assert set(tags) == set(tag_keys)
            told.append((value, tuple(tags.values())))

        return SimpleNamespace(inc=tell, set=tell, observe=tell, _record=tell)

    Counter = Gauge = Histogram = _make


@given(st.lists(st.lists(st.floats(0, 10), max_size=20), min_size=1, max_size=5))
def test_what_is_exported_in_pieces_is_what_was_counted(rounds):
    metrics, kinds = ServeMetrics(), FakeKinds()
    exporter = Exporter(kinds)
    for values in rounds:
        for value in values:
            metrics.observe(REQUEST_SECONDS, value=value)
            metrics.add(DECISIONS, "tier_1", n=2)
        exporter.export(metrics.snapshot())
    told = kinds.made[REQUEST_SECONDS.name]
    n = sum(map(len, rounds))
    assert len(told) == n
    assert sum(value for value, _ in kinds.made[DECISIONS.name]) == 2 * n
    # Told again, every value falls into the bucket it was counted in.
    again = ServeMetrics()
    for value, _ in told:
        again.observe(REQUEST_SECONDS, value=value)
    mine, theirs = (m.snapshot().histograms.get((REQUEST_SECONDS.name, ())) for m in (metrics, again))
    assert (mine and mine.counts) == (theirs and theirs.counts)


def test_the_exporter_makes_every_metric_of_the_table_and_gauges_are_told_each_time():
    kinds, metrics = FakeKinds(), ServeMetrics()
    exporter = Exporter(kinds)
    assert set(kinds.made) == {metric.name for metric in METRICS}
    metrics.set(READY, value=1)
    for _ in range(2):
        exporter.export(metrics.snapshot())
    assert kinds.made[READY.name] == [(1, ()), (1, ())]


def test_counters_whose_labels_are_known_begin_at_zero():
    kinds = FakeKinds()
    Exporter(kinds)
    assert set(kinds.made[REQUESTS.name]) == {(0.0, ("decided",)), (0.0, ("refused",)), (0.0, ("failed",))}
    assert {tags for value, tags in kinds.made[NOTES.name] if value == 0} >= {("fallback",), ("deadline",)}
    assert (0.0, ("rolled_back",)) in kinds.made[RELOADS.name]
    assert kinds.made[FRAMES.name] == [(0.0, ())]


def test_the_last_counts_are_exported_when_exporting_stops():
    kinds, seen, stopped = FakeKinds(), Observability(), threading.Event()
    seen.sessions(3)
    stopped.set()
    export_until(lambda: seen.collect(None), Exporter(kinds), 60.0, stopped)
    assert kinds.made[SESSIONS.name] == [(3.0, ())]


def test_exporting_goes_on_after_a_failure(caplog, monkeypatch):
    kinds, seen, stopped = FakeKinds(), Observability(), threading.Event()
    monkeypatch.setattr(logging.getLogger("ray.serve"), "propagate", True)
    tries = []

    def collect():
        tries.append(None)
        if len(tries) == 1:
            raise RuntimeError("planted")
        stopped.set()
        seen.sessions(3)
        return seen.collect(None)

    export_until(collect, Exporter(kinds), 0.001, stopped)
    assert kinds.made[SESSIONS.name] != []
    assert "metrics could not be exported" in caplog.text


def test_a_decision_is_one_json_line_of_the_replicas_log(monkeypatch):
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(json.loads(JSONFormatter().format(record)))

    logger = logging.getLogger("ray.serve")
    monkeypatch.setattr(logger, "handlers", [Handler()])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    LOG.manager._clear_cache()
    Observability(log=LOG).tier_3_paused(True)
    (line,) = found
    assert (line["message"], line["levelname"], line["kalshi"]) == ("tier_3", "WARNING", {"paused": True})
