"""Connections of a page: so many at once, and none that stays without asking anything."""

import asyncio
from typing import Final

from aiohttp import web

#: Connections at once: a browser opens six.
MOST_CONNECTIONS: Final = 32
#: Seconds from the begin of a connection to its first whole request.
SILENT_S: Final = 10.0


class BoundedConnections:
    """Listens for a server, and ends connections that are too many or silent."""

    def __init__(self, server: web.Server, silent_s: float) -> None:
        self._server, self._silent_s = server, silent_s
        self._listening: asyncio.Server | None = None
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # no request of theirs came yet
        self.refused = 0

    async def listen(self, host: str, port: int) -> int:
        """Listen; returns the port. OSError where it is taken."""
        self._listening = await asyncio.get_running_loop().create_server(self._connection, host, port)
        return int(self._listening.sockets[0].getsockname()[1])

    def asked(self, protocol: asyncio.BaseProtocol) -> None:
        """Take note that a whole request came of a connection."""
        if (waiting := self._silent.pop(protocol, None)) is not None:
            waiting.cancel()

    def stop_listening(self) -> None:
        """Take no connection any more."""
        if self._listening is not None:
            self._listening.close()

    def forget(self) -> None:
        """Watch the connections no longer: they are ended."""
        for waiting in self._silent.values():
            waiting.cancel()
        self._silent.clear()

    def _connection(self) -> asyncio.BaseProtocol:
        """Protocol of a new connection; of one too many, which is closed at once."""
        if len(self._server.connections) >= MOST_CONNECTIONS:
            self.refused += 1
            return _Closed()
        protocol = self._server()
        waiting = asyncio.get_running_loop().call_later(self._silent_s, self._end_silent, protocol)
        self._silent[protocol] = waiting
        return protocol

    def _end_silent(self, protocol: web.RequestHandler) -> None:
        """Close a connection of which no whole request came."""
        del self._silent[protocol]
        if protocol.transport is not None:
            self.refused += 1
            protocol.transport.abort()


class _Closed(asyncio.Protocol):
    """A connection that is closed as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()
