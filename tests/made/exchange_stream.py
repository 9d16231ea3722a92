"""A small exchange for the stream's client: one WebSocket server on loopback that a test drives frame by
frame.

It answers commands as the exchange does (sids, numbers, snapshots) and can leave out, repeat, reorder or
damage what it sends. It knows nothing of the client.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.signing import KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER, RequestSigner
from kalshi_platform.trading.exchange.sink import DISCONNECTED, NOTE_KINDS
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from made.exchange import signer

PATH = "/trade-api/ws/v2"
#: Pauses take hundredths of a second; patience is long where a test does not shorten it: machines starve.
QUICK: dict[str, Any] = {
    "first_pause_s": 0.02,
    "longest_pause_s": 0.1,
    "command_timeout_s": 30.0,
    "snapshot_timeout_s": 30.0,
    "resync_pause_s": 0.02,
    "silence_s": 30.0,
    "ping_every_s": 5.0,
}


class KeptSink:
    """Sink that keeps everything in memory."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.notes: list[tuple[int, str, dict[str, Any]]] = []
        self.events: list[str] = []  # frames and notes by type and kind, in order

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        assert recv_ns > 0
        assert mono_ns > 0
        assert not any(number == conn and kind == DISCONNECTED for number, kind, _ in self.notes)
        self.frames.append((conn, raw))
        self.events.append("frame")

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        assert kind in NOTE_KINDS
        self.notes.append((conn, kind, json.loads(json.dumps(detail))))
        self.events.append(kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Details of all notes of a kind."""
        return [detail for _, each, detail in self.notes if each == kind]

    def texts(self) -> list[str]:
        return [raw.decode() for _, raw in self.frames]


class SmallExchange:
    """Server of one client at a time."""

    def __init__(self, key: RequestSigner) -> None:
        self.key = key
        self.commands: list[dict[str, Any]] = []
        self.timestamps: list[str] = []  # of the handshakes
        self.refuse: list[tuple[int, str]] = []  # statuses for the next handshakes
        self.silent_to: set[str] = set()  # commands that are not answered
        self.errors: dict[str, Callable[[dict[str, Any]], int | None]] = {}  # command -> error code or None
        self.no_book: set[str] = set()  # markets whose snapshots never come
        self.socket: ServerConnection | None = None
        self.connections = 0
        self._server: Server | None = None
        self._clear()

    def _clear(self) -> None:
        self.sids: dict[str, int] = {}
        self.seq: dict[int, int] = {}
        self.markets: dict[str, list[str]] = {}

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{PATH}"

    async def start(self, port: int = 0) -> None:
        self._server = await serve(
            self._handle, "127.0.0.1", port, process_request=self._check, compression=None,
            ping_interval=None, close_timeout=0.2,
        )  # fmt: skip

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake whose signature is wrong, or because the test wants it."""
        time_ms = request.headers[TIME_HEADER]
        text = f"{time_ms}GET{PATH}".encode()
        signature = base64.b64decode(request.headers[SIGNATURE_HEADER])
        self.key._key.public_key().verify(signature, text)
        assert request.headers[KEY_HEADER] == self.key.key_id
        self.timestamps.append(time_ms)
        if self.refuse:
            status, text = self.refuse.pop(0)
            return connection.respond(status, text)
        return None

    async def _handle(self, socket: ServerConnection) -> None:
        self._clear()
        self.socket = socket
        self.connections += 1
        async for text in socket:
            command = json.loads(text)
            self.commands.append(command)
            await self._answer(command)

    async def _answer(self, command: dict[str, Any]) -> None:
        params, name = command.get("params", {}), command["cmd"]
        action = params.get("action", name)
        if action in self.silent_to:
            return
        code = self.errors[action](command) if action in self.errors else None
        if code is not None:
            await self.send({"id": command["id"], "type": "error", "msg": {"code": code, "msg": "no"}})
            return
        await getattr(self, f"_{action}")(command["id"], params)

    async def _subscribe(self, number: int, params: dict[str, Any]) -> None:
        (channel,) = params["channels"]
        tickers = params.get("market_tickers", [])
        sid = self.sids.setdefault(channel, len(self.sids) + 1)
        self.seq.setdefault(sid, 0)
        self.markets.setdefault(channel, []).extend(tickers)
        await self.send({"id": number, "type": "subscribed", "msg": {"channel": channel, "sid": sid}})
        await self._books(channel, tickers)

    async def _books(self, channel: str, tickers: list[str], number: int | None = None) -> None:
        for ticker in tickers:
            if channel == "orderbook_delta" and ticker not in self.no_book:
                await self.snapshot(ticker, **({} if number is None else {"id": number}))

    async def _add_markets(self, number: int, params: dict[str, Any]) -> None:
        channel = self.channel_of(params["sids"][0])
        self.markets[channel] += params["market_tickers"]
        await self._ok(number, channel)
        await self._books(channel, params["market_tickers"])

    async def _delete_markets(self, number: int, params: dict[str, Any]) -> None:
        channel = self.channel_of(params["sids"][0])
        self.markets[channel] = [t for t in self.markets[channel] if t not in params["market_tickers"]]
        await self._ok(number, channel)

    async def _ok(self, number: int, channel: str) -> None:
        msg = {"market_tickers": self.markets[channel]}
        await self.numbered(channel, {"id": number, "type": "ok", "msg": msg})

    async def _get_snapshot(self, number: int, params: dict[str, Any]) -> None:
        await self._books(self.channel_of(params["sids"][0]), params["market_tickers"], number)

    async def _unsubscribe(self, number: int, params: dict[str, Any]) -> None:
        channel = self.channel_of(params["sids"][0])
        await self.numbered(channel, {"id": number, "type": "unsubscribed"})
        del self.sids[channel], self.markets[channel]

    async def _list_subscriptions(self, number: int, _params: dict[str, Any]) -> None:
        listed = [{"channel": channel, "sid": sid} for channel, sid in self.sids.items()]
        await self.send({"id": number, "type": "ok", "msg": listed})

    def channel_of(self, sid: int) -> str:
        return next(channel for channel, each in self.sids.items() if each == sid)

    # Sending

    async def send(self, message: Any) -> None:
        """Send JSON, or text as it is."""
        assert self.socket is not None
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def numbered(self, channel: str, message: dict[str, Any], *, lost: bool = False) -> dict[str, Any]:
        """Send a message with the channel's next number, or only use the number up."""
        sid = self.sids[channel]
        self.seq[sid] += 1
        whole = {**message, "sid": sid, "seq": self.seq[sid]}
        if not lost:
            await self.send(whole)
        return whole

    async def snapshot(self, ticker: str, **more: Any) -> dict[str, Any]:
        msg = {"market_ticker": ticker, "market_id": "m", "yes_dollars_fp": [["0.4000", "10.00"]]}
        return await self.numbered("orderbook_delta", {"type": "orderbook_snapshot", "msg": msg, **more})

    async def delta(self, ticker: str, *, lost: bool = False, price: str = "0.4000") -> dict[str, Any]:
        msg = {
            "market_ticker": ticker, "market_id": "m", "price_dollars": price, "delta_fp": "1.00",
            "side": "yes", "ts_ms": 1_795_400_000_388,
        }  # fmt: skip
        return await self.numbered("orderbook_delta", {"type": "orderbook_delta", "msg": msg}, lost=lost)

    async def trade(self, ticker: str, *, lost: bool = False) -> dict[str, Any]:
        msg = {
            "trade_id": str(self.seq), "market_ticker": ticker, "yes_price_dollars": "0.4000",
            "no_price_dollars": "0.6000", "count_fp": "1.00", "taker_outcome_side": "yes",
            "taker_book_side": "bid", "is_block_trade": False, "ts_ms": 1_795_400_000_388,
        }  # fmt: skip
        return await self.numbered("trade", {"type": "trade", "msg": msg}, lost=lost)


async def until(true: Callable[[], object], limit_s: float = 60.0) -> None:
    """Wait until ``true`` says so; a failed test says what it waited for by its line."""
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.005)


