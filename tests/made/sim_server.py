"""A simulated exchange that serves while one test runs, with the raw client connected to it."""

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.faults.forms import FaultSchedule
from kalshi_platform.trading.simserver.keys import make_keys
from kalshi_platform.trading.simserver.server import ServedAddresses, Server
from made.raw_exchange import RawKey, RawRest, RawSocket, raw_rest, raw_socket

#: Every event on shard 0: no games.
ONE_SHARD = {"category_shares": [0.5, 0.3, 0.0, 0.2]}


@functools.cache
def demo_keys() -> Path:
    """Folder of keys, made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="sim-keys-")) / "keys"
    make_keys(folder)
    return folder


class Scene:
    """A running server and clients of it."""

    def __init__(
        self, server: Server, served: ServedAddresses, rest: RawRest, admin: httpx.AsyncClient
    ) -> None:
        self.server, self.served, self.rest, self.admin = server, served, rest, admin

    @asynccontextmanager
    async def socket(self, key: str = "ed25519", **options: Any) -> AsyncIterator[RawSocket]:
        async with raw_socket(self.served.ws_url, RawKey(demo_keys(), key), **options) as socket:
            yield socket

    async def plant(self, kind: str, **fault: Any) -> None:
        answer = await self.admin.post("/admin/faults", json={"kind": kind, **fault})
        assert answer.status_code == 200, answer.text

    async def struck(self) -> dict[str, Any]:
        return (await self.admin.get("/admin/faults")).json()

    async def truth(self, *tickers: str) -> dict[str, Any]:
        return (await self.admin.get("/admin/truth", params={"ticker": list(tickers)})).json()

    async def open_market(self, **wanted: Any) -> dict[str, Any]:
        """An open market with orders on both sides that has the fields wanted."""
        markets = await self.rest.all("/markets", "markets", status="open")
        return next(
            m for m in markets
            if m["yes_ask_size_fp"] != "0.00" and m["yes_bid_size_fp"] != "0.00"
            and all(m[name] == value for name, value in wanted.items())
        )  # fmt: skip

    async def until(self, true: Callable[[], Awaitable[bool]], timeout_s: float = 240.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not await true():
                await asyncio.sleep(0.05)


def serve_for(body: Callable[[Scene], Awaitable[None]], faults: Any = None, **config: Any) -> None:
    """Run ``body`` against a server with the settings ``config``."""

    async def run() -> None:
        schedule = None if faults is None else FaultSchedule.parse(faults)
        server = Server(ServerConfig.parse({"tier": "prestige", **config}), demo_keys(), schedule)
        async with server.serving("127.0.0.1", 0) as served:
            headers = {"Authorization": f"Bearer {served.admin_token}"}
            base = served.admin_url.removesuffix("/admin")
            async with (
                raw_rest(served.url, RawKey(demo_keys(), "rsa")) as rest,
                httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as admin,
            ):
                await body(Scene(server, served, rest, admin))

    asyncio.run(run())
