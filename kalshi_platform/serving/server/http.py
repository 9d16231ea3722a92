"""The HTTP side of one replica: routes, tokens, limits, problem details; FastAPI without Ray.

Invariant  every answer that is not a success is ``application/problem+json``; every answer carries
           X-Request-Id; no body is read beyond its limit or waited for beyond its deadline (arrivals.py).
Quick      the outermost layer itself answers POST /v1/decide: FastAPI's routing, dependencies and exit stacks
           cost 0.03 ms on warm caches and 0.15 ms on cold ones, more than reading a request does. The route
           is there for the OpenAPI document and for a path below a prefix, and answers the same.
Not        deciding (service.py). The models of api/requests.py describe the bodies in the OpenAPI document;
           the service reads a request from bytes and writes its answer to bytes once, without FastAPI's own
           second pass.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import count
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, WebSocket
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalshi_platform import __version__
from kalshi_platform.domain.errors import LimitError, PlatformError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    DecideResponse,
    Health,
    ModelHistory,
    ModelInfo,
    ProblemBody,
    Readiness,
    ReloadResponse,
    RollbackRequest,
    RollbackResponse,
    schema_of,
)
from kalshi_platform.serving.api.wrong_fields import shortened
from kalshi_platform.serving.server.arrivals import Arrivals
from kalshi_platform.serving.server.docs_page import POLICY, docs_page
from kalshi_platform.serving.server.gate import Gate, RateLimitConfig, RateLimiter
from kalshi_platform.serving.server.hosts import require_host
from kalshi_platform.serving.server.probing import SharedProbe
from kalshi_platform.serving.server.problems import MEDIA_TYPE, Problem, of_validation, refusal
from kalshi_platform.serving.server.routes import (
    ROUTES,
    index,
    index_page,
    needs_websocket,
    not_found,
    wrong_method,
)
from kalshi_platform.serving.server.service import Service
from kalshi_platform.serving.server.shares import ProcessorShares
from kalshi_platform.serving.server.streaming import Streams, deny

DECIDE: Final = "/v1/decide"
_LOG: Final = logging.getLogger(__name__)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_FLAGS: Final = {"true": True, "false": False}
_PACKED: Final = "true: numbers as base64 of little-endian float32, which are read several times faster"
#: Request ids of this process: 16 hex digits that no other has, then a number. A call for random digits each
#: time takes 50 us where the last one is 20 ms ago.
_PROCESS, _NUMBERS = uuid.uuid4().hex[:16], count()
_BEARER: Final[dict[str, Any]] = {"security": [{"bearer": []}]}
#: Pages and wrong paths need no token and cost milliseconds: all who ask for them share this rate.
_PAGES: Final = RateLimitConfig(rate_per_s=20, burst=40)
_CHEAP_OR_GUARDED: Final = frozenset(route.path for route in ROUTES if route.path.startswith("/v1/"))


#: Answers a request for decisions; Problem says what is wrong with it.
Decide = Callable[[Request], Awaitable[Response]]


class HttpDoor:
    """Outermost layer: gives every request its id and time, answers POST /v1/decide, answers for errors."""

    def __init__(self, app: ASGIApp, service: Service, decide: Decide) -> None:
        self._app, self._service, self._decide = app, service, decide
        self._pages = RateLimiter(_PAGES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; hand anything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["arrived_ns"], state["request_id"] = time.monotonic_ns(), request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            require_host(self._service.args.access, scope)
            self._require_turn(scope)
            if scope["path"] == DECIDE and scope["method"] == "POST":
                await (await self._decide(Request(scope, receive)))(scope, receive, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        except Problem as refused:
            await answer_problem(self._service, refused, request_id)(scope, receive, send_with_id)
        except Exception:  # a bug: the log has it, the client learns only that it was not its fault
            _LOG.exception("request %s failed", request_id)
            if started:
                raise
            problem = Problem(500, "internal", f"the service failed; its log has request {request_id}")
            await answer_problem(self._service, problem, request_id)(scope, receive, send_with_id)

    def _require_turn(self, scope: Scope) -> None:
        """Raise Problem 429 for a page or wrong path that is asked for too often, by whomever."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path not in _CHEAP_OR_GUARDED and self._pages.take("pages", time.monotonic_ns()):
            detail = f"pages are answered {_PAGES.rate_per_s} times a second: ask again in 1 s"
            raise Problem(429, "too-many-requests", detail, headers={"Retry-After": "1"})


