"""Page of a running program, on loopback only: figures, and controls and metrics where it has them.

Checked    the Host header (a name that a foreign page made to point here is refused), the Origin where a
           browser sends one, and a token, drawn anew at every start: first in the address, from then on in a
           cookie that no script and no other site can use.
Controls   are POSTs. Each needs the cookie, this page's own Origin, and the control key in a header. The key
           stands in the address behind ``#``: no request carries it by itself. A browser sends cookies to
           every port of this machine, so whoever reads one elsewhere can look here, and not act.
Metrics    ``/metrics`` in Prometheus's text form takes a token of its own, from a file for its scraper.
Bounded    MOST_CONNECTIONS at once, further ones are closed; one that asks nothing within SILENT_S is
           closed. So nobody on this machine can take from the program the files that it needs.
Serves     ``/`` the page, ``/figures`` its JSON; no GET changes anything.
"""

import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from kalshi_platform.domain.errors import ContractError, PlatformError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.trading.pages.connections import SILENT_S, BoundedConnections

HOST: Final = "127.0.0.1"
KEY_HEADER: Final = "X-Control-Key"
_MOST_BODY: Final = 4_096
#: Longest that a request, also a stranger's half one, holds up the end.
_CLOSE_S: Final = 1.0
_METRICS: Final = "/metrics"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Does something by the fields of a request; returns words, raises a PlatformError with words.
Control = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True)
class PageKind:
    """Page of one kind of program."""

    package: str  # its folder ``templates`` holds page.html.j2
    cookie: str
    printed_by: str  # who prints the address


class PageServer:
    """Serves figures until closed."""

    def __init__(
        self,
        kind: PageKind,
        figures: Callable[[], dict[str, Any]],
        port: int,
        *,
        controls: Mapping[str, Control] | None = None,
        metrics: Callable[[], str] | None = None,
    ) -> None:
        """``figures`` gives the values of the page; ``port`` 0 is any free one."""
        self._kind, self._figures, self._wanted_port = kind, figures, port
        self._controls, self._metrics = dict(controls or {}), metrics
        self._token, self._key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._scrape_token = secrets.token_urlsafe(24)
        self._runner: web.AppRunner | None = None
        self._connections: BoundedConnections | None = None
        self._refused = 0
        self.port = 0

    @property
    def address(self) -> str:
        """Address to open, with the token, and the control key where there are controls."""
        key = f"#key={self._key}" if self._controls else ""
        return f"http://{HOST}:{self.port}/?token={self._token}{key}"

    @property
    def refused(self) -> int:
        """Requests and connections that were refused."""
        return self._refused + (0 if self._connections is None else self._connections.refused)

    async def start(self, address_file: Path, scrape_file: Path | None = None) -> None:
        """Listen, and write address and scrape token to files that only their owner reads.

        ContractError where the port is taken.
        """
        app = web.Application(middlewares=[self._guard], client_max_size=_MOST_BODY)
        app.router.add_get("/", self._page)
        app.router.add_get("/figures", self._answer)
        if self._metrics is not None:
            app.router.add_get(_METRICS, self._scrape)
        if self._controls:
            app.router.add_post("/control/{name}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = BoundedConnections(self._runner.server, SILENT_S)
        try:
            self.port = await self._connections.listen(HOST, self._wanted_port)
        except OSError as err:
            await self._runner.cleanup()
            raise ContractError(
                f"--page-port {self._wanted_port}: cannot listen on {HOST} ({err.strerror}); "
                "give another port, or 0 for any free one"
            ) from None
        _write_privately(address_file, self.address)
        if scrape_file is not None:
            _write_privately(scrape_file, self._scrape_token)

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        if self._connections is not None:
            self._connections.stop_listening()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._connections is not None:
            self._connections.forget()

    @property
    def _cookie(self) -> str:
        """Name of the cookie: browsers share cookies between the ports of a host."""
        return f"{self._kind.cookie}_{self.port}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let in requests to this address that show the token."""
        assert self._connections is not None
        self._connections.asked(request.protocol)
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        origin = request.headers.get("Origin")
        is_ours = origin in {f"http://{host}" for host in hosts}
        changes = request.method not in ("GET", "HEAD")
        if request.host not in hosts or not (is_ours or (origin is None and not changes)):
            return self._refuse(403, "this page answers on loopback only")
        if not self._shows_token(request, changes):
            return self._refuse(401, f"open the address that the {self._kind.printed_by} printed")
        if changes and not _equal(request.headers.get(KEY_HEADER, ""), self._key):
            words = f"this needs the control key: open the address that the {self._kind.printed_by} printed"
            return self._refuse(403, words)
        answer = await handler(request)
        answer.headers.update({
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
        })  # fmt: skip
        return answer

    def _shows_token(self, request: web.Request, changes: bool) -> bool:
        """True where the request may see what it asks for; what changes something takes the cookie alone."""
        if self._metrics is not None and request.path == _METRICS and not changes:
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if _equal(bearer, self._scrape_token):
                return True
        in_address = "" if changes else request.query.get("token", "")
        return _equal(in_address or request.cookies.get(self._cookie, ""), self._token)

    def _refuse(self, status: int, words: str) -> web.Response:
        """Refuse and count."""
        self._refused += 1
        return web.Response(status=status, text=words + "\n")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """Return the page; a token in the address moves into the cookie first."""
        if "token" in request.query:
            moved = web.HTTPSeeOther("/")  # a browser keeps what stands behind #
            moved.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
            raise moved
        nonce = secrets.token_urlsafe(16)
        shared = PackageLoader("kalshi_platform.trading.pages", "templates")
        environment = Environment(
            loader=ChoiceLoader([PackageLoader(self._kind.package, "templates"), shared]),
            undefined=StrictUndefined,
            autoescape=True,
        )
        text = environment.get_template("page.html.j2").render(nonce=nonce)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Return the figures as JSON."""
        return web.Response(text=json_text(self._figures(), tight=True), content_type="application/json")

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        """Return the metrics."""
        assert self._metrics is not None
        return web.Response(
            body=self._metrics().encode(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    async def _control(self, request: web.Request) -> web.StreamResponse:
        """Do what a control does, by the strings of a JSON object."""
        control = self._controls.get(request.match_info["name"])
        if control is None:
            return web.Response(status=404, text=f"expected one of {', '.join(self._controls)}\n")
        try:
            values = json_value(await request.text() or "{}")
        except (ValueError, LookupError):  # no JSON, or in a character set that nobody knows
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            return web.Response(status=400, text="expected a JSON object of strings\n")
        try:
            return web.Response(text=control(values) + "\n")
        except PlatformError as err:
            return web.Response(status=409, text=f"{err}\n")


def _equal(shown: str, wanted: str) -> bool:
    """True where a secret that was shown is the right one."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), wanted.encode())


def _write_privately(path: Path, text: str) -> None:
    """Write a line that only the owner of the file reads, into a file that nobody else has made before."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
