"""The admin port, with a token of its own: faults on demand, their strikes, the truth, the server's state.

Guard      the token, and a Host that is an address of this machine: a page of another site, whose name was
           pointed here, can neither read nor plant anything.
"""

import hmac
from ipaddress import ip_address
from typing import Any

import psutil
from aiohttp import web

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.trading.simserver.faults.acts import FaultActs
from kalshi_platform.trading.simserver.faults.forms import PlantedFault
from kalshi_platform.trading.simserver.faults.frames import Faults
from kalshi_platform.trading.simserver.rest.answers import answer
from kalshi_platform.trading.simserver.stream.hub import FrameHub
from kalshi_platform.trading.simserver.stream.socket import Sockets
from kalshi_platform.trading.simserver.venue.truth import account_truth, market_truth
from kalshi_platform.trading.simserver.venue.venue import LiveVenue


class AdminPort:
    """Handlers of the admin port."""

    def __init__(
        self, venue: LiveVenue, hub: FrameHub, sockets: Sockets, faults: Faults, acts: FaultActs, token: str
    ) -> None:
        self._venue, self._hub, self._sockets = venue, hub, sockets
        self._faults, self._acts, self._token = faults, acts, token

    def app(self) -> web.Application:
        """Application of the admin port."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes([
            web.get("/admin/status", self.status),
            web.get("/admin/truth", self.truth),
            web.get("/admin/faults", self.listed),
            web.post("/admin/faults", self.plant),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {self._token}".encode()):
            return answer({"error": "the admin port needs its token: Authorization: Bearer TOKEN"}, 401)
        if not _is_local(request.headers.get("Host", "")):
            return answer({"error": "the admin port answers to addresses of this machine only"}, 403)
        try:
            found: web.StreamResponse = await handler(request)
        except ContractError as refused:
            return answer({"error": str(refused)}, 400)
        except web.HTTPException as refused:
            return answer({"error": refused.reason}, refused.status)
        return found

    async def status(self, request: web.Request) -> web.Response:
        """Answer ``GET /admin/status``."""
        clock, connections = self._venue.clock, self._hub.connections.values()
        return answer({
            "now_ns": clock.now_ns,
            "start_ns": clock.start_ns,
            "speed": clock.speed,
            "slipped_ns": clock.slipped_ns,
            "n_events": len(self._venue.events),
            "n_open": len(self._venue.open_now),
            "n_deltas": self._venue.reader.n_deltas,
            "n_trades": self._venue.reader.n_trades,
            "n_kicked": self._sockets.n_kicked,
            "n_cut": self._sockets.n_cut,
            "n_connections_refused": self._sockets.n_refused,
            "connections": [
                {
                    "number": c.number,
                    "n_sent": c.n_sent,
                    "subs": [[sub.sid, sub.channel] for sub in c.subs.values()],
                }
                for c in connections
            ],
            "rss_bytes": psutil.Process().memory_info().rss,
        })  # fmt: skip

    async def truth(self, request: web.Request) -> web.Response:
        """Answer ``GET /admin/truth``; ``ticker`` (repeated) narrows the markets."""
        tickers = request.query.getall("ticker", [])
        markets = self._venue.all_markets()
        found = {m.ticker: market_truth(m) for m in markets if not tickers or m.ticker in tickers}
        body = {"now_ns": self._venue.clock.now_ns, "account": account_truth(self._venue), "markets": found}
        return answer(body)

    async def listed(self, request: web.Request) -> web.Response:
        """Answer ``GET /admin/faults``: counts, strikes in order, and what still waits."""
        faults = self._faults
        return answer({"counts": dict(faults.counts), "struck": list(faults.struck), "armed": faults.armed})

    async def plant(self, request: web.Request) -> web.Response:
        """Answer ``POST /admin/faults`` with one fault or a list of them."""
        try:
            given = json_value(await request.read())
        except ValueError:
            return answer({"error": "the body is no JSON"}, 400)
        wanted = [PlantedFault.parse(each) for each in (given if isinstance(given, list) else [given])]
        for fault in wanted:
            self._acts.plant(fault)
        self._sockets.flush_all()
        return answer({"planted": len(wanted)})


def _is_local(host: str) -> bool:
    """True for a Host header that names this machine."""
    before, _, port = host.rpartition(":")
    name = (before if before and port.isdecimal() else host).strip("[]")
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
