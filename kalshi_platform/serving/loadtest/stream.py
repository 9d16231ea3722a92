"""Load test of ``/v1/stream``: the lines of a capture sent on a schedule, each timed until its decision.

Units      ns of ``time.perf_counter_ns``; frames are numbered by the server from ``opened.next_frame`` on.
Invariant  lines leave in order; a frame that asks for no decision is quiet: counted, and in no percentile.
Repeats    a capture shorter than the test is sent again and again: the clock of its frames goes on, and every
           round is a connection of its own, which begins with its own snapshots.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from kalshi_platform.data.market_data.capture import Frame, read_frames
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.loadtest.open_loop import Pacer, pace_by_thread
from kalshi_platform.serving.loadtest.result import ANSWERED, LoadConfig, Timings

STREAM: Final = "/v1/stream"
#: Every new row of a group is decided, so that as many frames as possible are measured.
OPENING: Final = {"type": "open", "decision_interval_ms": 0}
#: Time between two rounds of a capture on the clock of its frames.
_PAUSE_NS: Final = 1_000_000_000
#: Connections of one round; a capture with more of them would meet the next round's.
_CONNECTIONS: Final = 1_000
#: A server that says nothing for so long after the last acknowledgement has said everything.
_QUIET_S: Final = 0.25


def stream_lines(path: Path, n: int, now_ns: int | None = None) -> list[str]:
    """``n`` capture lines made of the frames of ``path``, repeated as often as needed.

    A server refuses times after its clock: where the repetitions would reach beyond ``now_ns`` (None: this
    machine's clock), all lines are moved into the past together.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    frames = list(read_frames(path))
    first_ns, last_ns = frames[0].recv_ns, max(frame.recv_ns for frame in frames)
    for earlier, later in pairwise(frames):
        if later.recv_ns < earlier.recv_ns:
            raise DataError(
                f"{path}: line {later.line} was received before line {earlier.line}; a stream's clock never "
                "goes back: sort the capture by recv_ns"
            )
    span_ns = last_ns - first_ns + _PAUSE_NS
    ahead_ns = max(0, last_ns + (n - 1) // len(frames) * span_ns - now_ns)
    turns = ((frames[k % len(frames)], k // len(frames)) for k in range(n))
    return [_line(frame, turn, turn * span_ns - ahead_ns) for frame, turn in turns]


def _line(frame: Frame, turn: int, later_ns: int) -> str:
    line = {
        "recv_ns": frame.recv_ns + later_ns,
        "conn": frame.conn + turn * _CONNECTIONS,
        "raw": frame.raw,
    }
    return json_text(line, tight=True)


class StreamClock:
    """Times at which each frame was due, sent and decided."""

    def __init__(self, due_ns: np.ndarray, first_frame: int) -> None:
        n = len(due_ns)
        self.due_ns, self._first = due_ns, first_frame
        self.sent_ns, self.done_ns = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._tier: list[str] = [""] * n
        self._notes: list[tuple[str, ...]] = [()] * n
        self._refused: set[int] = set()
        self.acked = -1  # index of the last frame the server said it has
        self.closed: str | None = None  # why the server ended the stream

    def heard(self, text: str, now_ns: int) -> None:
        """Take one message of the server, read at ``now_ns``."""
        message = json.loads(text)
        kind, frame = message.get("type"), message.get("frame")
        if kind == "closed":
            self.closed = str(message.get("reason"))
        if not isinstance(frame, int):
            return
        k = frame - self._first
        if kind == "ack":
            self.acked = max(self.acked, k)
        if not 0 <= k < len(self.due_ns):
            return
        if kind == "decision":
            tier = str(message.get("tier", ""))
            known = self.done_ns[k] != 0 and self._tier[k] != tier
            self.done_ns[k], self._tier[k] = now_ns, "mixed" if known else tier
            self._notes[k] = tuple(sorted({*self._notes[k], *map(str, message.get("notes", ()))}))
        elif kind == "refused":
            self._refused.add(k)

    def timings(self) -> tuple[Timings, int]:
        """(Timings of the frames that asked for a decision or failed, number of quiet frames)."""
        outcome: list[str | None] = []
        for k, done_ns in enumerate(self.done_ns.tolist()):
            if done_ns:
                outcome.append(ANSWERED)
            elif k in self._refused:
                outcome.append("refused")
            elif k > self.acked:
                outcome.append("stream_closed" if self.closed else "no_answer")
            else:
                outcome.append(None)
        kept = [k for k, found in enumerate(outcome) if found is not None]
        at = np.array(kept, np.int64)
        found = Timings(
            due_ns=self.due_ns[at],
            sent_ns=self.sent_ns[at],
            done_ns=self.done_ns[at],
            outcome=[str(outcome[k]) for k in kept],
            tier=[self._tier[k] for k in kept],
            notes=[self._notes[k] for k in kept],
            stages_ms=[{}] * len(kept),
        )
        return found, len(outcome) - len(kept)


@asynccontextmanager
async def open_stream(
    config: LoadConfig, headers: Mapping[str, str]
) -> AsyncIterator[tuple[ClientConnection, int]]:
    """Open a stream at ``config.url``; yields its socket and the number that its first frame will get.

    ContractError where the server refuses it or does not answer.
    """
    place = config.url.rstrip("/") + STREAM
    async with await _connected(config.url, headers, config.timeout_s) as socket:
        try:
            await socket.send(json_text(_opening(config)))
            async with asyncio.timeout(config.timeout_s):
                answer = await socket.recv(decode=True)
        except ConnectionClosed:
            why = socket.close_reason or socket.close_code
            raise ContractError(f"{place}: the stream was closed when it was opened ({why})") from None
        said: dict[str, Any] = json.loads(answer)
        if said.get("type") != "opened":
            raise ContractError(f"{place}: refused: {said.get('reason', answer)}{_options(answer)}")
        yield socket, int(said["next_frame"])


def _opening(config: LoadConfig) -> dict[str, Any]:
    """Open message of the test; what the server did not know before is left out unless it is asked for."""
    asked = {name: True for name in ("allow_simulated", "accept_missing_inputs") if getattr(config, name)}
    return {**OPENING, **asked}


def _options(answer: str) -> str:
    """Options of this command that stand for what a refusal names."""
    named = [
        f"--{name.replace('_', '-')}"
        for name in ("allow_simulated", "accept_missing_inputs")
        if name in answer
    ]
    return f" (here: {', '.join(named)})" if named else ""


async def _connected(url: str, headers: Mapping[str, str], timeout_s: float) -> ClientConnection:
    """Return a connection that costs as little as it can. ContractError where there is none."""
    place = url.rstrip("/") + STREAM
    try:
        return await connect(
            "ws" + place.removeprefix("http"),
            additional_headers=headers,
            open_timeout=timeout_s,
            proxy=None,
            # Packing and bounds would cost both sides time; a ping would end a hung server's stream.
            compression=None,
            max_size=None,
            max_queue=None,
            ping_interval=None,
        )
    except InvalidStatus as err:
        status = err.response.status_code
        raise ContractError(f"{place}: status {status}; is a token wanted (--token-file)?") from None
    except (WebSocketException, OSError, ValueError) as err:
        raise ContractError(
            f"{url}: no server answers ({err or type(err).__name__}); start one with "
            "`kalshi-platform serve`, or correct --url"
        ) from None


async def stream_loop(
    due_ns: np.ndarray,
    lines: list[str],
    socket: ClientConnection,
    first_frame: int,
    timeout_s: float,
    pace: Pacer = pace_by_thread,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> StreamClock:
    """Send line k at ``due_ns[k]`` of ``clock`` and listen until the server has answered all, or hangs."""
    times = StreamClock(due_ns, first_frame)
    waiting: asyncio.Queue[int | None] = asyncio.Queue()

    def launch(k: int) -> None:
        times.sent_ns[k] = clock()  # what the socket holds back from here on is the server's doing
        waiting.put_nowait(k)

    async def send() -> None:
        while (k := await waiting.get()) is not None:
            await socket.send(lines[k])
        await socket.send('{"type":"ack"}')

    async def listen() -> None:
        with suppress(ConnectionClosed):
            while True:
                text = await socket.recv(decode=True)
                times.heard(text, clock())
        times.closed = times.closed or f"connection closed, code {socket.close_code}"

    listening, sending = asyncio.create_task(listen()), asyncio.create_task(send())
    try:
        await pace(due_ns.tolist(), launch)
        waiting.put_nowait(None)
        await _until_all_is_said(times, len(lines), listening, timeout_s)
    finally:
        for task in (sending, listening):
            task.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)
    return times


async def _until_all_is_said(
    times: StreamClock, n: int, listening: "asyncio.Task[None]", timeout_s: float
) -> None:
    """Wait until the server has the last frame and is silent, the stream ends, or time is over."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    while times.acked < n - 1 and not listening.done() and loop.time() < end_s:
        await asyncio.wait((listening,), timeout=_QUIET_S)
    before, decided = -1, 0
    while before != decided and loop.time() < end_s:
        before = decided
        await asyncio.wait((listening,), timeout=_QUIET_S)
        decided = int(np.count_nonzero(times.done_ns))
