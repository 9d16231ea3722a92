"""The HTTP application in process: decisions, every refusal, tokens, limits."""

import asyncio
import copy
import gzip
import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made.served import REAL_MARKS, SIMULATED_MARKS
from made.serving_app import ADMIN, CLIENT, MODEL, App, Client, refused, token, token_files
from starlette.applications import Starlette
from starlette.routing import Mount

from kalshi_platform.domain.bounded import MAX_MESSAGE
from kalshi_platform.domain.errors import ContractError, DataError, LimitError, StorageError
from kalshi_platform.serving.api.requests import (
    DecideResponse,
    ProblemBody,
    ShadowFound,
)
from kalshi_platform.serving.guard.served import Verdict
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import free
from kalshi_platform.serving.server import http
from kalshi_platform.serving.server.gate import RateLimitConfig
from kalshi_platform.serving.server.metrics import REQUESTS


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture
def body(app: App) -> dict[str, Any]:
    return app.example()


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
    assert group.tier == "tier_3"
    assert group.notes == []
    assert group.confidence == float(expected.confidence[0])
    names = ("HOLD", "BUY_YES", "SELL_YES", "BUY_NO", "SELL_NO")
    assert list(group.actions.values()) == [names[a] for a in expected.actions[0]]
    assert [list(each) for each in group.probabilities.values()] == [list(names)] * 5
    assert [list(each.values()) for each in group.probabilities.values()] == expected.probabilities[
        0
    ].tolist()
    assert answer.timings_ms["total"] >= answer.timings_ms["decide"] >= answer.timings_ms["tier_3"] > 0


def test_the_answer_of_an_older_server_is_read_with_the_tiers_names_of_today(app: App, body: dict[str, Any]):
    answer = app.decide(body).json()
    older = {**answer, "groups": [{**answer["groups"][0], "tier": "full"}]}
    assert DecideResponse.model_validate(older) == DecideResponse.model_validate(answer)


def test_every_answer_marks_a_model_that_was_judged_on_simulated_data(body: dict[str, Any], tmp_path):
    app = App(access=token_files(tmp_path))
    assert app.served is not None
    app.served = replace(app.served, marks=SIMULATED_MARKS)
    answers = {
        "/v1/decide": app.client.post("/v1/decide", json=body, headers=token(CLIENT)),
        "/v1/model": app.client.get("/v1/model", headers=token(CLIENT)),
        "/v1/readyz": app.client.get("/v1/readyz"),
        "/v1/models/events": app.client.get("/v1/models/events", headers=token(ADMIN)),
        "/v1/models/reload": app.client.post("/v1/models/reload", headers=token(ADMIN)),
    }
    for path, answer in answers.items():
        assert answer.status_code == 200, path
        assert answer.json()["simulated"] is True, path
        assert "judged on simulated data only" in answer.json()["cautions"][0], path
    assert answers["/v1/model"].json()["judged_on"] == "12 events in 12 blocks simulated"
    assert answers["/v1/model"].json()["trained_on"] == "12 events in 12 blocks recorded"


def test_the_model_page_says_what_the_simulated_world_holds_that_taught_the_model():
    app = App()
    model = app.served.ready.model
    simulated = model._replace(record=model.record.replace(worlds=("martingale",)))
    app.served = replace(app.served, ready=app.served.ready._replace(model=simulated))
    told = app.client.get("/v1/model").json()["trained_on"]
    assert told.startswith("12 events in 12 blocks recorded; the world martingale (sizes that say nothing ")


def test_a_model_that_passed_no_gate_says_so_and_a_real_champion_says_nothing(body: dict[str, Any]):
    app = App()
    assert app.decide(body).json()["cautions"] == []
    assert app.decide(body).json()["simulated"] is False
    assert app.served is not None
    app.served = replace(app.served, marks=REAL_MARKS._replace(passed_gates=False))
    body["request_id"] += "-again"
    assert app.decide(body).json()["cautions"] == ["passed no gate: do not trade by it"]
    assert app.client.get("/v1/readyz").json()["cautions"] == ["passed no gate: do not trade by it"]
    assert app.client.get("/v1/model").json()["passed_gates"] is False


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
    assert list(answer["probabilities"][markets[0]["id"]].values()) == [1, 0, 0, 0, 0]
    body["request_id"] += "-without"
    markets[0]["row"] = [0] * len(body["columns"])
    assert app.decide(body).json()["groups"][0] == answer


def test_only_allowed_actions_are_answered(app: App, body: dict[str, Any]):
    for market in body["groups"][0]["markets"]:
        market["allowed"] = ["SELL_NO"]
    group = app.decide(body).json()["groups"][0]
    assert set(group["actions"].values()) <= {"HOLD", "SELL_NO"}
    for shown in group["probabilities"].values():
        assert [shown[name] for name in ("BUY_YES", "SELL_YES", "BUY_NO")] == [0, 0, 0]
        assert math.isclose(sum(shown.values()), 1, abs_tol=1e-6)


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


