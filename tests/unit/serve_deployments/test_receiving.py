"""Headers of a client in front of Ray's own reading of a request: Ray's function, the service behind it."""

import asyncio
from typing import Any

import httpx
import pytest
from made.rays_layer import behind_ray
from made.serving_app import CLIENT, App, token, token_files
from ray.serve._private import constants, replica

from kalshi_platform.serving.server import http
from serve_deployments.receiving import REQUEST_ID, middlewares, own_headers, without_haproxy

#: Every header that Ray's function reads, as its source names them.
READ = {
    constants.SERVE_HTTP_REQUEST_ID_HEADER,
    constants.SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    constants.SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
}
NAMES = sorted(
    READ
    | {
        constants.SERVE_SESSION_ID, constants.SERVE_SESSION_ID.replace("-", "_"), "x_session-id",
        constants.SERVE_MULTIPLEXED_MODEL_ID, "serve-multiplexed-model-id", "serve_multiplexed-model_id",
        "traceparent", "tracestate", "x-of-the-client",
    }
)  # fmt: skip
LAYERS = {"a replica": middlewares, "Serve's own proxy": without_haproxy}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return App(access=token_files(tmp_path_factory.mktemp("tokens")))


def answered(app: App, headers: dict[str, Any], layers: Any = middlewares) -> tuple[httpx.Response, Any]:
    """(The answer to GET /v1/model with ``headers``, what Ray read of the request)."""
    seen: list[Any] = []
    transport = httpx.ASGITransport(behind_ray(app.app, layers(), seen))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/v1/model", headers=headers)

    answer = asyncio.run(ask())
    return answer, seen[0]


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("value", [b"\xff", b"\xe9t\xe9", "\u20ac".encode(), b"1", b""])
@pytest.mark.parametrize("name", NAMES)
def test_no_header_of_a_client_fails_in_ray_before_the_service_asks_for_a_token(
    app: App, monkeypatch, name, value, layers
):
    monkeypatch.setattr(replica, "is_tracing_enabled", lambda: True)
    answer, _ = answered(app, {name: value}, layers)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
    assert answered(app, {name: value, **token(CLIENT)}, layers)[0].status_code == 200


def test_the_headers_tested_here_are_those_that_ray_reads(app: App, monkeypatch):
    asked: set[str] = set()

    class Told(dict):
        def get(self, key, *default):
            asked.add(key.decode())
            return super().get(key, *default)

        def __contains__(self, key):
            asked.add(key.decode())
            return super().__contains__(key)

    monkeypatch.setattr(replica, "dict", Told, raising=False)
    answered(app, token(CLIENT))
    assert asked == READ


def test_a_client_arms_no_deadline_of_rays_and_names_no_session_and_no_model(app: App, monkeypatch):
    timeouts: list[Any] = []
    parse = replica.parse_request_timeout_header
    monkeypatch.setattr(
        replica, "parse_request_timeout_header", lambda *asked: timeouts.append(parse(*asked))
    )
    names = {"x-request-timeout-seconds": "0.001", "x-session-id": "s", "serve_multiplexed_model_id": "m"}
    _, seen = answered(app, names)
    assert (timeouts, seen.session_id, seen.multiplexed_model_id) == ([None], "", "")


def test_a_request_id_is_the_clients_where_the_service_takes_it_and_one_of_rays_elsewhere(app: App):
    assert REQUEST_ID.pattern.decode() == http._REQUEST_ID.pattern
    answer, seen = answered(app, {"x-request-id": "mine-1", **token(CLIENT)})
    assert (seen.request_id, set(answer.headers.get_list("x-request-id"))) == ("mine-1", {"mine-1"})
    for odd in ("a b", "x" * 129, ""):
        answer, seen = answered(app, {"x-request-id": odd, **token(CLIENT)})
        assert seen.request_id not in (odd, "")
        assert set(answer.headers.get_list("x-request-id")) == {seen.request_id}, "an answer has one id"


def test_other_headers_stay_as_they_are_and_a_name_that_is_no_text_goes():
    headers = [(b"authorization", b"Bearer \xff"), (b"x-a", b"1"), (b"x-a", b"2"), (b"traceparent", b"00-1")]
    assert own_headers([*headers, (b"x-\xff", b"1"), (b"traceparent", b"\xff")]) == headers