class Streaming:
    """A small exchange with a client connected to it."""

    def __init__(
        self, exchange: SmallExchange, stream: ExchangeStream, sink: KeptSink, running: asyncio.Task[None]
    ) -> None:
        self.exchange, self.stream, self.sink, self._running = exchange, stream, sink, running

    async def subscribed(self, tickers: list[str]) -> None:
        """Subscribe markets, and wait for all their books, or for the client's end by an error."""
        await self.stream.add(tickers)
        await until(lambda: self.is_whole(tickers) or self._running.done())

    def is_whole(self, tickers: list[str]) -> bool:
        """True where every channel has the markets and no book is awaited."""
        markets = [each for name, each in self.stream.held.items() if name != "market_lifecycle_v2"]
        held = all(set(tickers) <= each for each in markets)
        return self.stream.is_connected and held and self.stream.books_awaited == 0


@asynccontextmanager
async def streaming(
    sink: KeptSink | None = None,
    prepare: Callable[[SmallExchange], None] = lambda exchange: None,
    **settings: Any,
) -> AsyncIterator[Streaming]:
    """A running client on a small exchange; both are stopped at the end, and the client's errors are
    raised."""
    key = signer()
    exchange = SmallExchange(key)
    prepare(exchange)
    await exchange.start()
    sink = sink or KeptSink()
    values = {"url": exchange.url, "global_channels": (), **QUICK, **settings}
    values.setdefault("market_channels", ("orderbook_delta", "trade"))
    stream = ExchangeStream(
        ExchangeStreamSettings.parse(values), key, sink, SystemClock(), np.random.default_rng(3)
    )
    running = asyncio.create_task(stream.run())
    try:
        await until(lambda: stream.is_connected or running.done() or exchange.refuse == ["never"])
        yield Streaming(exchange, stream, sink, running)
    finally:
        await stream.stop()
        try:
            async with asyncio.timeout(60):
                await running
        finally:
            await exchange.stop()