def test_a_flood_of_pages_and_wrong_paths_is_bounded_and_costs_no_request_its_answer(
    body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http, "_PAGES", RateLimitConfig(rate_per_s=1, burst=8))
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1)
    app = App()
    found = [app.client.get(path).status_code for path in ("/docs", "/", "/nothing", "/v1/nothing") * 3]
    assert found == [200, 200, 404, 404, 200, 200, 404, 404, 429, 429, 429, 429]
    refused(app.client.get("/openapi.json"), 429, "too-many-requests")
    monkeypatch.undo()
    assert app.decide(body).status_code == 200
    assert {app.client.get(path).status_code for path in ("/v1/readyz", "/v1/model")} == {200}


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


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/models/rollback", "/behind/v1/decide"])
def test_a_client_that_leaves_before_its_body_is_read_is_no_failure_of_the_service(tmp_path, path: str):
    """As on a real server: half of the body arrives, then the connection is gone."""
    app = App(access=token_files(tmp_path))
    secret = ADMIN if path.endswith("rollback") else CLIENT
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {secret}".encode())]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    received = [
        {"type": "http.request", "body": b'{"groups": [', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    behind = Starlette(routes=[Mount("/behind", app.app)])
    asyncio.run((behind if path.startswith("/behind") else app.app)(scope, receive, send))
    assert sent[0]["status"] == 499
    assert json.loads(sent[1]["body"])["title"] == "Client Closed Request"
    assert "after 12 bytes" in json.loads(sent[1]["body"])["detail"]
    assert [problem.kind for problem in app.watched.problems] == ["client-left"]
    assert app.watched.metrics.snapshot().counters[REQUESTS.name, ("refused",)] == 1


def test_a_request_keeps_the_id_it_came_with(app: App):
    response = app.client.get("/v1/nothing", headers={"x-request-id": "my-id.1"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "my-id.1"
    odd = app.client.get("/v1/nothing", headers={"x-request-id": "no spaces please"})
    assert odd.json()["request_id"] != "no spaces please"


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
            model="tiny-1", offered=3, dropped=1, groups=2, slots=10, differing=3, by_tier={"tier_1": (5, 3)},
            pairs={"HOLD > BUY_NO": 2, "BUY_YES > HOLD": 1}, failures=0, switched_off="",
        )  # fmt: skip
        found = shadow()
        assert (found["model"], found["slots"], found["differing"]) == ("tiny-1", 10, 3)
        assert found["by_tier"] == {"tier_1": [5, 3]}
        assert found["pairs"] == {"HOLD > BUY_NO": 2, "BUY_YES > HOLD": 1}

    def test_a_reload_without_news_changes_nothing(self, guarded: App):
        guarded.guard.verdict = None
        found = guarded.client.post("/v1/models/reload", headers=token(ADMIN)).json()
        assert (found["model"], found["changed"]) == (MODEL, False)

    def test_a_refused_model_is_told_with_its_reason(self, guarded: App):
        guarded.guard.verdict = Verdict(model="tiny-00000000bad0", tiers=None, reason="answers nan")
        response = guarded.client.post("/v1/models/reload", headers=token(ADMIN))
        assert "answers nan" in refused(response, 409, "model-refused").detail

    @pytest.mark.parametrize(
        "error", [StorageError("no answer"), DataError("entry 3 is missing"), ContractError("no alias")]
    )
    def test_a_registry_that_cannot_be_read_is_told_apart_from_a_refusal(self, guarded: App, error):
        guarded.guard.refusal = error
        response = guarded.client.post("/v1/models/reload", headers=token(ADMIN))
        assert str(error) in refused(response, 503, "registry").detail
        assert response.headers["retry-after"] == "5"
        guarded.guard.refusal = None

    def test_a_rollback_says_which_model_answers(self, guarded: App):
        guarded.guard.refusal = None
        response = guarded.client.post(
            "/v1/models/rollback", json={"reason": "it trades too much"}, headers=token(ADMIN)
        )
        assert response.json() == {"model": "tiny-0123456789ab", "simulated": False, "cautions": []}

    def test_a_rollback_needs_a_reason(self, guarded: App):
        response = guarded.client.post("/v1/models/rollback", json={}, headers=token(ADMIN))
        refused(response, 422, "invalid-field", "reason")

    @pytest.mark.parametrize(
        ("error", "status", "kind"),
        [
            (LimitError("nothing to go back to"), 409, "no-rollback"),
            (StorageError("no answer"), 503, "registry"),
            (DataError("aliases/000003.json is damaged"), 503, "registry"),
        ],
    )
    def test_a_rollback_that_cannot_be_is_told(self, guarded: App, error, status, kind):
        guarded.guard.refusal = error
        response = guarded.client.post("/v1/models/rollback", json={"reason": "x"}, headers=token(ADMIN))
        assert str(error) in refused(response, status, kind).detail


@pytest.mark.parametrize("path", ["/v1/model/", "/docs/", "/v1/decide/"])
def test_a_slash_too_many_is_refused_and_not_sent_to_an_address_of_the_host_header(app: App, path: str):
    refused(app.client.get(path), 404, "not-found")


def test_a_packed_body_is_refused_by_its_encoding(app: App, body: dict[str, Any]):
    content = gzip.compress(json.dumps(body).encode())
    answer = app.decide(content, **{"content-encoding": "gzip"})
    problem = refused(answer, 415, "content-encoding", "content-encoding")
    assert "send the body as it is" in problem.detail


def test_no_refusal_repeats_more_than_a_bound_of_what_came(app: App, body: dict[str, Any]):
    long = "\U000e0001" * 64  # ten characters each where it is shown
    wrong = copy.deepcopy(body)
    for number, market in enumerate(wrong["groups"][0]["markets"]):
        market["id"], market["row"] = f"{long}{number}", [1e9] * len(market["row"])
    answers = [
        app.decide(wrong),
        app.decide({**body, "feature_digest": long}),
        app.decide({**body, long * 99: 1}),
        app.decide(b"{}", **{"content-type": "x" * 60_000}),
        app.decide(b"{}", **{"content-encoding": "x" * 60_000}),
        app.client.get(f"/{'x' * 60_000}"),
    ]
    for answer in answers:
        problem = ProblemBody.model_validate_json(answer.content)
        assert len(problem.detail) <= MAX_MESSAGE
        assert all(len(each.value) + len(each.allowed) <= 2 * MAX_MESSAGE for each in problem.errors)
