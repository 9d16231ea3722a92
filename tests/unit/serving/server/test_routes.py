"""``/`` lists every route that there is; a wrong path or method is told what there is."""

import asyncio
import json

import pytest
from made.serving_app import MODEL, App, refused

from kalshi_platform.serving.server.routes import ROUTES, not_found


@pytest.fixture(scope="module")
def app() -> App:
    return App()


def test_every_route_of_the_application_is_listed_and_no_other(app: App):
    document = app.client.get("/openapi.json").json()
    told = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    beside = {("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("WS", "/v1/stream")}
    assert {(route.method, route.path) for route in ROUTES} == told | beside
    for route in ROUTES:
        if route.method == "GET" and route.token == "none":
            assert app.client.get(route.path).status_code == 200, route


def test_the_root_lists_routes_and_the_model_with_its_standing(app: App):
    found = app.client.get("/").json()
    assert [route["path"] for route in found["routes"]] == [route.path for route in ROUTES]
    assert found["model"]["model"] == MODEL
    assert {"standing", "judged_on", "simulated", "cautions"} < set(found["model"])
    assert found["metrics"].startswith("on Ray's own port")


def test_a_browser_is_shown_a_page_that_links_to_the_routes_and_fetches_nothing(app: App):
    response = app.client.get("/", headers={"accept": "text/html,application/xhtml+xml"})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for href in ("docs", "openapi.json", "v1/example", "v1/model", "v1/readyz"):
        assert f'href="{href}"' in response.text
    assert MODEL in response.text
    assert "<script" not in response.text


def test_without_a_model_the_root_says_so():
    app = App()
    app.served = None
    assert app.client.get("/").json()["model"] is None
    assert "No model is loaded yet." in app.client.get("/", headers={"accept": "text/html"}).text


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/decied", "POST /v1/decide"),
        ("/decide", "POST /v1/decide"),
        ("/healthz", "GET /v1/healthz"),
        ("/v1/models", "GET /v1/model"),
        ("/v1/Stream/", "WS /v1/stream"),
    ],
)
def test_a_path_that_does_not_exist_is_told_the_nearest_route(app: App, path: str, near: str):
    detail = refused(app.client.get(path), 404, "not-found").detail
    assert f"the nearest is {near}" in detail
    assert detail.endswith("GET / lists every route")


def test_a_path_like_no_other_and_a_long_one_are_told_the_list(app: App):
    assert (
        refused(app.client.get("/zzz"), 404, "not-found").detail
        == "there is no '/zzz': GET / lists every route"
    )
    long = not_found("/" + "v1/decide" * 100_000)
    assert len(long.detail) < 300


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [("GET", "/v1/decide", "send POST /v1/decide"), ("DELETE", "/v1/model", "send GET /v1/model")],
)
def test_a_wrong_method_is_told_the_right_one(app: App, method: str, path: str, words: str):
    response = asyncio.run(app.client._ask(method, path, {}))
    assert refused(response, 405, "method-not-allowed").detail.endswith(words)
    assert response.headers["allow"] in words


def test_a_plain_request_to_the_stream_is_told_to_connect(app: App):
    assert "connect with ws://" in refused(app.client.get("/v1/stream"), 426, "websocket").detail
    assert json.dumps(app.client.get("/openapi.json").json()).count("/v1/stream") == 0
