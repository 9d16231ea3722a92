"""Decisions of the service: tier 3 elsewhere and here, its failures and deadlines, readiness."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from made.serving_app import MODEL, App, refused

from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    ModelInfo,
)
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy, TierError


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture
def body(app: App) -> dict[str, Any]:
    return app.example()


def test_a_repeated_request_gets_the_answer_it_got(app: App, body: dict[str, Any]):
    first = app.decide(body)
    before = len(app.watched.answered)
    assert app.decide(body).content == first.content
    assert len(app.watched.answered) == before
    body["deadline_ms"] = 1_000.0
    refused(app.decide(body), 409, "request-id-reused", "request_id")


def asking(answer: Any) -> Any:
    """Tier 3 elsewhere that does ``answer(key, batch)``."""

    async def ask(key: ModelKey, batch: Batch) -> Decisions:
        return await answer(key, batch)

    return ask


async def never(key: ModelKey, batch: Batch) -> Decisions:
    await asyncio.Event().wait()
    raise AssertionError


async def broken(key: ModelKey, batch: Batch) -> Decisions:
    raise RuntimeError("its actor died")


async def failing(key: ModelKey, batch: Batch) -> Decisions:
    raise TierError("logits are not finite")


@pytest.mark.parametrize(
    ("tier_3", "note", "deadline_ms"),
    [(never, "deadline", 30.0), (broken, "fallback", 60_000.0), (failing, "fallback", 60_000.0)],
)
def test_tier_2_answers_where_tier_3_does_not(tier_3, note, deadline_ms):
    app = App(ask_tier_3=tier_3)
    body = app.example()
    body["deadline_ms"] = deadline_ms
    group = app.decide(body).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("tier_2", [note])
    decisions = app.watched.answered[-1].decisions
    assert decisions.tier[0] == Tier.TIER_2
    assert decisions.notes[0] == Note[note.upper()]
    assert len(app.watched.lost) == (note == "fallback")
    assert app.guard.n_failed == (tier_3 is failing), "a dead host is not the model's fault"
    assert app.guard.n_answered == (tier_3 is not failing)


def test_tier_3_is_left_alone_after_failures_in_a_row_and_readiness_says_so():
    asked = []

    async def gone(key: ModelKey, batch: Batch) -> Decisions:
        asked.append(batch.n)
        raise RuntimeError("its actor died")

    app = App(ask_tier_3=gone, breaker={"failures": 2, "pause_ms": 600_000})
    body = app.example()
    for k in range(4):
        body["request_id"] = f"lost-{k}"
        group = app.decide(body).json()["groups"][0]
        assert (group["tier"], group["notes"]) == ("tier_2", ["fallback"])
    assert asked == [1, 1]
    assert app.watched.paused == [True]
    assert app.guard.n_failed == 0
    app.service._ask_tier_3 = asking(lambda key, batch: _full(app, key, batch))
    found = app.client.get("/v1/readyz")
    assert found.status_code == 200, "the tiers below decide"
    assert found.json()["tiers"]["tier_3"].startswith("answers, but is not asked for ")


def test_a_tier_3_whose_network_fails_is_asked_on_so_that_its_watch_sees_it():
    app = App(ask_tier_3=failing, breaker={"failures": 1, "pause_ms": 600_000})
    body = app.example()
    for k in range(3):
        body["request_id"] = f"failing-{k}"
        assert app.decide(body).json()["groups"][0]["notes"] == ["fallback"]
    assert app.guard.n_failed == 3
    assert app.watched.paused == []


def test_rules_come_before_the_networks_and_say_why(app: App, body: dict[str, Any]):
    """A crossed book holds. NO of both of two exclusive markets at bids 0.60 + 0.55 brings at least 1 for
    0.41 + 0.46 at their limits and fees below 0.04: it is bought, as long as both are known to be fresh."""
    at = body["columns"].index("position")
    for market, (bid, ask) in zip(
        body["groups"][0]["markets"][:3], ((50, 40), (60, 62), (55, 57)), strict=True
    ):
        market["bid_e4"], market["ask_e4"] = bid * 100, ask * 100
    for market in body["groups"][0]["markets"][1:3]:
        market |= {"exclusive_set": "who wins", "bid_size_e2": 10_000, "age_ms": 1}
        market["row"][at] = 0.0
    group = app.decide(body).json()["groups"][0]
    assert [group["actions"][f"EXAMPLE-{k}"] for k in (1, 2, 3)] == ["HOLD", "BUY_NO", "BUY_NO"]
    first_words = {name: reason.split(":")[0] for name, reason in group["reasons"].items()}
    assert first_words == {"EXAMPLE-1": "crossed", "EXAMPLE-2": "riskless", "EXAMPLE-3": "riskless"}
    del body["groups"][0]["markets"][2]["age_ms"]
    body["request_id"] += "-of unknown age".replace(" ", "-")
    group = app.decide(body).json()["groups"][0]
    assert [group["actions"][f"EXAMPLE-{k}"] for k in (1, 2, 3)] == ["HOLD", "HOLD", "HOLD"]
    assert group["reasons"]["EXAMPLE-2"].startswith("age unknown:")
    for market in body["groups"][0]["markets"][1:]:
        market["state"] = "closed"
    body["request_id"] += "-crossed-alone"
    assert app.decide(body).json()["groups"][0]["tier"] == "rules"


def test_a_deadline_that_is_too_near_does_not_ask_tier_3():
    asked = []

    async def tier_3(key: ModelKey, batch: Batch) -> Decisions:
        asked.append(key)
        raise AssertionError

    app = App(ask_tier_3=tier_3)
    body = app.example()
    body["deadline_ms"] = 0.001
    assert app.decide(body).json()["groups"][0]["notes"] == ["deadline"]
    assert asked == []


@pytest.mark.parametrize(
    ("measured_ms", "asked"), [(0.5, "replica"), (1.0, "deployment"), (None, "deployment")]
)
def test_a_tier_3_that_is_quicker_than_a_hop_is_asked_here(measured_ms, asked):
    app = App(ask_tier_3=asking(lambda key, batch: _full(app, key, batch)), tier_3_inside_ms=1.0)
    tiers = tuple(tier._replace(group_p50_ms=measured_ms) for tier in app.policy.tiers)
    here = TieredPolicy(app.policy.spec, tiers, TieredConfig(inference_ttl_ms=0))
    assert app.served is not None
    app.served = replace(app.served, policy=here)
    assert app.client.get("/v1/model").json()["tier_3_asked"] == asked
    n_asked, expected = app.engines[2].n_asked, app.policy.decide(example_batch(app), 0)
    assert app.engines[2].n_asked == n_asked + 1
    group = app.decide(app.example()).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("tier_3", [])
    assert [list(p.values()) for p in group["probabilities"].values()] == expected.probabilities[0].tolist()
    app.engines[2].broken = True
    body = {**app.example(), "request_id": "when-it-is-broken"}
    group = app.decide(body).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("tier_2", ["fallback"])
    assert app.guard.n_failed == 1, "the model's own fault, wherever it was asked"


def example_batch(app: App) -> Batch:
    request = DecideRequest.model_validate(app.example())
    assert app.served is not None
    return app.service.reader(app.served).read(request, "test", 0).batch


def test_a_deadline_of_nothing_does_not_ask_tier_3_here_either():
    app = App()
    n_asked = app.engines[2].n_asked
    group = app.decide({**app.example(), "deadline_ms": 0.001}).json()["groups"][0]
    assert group["notes"] == ["deadline"]
    assert app.engines[2].n_asked == n_asked


def test_tier_3_elsewhere_answers_like_tier_3_here():
    here = App()
    elsewhere = App(ask_tier_3=asking(lambda key, batch: _full(here, key, batch)))
    body = here.example()
    assert elsewhere.decide(body).json()["groups"] == here.decide(body).json()["groups"]


async def _full(app: App, key: ModelKey, batch: Batch) -> Decisions:
    assert key.model == MODEL
    return app.policy.ask(3, batch, 0)


def test_the_model_says_what_it_wants_to_be_shown(app: App):
    info = ModelInfo.model_validate_json(app.client.get("/v1/model").content)
    assert info.model == MODEL
    assert info.feature_digest == FEATURE_DIGEST
    assert info.tiers == ["tier_1", "tier_2", "tier_3"]
    asked_first = [t.number for t in app.policy.tiers[:-1] if t.exit_threshold is not None]
    assert info.exits == [f"tier_{number}" for number in asked_first]
    assert info.dataset_digest == app.served.record.dataset_digest
    assert [c.name for c in info.columns] == [*app.policy.spec.market, *app.policy.spec.portfolio]
    assert (info.n_slots, info.window, len(info.history_columns)) == (5, 16, 16)


def test_readiness_asks_every_tier(app: App):
    before = [engine.n_asked for engine in app.engines]
    found = app.client.get("/v1/readyz")
    assert found.status_code == 200
    assert found.json()["tiers"] == {"tier_1": "ok", "tier_2": "ok", "tier_3": "ok"}
    assert [engine.n_asked for engine in app.engines] == [n + 1 for n in before]


def test_a_tier_that_fails_is_not_ready_and_named():
    app = App()
    app.engines[1].broken = True
    found = app.client.get("/v1/readyz")
    assert found.status_code == 503
    assert "planted" in found.json()["tiers"]["tier_2"]
    assert "tier 2" in found.json()["reason"]


def test_a_lost_tier_3_is_told_and_the_rest_stays_ready():
    found = App(ask_tier_3=broken).client.get("/v1/readyz")
    assert found.status_code == 200
    assert found.json()["tiers"] == {"tier_1": "ok", "tier_2": "ok", "tier_3": "RuntimeError: its actor died"}
