"""The HTTP application in process: decisions, every refusal, tokens, limits."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made.serving_app import ADMIN, CLIENT, MODEL, App, Client, token, token_files
from starlette.applications import Starlette
from starlette.routing import Mount

from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.errors import LimitError, StorageError
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    DecideResponse,
    ModelInfo,
    ProblemBody,
    ShadowFound,
)
from kalshi_platform.serving.guard.served import Verdict
from kalshi_platform.serving.inference.batch import Batch, Decisions, Note, Tier
from kalshi_platform.serving.inference.ready import ModelKey
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy, TierError, free
from kalshi_platform.serving.server.http import make_app


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture
def body(app: App) -> dict[str, Any]:
    return app.example()


def refused(response: Any, status: int, kind: str, field: str | None = None) -> ProblemBody:
    """The problem in a response, which must be of this kind and name this field."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemBody.model_validate_json(response.content)
    assert (problem.type, problem.status, problem.field) == (f"/problems/{kind}", status, field)
    assert problem.title
    assert problem.detail
    assert problem.request_id == response.headers["x-request-id"]
    return problem


def test_the_example_is_decided_as_the_policy_decides_in_process(app: App, body: dict[str, Any]):
    answer = DecideResponse.model_validate_json(app.decide(body).content)
    assert (answer.request_id, answer.model, answer.tier_set) == (body["request_id"], MODEL, None)
    spec, markets = app.policy.spec, body["groups"][0]["markets"]
    rows = np.array([m["row"] for m in markets], np.float32)
    n_market = len(spec.market)
    allowed = np.zeros((5, 5), np.float32)
    allowed[:, [0, 1, 3]] = 1  # HOLD, BUY_YES, BUY_NO
    flat = np.concatenate(
        [rows[:, :n_market].ravel(), rows[:, n_market:].ravel(), np.ones(5, np.float32), allowed.ravel()]
    )
    windows = np.array([[m["history"] for m in markets]], np.float32)
    expected = app.policy.decide(Batch(flat[None], windows, free(1, 5)), 0)
    group = answer.groups[0]
    assert group.tier == "full"
    assert group.notes == []
    assert group.confidence == float(expected.confidence[0])
    names = ("HOLD", "BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO")
    assert list(group.actions.values()) == [names[a] for a in expected.actions[0]]
    assert list(group.probabilities.values()) == expected.probabilities[0].tolist()
    assert answer.timings_ms["total"] >= answer.timings_ms["decide"] >= answer.timings_ms["tier_3"] > 0


def test_columns_may_come_in_any_order(app: App, body: dict[str, Any]):
    first = app.decide(body).json()["groups"]
    order = list(reversed(range(len(body["columns"]))))
    body["request_id"] += "-reversed"
    body["columns"] = [body["columns"][i] for i in order]
    for market in body["groups"][0]["markets"]:
        market["row"] = [market["row"][i] for i in order]
    assert app.decide(body).json()["groups"] == first


@pytest.mark.parametrize(
    "state",
    ["paused", "inactive", "initialized", "closed", "determined", "disputed", "amended", "settled"],
)  # fmt: skip
def test_a_market_that_is_not_active_holds_and_moves_no_other(app: App, body: dict[str, Any], state: str):
    markets = body["groups"][0]["markets"]
    markets[0]["state"] = state
    markets[0]["history"] = None
    answer = app.decide(body).json()["groups"][0]
    assert answer["actions"][markets[0]["id"]] == "HOLD"
    assert answer["probabilities"][markets[0]["id"]] == [1, 0, 0, 0, 0]
    body["request_id"] += "-without"
    markets[0]["row"] = [0] * len(body["columns"])
    assert app.decide(body).json()["groups"][0] == answer


def test_only_allowed_actions_are_answered(app: App, body: dict[str, Any]):
    for market in body["groups"][0]["markets"]:
        market["allowed"] = ["SELL_NO"]
    group = app.decide(body).json()["groups"][0]
    assert set(group["actions"].values()) <= {"HOLD", "SELL_NO"}
    for row in group["probabilities"].values():
        assert row[1:4] == [0, 0, 0]
        assert math.isclose(sum(row), 1, abs_tol=1e-6)


