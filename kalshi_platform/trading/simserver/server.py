"""The server: one loop, one port for REST and WebSocket, one task that advances the world.

Thread     everything runs on one event loop: a slice of the world, a command and an order never overlap, so
           what a client is told is what the books are.
Begin      reading here, then venue/venue.py (time and events), venue/desk.py (orders), stream/hub.py
           (frames), rest/ (calls), faults/.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.simserver.admin import AdminPort
from kalshi_platform.trading.simserver.auth import RequestAuth
from kalshi_platform.trading.simserver.clock import CLOCK_HEADER, SimClock
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.faults.acts import FaultActs
from kalshi_platform.trading.simserver.faults.forms import FaultSchedule
from kalshi_platform.trading.simserver.faults.frames import Faults
from kalshi_platform.trading.simserver.keys import read_keys
from kalshi_platform.trading.simserver.rest.account_calls import AccountRoutes
from kalshi_platform.trading.simserver.rest.answers import PREFIX
from kalshi_platform.trading.simserver.rest.candle_calls import CandleRoutes
from kalshi_platform.trading.simserver.rest.cash_calls import CashRoutes
from kalshi_platform.trading.simserver.rest.exchange_calls import ExchangeRoutes
from kalshi_platform.trading.simserver.rest.gate import RestGate
from kalshi_platform.trading.simserver.rest.group_calls import GroupRoutes
from kalshi_platform.trading.simserver.rest.limits import LimitsOfAccount
from kalshi_platform.trading.simserver.rest.market_calls import MarketRoutes
from kalshi_platform.trading.simserver.rest.order_calls import OrderRoutes
from kalshi_platform.trading.simserver.rest.portfolio_calls import PortfolioRoutes
from kalshi_platform.trading.simserver.rest.unserved_calls import UnservedRoutes
from kalshi_platform.trading.simserver.stream.commands import SocketCommands
from kalshi_platform.trading.simserver.stream.hub import FrameHub
from kalshi_platform.trading.simserver.stream.socket import PATH, Sockets
from kalshi_platform.trading.simserver.venue.combos import ComboBoard
from kalshi_platform.trading.simserver.venue.desk import OrderDesk
from kalshi_platform.trading.simserver.venue.groups import OrderGroups
from kalshi_platform.trading.simserver.venue.pauses import ShardPauses
from kalshi_platform.trading.simserver.venue.venue import LiveVenue


class ServedAddresses(NamedTuple):
    """Addresses of a running server."""

    url: str  # of the REST calls, without a slash at the end
    ws_url: str
    admin_url: str
    admin_token: str


class Server:
    """Parts of one served exchange, put together."""

    def __init__(self, config: ServerConfig, keys: Path, schedule: FaultSchedule | None = None) -> None:
        self.config = config
        self.clock = SimClock(config.start_ns, config.speed)
        self.faults = Faults(self.clock)
        self.hub = FrameHub(self.clock, self.faults)
        self.auth = RequestAuth(read_keys(keys), self.clock)
        self.venue = LiveVenue(config, self.clock, self.hub)
        self.hub.user_id = self.venue.account.user_id
        self.limits = LimitsOfAccount(config.tier, self.clock)
        self.groups = OrderGroups(self.venue)
        self.desk = OrderDesk(self.venue, self.groups)
        self.commands = SocketCommands(self.venue, self.hub)
        self.sockets = Sockets(
            self.hub, self.commands, self.auth, config.buffer_bytes, config.most_connections
        )
        self.combos = ComboBoard(self.venue, config.combos)
        self.pauses = ShardPauses(self.venue)
        self.pauses.on_weekly = self.sockets.abort_all
        if config.weekly_pause:
            self.pauses.plan_weekly()
        self.acts = FaultActs(self.venue, self.pauses, self.hub, self.sockets, self.commands, self.faults)
        self.admin_token = secrets.token_urlsafe(24)
        if schedule is not None:
            self.acts.plant_all(schedule)

    def app(self) -> web.Application:
        """Application of the exchange's own port."""
        account, form = self.venue.account, self.config.error_body
        gate = RestGate(self.auth, self.limits, self.faults, self.sockets, account, form)
        app = web.Application(middlewares=[gate.guard], client_max_size=1_048_576)
        app.on_response_prepare.append(self._tell_time)
        app.router.add_get(PATH, self.sockets.serve)
        app.add_routes(MarketRoutes(self.venue, self.combos, self.faults).routes())
        app.add_routes(CandleRoutes(self.venue).routes())
        app.add_routes(ExchangeRoutes(self.venue).routes())
        app.add_routes(OrderRoutes(self.venue, self.desk, self.limits).routes())
        app.add_routes(PortfolioRoutes(self.venue, self.desk).routes())
        app.add_routes(CashRoutes(self.venue, self.limits).routes())
        app.add_routes(GroupRoutes(self.venue, self.groups, self.limits).routes())
        app.add_routes(UnservedRoutes().routes())
        app.add_routes(AccountRoutes(self.venue, self.limits, self.auth).routes())
        return app

    async def _tell_time(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell both clocks, skewed where that is planted: a client compares them with its own."""
        response.headers[CLOCK_HEADER] = f"{self.clock.told_now_ns} {self.clock.speed:g}"
        response.headers["Date"] = formatdate(self.clock.wall_ms() / 1_000, usegmt=True)

    async def run(self) -> None:
        """Advance the world slice by slice, for ever."""
        self.clock.begin()
        while True:
            await asyncio.sleep(self.config.slice_ms / 1_000)
            self.venue.advance(self.clock.target_ns())
            self.sockets.flush_all()

    @asynccontextmanager
    async def serving(self, host: str, port: int, admin_port: int = 0) -> AsyncIterator[ServedAddresses]:
        """Serve while the context lasts; a port of 0 = any free one. An error of the world ends it loudly."""
        admin = AdminPort(self.venue, self.hub, self.sockets, self.faults, self.acts, self.admin_token)
        apps = (self.app(), admin.app())
        runners = [web.AppRunner(app, access_log=None, shutdown_timeout=1.0) for app in apps]
        wanted_ports = (("--port", port), ("--admin-port", admin_port))
        urls = []
        world: asyncio.Task[None] | None = None
        try:
            for runner, (option, wanted) in zip(runners, wanted_ports, strict=True):
                await _listen(runner, host, wanted, option)
                urls.append(f"{host}:{runner.addresses[0][1]}")
            world = asyncio.create_task(self.run())
            world.add_done_callback(partial(_stop_with, asyncio.current_task()))
            yield ServedAddresses(
                f"http://{urls[0]}{PREFIX}", f"ws://{urls[0]}{PATH}", f"http://{urls[1]}/admin",
                self.admin_token,
            )  # fmt: skip
        except asyncio.CancelledError:
            if world is not None and world.done() and not world.cancelled():
                world.result()  # raises what ended the world
            raise
        finally:
            if world is not None:
                world.cancel()
            self.sockets.abort_all()
            for runner in runners:
                await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, option: str) -> None:
    """Listen on ``port``, which ``option`` chooses; ContractError where it is taken or may not be."""
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ContractError(
            f"{option} {port}: cannot listen on {host} ({reason}); end what listens there or choose another"
        ) from None


def _stop_with(parent: "asyncio.Task[object] | None", world: "asyncio.Task[None]") -> None:
    """Stop serving where the world has failed: a server whose books stand still must not go on."""
    if not world.cancelled() and world.exception() is not None and parent is not None:
        parent.cancel()
