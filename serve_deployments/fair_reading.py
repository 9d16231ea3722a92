"""A replica's end of a WebSocket that reads in pieces: no client's bytes stop the event loop for long.

Why        uvicorn takes apart all that has come at once, up to 256 kB: thirty thousand texts of two
           bytes stop the loop for half a second, and pings, which it answers there and then, for ever.
Rule       all connections together take bytes apart for BUDGET_S in one round of the loop, in turn, and one
           whose texts wait to be read takes none apart. More than PINGS pings in ten seconds, a message in
           more than FRAGMENTS parts or longer than ``longest_bytes`` end the connection. Nothing is packed:
           a packed message of eight kilobytes may hold eight megabytes.
Imports    uvicorn's protocol is no stable interface: constraints.txt holds its release, and the tests here
           speak to a real server.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Any, ClassVar, Final

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets import auto
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

#: Longest time in one round of the loop, seconds: the decision of a small model.
BUDGET_S: Final = 0.001
#: Pings of a client in PING_SPAN_S; libraries send one in 20 s.
PINGS: Final = 100
PING_SPAN_S: Final = 10.0
#: Parts of one message.
FRAGMENTS: Final = 1_000
#: Bytes taken apart between two looks at the clock: at most 85 empty texts.
_PIECE: Final = 512
_REFUSED, _TOO_LONG = 1008, 1009
_LOG: Final = logging.getLogger(__name__)


class _Pump:
    """The connections whose bytes wait to be taken apart, in turn."""

    def __init__(self) -> None:
        self._waiting: deque[FairSocket] = deque()

    @property
    def is_idle(self) -> bool:
        """True where no connection waits."""
        return not self._waiting

    def add(self, socket: "FairSocket") -> None:
        """Let ``socket`` have a turn in the rounds to come."""
        if socket.in_pump:
            return
        socket.in_pump = True
        self._waiting.append(socket)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end_s = time.perf_counter() + BUDGET_S
        for _ in range(len(self._waiting)):
            socket = self._waiting.popleft()
            socket.in_pump = False
            try:
                is_left = socket.take_apart(end_s)
            except Exception:  # one connection's fault must not end the turns of all
                _LOG.exception("a connection is closed: its bytes could not be taken apart")
                socket.transport.close()
                continue
            if is_left:
                socket.in_pump = True
                self._waiting.append(socket)
            if time.perf_counter() >= end_s:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)


class FairSocket(WebSocketsSansIOProtocol):
    """One connection; :func:`install` puts it in the place of uvicorn's own."""

    longest_bytes: ClassVar[int] = 2**24
    _pump: ClassVar[_Pump] = _Pump()

    def __init__(self, config: Config, *args: Any, **keywords: Any) -> None:
        config.ws_per_message_deflate = False
        super().__init__(config, *args, **keywords)
        self.conn.max_message_size = min(self.longest_bytes, config.ws_max_size)
        self.in_pump = False
        self._rest = bytearray()
        self._pings, self._pings_since_s = 0, 0.0

    def data_received(self, data: bytes) -> None:
        """Take a little apart at once where no connection waits for that; keep the rest for its turn."""
        if len(data) <= _PIECE and not self._rest and not self.read_paused and self._pump.is_idle:
            super().data_received(data)
            return
        self._rest += data
        self.transport.pause_reading()
        self._pump.add(self)

    def take_apart(self, end_s: float) -> bool:
        """Take bytes apart until ``end_s`` of the performance counter or a message; True where more wait."""
        at = 0
        while at < len(self._rest) and not self.read_paused:
            super().data_received(bytes(self._rest[at : at + _PIECE]))
            at += _PIECE
            if time.perf_counter() >= end_s:
                break
        del self._rest[:at]
        if self._rest:
            return not self.read_paused
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not taken apart."""
        self._rest.clear()
        super().connection_lost(exc)

    async def receive(self) -> Any:
        """Return the next message; where none is left, more bytes are taken apart."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self._rest:
                self._pump.add(self)
            elif not self.transport.is_closing():
                self.transport.resume_reading()
        return message

    async def send(self, message: Any) -> None:
        """Send ``message``; after a close the rest is taken apart, up to the client's own close.

        ClientDisconnected where this server has ended the connection meanwhile.
        """
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        self._go_on_after_close()

    def _go_on_after_close(self) -> None:
        if self.close_sent and self._rest:
            self._pump.add(self)

    def handle_ping(self) -> None:
        """Answer a ping, or end a connection that sends little else."""
        now_s = time.perf_counter()
        if now_s - self._pings_since_s > PING_SPAN_S:
            self._pings, self._pings_since_s = 0, now_s
        self._pings += 1
        if self._pings > PINGS:
            self._fail(_REFUSED, f"more than {PINGS} pings in {PING_SPAN_S:g} s")
            return
        super().handle_ping()

    def handle_cont(self, event: Any) -> None:
        """Take a further part of a message, or end a connection whose message has too many."""
        if len(self.frames) >= FRAGMENTS:
            self._fail(_TOO_LONG, f"a message in more than {FRAGMENTS} parts")
            return
        super().handle_cont(event)

    def _fail(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()


def install(longest_bytes: int) -> None:
    """Let servers of this process that start from now on read fairly, no message of more bytes."""
    FairSocket.longest_bytes = longest_bytes
    auto.AutoWebSocketsProtocol = FairSocket