def test_a_repeated_request_gets_the_answer_it_got(app: App, body: dict[str, Any]):
    first = app.decide(body)
    before = len(app.watched.answered)
    assert app.decide(body).content == first.content
    assert len(app.watched.answered) == before
    body["deadline_ms"] = 1_000.0
    refused(app.decide(body), 409, "request-id-reused", "request_id")


def change(body: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at ``path`` (dotted); ``DELETE`` removes it."""
    *way, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    at: Any = body
    for part in way:
        at = at[part]
    if value is DELETE:
        del at[last]
    else:
        at[last] = value


DELETE = object()
MARKET = "groups.0.markets.0"
YES_MID = 0  # first column of the example, bounded to [0, 1]


@pytest.mark.parametrize(
    ("path", "value", "status", "kind", "field"),
    [
        ("request_id", "", 422, "invalid-field", "request_id"),
        ("request_id", "a b", 422, "invalid-field", "request_id"),
        ("request_id", "x" * 129, 422, "invalid-field", "request_id"),
        ("request_id", DELETE, 422, "invalid-field", "request_id"),
        ("feature_digest", "000000000000", 409, "feature-digest", "feature_digest"),
        ("deadline_ms", 0, 422, "invalid-field", "deadline_ms"),
        ("deadline_ms", math.inf, 422, "invalid-field", "deadline_ms"),
        ("surprise", 1, 422, "invalid-field", "surprise"),
        ("columns.3", "moon_phase", 422, "unknown-feature", "columns.3"),
        ("columns.3", "yes_mid", 422, "repeated-feature", "columns.3"),
        ("columns", [], 422, "invalid-field", "columns"),
        ("groups", [], 422, "invalid-field", "groups"),
        ("groups.0.markets", [], 422, "invalid-field", "groups.0.markets"),
        (f"{MARKET}.id", "", 422, "invalid-field", f"{MARKET}.id"),
        (f"{MARKET}.id", "EXAMPLE-2", 422, "repeated-market", "groups.0.markets.1.id"),
        (f"{MARKET}.state", "on holiday", 422, "invalid-field", f"{MARKET}.state"),
        (f"{MARKET}.allowed", ["BUY"], 422, "invalid-field", f"{MARKET}.allowed.0"),
        (f"{MARKET}.row.{YES_MID}", math.nan, 422, "invalid-field", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", -math.inf, 422, "invalid-field", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", "0.5", 422, "invalid-field", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", True, 422, "invalid-field", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", None, 422, "invalid-field", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", 1.0001, 422, "out-of-bounds", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", -0.0001, 422, "out-of-bounds", f"{MARKET}.row.{YES_MID}"),
        (f"{MARKET}.row.{YES_MID}", DELETE, 422, "wrong-shape", f"{MARKET}.row"),
        (f"{MARKET}.row", [], 422, "wrong-shape", f"{MARKET}.row"),
        (f"{MARKET}.history", DELETE, 422, "missing-history", f"{MARKET}.history"),
        (f"{MARKET}.history", [], 422, "missing-history", f"{MARKET}.history"),
        (f"{MARKET}.history.15", [0.5], 422, "wrong-shape", f"{MARKET}.history.15"),
        (f"{MARKET}.history.15.0", 1.5, 422, "out-of-bounds", f"{MARKET}.history.15.0"),
        (f"{MARKET}.history.15.0", math.nan, 422, "invalid-field", f"{MARKET}.history.15.0"),
        (f"{MARKET}.bid_e4", 10_001, 422, "invalid-field", f"{MARKET}.bid_e4"),
        (f"{MARKET}.bid_e4", 0.5, 422, "invalid-field", f"{MARKET}.bid_e4"),
    ],
)
def test_a_wrong_field_is_named(app: App, body: dict[str, Any], path, value, status, kind, field):
    change(body, path, value)
    before = len(app.watched.problems)
    refused(app.decide(body), status, kind, field)
    assert [problem.kind for problem in app.watched.problems[before:]] == [kind]
    assert app.decide(app.example()).status_code == 200, "the service is unharmed"


def test_a_left_out_fast_feature_is_named(app: App, body: dict[str, Any]):
    body["columns"].remove("yes_spread")
    for market in body["groups"][0]["markets"]:
        del market["row"][4]
    assert "yes_spread" in refused(app.decide(body), 422, "missing-feature", "columns").detail


def test_a_group_of_more_markets_than_slots_is_refused(app: App, body: dict[str, Any]):
    markets = body["groups"][0]["markets"]
    markets.append({**markets[0], "id": "SIXTH"})
    problem = refused(app.decide(body), 422, "too-many-markets", "groups.0.markets")
    assert "6 markets" in problem.detail


@pytest.mark.parametrize("content", [b"", b"{", b"[1,", b"\xff\xfe", b"not json"])
def test_what_is_not_json_is_refused(app: App, content: bytes):
    refused(app.decide(content), 400, "malformed-json")


@pytest.mark.parametrize("content", [b"null", b"[]", b"3", b'"text"'])
def test_json_that_is_no_object_is_refused(app: App, content: bytes):
    refused(app.decide(content), 422, "invalid-field")


def test_other_kinds_of_content_are_refused(app: App, body: dict[str, Any]):
    refused(app.decide(body, **{"content-type": "text/plain"}), 415, "not-json", "content-type")


def test_pages_in_browsers_are_refused(app: App, body: dict[str, Any]):
    refused(app.decide(body, origin="https://evil.example"), 403, "browser", "origin")


def test_unknown_paths_and_methods_are_problems_too(app: App):
    refused(app.client.get("/v1/nothing"), 404, "not-found")
    refused(app.client.get("/v1/decide"), 405, "method-not-allowed")


def test_a_long_body_is_refused_announced_or_not():
    app = App(limits={"body_bytes": 1_024})
    refused(app.decide(b" " * 1_025), 413, "body-too-long")

    async def parts() -> AsyncIterator[bytes]:  # chunked: no length is announced
        for _ in range(6):
            yield b" " * 200

    response = app.client.post("/v1/decide", content=parts(), headers={"content-type": "application/json"})
    refused(response, 413, "body-too-long")


def test_too_many_groups_are_refused():
    app = App(limits={"groups": 2})
    body = app.example()
    body["groups"] *= 3
    refused(app.decide(body), 413, "too-many-groups", "groups")
    body["groups"].pop()
    assert len(app.decide(body).json()["groups"]) == 2


def test_below_a_prefix_the_route_decides_as_the_outermost_layer_does(app: App, body: dict[str, Any]):
    quick = app.decide(body).json()["groups"]
    outer = Starlette(routes=[Mount("/below", app.app)])
    routed = Client(outer).post("/below/v1/decide", json={**body, "request_id": "routed-1"})
    assert routed.json()["groups"] == quick
    wrong = Client(outer).post("/below/v1/decide", json={**body, "request_id": ""})
    refused(wrong, 422, "invalid-field", "request_id")


def test_a_burst_beyond_the_rate_is_told_when_to_come_back():
    app = App(limits={"rates": {"rate_per_s": 1, "burst": 3}})
    statuses = [app.client.get("/v1/model").status_code for _ in range(3)]
    assert statuses == [200, 200, 200]
    response = app.client.get("/v1/model")
    refused(response, 429, "too-many-requests")
    assert response.headers["retry-after"] == "1"
    assert app.client.get("/v1/healthz").status_code == 200, "health is asked by nobody's token"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> App:
    return App(access=token_files(tmp_path_factory.mktemp("tokens")))


class TestTokens:
    def test_nobody_decides_without_one(self, guarded: App):
        problem = refused(guarded.decide(b"{}"), 401, "unauthorized", "authorization")
        assert "client token is needed" in problem.detail
        assert guarded.decide(b"{}").headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        "shown",
        [
            "Bearer wrong-token-wrong-token",
            "Bearer",
            "Bearer ",
            f"Basic {CLIENT}",
            CLIENT,
            f"Bearer {CLIENT}x",
        ],
    )
    def test_a_wrong_one_is_refused(self, guarded: App, shown: str):
        refused(guarded.decide(b"{}", authorization=shown), 401, "unauthorized", "authorization")

    @pytest.mark.parametrize("value", [CLIENT, "another-client-token", ADMIN])
    def test_a_known_one_may_decide(self, guarded: App, value: str):
        body = guarded.example()
        assert guarded.decide(body, **token(value)).status_code == 200

    def test_one_client_is_not_shown_the_answers_of_another(self, guarded: App):
        body = guarded.example()
        guarded.decide(body, **token(CLIENT))
        body["deadline_ms"] = 1_000.0
        assert guarded.decide(body, **token("another-client-token")).status_code == 200

    def test_health_needs_none(self, guarded: App):
        assert guarded.client.get("/v1/healthz").json() == {"status": "ok"}
        assert guarded.client.get("/v1/readyz").json()["ready"] is True


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
    ("full", "note", "deadline_ms"),
    [(never, "deadline", 30.0), (broken, "fallback", 60_000.0), (failing, "fallback", 60_000.0)],
)
def test_tier_2_answers_where_tier_3_does_not(full, note, deadline_ms):
    app = App(ask_full=full)
    body = app.example()
    body["deadline_ms"] = deadline_ms
    group = app.decide(body).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("lstm", [note])
    decisions = app.watched.answered[-1].decisions
    assert decisions.tier[0] == Tier.LSTM
    assert decisions.notes[0] == Note[note.upper()]
    assert len(app.watched.lost) == (note == "fallback")
    assert app.guard.n_failed == (full is failing), "a dead host is not the model's fault"
    assert app.guard.n_answered == (full is not failing)


def test_tier_3_is_left_alone_after_failures_in_a_row_and_readiness_says_so():
    asked = []

    async def gone(key: ModelKey, batch: Batch) -> Decisions:
        asked.append(batch.n)
        raise RuntimeError("its actor died")

    app = App(ask_full=gone, breaker={"failures": 2, "pause_ms": 600_000})
    body = app.example()
    for k in range(4):
        body["request_id"] = f"lost-{k}"
        group = app.decide(body).json()["groups"][0]
        assert (group["tier"], group["notes"]) == ("lstm", ["fallback"])
    assert asked == [1, 1]
    assert app.watched.paused == [True]
    assert app.guard.n_failed == 0
    app.service._ask_full = asking(lambda key, batch: _full(app, key, batch))
    found = app.client.get("/v1/readyz")
    assert found.status_code == 200, "the tiers below decide"
    assert found.json()["tiers"]["3"].startswith("answers, but is not asked for ")


def test_a_tier_3_whose_network_fails_is_asked_on_so_that_its_watch_sees_it():
    app = App(ask_full=failing, breaker={"failures": 1, "pause_ms": 600_000})
    body = app.example()
    for k in range(3):
        body["request_id"] = f"failing-{k}"
        assert app.decide(body).json()["groups"][0]["notes"] == ["fallback"]
    assert app.guard.n_failed == 3
    assert app.watched.paused == []


def test_rules_come_before_the_networks(app: App, body: dict[str, Any]):
    """A crossed book holds. NO of both of two exclusive markets at bids 0.60 + 0.55 brings at least 1 for
    0.40 + 0.45 and fees below 0.04: it is bought."""
    for market, (bid, ask) in zip(
        body["groups"][0]["markets"][:3], ((50, 40), (60, 62), (55, 57)), strict=True
    ):
        market["bid_e4"], market["ask_e4"] = bid * 100, ask * 100
    for market in body["groups"][0]["markets"][1:3]:
        market["exclusive_set"] = "who wins"
    actions = app.decide(body).json()["groups"][0]["actions"]
    assert [actions[f"EXAMPLE-{k}"] for k in (1, 2, 3)] == ["HOLD", "BUY_NO", "BUY_NO"]
    for market in body["groups"][0]["markets"][1:]:
        market["state"] = "closed"
    body["request_id"] += "-crossed-alone"
    assert app.decide(body).json()["groups"][0]["tier"] == "rules"


def test_a_deadline_that_is_too_near_does_not_ask_tier_3():
    asked = []

    async def full(key: ModelKey, batch: Batch) -> Decisions:
        asked.append(key)
        raise AssertionError

    app = App(ask_full=full)
    body = app.example()
    body["deadline_ms"] = 0.001
    assert app.decide(body).json()["groups"][0]["notes"] == ["deadline"]
    assert asked == []


@pytest.mark.parametrize(
    ("measured_ms", "asked"), [(0.5, "replica"), (1.0, "deployment"), (None, "deployment")]
)
def test_a_tier_3_that_is_quicker_than_a_hop_is_asked_here(measured_ms, asked):
    app = App(ask_full=asking(lambda key, batch: _full(app, key, batch)), tier3_inside_ms=1.0)
    tiers = tuple(tier._replace(group_p50_ms=measured_ms) for tier in app.policy.tiers)
    here = TieredPolicy(app.policy.spec, tiers, TieredConfig(inference_ttl_ms=0))
    assert app.served is not None
    app.served = replace(app.served, policy=here)
    assert app.client.get("/v1/model").json()["tier3_asked"] == asked
    n_asked, expected = app.engines[2].n_asked, app.policy.decide(example_batch(app), 0)
    assert app.engines[2].n_asked == n_asked + 1
    group = app.decide(app.example()).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("full", [])
    assert list(group["probabilities"].values()) == expected.probabilities[0].tolist()
    app.engines[2].broken = True
    body = {**app.example(), "request_id": "when-it-is-broken"}
    group = app.decide(body).json()["groups"][0]
    assert (group["tier"], group["notes"]) == ("lstm", ["fallback"])
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
    elsewhere = App(ask_full=asking(lambda key, batch: _full(here, key, batch)))
    body = here.example()
    assert elsewhere.decide(body).json()["groups"] == here.decide(body).json()["groups"]


async def _full(app: App, key: ModelKey, batch: Batch) -> Decisions:
    assert key.model == MODEL
    return app.policy.ask(3, batch, 0)


def test_the_model_says_what_it_wants_to_be_shown(app: App):
    info = ModelInfo.model_validate_json(app.client.get("/v1/model").content)
    assert info.model == MODEL
    assert info.feature_digest == FEATURE_DIGEST
    assert info.tiers == [1, 2, 3]
    assert [c.name for c in info.columns] == [*app.policy.spec.market, *app.policy.spec.portfolio]
    assert (info.n_slots, info.window, len(info.history_columns)) == (5, 16, 16)


def test_readiness_asks_every_tier(app: App):
    before = [engine.n_asked for engine in app.engines]
    found = app.client.get("/v1/readyz")
    assert found.status_code == 200
    assert found.json()["tiers"] == {"1": "ok", "2": "ok", "3": "ok"}
    assert [engine.n_asked for engine in app.engines] == [n + 1 for n in before]


def test_a_tier_that_fails_is_not_ready_and_named():
    app = App()
    app.engines[1].broken = True
    found = app.client.get("/v1/readyz")
    assert found.status_code == 503
    assert "planted" in found.json()["tiers"]["2"]
    assert "tier 2" in found.json()["reason"]


def test_a_lost_tier_3_is_told_and_the_rest_stays_ready():
    found = App(ask_full=broken).client.get("/v1/readyz")
    assert found.status_code == 200
    assert found.json()["tiers"] == {"1": "ok", "2": "ok", "3": "RuntimeError: its actor died"}


def test_before_the_first_model_everything_but_health_waits():
    app = App(served=False)
    assert app.client.get("/v1/healthz").status_code == 200
    assert app.client.get("/v1/readyz").status_code == 503
    refused(app.client.get("/v1/model"), 503, "no-model")
    assert App(served=False).client.get("/openapi.json").status_code == 200


def test_a_bug_is_a_problem_without_its_insides(app: App, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(app.policy, "decide_fast", fail)
    problem = refused(app.decide(app.example()), 500, "internal")
    assert "secret" not in problem.model_dump_json()


def test_a_request_keeps_the_id_it_came_with(app: App):
    response = app.client.get("/v1/nothing", headers={"x-request-id": "my-id.1"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "my-id.1"
    odd = app.client.get("/v1/nothing", headers={"x-request-id": "no spaces please"})
    assert odd.json()["request_id"] != "no spaces please"


def test_the_openapi_document_shows_a_request_that_is_decided(app: App):
    document = app.client.get("/openapi.json").json()
    example = document["components"]["schemas"]["DecideRequest"]["example"]
    assert app.decide(example).status_code == 200
    client = Client(make_app(app.service))
    assert client.get("/openapi.json").json() == json.loads(json.dumps(document))


class TestAdministration:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("get", "/v1/models/events"), ("post", "/v1/models/reload"), ("post", "/v1/models/rollback")],
    )
    def test_only_an_administrator_may(self, guarded: App, method: str, path: str):
        ask = getattr(guarded.client, method)
        refused(ask(path), 401, "unauthorized", "authorization")
        refused(ask(path, headers=token(CLIENT)), 403, "not-an-admin")

    def test_events_are_told(self, guarded: App):
        found = guarded.client.get("/v1/models/events", headers=token(ADMIN)).json()
        assert [(e["kind"], e["words"]) for e in found["events"]] == [("loaded", "of the test")]

    def test_what_the_shadow_found_is_told_beside_them(self, guarded: App):
        def shadow() -> Any:
            return guarded.client.get("/v1/models/events", headers=token(ADMIN)).json()["shadow"]

        assert shadow() is None
        guarded.guard.found = ShadowFound(
            model="tiny-1", offered=3, dropped=1, groups=2, slots=10, differing=3, by_tier={"mlp": (5, 3)},
            pairs={"HOLD > BUY_NO": 2, "BUY_YES > HOLD": 1}, failures=0, switched_off="",
        )  # fmt: skip
        found = shadow()
        assert (found["model"], found["slots"], found["differing"]) == ("tiny-1", 10, 3)
        assert found["by_tier"] == {"mlp": [5, 3]}
        assert found["pairs"] == {"HOLD > BUY_NO": 2, "BUY_YES > HOLD": 1}

    def test_a_reload_without_news_changes_nothing(self, guarded: App):
        guarded.guard.verdict = None
        found = guarded.client.post("/v1/models/reload", headers=token(ADMIN)).json()
        assert (found["model"], found["changed"]) == (MODEL, False)

    def test_a_refused_model_is_told_with_its_reason(self, guarded: App):
        guarded.guard.verdict = Verdict(model="tiny-00000000bad0", tiers=None, reason="answers nan")
        response = guarded.client.post("/v1/models/reload", headers=token(ADMIN))
        assert "answers nan" in refused(response, 409, "model-refused").detail

    def test_a_rollback_says_which_model_answers(self, guarded: App):
        guarded.guard.refusal = None
        response = guarded.client.post(
            "/v1/models/rollback", json={"reason": "it trades too much"}, headers=token(ADMIN)
        )
        assert response.json() == {"model": "tiny-0123456789ab"}

    def test_a_rollback_needs_a_reason(self, guarded: App):
        response = guarded.client.post("/v1/models/rollback", json={}, headers=token(ADMIN))
        refused(response, 422, "invalid-field", "reason")

    @pytest.mark.parametrize(
        ("error", "status", "kind"),
        [
            (LimitError("nothing to go back to"), 409, "no-rollback"),
            (StorageError("no answer"), 503, "registry"),
        ],
    )
    def test_a_rollback_that_cannot_be_is_told(self, guarded: App, error, status, kind):
        guarded.guard.refusal = error
        response = guarded.client.post("/v1/models/rollback", json={"reason": "x"}, headers=token(ADMIN))
        assert str(error) in refused(response, status, kind).detail
