"""The outermost layer of a replica: the application itself reads what a client sends, at its own pace.

Why        Serve reads ahead of the application, to learn at once that a client has left, and keeps all it has
           read: a client that sends frames faster than they are decided fills the replica's memory. Told not
           to look for clients that leave, Serve hands the connection through: what is not read waits in the
           client's own socket, and a request costs two tasks less.
Way        Serve calls :func:`middlewares` by the switch RECEIVE_SWITCH before it starts a replica's server.
"""

from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

#: Names the function that Serve calls, in the form that Serve reads.
RECEIVE_SWITCH: Final = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_deployments.receiving.middlewares"
}
#: The header by which a request asks Serve not to read ahead; a client's own is replaced.
_HEADER: Final = b"x-request-disconnect-disabled"
_YES: Final = b"?1"


class OwnReceive:
    """Asks Serve not to read ahead, for every request and every stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on with the header that Serve looks for."""
        if scope["type"] in ("http", "websocket"):
            own = [header for header in scope["headers"] if header[0] != _HEADER]
            scope["headers"] = [*own, (_HEADER, _YES)]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Layers that Serve puts around a replica's application."""
    return [Middleware(OwnReceive)]
