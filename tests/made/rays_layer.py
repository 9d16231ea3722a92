"""An application behind the part of Ray Serve's replica that reads a request before the application does."""

from types import SimpleNamespace
from typing import Any

from ray.serve._private import replica
from ray.serve._private.http_util import _apply_middlewares

#: The class of Ray's replica whose server calls it.
_REPLICA = next(
    kind for kind in vars(replica).values() if "_direct_ingress_asgi" in getattr(kind, "__dict__", ())
)


class _ReachedError(Exception):
    """Ray would hand the request to the application."""


class _Replica:
    """What Ray's function needs of its replica up to the application."""

    _user_callable_initialized, _route_prefix = True, "/"
    _deployment_id = SimpleNamespace(app_name="policy", name="Ingress")
    _http_options = SimpleNamespace(request_timeout_s=None)
    _parse_request_timeout = _REPLICA._parse_request_timeout
    get_asgi_tracing_context = _REPLICA.get_asgi_tracing_context

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def _determine_http_route(self, scope: Any) -> str:
        return "/"

    def _can_accept_request(self, metadata: Any) -> bool:
        self._seen.append(metadata)
        raise _ReachedError


def behind_ray(app: Any, middlewares: list[Any], seen: list[Any] | None = None) -> Any:
    """Return ``app`` behind Ray's reading of a request and the layers that Ray puts around it.

    ``seen`` gets what Ray read of each request.
    """
    fake = _Replica([] if seen is None else seen)

    async def ray(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        try:
            await _REPLICA._direct_ingress_asgi(fake, scope, receive, send)
        except _ReachedError:
            await app(scope, receive, send)

    return _apply_middlewares(ray, middlewares)
