"""The outermost layer of a replica: what Serve learns of a request before the application does.

Why        Serve reads ahead of the application, to learn at once that a client has left, and keeps all it has
           read: a client that sends frames faster than they are decided fills the replica's memory. Told not
           to look for clients that leave, Serve hands the connection through: what is not read waits in the
           client's own socket, and a request costs two tasks less.
Headers    Serve reads some headers for itself, and fails on a byte that is no UTF-8 before the application
           has asked for a token or counted anything; one arms a deadline of Serve's own. A client has no use
           for them: they are dropped, and its request id where the service would not take it either.
Way        Serve calls :func:`middlewares` by the switch RECEIVE_SWITCH before it starts a replica's server,
           or :func:`without_haproxy` by PROXY_SWITCH before it starts its own proxy.
"""

import os
import re
from collections.abc import Iterable
from itertools import product
from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SWITCH: Final = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
#: Names the function that Serve calls, in the form that Serve reads.
RECEIVE_SWITCH: Final = {_SWITCH: "serve_deployments.receiving.middlewares"}
#: The same for Serve's own proxy, where no HAProxy stands in front.
PROXY_SWITCH: Final = {_SWITCH: "serve_deployments.receiving.without_haproxy"}
#: The header by which a request asks Serve not to read ahead; a client's own is replaced.
_HEADER: Final = b"x-request-disconnect-disabled"
_YES: Final = b"?1"
#: As kalshi_platform/serving/server/http.py has it, which is not imported: Serve's proxy stays small.
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def _spellings(name: str) -> set[bytes]:
    """Return ``name`` in lower case with each of its dashes as a dash or an underscore: Serve takes both."""
    parts = name.lower().replace("_", "-").split("-")
    ways = product("-_", repeat=len(parts) - 1)
    return {"".join(map("".join, zip(parts, (*way, ""), strict=True))).encode() for way in ways}


#: Headers that Serve reads for itself, and those that its tracing hands on where an operator turned it on.
_SERVES_OWN: Final = frozenset().union(
    *map(
        _spellings,
        (
            _HEADER.decode(),
            "x-request-timeout-seconds",
            "serve_multiplexed_model_id",
            "x-session-id",
            os.environ.get("RAY_SERVE_SESSION_ID_HEADER_KEY", "x-session-id"),
        ),
    )
)
_TRACING: Final = frozenset((b"traceparent", b"tracestate"))
_REQUEST_ID_NAME: Final = b"x-request-id"
_LOOKED_AT: Final = _SERVES_OWN | _TRACING | {_REQUEST_ID_NAME}


def own_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of a client less those that Serve would fail on or act on; names are in lower case."""
    return [
        (name, value)
        for name, value in headers
        if name.isascii() and (name not in _LOOKED_AT or _may_stay(name, value))
    ]


def _may_stay(name: bytes, value: bytes) -> bool:
    if name == _REQUEST_ID_NAME:
        return REQUEST_ID.fullmatch(value) is not None
    return name in _TRACING and value.isascii()


class OwnHeaders:
    """Drops the headers by which a client would speak to Serve."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on without them."""
        if scope["type"] in ("http", "websocket"):
            scope["headers"] = own_headers(scope["headers"])
        await self._app(scope, receive, send)


class OwnReceive:
    """Drops the same headers, and asks Serve not to read ahead, for every request and every stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on with the header that Serve looks for."""
        if scope["type"] in ("http", "websocket"):
            scope["headers"] = [*own_headers(scope["headers"]), (_HEADER, _YES)]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Layers that Serve puts around a replica's application."""
    return [Middleware(OwnReceive)]


def without_haproxy() -> list[Middleware]:
    """Layers that Serve puts around its own proxy; it looks for clients that leave."""
    return [Middleware(OwnHeaders)]
