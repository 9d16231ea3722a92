"""serving/server/metrics.py and serve_deployments/observability.py: what is counted, exported and logged."""

import asyncio
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._common.formatters import JSONFormatter

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.inference.batch import Note, Tier, holding
from kalshi_platform.serving.inference.caches import CacheStats, TimedCache
from kalshi_platform.serving.server.metrics import (
    AGE_S,
    CACHE_LOOKS,
    DECISIONS,
    EVENT_SECONDS,
    FEATURE_AGE_SECONDS,
    LATENCY_S,
    METRICS,
    MODEL,
    READY,
    RELOADS,
    REQUEST_SECONDS,
    TIER3_PAUSED,
    Buckets,
    ServeMetrics,
)
from serve_deployments.observability import Exporter, Observability, ObservabilityArgs


def two_groups():
    """Two groups of two slots: an MLP's [BUY_YES, HOLD] and the full tier's [SELL_NO, empty], late."""
    decisions = holding(2, 2)
    decisions.actions[:] = [[1, 0], [4, 0]]
    decisions.tier[:] = [Tier.MLP, Tier.FULL]
    decisions.notes[:] = [Note.CACHED, Note.DEADLINE | Note.FALLBACK]
    return decisions, np.array([[True, True], [True, False]])


def served(model="m1", tier_set="t1"):
    policy = SimpleNamespace(answers=TimedCache(1, 1), codes={})
    return SimpleNamespace(model=model, tier_set=tier_set, policy=policy)


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

        return SimpleNamespace(inc=tell, set=tell, observe=tell)

    Counter = Gauge = Histogram = _make


