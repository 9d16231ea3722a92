"""The WebSocket side: one connection feeds one stream session and sends back its decisions.

Owns       who may connect, the first message, when a connection ends and with which code.
Codes      1003 a binary message; 1008 refused (no open message, a simulated model for real frames, too many
           bad frames); 1009 a message that is too long; 1011 a bug of this server; 1012 another model
           answers, which reads other arrays; 1013 no room or no model, nothing sent or read for too long;
           4000 the session was taken over by a newer connection.
Others     one client never stops the others: streams take turns with everything else (turns.py), frames
           beyond a client's rate or its share of a processor wait, and a connection that only holds its
           place is ended (sockets.py).
Not        frames, books and decisions of a session (kalshi_platform/serving/live/stream.py).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.serving.live.sessions import Lease, SessionStore
from kalshi_platform.serving.live.stream import Due
from kalshi_platform.serving.server.gate import RateLimiter
from kalshi_platform.serving.server.problems import MEDIA_TYPE, Problem
from kalshi_platform.serving.server.service import Service
from kalshi_platform.serving.server.sockets import (
    CLOSING,
    TAKEN,
    TRY_LATER,
    Ending,
    HeldSocket,
    SocketStage,
    StreamSockets,
    frame_cost,
)
from kalshi_platform.serving.server.turns import Turns

UNSUPPORTED, REFUSED, TOO_LONG, FAILED, REPLACED = 1003, 1008, 1009, 1011, 1012
_LOG: Final = logging.getLogger(__name__)
#: Longest wait for a client to take the words of an ending; its session is free meanwhile.
_CLOSE_S: Final = 1.0
_CLOSE_BYTES: Final = 120
#: Most that one decision is counted as, of a processor.
_MOST_DECIDING_NS: Final = 5 * NS_PER_MS


class _EndError(Exception):
    """The server ends the connection with ``code`` and ``reason``; metrics count it as a ``kind``."""

    def __init__(self, code: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.kind, self.reason = code, kind, bounded_message(reason)


def _end(ending: Ending) -> _EndError:
    return _EndError(ending.code, ending.kind, ending.words)


class Streams:
    """Stream connections of one replica and their sessions."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = SessionStore(service.args.limits.streams)
        self._sockets = StreamSockets(service.args.limits.sockets)
        self._frames = RateLimiter(service.args.limits.frames)
        self._work = RateLimiter(service.args.limits.work)
        self._turns = Turns()
        self._n_closing = 0

    async def serve(self, socket: WebSocket, client: str) -> None:
        """Serve one connection, which the gate let in as ``client``, until either side ends it."""
        await socket.accept()
        end: _EndError | None = None
        try:
            end = await self._held(socket, client)
        except WebSocketDisconnect:
            pass
        finally:
            self._service.observability.sessions(len(self._sockets))
        if end is not None:
            self._service.observability.ended(end.kind)
            await self._close(socket, end)

    async def _close(self, socket: WebSocket, end: _EndError) -> None:
        """Tell the client why its connection ends; no time is left for that where CLOSING others take it."""
        self._n_closing += 1
        try:
            async with asyncio.timeout(_CLOSE_S if self._n_closing <= CLOSING else 0.0):
                await _last_words(socket, end)
        except (RuntimeError, WebSocketDisconnect, TimeoutError):
            return  # the client was faster, or reads nothing
        finally:
            self._n_closing -= 1

    async def _held(self, socket: WebSocket, client: str) -> _EndError:
        """Hold one connection until this server ends it, and return why; raises where the client left."""
        lease: Lease | None = None
        held: HeldSocket | None = None
        try:
            async with asyncio.timeout(None) as clock:
                with self._sockets.hold(client, clock) as held:
                    lease = await self._opened(socket, held)
                    while True:
                        await self._step(socket, held, lease)
        except _EndError as end:
            return end
        except WebSocketDisconnect:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and held is not None and held.ending is not None:
                return _end(held.ending)
            # A bug: the log has it, and the client hears that the connection did not just break.
            _LOG.exception("a stream failed")
            return _EndError(FAILED, "stream-failed", "the service failed, its log says how: connect again")
        finally:
            if lease is not None and held is not None:
                self._leave(lease, held)

    async def _opened(self, socket: WebSocket, held: HeldSocket) -> Lease:
        """Open the session that the first message asks for; until then the deadline of openings holds."""
        text = await self._text(socket)
        try:
            self._store.require_short(text)
        except ContractError as error:
            raise _EndError(REFUSED, "stream-refused", str(error)) from None
        await self._granted(held, text)
        await self._turns.take()
        lease = self._lease(text, held)
        try:
            self._service.observability.sessions(len(self._sockets), resumed=lease.session.next_frame > 1)
            await self._send(socket, held, lease.messages)
        except BaseException:
            self._leave(lease, held)
            raise
        return lease

    def _lease(self, text: str, held: HeldSocket) -> Lease:
        """Hold of ``held`` on the session that ``text`` opens or takes over."""
        begun_ns = time.thread_time_ns()
        try:
            lease = self._store.open(text, self._service.served(), time.monotonic_ns(), held.client)
        except ContractError as error:
            raise _EndError(REFUSED, "stream-refused", str(error)) from None
        except (LimitError, Problem) as error:
            raise _EndError(TRY_LATER, "stream-no-room", str(error)) from None
        finally:
            self._charge(held.client, time.thread_time_ns() - begun_ns)
        held.begin(SocketStage.WORKING)
        self._sockets.feed(lease.session.id, held)
        return lease

    def _leave(self, lease: Lease, held: HeldSocket) -> None:
        self._sockets.leave(lease.session.id, held)
        self._store.leave(lease, time.monotonic_ns())

    async def _step(self, socket: WebSocket, held: HeldSocket, lease: Lease) -> None:
        """Take one text and answer it."""
        held.begin(SocketStage.LISTENING)
        text = await self._text(socket)
        held.begin(SocketStage.WORKING)
        arrived_ns = time.monotonic_ns()
        await self._granted(held, text)
        await self._turns.take()
        if not self._store.holds(lease):
            raise _end(TAKEN)
        begun_ns = time.thread_time_ns()
        fed = lease.session.feed(text, time.time_ns())
        fed_ns = time.thread_time_ns()
        messages, decided_ns = fed.messages, 0
        counted: list[Callable[[], None]] = [
            partial(self._service.observability.frames, 1, refused=fed.refused)
        ]
        try:
            try:
                if fed.due is not None:
                    held.begin(SocketStage.DECIDING)
                    messages = messages + await self._decided(lease, fed.due, arrived_ns, counted)
            finally:
                if fed.due is not None:  # where another process decides, others run here meanwhile
                    decided_ns = min(time.thread_time_ns() - fed_ns, _MOST_DECIDING_NS)
                self._charge(held.client, fed_ns - begun_ns + decided_ns)
            await self._send(socket, held, messages)
        finally:
            for count in counted:  # no answer waits for it
                count()
        if fed.closed:
            raise _EndError(REFUSED, "stream-closed", "the session was closed: its last message says why")

    async def _granted(self, held: HeldSocket, text: str) -> None:
        """Wait until the client may send ``text``, and has used up no more of a processor than its share."""
        waited = await self._paid(self._frames, held.client, frame_cost(len(text)))
        waited |= await self._paid(self._work, held.client, 1)
        if waited:
            self._service.observability.frame_waited()

    def _charge(self, client: str, taken_ns: int) -> None:
        """Charge ``client``, not its connection: it could open another one for every text."""
        self._work.charge(client, time.monotonic_ns(), taken_ns // 1_000)

    @staticmethod
    async def _paid(rates: RateLimiter, client: str, cost: int) -> bool:
        """Take ``cost`` of what ``client`` is granted, as soon as it is; True where it had to wait."""
        waited = False
        while wait_ns := rates.take(client, time.monotonic_ns(), cost):
            waited = True
            await asyncio.sleep(wait_ns / NS_PER_SECOND)
        return waited

    async def _decided(
        self, lease: Lease, due: Due, arrived_ns: int, counted: list[Callable[[], None]]
    ) -> list[str]:
        """Answers to ``due``; what is to be counted of them is added to ``counted``."""
        served = self._service.served()
        if reason := lease.session.refuses(served):
            raise _EndError(REFUSED, "stream-refused", reason)
        if not lease.session.is_read_by(served):
            raise _EndError(
                REPLACED, "stream-replaced",
                f"{served.key.model} answers now and reads other arrays: open a new session",
            )  # fmt: skip
        deadline_ns = arrived_ns + round(self._service.args.deadline_ms * NS_PER_MS)
        request_id = f"{lease.session.id}:{due.frame}"
        decisions = await self._service.decide_batch(request_id, served, due.batch, deadline_ns, {})
        taken_ns = time.monotonic_ns() - arrived_ns
        answers = lease.session.answer(due, decisions, served)

        def count() -> None:
            age_ns = lease.session.row_age_ns(due)  # before the next text is fed
            self._service.observability.event(decisions, due.live, taken_ns, age_ns)

        counted.append(count)
        return answers

    async def _send(self, socket: WebSocket, held: HeldSocket, messages: list[str]) -> None:
        """Send ``messages``; a client that takes none of them for too long is ended meanwhile."""
        for message in messages:
            held.begin(SocketStage.SENDING)
            await socket.send_text(message)

    async def _text(self, socket: WebSocket) -> str:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise _EndError(UNSUPPORTED, "stream-binary", "a binary message came: send text")
        longest = self._service.args.limits.message_chars
        if len(text) > longest:
            words = f"the message is longer than {longest} characters: send shorter ones"
            raise _EndError(TOO_LONG, "stream-too-long", words)
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


async def _last_words(socket: WebSocket, end: _EndError) -> None:
    # A close frame holds 123 bytes: a longer reason goes before it, as a message.
    if len(end.reason.encode()) > _CLOSE_BYTES:
        await socket.send_text(json_text({"type": "closed", "reason": end.reason}))
    await socket.close(end.code, end.reason.encode()[:_CLOSE_BYTES].decode(errors="ignore"))
