"""The routes of the service as ``/`` lists them, and what a wrong path or method is told.

Owns       one line a route; the page and the JSON of ``/``; the nearest route to a path that does not exist.
Invariant  every route of the application stands here (a test compares), and nothing of a request is echoed
           beyond a bound.
Not        the description of fields: ``/docs`` (docs_page.py).
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from kalshi_platform.domain.near import nearest
from kalshi_platform.serving.api.wrong_fields import shortened
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.server.docs_page import STYLE
from kalshi_platform.serving.server.problems import Problem

_LONGEST_PATH: Final = 200


class Route(NamedTuple):
    """One route of the service."""

    method: str
    path: str
    token: str  # who may ask, where the service asks for tokens: none, client, admin
    words: str


ROUTES: Final = (
    Route("GET", "/", "none", "this list, and the model that answers"),
    Route("GET", "/docs", "none", "the API: every route, field and refusal, with examples"),
    Route("GET", "/openapi.json", "none", "the API as an OpenAPI document"),
    Route("POST", "/v1/decide", "client", "decisions about groups of markets, from rows of features"),
    Route("WS", "/v1/stream", "client", "frames of the exchange in, decisions out (docs/streaming.md)"),
    Route("GET", "/v1/example", "client", "a request that /v1/decide answers; ?packed=true packs it"),
    Route("GET", "/v1/model", "client", "the model that answers, and the columns that it reads"),
    Route("GET", "/v1/healthz", "none", "the process answers"),
    Route("GET", "/v1/readyz", "none", "every tier was asked just now and answered; else 503"),
    Route("GET", "/v1/models/events", "admin", "what happened to the models of this replica"),
    Route("POST", "/v1/models/reload", "admin", "look at the registry now"),
    Route("POST", "/v1/models/rollback", "admin", "go back to the model before"),
)  # fmt: skip


def _last_part(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


#: Paths by their last part.
_BY_NAME: Final = {_last_part(route.path): route.path for route in ROUTES if route.path != "/"}
_METRICS: Final = "on Ray's own port: see docs/serving-operations.md"


def index(title: str, served: ServedModel | None) -> dict[str, Any]:
    """Value of ``/`` as JSON: the routes, and the model that answers with its standing."""
    model = None
    if served is not None:
        marks = served.marks
        model = {
            "model": served.key.model,
            "standing": marks.standing,
            "judged_on": marks.judged_on,
            **marks.fields,
        }
    return {
        "service": title,
        "model": model,
        "routes": [route._asdict() for route in ROUTES],
        "metrics": _METRICS,
    }


def index_page(found: Mapping[str, Any]) -> str:
    """HTML text of ``/`` for a browser, of the value that :func:`index` gives."""
    model, title = found["model"], escape(found["service"])
    words = "No model is loaded yet." if model is None else (
        f"<b>{escape(model['model'])}</b> answers ({escape(model['standing'])}; judged on "
        f"{escape(model['judged_on'])}). {escape('; '.join(model['cautions']))}"
    )  # fmt: skip
    rows = "".join(_row(route) for route in ROUTES)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1><p>{words}</p>"
        f'<table><tr><th scope="col">route</th><th scope="col">token</th><th scope="col">what</th></tr>{rows}'
        f"</table><p>Metrics: {escape(_METRICS)}.</p></body></html>"
    )


def _row(route: Route) -> str:
    shown = f"<code>{route.method} {escape(route.path)}</code>"
    if route.method == "GET" and route.path != "/":
        shown = f'<a href="{escape(route.path[1:], quote=True)}">{shown}</a>'
    return f"<tr><td>{shown}</td><td>{route.token}</td><td>{escape(route.words)}</td></tr>"


def not_found(path: str) -> Problem:
    """Problem 404 for a ``path`` that names no route: it tells the nearest ones, and where all are listed."""
    near = _nearest(path[:_LONGEST_PATH])
    meant = f"the nearest is {_or(near)}; " if near else ""
    return Problem(404, "not-found", f"there is no {shortened(path)}: {meant}GET / lists every route")


def wrong_method(method: str, path: str, headers: Mapping[str, str]) -> Problem:
    """Problem 405 for a ``method`` that the route ``path`` does not answer: it tells those that it does."""
    there = [route.method for route in ROUTES if route.path == path]
    detail = f"{path} does not answer {shortened(method)}: send {' or '.join(there)} {path}"
    return Problem(405, "method-not-allowed", detail, headers=dict(headers))


def needs_websocket(path: str) -> Problem:
    """Problem 426 for a plain request to the route of streams."""
    detail = f"{path} is a WebSocket: connect with ws:// and send an open message first (docs/streaming.md)"
    return Problem(426, "websocket", detail, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


def _nearest(path: str) -> list[str]:
    """Routes that ``path`` may be meant as, the likeliest first: those whose last part is like its own."""
    return [_BY_NAME[name] for name in nearest(_last_part(path.rstrip("/").lower()), _BY_NAME)]


def _or(paths: Sequence[str]) -> str:
    return " or ".join(f"{next(r.method for r in ROUTES if r.path == path)} {path}" for path in paths)
