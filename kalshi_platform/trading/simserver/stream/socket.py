"""The WebSocket endpoint: handshake, reading, pings, and the one writer of a connection.

Writing    frames of a slice leave in one write to the transport, past aiohttp's writer, which sends frame by
           frame. Both write whole frames from this one thread, so they cannot mix (deflate.py compresses).
Slow       a connection whose unsent bytes exceed ``buffer_bytes`` loses its subscriptions with error 25; one
           that goes on asking without reading is cut ``_MOST_BUFFERS`` times as many bytes later.
Many       the account has at most ``most_connections`` of them; the next handshake is answered with 429.
"""

import asyncio
from asyncio import Transport
from contextlib import suppress
from typing import Final

from aiohttp import WSMsgType, web

from kalshi_platform.trading.simserver.auth import RequestAuth, UnsignedRequest
from kalshi_platform.trading.simserver.stream.commands import SocketCommands
from kalshi_platform.trading.simserver.stream.connection import ServedConnection
from kalshi_platform.trading.simserver.stream.deflate import Deflater
from kalshi_platform.trading.simserver.stream.hub import FrameHub

PATH: Final = "/trade-api/ws/v2"
PING_S: Final = 10.0
_MOST_BYTES: Final = 64 * 1_048_576
_MOST_BUFFERS: Final = 4
#: Wall time after which a half-open connection is given up by this side too.
_MUTE_S: Final = 600.0


class Sockets:
    """All open WebSockets of one server."""

    def __init__(
        self,
        hub: FrameHub,
        commands: SocketCommands,
        auth: RequestAuth,
        buffer_bytes: int,
        most_connections: int,
    ) -> None:
        self._hub, self._commands, self._auth = hub, commands, auth
        self._buffer_bytes, self._most_connections = buffer_bytes, most_connections
        self._transports: dict[int, Transport] = {}
        self.n_kicked = 0  # lost their subscriptions
        self.n_cut = 0  # did not read at all
        self.n_refused = 0  # were one connection too many

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until either side ends it."""
        try:
            self._auth.key_of(request.headers, "GET", PATH)
        except UnsignedRequest as refused:
            return web.json_response({"error": {"code": "unauthorized", "details": str(refused)}}, status=401)
        if len(self._transports) >= self._most_connections:
            self.n_refused += 1
            return web.json_response({"error": "too many requests"}, status=429)
        socket = web.WebSocketResponse(compress=True, max_msg_size=_MOST_BYTES)
        await socket.prepare(request)
        connection = self._hub.connect()
        if agreed := socket.headers.get("Sec-WebSocket-Extensions"):
            connection.deflater = Deflater(agreed)
        assert isinstance(request.transport, Transport)  # the request has just come over it
        self._transports[connection.number] = request.transport
        pings = asyncio.create_task(self._ping(socket, connection))
        try:
            await self._read(socket, connection)
        finally:
            pings.cancel()
            self._hub.disconnect(connection)
            self._transports.pop(connection.number, None)
        return socket

    async def _read(self, socket: web.WebSocketResponse, connection: ServedConnection) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT and not connection.is_mute:
                self._commands.read(connection, message.data)
                self.flush(connection)

    async def _ping(self, socket: web.WebSocketResponse, connection: ServedConnection) -> None:
        while True:
            await asyncio.sleep(PING_S)
            if not connection.is_mute:
                with suppress(ConnectionError):
                    await socket.ping(b"heartbeat")

    def flush_all(self) -> None:
        """Write what waits on every connection."""
        for connection in list(self._hub.connections.values()):
            self.flush(connection)

    def flush(self, connection: ServedConnection) -> None:
        """Write what waits on one connection; a reader that is too slow loses its subscriptions."""
        transport = self._transports.get(connection.number)
        if transport is None or transport.is_closing() or connection.is_mute:
            connection.waiting.clear()
            return
        unsent = transport.get_write_buffer_size()
        if unsent <= self._buffer_bytes:
            connection.most_unsent = None
        elif connection.most_unsent is None:
            connection.most_unsent = unsent + _MOST_BUFFERS * self._buffer_bytes
        elif unsent > connection.most_unsent:
            self.n_cut += 1
            transport.abort()
            return
        if unsent > self._buffer_bytes and connection.subs:
            self.n_kicked += 1
            connection.waiting.clear()
            for sub in list(connection.subs.values()):
                self._commands.overflow(connection, sub)
        if connection.waiting:
            transport.write(connection.take())

    def mute(self, connection: ServedConnection) -> None:
        """Leave a connection half open: nothing is sent, read or answered any more, and nobody is told."""
        connection.is_mute = True
        self._hub.disconnect(connection)  # it costs no frames, and no later fault strikes it
        transport = self._transports.get(connection.number)
        if transport is not None and not transport.is_closing():
            transport.pause_reading()
            asyncio.get_running_loop().call_later(_MUTE_S, transport.abort)

    def abort(self, connection: ServedConnection) -> None:
        """Cut a connection without a close frame."""
        transport = self._transports.get(connection.number)
        if transport is not None:
            transport.abort()

    def abort_all(self) -> None:
        """Cut every connection, half-open ones too."""
        for transport in list(self._transports.values()):
            transport.abort()