def test_names_and_units_are_of_one_kind_and_never_repeat():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("kalshi_serve_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert bool(metric.bounds) == (metric.kind == "histogram"), metric.name
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert metric.text.endswith(".")


def test_a_request_counts_groups_by_tier_slots_by_action_and_notes_by_kind():
    metrics = ServeMetrics()
    metrics.decided(*two_groups(), {"parse": 0.3, "total": 1.5})
    assert metrics.snapshot().counters == {
        ("kalshi_serve_requests_total", ("decided",)): 1,
        ("kalshi_serve_decisions_total", ("mlp",)): 1,
        ("kalshi_serve_decisions_total", ("full",)): 1,
        ("kalshi_serve_actions_total", ("mlp", "buy_yes")): 1,
        ("kalshi_serve_actions_total", ("mlp", "hold")): 1,
        ("kalshi_serve_actions_total", ("full", "sell_no")): 1,  # the empty slot's HOLD is nobody's
        ("kalshi_serve_notes_total", ("cached",)): 1,
        ("kalshi_serve_notes_total", ("deadline",)): 1,
        ("kalshi_serve_notes_total", ("fallback",)): 1,
    }
    histograms = metrics.snapshot().histograms
    # 1.5 ms lies in (1, 2] ms, 0.3 ms in (0.2, 0.5].
    total = histograms[("kalshi_serve_request_seconds", ())]
    assert total.counts.index(1) == LATENCY_S.index(0.002)
    assert total.total == pytest.approx(0.0015)
    assert histograms[("kalshi_serve_stage_seconds", ("parse",))].counts.index(1) == LATENCY_S.index(0.0005)
    assert ("kalshi_serve_stage_seconds", ("total",)) not in histograms


def test_a_value_on_a_bound_counts_below_it_as_prometheus_has_it():
    metrics = ServeMetrics()
    for value in (0.0, LATENCY_S[0], LATENCY_S[-1], LATENCY_S[-1] * 1.01):
        metrics.observe(REQUEST_SECONDS, value=value)
    counts = metrics.snapshot().histograms[(REQUEST_SECONDS.name, ())].counts
    assert counts == (2, *([0] * (len(LATENCY_S) - 2)), 1, 1)


def test_a_metric_given_other_labels_than_it_has_is_refused():
    with pytest.raises(ContractError, match="has the labels"):
        ServeMetrics().add(DECISIONS)
    with pytest.raises(ContractError, match="'best'; expected one of none, rules"):
        ServeMetrics().add(DECISIONS, "best")


def test_a_caches_counts_are_taken_over_once_and_a_new_cache_starts_at_zero():
    metrics, first = ServeMetrics(), CacheStats(hits=5, misses=2, expired=1)
    metrics.cache("inference", first)
    metrics.cache("inference", first)
    first.hits = 7
    metrics.cache("inference", first)
    metrics.cache("inference", CacheStats(hits=1))  # of the model that was reloaded

    def looks(result):
        return metrics.snapshot().counters[(CACHE_LOOKS.name, ("inference", result))]

    assert [looks(result) for result in ("hit", "miss", "expired")] == [8, 2, 1]


def test_the_shadows_agreement_is_counted_over_slots_with_a_market():
    metrics = ServeMetrics()
    champion, challenger = np.array([[0, 1, 2], [3, 4, 0]]), np.array([[0, 1, 3], [3, 4, 1]])
    metrics.shadow(champion, challenger, np.array([[True, True, True], [True, True, False]]))
    counters = metrics.snapshot().counters
    assert counters[("kalshi_serve_shadow_slots_total", ("agree",))] == 4
    assert counters[("kalshi_serve_shadow_slots_total", ("disagree",))] == 1


def test_the_model_before_is_set_to_zero_when_another_answers():
    metrics = ServeMetrics()
    for model in ("m1", "m1", "m2"):
        metrics.serves(model, None)
    assert metrics.snapshot().gauges == {(MODEL.name, ("m1", "")): 0, (MODEL.name, ("m2", "")): 1}


@given(st.lists(st.lists(st.floats(0, 10), max_size=20), min_size=1, max_size=5))
def test_what_is_exported_in_pieces_is_what_was_counted(rounds):
    metrics, kinds = ServeMetrics(), FakeKinds()
    exporter = Exporter(kinds)
    for values in rounds:
        for value in values:
            metrics.observe(REQUEST_SECONDS, value=value)
            metrics.add(DECISIONS, "mlp", n=2)
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


def test_what_was_counted_last_is_exported_when_a_replica_closes():
    kinds, told = FakeKinds(), Observability(ObservabilityArgs(export_s=60))
    told.start(kinds)
    told.reloaded("accepted", "m1")
    told.close()
    assert kinds.made[RELOADS.name] == [(1, ("accepted",))]
    Observability().close()  # never started


@pytest.fixture
def lines(monkeypatch):
    """What the replica's log gets, as Serve's JSON formatter writes it: a function that parses it."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(json.loads(JSONFormatter().format(record)))

    logger = logging.getLogger("ray.serve")
    handler = Handler()
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    logging.getLogger("ray.serve.kalshi").manager._clear_cache()
    return found


def test_a_decision_is_one_line_with_id_model_tiers_notes_and_timings(lines):
    decisions, occupied = two_groups()
    told = Observability()
    told.follow(served)
    told.decided("r-1", served(), decisions, {"total": 1.23456}, occupied)
    (line,) = lines
    assert line["message"] == "decided"
    assert line["kalshi"] == {
        "request_id": "r-1",
        "model": "m1",
        "tier_set": "t1",
        "groups": 2,
        "tiers": {"mlp": 1, "full": 1},
        "notes": ["cached", "deadline", "fallback"],
        "timings_ms": {"total": 1.235},
    }
    assert told.collect().gauges[(MODEL.name, ("m1", "t1"))] == 1
    assert (CACHE_LOOKS.name, ("inference", "hit")) not in told.collect().counters  # no look, no line


def test_a_streams_event_is_counted_with_its_time_and_the_age_of_its_oldest_row():
    seen = Observability()
    seen.event(*two_groups(), taken_ns=1_500_000, age_ns=45_000_000_000)
    counters, _, histograms = seen.metrics.snapshot()
    assert counters[(DECISIONS.name, ("full",))] == 1
    # 1.5 ms lies in (1, 2] ms, 45 s in (30, 60] s.
    assert histograms[(EVENT_SECONDS.name, ())].counts.index(1) == LATENCY_S.index(0.002)
    assert histograms[(FEATURE_AGE_SECONDS.name, ())].counts.index(1) == AGE_S.index(60.0)


def test_a_tier_3_left_alone_is_a_gauge_and_a_warning(lines):
    seen = Observability()
    for is_paused in (True, False):
        seen.tier3_paused(is_paused)
        assert seen.metrics.snapshot().gauges == {(TIER3_PAUSED.name, ()): float(is_paused)}
    told = [(line["levelname"], line["kalshi"]["paused"]) for line in lines]
    assert told == [("WARNING", True), ("INFO", False)]


def test_on_an_event_loop_an_answer_does_not_wait_to_be_counted(lines):
    decisions, occupied = two_groups()
    told = Observability()

    async def answer():
        told.decided("r-1", served(), decisions, {}, occupied)
        before = len(lines)
        await asyncio.sleep(0)
        return before, len(lines)

    assert asyncio.run(answer()) == (0, 1)


def test_a_share_of_the_decisions_is_logged_and_it_is_the_same_share_on_a_retry(lines):
    decisions, occupied = two_groups()
    told = Observability(ObservabilityArgs(log_share=0.25))
    for _ in range(2):
        for k in range(400):
            told.decided(f"r-{k}", served(), decisions, {}, occupied)
    ids = [line["kalshi"]["request_id"] for line in lines]
    assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]
    assert 60 <= len(ids) // 2 <= 140  # 100 meant; five deviations of 400 tosses of 1/4 are 43
    lines.clear()
    Observability(ObservabilityArgs(log_share=0)).decided("r-1", served(), decisions, {}, occupied)
    assert lines == []


def test_a_refusal_is_counted_and_logged_without_what_was_sent(lines):
    told = Observability()
    problem = SimpleNamespace(
        kind="out-of-bounds", status=422, field="groups.0." + "x" * 500, detail="spread is 9.5"
    )
    told.refused("r-1", problem)
    told.refused("r-2", SimpleNamespace(kind="internal", status=500, field=None))
    assert [line["levelname"] for line in lines] == ["INFO", "WARNING"]
    assert lines[0]["kalshi"]["kind"] == "out-of-bounds"
    assert len(lines[0]["kalshi"]["field"]) == 200
    assert "9.5" not in json.dumps(lines)
    counters = told.collect().counters
    assert counters[("kalshi_serve_requests_total", ("refused",))] == 1
    assert counters[("kalshi_serve_requests_total", ("failed",))] == 1
    assert counters[("kalshi_serve_refusals_total", ("out-of-bounds",))] == 1


def test_a_reload_and_a_fallback_are_told_with_the_reason(lines):
    told = Observability()
    told.reloaded("refused", "m2", "agreement 0.71 is below 0.95")
    told.fell_back("r-1", "m1", int(Tier.FULL), TimeoutError("no replica"))
    assert [(line["message"], line["levelname"]) for line in lines] == [
        ("reload", "WARNING"),
        ("fallback", "WARNING"),
    ]
    assert lines[0]["kalshi"]["reason"] == "agreement 0.71 is below 0.95"
    assert lines[1]["kalshi"] == {
        "request_id": "r-1", "model": "m1", "tier": "full", "error": "TimeoutError", "reason": "no replica",
    }  # fmt: skip
    assert told.collect().counters == {(RELOADS.name, ("refused",)): 1}


def test_a_watched_cache_and_those_of_the_policy_are_exported():
    told, model = Observability(), served()
    told.watch("features_static", CacheStats(hits=3))
    told.follow(lambda: model)
    model.policy.answers.get(b"x", 0)
    counters = told.collect().counters
    assert counters[(CACHE_LOOKS.name, ("features_static", "hit"))] == 3
    assert counters[(CACHE_LOOKS.name, ("inference", "miss"))] == 1


def test_a_histogram_keeps_an_exact_sum_that_ray_does_not():
    metrics = ServeMetrics()
    for value in (0.0015, 0.0019):
        metrics.observe(REQUEST_SECONDS, value=value)
    found = metrics.snapshot().histograms[(REQUEST_SECONDS.name, ())]
    assert isinstance(found, Buckets)
    assert found.total == pytest.approx(0.0034)