def make_app(service: Service) -> FastAPI:
    """Make the application in front of ``service``."""
    app = FastAPI(
        title="kalshi-platform", version=__version__, docs_url=None, redoc_url=None,  # ours: /docs
        redirect_slashes=False,  # to an address made of the Host header, which a proxy may have changed
        description="Decisions of one market-agnostic policy for Kalshi prediction markets.",
    )  # fmt: skip
    gate = Gate(service.args.access, service.args.limits.rates)
    arrivals = Arrivals(service.args.limits.arriving)
    decide = _deciding(service, gate, arrivals)
    app.add_middleware(HttpDoor, service=service, decide=decide)

    async def refuse(request: Request, error: Exception) -> Response:
        problem = error if isinstance(error, Problem) else _of_http(error, request)
        return answer_problem(service, problem, request.state.request_id)

    app.add_exception_handler(Problem, refuse)
    app.add_exception_handler(HTTPException, refuse)
    _add_decide(app, decide)
    _add_model(app, service, gate)
    _add_models(app, service, gate, arrivals)
    _add_stream(app, service, gate)
    _add_health(app, service)
    _describe(app, service)
    _add_docs(app, service)
    return app


def answer_problem(service: Service, problem: Problem, request_id: str) -> Response:
    """Answer a refused request, and count it."""
    service.observability.refused(request_id, problem)
    return Response(problem.body(request_id), problem.status, problem.headers, MEDIA_TYPE)


def _deciding(service: Service, gate: Gate, arrivals: Arrivals) -> Decide:
    shares = ProcessorShares(service.args.limits.deciding)

    async def decide(request: Request) -> Response:
        client = gate.client(request)
        shares.asked(client)
        _require_json(request)
        content = await arrivals.read(request, client, service.args.limits.body_bytes)
        deciding = service.decide(client, content, request.state.arrived_ns)
        answer = await shares.decided(client, len(content), deciding)
        return Response(answer, media_type="application/json")

    return decide


def _add_decide(app: FastAPI, decide: Decide) -> None:
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecideRequest"}}},
    }

    refusals = _problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)
    app.post(
        DECIDE, response_model=DecideResponse, openapi_extra={"requestBody": body, **_BEARER},
        responses=refusals, summary="Decide groups of markets",
    )(decide)  # fmt: skip


def _add_model(app: FastAPI, service: Service, gate: Gate) -> None:
    refusals = _problems(401, 403, 429, 503)

    @app.get(
        "/v1/model", openapi_extra=_BEARER, responses=refusals, response_model=ModelInfo,
        summary="What is served and what it wants to be shown",
    )  # fmt: skip
    async def model(request: Request) -> Response:
        gate.client(request)
        return _json(service.info().model_dump_json())

    @app.get(
        "/v1/example", openapi_extra=_BEARER, responses=_problems(401, 403, 422, 429, 503),
        response_model=DecideRequest,
        summary="A valid request for the model that is served, from the events that judged it; the header "
        "X-Example-Source says from where, or that it is made up",
    )  # fmt: skip
    async def example(
        request: Request,
        packed: Annotated[
            str, Query(json_schema_extra={"enum": list(_FLAGS)}, description=_PACKED)
        ] = "false",
    ) -> Response:
        gate.client(request)
        if packed not in _FLAGS:
            shown = shortened(packed)
            raise refusal("invalid-field", f"packed = {shown}: send true or false", "packed", shown)
        answer = _json(service.example(packed=_FLAGS[packed]).model_dump_json(exclude_none=True))
        answer.headers["X-Example-Source"] = service.info().example.encode("ascii", "replace").decode()
        return answer


def _add_models(app: FastAPI, service: Service, gate: Gate, arrivals: Arrivals) -> None:
    """Add the administrator's routes; loading and the registry run in a thread."""
    refusals = _problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)

    @app.get(
        "/v1/models/events", openapi_extra=_BEARER, responses=_problems(401, 403, 429, 503),
        response_model=ModelHistory, summary="What happened to the models of this replica",
    )  # fmt: skip
    async def events(request: Request) -> Response:
        gate.admin(request)
        served = service.served()
        found = ModelHistory(
            model=served.key.model, events=list(service.guard.events), shadow=service.guard.shadow(),
            **served.marks.fields,
        )  # fmt: skip
        return _json(found.model_dump_json())

    @app.post(
        "/v1/models/reload", openapi_extra=_BEARER, responses=refusals, response_model=ReloadResponse,
        summary="Look at the registry now: 200 where what it names answers, 409 where that is refused, also "
        "earlier, 503 where the registry cannot be read or its log is damaged",
    )  # fmt: skip
    async def reload(request: Request) -> Response:
        gate.admin(request)
        before = service.served()
        try:
            verdict = await asyncio.to_thread(service.guard.refresh)
        except PlatformError as error:
            raise _of_registry(error) from None
        if verdict is not None and not verdict.accepted:
            detail = f"{verdict.model} was refused: {verdict.reason}; {before.key.model} goes on answering"
            raise Problem(409, "model-refused", detail)
        now = service.served()
        found = verdict.words if verdict else "the registry names what is served"
        changed = now.number != before.number
        return _json(
            ReloadResponse(
                model=now.key.model, changed=changed, found=found, **now.marks.fields
            ).model_dump_json()
        )

    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RollbackRequest"}}},
    }

    @app.post(
        "/v1/models/rollback", openapi_extra={"requestBody": body, **_BEARER}, responses=refusals,
        response_model=RollbackResponse,
        summary="Go back to the model before, here and in the registry; 409: no alias was changed",
    )  # fmt: skip
    async def rollback(request: Request) -> Response:
        admin = gate.admin(request)
        _require_json(request)
        content = await arrivals.read(request, admin, service.args.limits.body_bytes)
        try:
            wanted = RollbackRequest.model_validate_json(content)
        except ValidationError as error:
            raise of_validation(RollbackRequest, content, error) from None
        try:
            served = await asyncio.to_thread(service.guard.rollback, wanted.reason)
        except LimitError as error:
            raise Problem(409, "no-rollback", str(error)) from None
        except PlatformError as error:
            raise _of_registry(error) from None
        return _json(RollbackResponse(model=served.key.model, **served.marks.fields).model_dump_json())


