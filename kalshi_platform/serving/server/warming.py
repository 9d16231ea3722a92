"""A rehearsal before a replica serves: requests of every kind go the whole way, no client is the first.

Way        a second service over the same engines, without tokens, is asked through the whole application as
           HTTP and WebSocket ask it: bytes are parsed, read, decided and written. Kernels are compiled or
           loaded, modules imported, validators and sessions built here.
Invariant  nothing is counted, logged, recorded or remembered by the service that answers clients: the
           rehearsal has its own caches, metrics and guard, and only shares the model's engines.
Not        tier 3 in another process: ``/v1/readyz`` asks it through its hop before it says ready.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.types import ASGIApp, Message, Scope

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import Batch, Decisions
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.http import DECIDE, make_app
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.service import Service

#: Groups in the larger request: a call with many is another shape to an engine.
_MANY: Final = 20
_MARKET: Final = "WARM-1-A"
#: A body that is wrong in every part, so that the search for wrong fields is made ready.
_WRONG: Final = (
    b'{"groups": [{"markets": [{"row": ["x"], "history": [["x"]], "allowed": [1], "bid_e4": -1}]}]}'
)
_FRAMES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (
        "orderbook_snapshot",
        {"yes_dollars_fp": [["0.4000", "10.00"]], "no_dollars_fp": [["0.5000", "10.00"]]},
    ),
    ("orderbook_delta", {"price_dollars": "0.4000", "delta_fp": "1.00", "side": "yes"}),
    ("orderbook_delta", {"price_dollars": "0.5000", "delta_fp": "-1.00", "side": "no"}),
)


class _Rehearsed:
    """The guard of a rehearsal: one model, and nobody who learns how it did."""

    def __init__(self, served: ServedModel) -> None:
        policy = TieredPolicy(served.policy.spec, served.policy.tiers, served.policy.config)
        self._served = replace(served, policy=policy)  # caches of its own

    def current(self) -> ServedModel:
        """The model that answers."""
        return self._served

    def answered(self, served: ServedModel, batch: Batch, decisions: Decisions, taken_ns: int) -> None:
        """Forget that a request was answered."""

    def failed(self, served: ServedModel, taken_ns: int) -> None:
        """Forget that a network failed: the checks of the guard decide on the model."""


async def rehearse(args: PolicyAppArgs, served: ServedModel) -> None:
    """Send requests of every kind through an application in front of ``served``, and frames of a stream.

    ContractError where the application answers one of them otherwise than it must: it would fail clients too.
    """
    silent = logging.Logger("rehearsal", logging.CRITICAL + 1)
    unbounded = args.replace(access={"require_token": False}, limits={}, deadline_ms=60_000.0)
    guard: Any = _Rehearsed(served)
    service = Service(unbounded, guard, observability=Observability(0.0, silent))
    app = make_app(service)
    for path in ("/", "/v1/healthz", "/v1/readyz", "/v1/model", "/v1/example", "/docs", "/openapi.json"):
        await _ask(app, "GET", path)
    for packed in ("false", "true"):
        example = json.loads(await _ask(app, "GET", "/v1/example", query=f"packed={packed}"))
        for number, body in enumerate(_bodies(example)):
            text = json_text({**body, "request_id": f"rehearsal-{packed}-{number}"}).encode()
            for _ in range(2):  # the second is answered as a repetition
                await _ask(app, "POST", DECIDE, text)
    await _ask(app, "POST", DECIDE, b"{", expected=400)
    await _ask(app, "POST", DECIDE, b"{}", expected=422)
    await _ask(app, "POST", DECIDE, _WRONG, expected=422)
    await _ask(app, "GET", "/v1/nothing", expected=404)
    await _stream(app)


def _bodies(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Requests that go every way there is to read one: one group and many, states, rules of a set."""
    markets = example["groups"][0]["markets"]
    priced = [
        {**m, "exclusive_set": "SET", "bid_e4": 6_000, "ask_e4": 6_100, "bid_size_e2": 10_000, "age_ms": 0}
        for m in markets
    ]
    paused = [{**markets[0], "state": "paused"}, *markets[1:]]
    one = [{"markets": markets[:1]}]
    groups = [example["groups"], one, example["groups"] * _MANY, [{"markets": priced}], [{"markets": paused}]]
    return [{**example, "groups": each} for each in groups]


async def _ask(
    app: ASGIApp, method: str, path: str, body: bytes = b"", *, query: str = "", expected: int = 200
) -> bytes:
    """Send one HTTP request; returns the body of the answer."""
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": query.encode(),
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
    }  # fmt: skip
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        told.append(message)

    await app(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in told[1:])
    if told[0]["status"] != expected:
        raise ContractError(
            f"rehearsal of {method} {path}: answered {told[0]['status']} instead of {expected}: "
            f"{answer[:300].decode(errors='replace')}"
        )
    return answer


async def _stream(app: ASGIApp) -> None:
    """Open a stream, send a book and changes to it, and leave; it allows whatever model is served."""
    opening = {
        "type": "open", "decision_interval_ms": 0, "probabilities": True, "allow_simulated": True,
        "accept_missing_inputs": True,
    }  # fmt: skip
    texts = [json_text(opening)]
    for seq, (kind, message) in enumerate(_FRAMES, 1):
        frame = {"type": kind, "sid": 1, "seq": seq, "msg": {"market_ticker": _MARKET, **message}}
        texts.append(json_text(frame))
    waiting: list[Message] = [{"type": "websocket.connect"}]
    waiting += [{"type": "websocket.receive", "text": text} for text in texts]
    waiting.append({"type": "websocket.disconnect", "code": 1000})
    scope: Scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "path": "/v1/stream",
        "raw_path": b"/v1/stream", "root_path": "", "scheme": "ws", "query_string": b"",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
        "subprotocols": [],
    }  # fmt: skip
    told: list[str] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return waiting.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            told.append(json.loads(message["text"])["type"])

    await app(scope, receive, send)
    if told[:1] != ["opened"] or "decision" not in told:
        raise ContractError(f"rehearsal of a stream: answered {told} instead of a decision")
