"""Client of ``/v1/stream``: frames in, decisions out, whatever the connection does meanwhile.

Owns       the connection: where it breaks, the client opens another with growing pauses and resumes the
           session; where the server has lost the session, the client shows it the past again from the frames
           it kept.
Invariant  frames reach the server in order and once; the caller gets a decision once. A decision for the same
           group and the same ``recv_ns`` as the one before replaces that one.
Pace       at most ``in_flight`` frames are on their way: a client that shows the past again goes as fast as
           the server takes it in, and nothing piles up in front of its pings.
Not        orders: the caller sends them to the exchange, and tells the server its account (``send_account``).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from pydantic import Field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.api.decide_client import ServiceError
from kalshi_platform.serving.api.frame_log import FrameLog
from kalshi_platform.serving.api.messages import AccountMessage, OpenMessage
from kalshi_platform.serving.api.tokens import bearer

_LOG: Final = logging.getLogger(__name__)
_MAX_BYTES: Final = 1 << 24
_TOO_MANY: Final = 429
#: Close codes after which the same would happen again: not text, refused, too long, taken over.
_FINAL: Final = (1003, 1008, 1009, 4000)
_NO_CLOSE_FRAME: Final = 1006
_LOST: Final = (WebSocketException, OSError)
Sleep = Callable[[float], Awaitable[None]]
Message = dict[str, Any]


class StreamClientConfig(Config):
    """Address of a stream, and how hard the client tries to reach it."""

    url: str = Field(description="ws://127.0.0.1:8000/v1/stream")
    keep_frames: int = Field(200_000, ge=0, description="acknowledged frames kept to show them again")
    most_unacknowledged: int = Field(50_000, ge=1, description="frames that may wait for the server")
    in_flight: int = Field(
        2_048, ge=1, description="frames sent that the server has not answered; twice its ack_every at least"
    )
    first_pause_s: float = Field(0.1, gt=0, description="before the second attempt to connect")
    longest_pause_s: float = Field(5.0, gt=0, description="pauses double up to this")
    attempts: int = Field(20, ge=1, description="failed attempts in a row after which it gives up")
    open_timeout_s: float = Field(10.0, gt=0)


class StreamClient:
    """Client of one stream: enter ``async with``, then send frames and iterate over the answers.

    Iterating gives ``decision`` and ``refused`` messages and ends when the client is closed; ServiceError
    where the server closed the session or cannot be reached.
    """

    def __init__(
        self,
        config: StreamClientConfig,
        opening: OpenMessage | None = None,
        token: str | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._config = config
        self._opening = opening or OpenMessage(type="open")
        self._headers = bearer(token)
        self._sleep = sleep
        self._log = FrameLog(config.keep_frames, config.most_unacknowledged)
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self._progress = asyncio.Condition()
        self._decided: dict[int, int] = {}  # group -> frame of its last decision
        self._answered = 0  # newest frame that the server answered on this connection: it took in all before
        self._session: str | None = None
        self._failure: ServiceError | None = None
        self._task: asyncio.Task[None] | None = None
        self.groups: list[list[str]] = []  # markets decided together, as the server has them
        self.opened: Message = {}  # the server's last ``opened``
        self.n_connections = 0

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the connection; frames that were not sent are lost."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (bug := self._task.exception()) is not None:
            raise bug

    def send_frame(self, text: str) -> int:
        """Send a frame, as received or as a capture line; returns its number. LimitError if too many wait."""
        self._raise_failure()
        number = self._log.add_frame(text)
        self._news.set()
        return number

    def send_account(self, account: AccountMessage) -> None:
        """Tell the server what one group's account holds after the frames sent so far."""
        self._raise_failure()
        self._log.add_message(account.model_dump_json(), f"account {account.group}")
        self._news.set()

    async def flush(self) -> None:
        """Wait until the server has applied every frame sent so far."""
        number = self._log.last_frame
        self._log.add_message('{"type":"ack"}', "ack")
        self._news.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._failure or self._log.acknowledged >= number)
        self._raise_failure()

    async def feed_capture(self, path: Path) -> int:
        """Send every frame of a capture file, with its own times, and wait until the server applied all.

        The frames go out in order of their times, as one client would have received them. Returns their
        number. DataError where the file cannot be read.
        """
        frames = sorted(read_frames(path), key=lambda frame: frame.recv_ns)
        for frame in frames:
            if self._log.n_unacknowledged >= self._config.most_unacknowledged:
                await self.flush()
            line = {"recv_ns": frame.recv_ns, "conn": frame.conn, "raw": frame.raw}
            self.send_frame(json_text(line, tight=True))
        await self.flush()
        return len(frames)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield decisions and refusals as they come."""
        while (message := await self._answers.get()) is not None:
            yield message
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # The connection

    async def _run(self) -> None:
        """Connect again and again, until cancelled or a failure is final; every caller then gets it."""
        try:
            await self._connect_for_ever()
        except ServiceError as err:
            self._failure = err
        finally:
            self._answers.put_nowait(None)
            await self._tell_progress()

    async def _connect_for_ever(self) -> None:
        failed = 0
        while True:
            before = self.n_connections
            why = await self._connect_once()
            failed = 1 if self.n_connections > before else failed + 1
            if failed >= self._config.attempts:
                raise ServiceError(f"{self._config.url} cannot be reached after {failed} attempts: {why}")
            pause_s = min(self._config.first_pause_s * 2 ** (failed - 1), self._config.longest_pause_s)
            _LOG.warning("stream %s: %s; again in %.1f s", self._config.url, why, pause_s)
            await self._sleep(pause_s)

    async def _connect_once(self) -> object:
        """Hold one connection until it breaks; returns why. ServiceError where another would not help."""
        try:
            socket = await self._opening_handshake()
            try:
                return await self._serve(socket)
            finally:
                await socket.close()
        except InvalidStatus as err:
            status = err.response.status_code
            if 400 <= status < 500 and status != _TOO_MANY:
                raise ServiceError(
                    f"{self._config.url} answered {status}: check the address and token"
                ) from None
            return err
        except ConnectionClosed as err:
            return self._ending(err)
        except _LOST as err:
            return err

    def _opening_handshake(self) -> connect:
        """Return a connection to await. ServiceError where ``url`` is no address of a WebSocket."""
        config = self._config
        try:
            return connect(
                config.url,
                additional_headers=self._headers,
                open_timeout=config.open_timeout_s,
                max_size=_MAX_BYTES,
                # A bounded queue, once full, would hide the server's answer to a close frame for 10 s.
                max_queue=None,
            )
        except (WebSocketException, ValueError) as err:
            raise ServiceError(f"{config.url} is no address of a stream: {err}") from None

    def _ending(self, closed: ConnectionClosed) -> str:
        """Return why the connection ended, if another may mend it. ServiceError if it ended for good."""
        is_ours = closed.rcvd is None or closed.rcvd_then_sent is False
        first = closed.sent if is_ours else closed.rcvd
        code, why = (_NO_CLOSE_FRAME, "") if first is None else (first.code, first.reason)
        if code in _FINAL:
            raise ServiceError(f"{self._config.url} ended the session ({code}): {why}") from None
        return f"the connection ended ({code}) {why}".rstrip()

    async def _serve(self, socket: ClientConnection) -> NoReturn:
        """Open or resume the session, then send and receive until the connection ends, which raises."""
        await socket.send(self._open_text())
        opened = self._take_in(await socket.recv())
        if opened["type"] != "opened":
            raise ServiceError(f"{self._config.url} did not open the session: {opened}")
        self._log.rewind(opened["next_frame"])
        self._answered = self._log.sent_frame
        self.n_connections += 1
        sender = asyncio.create_task(self._send(socket))
        try:
            while True:
                message = self._take_in(await socket.recv())
                if (frame := message.get("frame")) is not None and frame > self._answered:
                    self._answered = frame
                    self._news.set()
                if message["type"] == "ack":
                    self._log.acknowledge(message["frame"])
                    await self._tell_progress()
        finally:
            sender.cancel()
            (failure,) = await asyncio.gather(sender, return_exceptions=True)
            if isinstance(failure, Exception) and not isinstance(failure, _LOST):
                raise failure

    def _open_text(self) -> str:
        changes: dict[str, Any] = {
            "session": self._session,
            "first_frame": self._log.first_frame,
            "decide_after": max(self._decided.values(), default=0),
        }
        if self._log.first_frame > 1:  # the frames that are left do not show who appeared first
            changes["groups"] = self.groups
        return self._opening.replace(**changes).model_dump_json()

    async def _send(self, socket: ClientConnection) -> None:
        while True:
            self._news.clear()
            while self._may_send() and (text := self._log.take()) is not None:
                await socket.send(text)
            await self._news.wait()

    def _may_send(self) -> bool:
        most = max(self._config.in_flight, 2 * self.opened.get("ack_every", 0))
        return self._log.sent_frame - self._answered < most

    def _take_in(self, text: str | bytes) -> Message:
        """Take in one message of the server, and queue decisions and refusals for the caller."""
        try:
            message: Message = json.loads(text)
        except ValueError:
            raise ServiceError(f"{self._config.url} sent what is not JSON: {text[:80]!r}") from None
        kind = message["type"]
        if kind == "closed":
            raise ServiceError(f"{self._config.url} closed the session: {message['reason']}")
        if kind == "opened":
            self.opened, self._session = message, message["session"]
            self.groups = [list(group) for group in message["groups"]]
        elif kind == "placed":
            while len(self.groups) <= message["group"]:
                self.groups.append([])
            self.groups[message["group"]].append(message["ticker"])
        elif kind == "refused":
            self._answers.put_nowait(message)
        elif kind == "decision" and message["frame"] > self._decided.get(message["group"], 0):
            self._decided[message["group"]] = message["frame"]
            self._answers.put_nowait(message)
        return message

    async def _tell_progress(self) -> None:
        async with self._progress:
            self._progress.notify_all()