def _add_stream(app: FastAPI, service: Service, gate: Gate) -> None:
    streams = Streams(service)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        request_id = uuid.uuid4().hex
        try:
            require_host(service.args.access, socket.scope)
            client = gate.client(socket)
        except Problem as problem:
            service.observability.refused(request_id, problem)
            await deny(socket, problem, request_id)
            return
        await streams.serve(socket, client)


def _add_health(app: FastAPI, service: Service) -> None:
    probe = SharedProbe(service.ready)

    @app.get("/v1/healthz", response_model=Health, summary="The process answers")
    async def healthz() -> Response:
        return _json(Health().model_dump_json())

    @app.get(
        "/v1/readyz", response_model=Readiness, summary="Every tier was asked just now",
        responses={503: {"model": Readiness, "description": "not ready"}},
    )  # fmt: skip
    async def readyz() -> Response:
        found = await probe.ask()
        return _json(found.model_dump_json(), 200 if found.ready else 503)


def _add_docs(app: FastAPI, service: Service) -> None:
    """Add the list of routes and the page of the API; they need no token, as the OpenAPI document."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}

    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        found = index(f"{app.title} {app.version}", service.guard.current())
        if "text/html" in request.headers.get("accept", ""):
            return Response(index_page(found), headers=headers, media_type="text/html")
        return _json(json_text(found, indent=1))

    @app.get("/v1/stream", include_in_schema=False)
    async def stream() -> Response:
        raise needs_websocket("/v1/stream")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        page = docs_page(app.openapi(), request.headers.get("host", ""))
        return Response(page, headers=headers, media_type="text/html")


def _describe(app: FastAPI, service: Service) -> None:
    """Add to the OpenAPI document what FastAPI cannot know: the body of decide, tokens."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            parts = document.setdefault("components", {})
            own = schema_of(DecideRequest)
            parts.setdefault("schemas", {}).update(own.pop("$defs", {}))
            current = service.guard.current()
            if current is not None:
                own["example"] = service.example("example-1").model_dump(mode="json", exclude_none=True)
            parts["schemas"]["DecideRequest"] = own
            parts["schemas"]["RollbackRequest"] = schema_of(RollbackRequest)
            parts["schemas"]["ProblemBody"] = schema_of(ProblemBody)
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _require_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/x-www-form-urlencoded", ""):
        # curl -d says form unless told otherwise; the body itself shows if it is JSON.
        detail = f"content-type {shortened(kind)}: send application/json"
        raise Problem(415, "not-json", detail, "content-type")
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("identity", ""):
        detail = f"content-encoding {shortened(packed)} is not unpacked: send the body as it is"
        raise Problem(415, "content-encoding", detail, "content-encoding")


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {status: {"description": "refused", "content": content} for status in statuses}


def _of_registry(error: PlatformError) -> Problem:
    """Problem for a registry that cannot be read, or whose alias log is damaged; the model answers on."""
    return Problem(503, "registry", str(error), headers={"Retry-After": "5"})


def _of_http(error: Exception, request: Request) -> Problem:
    path = request.url.path
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else "the service failed"
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == HTTPStatus.NOT_FOUND:
        return not_found(path)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return wrong_method(request.method, path, headers)
    return Problem(status, "http", detail, headers=headers)


def _request_id(scope: Scope) -> str:
    """Name of a request: the client's own, else this process's and a number, as one asked for no secret."""
    shown = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"x-request-id"), "")
    return shown if shown and _REQUEST_ID.fullmatch(shown) else f"{_PROCESS}{next(_NUMBERS):016x}"


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")
