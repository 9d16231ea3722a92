"""Fuzz target: requests to the service behind Ray's reading of them: bodies, odd paths, odd headers.

Taken     then the answer is JSON with finite numbers, of the groups that were sent.
Refused   as problem details of 4xx or 503 with a type and words of at most MAX_MESSAGE.
"""

import asyncio
import json
import math

import httpx
from made.fuzzing import FindingError, check_words, fuzz
from made.mutations import odd_bytes, odd_document
from made.rays_layer import behind_ray
from made.serving_app import App

from serve_deployments.receiving import middlewares

PATHS = ("/v1/decide",) * 8 + (
    "/v1/models/rollback",
    "/v1/models/reload",
    "/v1/example",
    "/v1/nothing",
    "/v1/readyz",
)
HEADERS = (
    ("content-type", "application/json"), ("content-type", "text/plain"), ("content-type", "\u00ff"),
    ("x-request-id", "x" * 300), ("x-request-id", "a b"), ("host", "evil.example"), ("host", "127.0.0.1:1"),
    ("authorization", "Bearer \u00e9"), ("accept", "x/y"), ("content-length", "-1"), ("origin", "http://evil.example"),
    ("x-request-id", "\u00ff"), ("x-session-id", "\u00ff"), ("x-request-timeout-seconds", "\u00ff"),
    ("x-request-timeout-seconds", "0.001"), ("x-request-disconnect-disabled", "\u00ff"),
    ("serve_multiplexed_model_id", "\u00ff"), ("serve-multiplexed-model-id", "\u00ff"),
)  # fmt: skip


def test_requests():
    app = App()
    plain = app.example()
    packed = dict(app.client.get("/v1/example?packed=true").json())
    rollback = {"reason": "of a test"}

    async def ask(client, method, path, content, headers):
        return await client.request(method, path, content=content, headers=headers)

    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(behind_ray(app.app, middlewares()), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

        def one(rng):
            path = rng.choice(PATHS)
            document = {"/v1/models/rollback": rollback}.get(path, rng.choice((plain, packed)))
            document = (
                {**document, "request_id": f"r-{rng.getrandbits(64):x}"} if "groups" in document else document
            )
            text = odd_document(rng, document) if rng.randrange(8) else json.dumps(document)
            body = text.encode("utf-8", "surrogatepass")
            body = odd_bytes(rng, body) if rng.randrange(6) == 0 else body
            headers = dict([rng.choice(HEADERS)]) if rng.randrange(4) == 0 else {}
            headers = {name: value.encode("latin-1") for name, value in headers.items()}
            method = "POST" if rng.randrange(10) else rng.choice(("GET", "PUT", "DELETE", "OPTIONS"))
            answer = runner.run(ask(client, method, path, body, headers))
            return check(answer, path)

        counts = fuzz("requests", 300, one)
        runner.run(client.aclose())
    assert counts["refused"]
    assert counts["taken"]


def check(answer, path):
    """Words of a refusal, "" of an answer; a FindingError where either is none."""
    if answer.status_code == 200:
        found = json.loads(answer.content, parse_constant=_refuse_constant)
        if path == "/v1/decide" and not all(_is_finite(value) for value in _numbers(found)):
            raise FindingError("a number of an answer is not finite")
        return ""
    if answer.status_code >= 500 and answer.status_code != 503:
        raise FindingError(f"status {answer.status_code}: {answer.text[:300]}")
    problem = json.loads(answer.content)
    check_words(problem["detail"])
    if len(answer.content) > 40_000 or not problem["type"].startswith("/problems/"):
        raise FindingError(f"a refusal of {len(answer.content)} bytes, type {problem['type']}")
    return problem["detail"]


def _refuse_constant(name):
    raise FindingError(f"{name} in an answer")


def _numbers(value):
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value


def _is_finite(value):
    return math.isfinite(value)
