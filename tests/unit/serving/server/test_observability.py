"""Counts and logs of one replica about itself."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from made.served import made_served
from made.serving_tiers import made_policy

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.requests import ModelEvent
from kalshi_platform.serving.guard.guard_events import EventKind
from kalshi_platform.serving.inference.batch import Note, Tier, holding
from kalshi_platform.serving.inference.caches import CacheStats
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.server.metrics import (
    AGE_S,
    CACHE_LOOKS,
    DECISIONS,
    EVENT_SECONDS,
    FEATURE_AGE_SECONDS,
    LATENCY_S,
    MODEL,
    RELOADS,
    REQUEST_SECONDS,
    SESSIONS,
    TIER_3_PAUSED,
)
from kalshi_platform.serving.server.observability import Buckets, Observability, ServeMetrics
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.simulation.replay.trading import TradingConfig


def two_groups():
    """Two groups of two slots: tier 1's [BUY_YES, HOLD] and tier 3's [SELL_NO, empty], late."""
    decisions = holding(2, 2)
    decisions.actions[:] = [[1, 0], [4, 0]]
    decisions.tier[:] = [Tier.TIER_1, Tier.TIER_3]
    decisions.notes[:] = [Note.CACHED, Note.DEADLINE | Note.FALLBACK]
    return decisions, np.array([[True, True], [True, False]])


@pytest.fixture(scope="module")
def served():
    """A model that answers."""
    return made_served(made_policy()[0], TradingConfig(), "tiny-0123456789ab")


def test_a_request_counts_groups_by_tier_slots_by_action_and_notes_by_kind():
    metrics = ServeMetrics()
    metrics.decided(*two_groups(), {"parse": 0.3, "total": 1.5})
    assert metrics.snapshot().counters == {
        ("kalshi_serve_requests_total", ("decided",)): 1,
        ("kalshi_serve_decisions_total", ("tier_1",)): 1,
        ("kalshi_serve_decisions_total", ("tier_3",)): 1,
        ("kalshi_serve_actions_total", ("tier_1", "buy_yes")): 1,
        ("kalshi_serve_actions_total", ("tier_1", "hold")): 1,
        ("kalshi_serve_actions_total", ("tier_3", "sell_no")): 1,  # the empty slot's HOLD is nobody's
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
        metrics.serves(ModelKey(model, None))
    assert metrics.snapshot().gauges == {(MODEL.name, ("m1", "")): 0, (MODEL.name, ("m2", "")): 1}


def test_a_histogram_keeps_an_exact_sum_that_ray_does_not():
    metrics = ServeMetrics()
    for value in (0.0015, 0.0019):
        metrics.observe(REQUEST_SECONDS, value=value)
    found = metrics.snapshot().histograms[(REQUEST_SECONDS.name, ())]
    assert isinstance(found, Buckets)
    assert found.total == pytest.approx(0.0034)


@pytest.fixture
def lines():
    """Level, message and fields of every record that is logged."""
    return []


@pytest.fixture
def log(lines):
    """A logger that keeps what is logged in ``lines``."""

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append((record.levelname, record.getMessage(), record.kalshi))

    logger = logging.Logger("test", logging.INFO)
    logger.addHandler(Handler())
    return logger


def test_a_decision_is_one_line_with_id_model_tiers_notes_and_timings(log, lines, served):
    decisions, occupied = two_groups()
    seen = Observability(log=log)
    seen.decided("r-1", served, decisions, {"total": 1.23456}, occupied)
    fields = {
        "request_id": "r-1",
        "model": "tiny-0123456789ab",
        "tier_set": None,
        "groups": 2,
        "tiers": {"tier_1": 1, "tier_3": 1},
        "notes": ["cached", "deadline", "fallback"],
        "timings_ms": {"total": 1.235},
    }
    assert lines == [("INFO", "decided", fields)]
    snapshot = seen.collect(served)
    assert snapshot.gauges[(MODEL.name, ("tiny-0123456789ab", ""))] == 1
    assert (CACHE_LOOKS.name, ("inference", "hit")) not in snapshot.counters  # no look, no line


def test_a_streams_event_is_counted_with_its_time_and_the_age_of_its_oldest_row():
    seen = Observability()
    seen.event(*two_groups(), taken_ns=1_500_000, age_ns=45_000_000_000)
    counters, _, histograms = seen.metrics.snapshot()
    assert counters[(DECISIONS.name, ("tier_3",))] == 1
    # 1.5 ms lies in (1, 2] ms, 45 s in (30, 60] s.
    assert histograms[(EVENT_SECONDS.name, ())].counts.index(1) == LATENCY_S.index(0.002)
    assert histograms[(FEATURE_AGE_SECONDS.name, ())].counts.index(1) == AGE_S.index(60.0)


def test_gauges_that_alerts_compare_are_there_before_the_first_event():
    gauges = Observability().metrics.snapshot().gauges
    assert gauges == {(SESSIONS.name, ()): 0.0, (TIER_3_PAUSED.name, ()): 0.0}


def test_a_tier_3_left_alone_is_a_gauge_and_a_warning(log, lines):
    seen = Observability(log=log)
    for is_paused in (True, False):
        seen.tier_3_paused(is_paused)
        assert seen.metrics.snapshot().gauges[TIER_3_PAUSED.name, ()] == float(is_paused)
    assert lines == [("WARNING", "tier_3", {"paused": True}), ("INFO", "tier_3", {"paused": False})]


def test_a_share_of_the_decisions_is_logged_and_it_is_the_same_share_on_a_retry(log, lines, served):
    decisions, occupied = two_groups()
    seen = Observability(0.25, log)
    for _ in range(2):
        for k in range(400):
            seen.decided(f"r-{k}", served, decisions, {}, occupied)
    ids = [fields["request_id"] for _, _, fields in lines]
    assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]
    assert 60 <= len(ids) // 2 <= 140  # 100 meant; five deviations of 400 tosses of 1/4 are 43
    lines.clear()
    Observability(0.0, log).decided("r-1", served, decisions, {}, occupied)
    assert lines == []


def test_a_refusal_is_counted_and_logged_without_what_was_sent(log, lines):
    seen = Observability(log=log)
    seen.refused("r-1", Problem(422, "out-of-bounds", "spread is 9.5", "groups.0." + "x" * 500))
    seen.refused("r-2", Problem(500, "internal", "a bug"))
    assert [level for level, _, _ in lines] == ["INFO", "WARNING"]
    fields = lines[0][2]
    assert fields["kind"] == "out-of-bounds"
    assert len(fields["field"]) == 200
    assert "9.5" not in json.dumps(lines)
    counters = seen.collect(None).counters
    assert counters[("kalshi_serve_requests_total", ("refused",))] == 1
    assert counters[("kalshi_serve_requests_total", ("failed",))] == 1
    assert counters[("kalshi_serve_refusals_total", ("out-of-bounds",))] == 1


def happened(kind, words):
    return ModelEvent(at_ns=1, kind=kind.value, model="m2", tiers=None, words=words)


def test_a_reload_and_a_fallback_are_logged_with_the_reason(log, lines):
    seen = Observability(log=log)
    seen.happened(happened(EventKind.REFUSED, "agreement 0.71 is below 0.95"))
    seen.fell_back("r-1", "m1", int(Tier.TIER_3), TimeoutError("no replica"))
    reload = {"result": "refused", "model": "m2", "reason": "agreement 0.71 is below 0.95"}
    fallback = {
        "request_id": "r-1", "model": "m1", "tier": "tier_3", "error": "TimeoutError", "reason": "no replica",
    }  # fmt: skip
    assert lines == [("WARNING", "reload", reload), ("WARNING", "fallback", fallback)]
    assert seen.collect(None).counters == {(RELOADS.name, ("refused",)): 1}


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (EventKind.SWAPPED, "accepted"),
        (EventKind.TAKEN_BACK, "rolled_back"),
        (EventKind.ROLLED_BACK, "rolled_back"),
        (EventKind.UNREACHABLE, "failed"),
        (EventKind.LOADED, None),
        (EventKind.ALIAS_CHANGED, None),
        (EventKind.SHADOWED, None),
        (EventKind.SHADOW_REFUSED, "shadow_refused"),
        (EventKind.SHADOW_ENDED, "shadow_ended"),
    ],
)
def test_of_what_happens_to_models_changes_of_the_one_that_answers_are_counted(log, lines, kind, result):
    seen = Observability(log=log)
    seen.happened(happened(kind, "of the test"))
    assert seen.collect(None).counters == ({(RELOADS.name, (result,)): 1} if result else {})
    assert [fields["result"] for _, _, fields in lines] == ([result] if result else [])


def test_the_caches_of_the_model_that_answers_are_exported(served):
    model = replace(served, policy=TieredPolicy(served.policy.spec, served.policy.tiers))
    model.policy.answers.get(b"x", 0)
    counters = Observability().collect(model).counters
    assert counters[(CACHE_LOOKS.name, ("inference", "miss"))] == 1
