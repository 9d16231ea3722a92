"""The WebSocket side: one connection feeds one stream session and sends back its decisions.

Owns       who may connect, the first message, when a connection ends and with which code.
Codes      1003 a binary message; 1008 refused (no open message, a simulated model for real frames, too many
           bad frames); 1009 a message that is too long; 1012 another model answers, which reads other
           arrays; 1013 no room or no model; 4000 the session was taken over by a newer connection.
Not        frames, books and decisions of a session (kalshi_platform/serving/live/stream.py).
"""

import asyncio
import time
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.live.sessions import Lease, SessionStore
from kalshi_platform.serving.live.stream import Due
from kalshi_platform.serving.server.problems import MEDIA_TYPE, Problem
from kalshi_platform.serving.server.service import Service

UNSUPPORTED, REFUSED, TOO_LONG, REPLACED, TRY_LATER, TAKEN_OVER = 1003, 1008, 1009, 1012, 1013, 4000
#: Longest wait for the first message: a connection that sends none holds a place.
OPEN_S: Final = 10.0
_CLOSE_BYTES: Final = 120


class _EndError(Exception):
    """The server ends the connection with ``code`` and ``reason``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Streams:
    """Stream connections of one replica and their sessions."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = SessionStore(service.args.limits.streams)
        self._open = 0

    async def serve(self, socket: WebSocket, client: str) -> None:
        """Serve one connection, which the gate let in as ``client``, until either side ends it."""
        await socket.accept()
        self._open += 1
        lease: Lease | None = None
        try:
            lease = await self._opened(socket, client)
            while True:
                await self._step(socket, lease)
        except WebSocketDisconnect:
            pass
        except _EndError as end:
            await _close(socket, end)
        finally:
            self._open -= 1
            self._service.observability.sessions(self._open)
            if lease is not None:
                self._store.leave(lease, time.monotonic_ns())

    async def _opened(self, socket: WebSocket, client: str) -> Lease:
        """Open the session that the first message asks for."""
        try:
            async with asyncio.timeout(OPEN_S):
                text = await self._text(socket)
        except TimeoutError:
            raise _EndError(
                REFUSED, f'no message came within {OPEN_S:g} s: send {{"type": "open"}} first'
            ) from None
        try:
            lease = self._store.open(text, self._service.served(), time.monotonic_ns(), client)
        except ContractError as error:
            raise _EndError(REFUSED, str(error)) from None
        except (LimitError, Problem) as error:
            raise _EndError(TRY_LATER, str(error)) from None
        self._service.observability.sessions(self._open, resumed=lease.session.next_frame > 1)
        for message in lease.messages:
            await socket.send_text(message)
        return lease

    async def _step(self, socket: WebSocket, lease: Lease) -> None:
        """Take one text and answer it."""
        text = await self._text(socket)
        arrived_ns = time.monotonic_ns()
        if not self._store.holds(lease):
            raise _EndError(
                TAKEN_OVER, "a newer connection took this session over: one connection feeds a session"
            )
        fed = lease.session.feed(text, time.time_ns())
        self._service.observability.frames(1)
        messages = fed.messages
        if fed.due is not None:
            messages = messages + await self._decided(lease, fed.due, arrived_ns)
        for message in messages:
            await socket.send_text(message)
        if fed.closed:
            raise _EndError(REFUSED, "the session was closed: its last message says why")

    async def _decided(self, lease: Lease, due: Due, arrived_ns: int) -> list[str]:
        served = self._service.served()
        if reason := lease.session.refuses(served):
            raise _EndError(REFUSED, reason)
        if not lease.session.is_read_by(served):
            raise _EndError(
                REPLACED, f"{served.key.model} answers now and reads other arrays: open a new session"
            )
        deadline_ns = arrived_ns + round(self._service.args.deadline_ms * NS_PER_MS)
        request_id = f"{lease.session.id}:{due.frame}"
        decisions = await self._service.decide_batch(request_id, served, due.batch, deadline_ns, {})
        taken_ns = time.monotonic_ns() - arrived_ns
        self._service.observability.event(decisions, due.live, taken_ns, lease.session.row_age_ns(due))
        return lease.session.answer(due, decisions, served)

    async def _text(self, socket: WebSocket) -> str:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise _EndError(UNSUPPORTED, "a binary message came: send text")
        if len(text) > self._service.args.limits.message_chars:
            longest = self._service.args.limits.message_chars
            raise _EndError(TOO_LONG, f"the message is longer than {longest} characters: send shorter ones")
        return str(text)


async def deny(socket: WebSocket, problem: Problem, request_id: str) -> None:
    """Refuse a connection before it opens, with the problem's status and body, as any request is refused."""
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", MEDIA_TYPE.encode()), (b"x-request-id", request_id.encode())]
    if "websocket.http.response" not in socket.scope.get("extensions", {}):
        await socket.close(REFUSED, problem.detail[:100])
        return
    start = {"type": "websocket.http.response.start", "status": problem.status, "headers": headers}
    await socket.send(start)
    await socket.send({"type": "websocket.http.response.body", "body": problem.body(request_id)})


async def _close(socket: WebSocket, end: _EndError) -> None:
    try:
        # A close frame holds 123 bytes: a longer reason goes before it, as a message.
        if len(end.reason.encode()) > _CLOSE_BYTES:
            await socket.send_text(json_text({"type": "closed", "reason": end.reason}))
        await socket.close(end.code, end.reason.encode()[:_CLOSE_BYTES].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        return  # the client was faster
