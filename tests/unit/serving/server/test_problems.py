"""Refusals: the kind, the field and the request's id, whatever is wrong."""

import json
import math
from http import HTTPStatus
from typing import Any

import pytest
from made.serving_app import App, refused

from kalshi_platform.serving.api.requests import DecideRequest
from kalshi_platform.serving.server.arrivals import require_readable
from kalshi_platform.serving.server.problems import Problem


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture
def body(app: App) -> dict[str, Any]:
    return app.example()


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


def test_a_problem_is_told_as_rfc_9457_asks():
    told = json.loads(Problem(422, "wrong-shape", "3 numbers", "groups.0").body("r-1"))
    assert told == {
        "type": "/problems/wrong-shape",
        "title": HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
        "status": 422,
        "detail": "3 numbers",
        "field": "groups.0",
        "errors": [],
        "more_errors": 0,
        "request_id": "r-1",
    }


def test_every_wrong_field_of_the_schema_is_listed(app: App, body: dict[str, Any]):
    del body["feature_digest"]
    change(body, f"{MARKET}.state", "on holiday")
    change(body, f"{MARKET}.row.{YES_MID}", None)
    change(body, "groups.0.markets.2.bid_e4", -1)
    body["surprise"] = 1
    problem = refused(app.decide(body), 422, "invalid-field", "feature_digest")
    assert [each.field for each in problem.errors] == [
        "feature_digest", f"{MARKET}.state", f"{MARKET}.row.{YES_MID}",
        "groups.0.markets.2.bid_e4", "surprise",
    ]  # fmt: skip
    assert problem.errors[1].value == "'on holiday'"
    assert problem.errors[1].allowed.startswith("send one of 'active', 'paused', ")
    assert problem.errors[3].allowed == "send at least 0"
    assert problem.detail.endswith("(and 4 more wrong fields: see errors)")
    assert problem.more_errors == 0


def test_every_wrong_field_that_only_the_model_knows_of_is_listed(app: App, body: dict[str, Any]):
    body["columns"][3:5] = ["moon_phase", "yes_mid"]
    change(body, f"{MARKET}.row.{YES_MID}", 1.5)
    change(body, "groups.0.markets.1.id", body["groups"][0]["markets"][0]["id"])
    change(body, "groups.0.markets.1.row", [0.5])
    change(body, "groups.0.markets.2.history", [[9.0] * 5])
    problem = refused(app.decide(body), 422, "repeated-market", "groups.0.markets.1.id")
    fields = [each.field for each in problem.errors]
    assert fields[:5] == [
        "groups.0.markets.1.id", "columns.3", "columns.4", f"{MARKET}.row.{YES_MID}",
        "groups.0.markets.1.row",
    ]  # fmt: skip
    assert all(field.startswith("groups.0.markets.2.history") for field in fields[5:])
    assert len(fields) > 5
    assert problem.errors[3].value == "1.5"
    assert problem.errors[3].allowed.startswith("send a number from 0 to 1 (yes_mid of market ")
    assert f"(and {len(fields) - 1} more wrong fields: see errors)" in problem.detail


def test_a_request_of_many_wrong_numbers_lists_twenty_and_counts_to_two_hundred(
    app: App, body: dict[str, Any]
):
    for market in body["groups"][0]["markets"]:
        market["row"] = [1e9] * len(market["row"])
    problem = refused(app.decide(body), 422, "out-of-bounds", f"{MARKET}.row.{YES_MID}")
    assert len(problem.errors) == 20
    assert problem.more_errors == min(5 * len(body["columns"]), 200) - 20


def test_a_long_value_is_cut_in_the_words_of_a_refusal(app: App, body: dict[str, Any]):
    body["request_id"] = "x" * 1_000
    assert len(refused(app.decide(body), 422, "invalid-field", "request_id").detail) < 200


LONG = b'{"request_id":"x","feature_digest":"x","columns":["a"],"groups":['
ONE_MARKET = b'{"id":"a","state":"active","allowed":[],"row":[1]}'


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (LONG + b",".join([b'{"markets":[' + ONE_MARKET + b"]}"] * 60_000) + b"]}", "too-many-groups"),
        (LONG + b'{"markets":[{"history":[' + b",".join([b"[1]"] * 900_000) + b"]}]}]}", "body-too-long"),
        (b"{" + b",".join(b'"a%d":1' % k for k in range(300_000)) + b"}", "body-too-long"),
        (LONG + b"1," * 2_000_000 + b"1]}", "body-too-long"),
        (b"[" * 4_000_000, "body-too-long"),
    ],
    ids=["groups", "rows", "fields", "numbers", "deep"],
)
def test_a_body_that_would_take_seconds_to_read_is_refused_unread(
    app: App, content: bytes, kind: str, monkeypatch: pytest.MonkeyPatch
):
    def reads(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(DecideRequest, "model_validate_json", reads)
    problem = refused(app.decide(content), 413, kind)
    assert len(problem.detail) < 300


def test_the_largest_request_of_good_will_is_read(app: App, body: dict[str, Any]):
    """As many groups as may be asked, every market with a history and names full of signs."""
    group = body["groups"][0]
    market = group["markets"][0]
    rows = [[0.5] * 8] * 64
    many = [{**market, "id": f"m:{n}:{{[", "history": rows[:1]} for n in range(5)]
    large = {**body, "groups": [{**group, "markets": many}] * 128, "request_id": "a:b"}
    require_readable(json.dumps(large).encode(), 128, 5)
    few = {**body, "groups": [{**group, "markets": [{**each, "history": rows} for each in many]}] * 64}
    require_readable(json.dumps(few).encode(), 128, 5)
