"""The stream: one connection after another, its frames handed on as received, its holes found and mended.

Tasks      the socket's own callback stamps each frame and puts it into a bounded queue, nothing else; one
           task takes frames out, hands them to the sink and to the machine of subscriptions; one sends
           commands; one pings; one looks at the time. The first that ends ends the connection; another
           follows.
Invariant  every frame goes to the sink as it came, or stands in a note ``overflow``; a connection's last
           note is ``disconnected``, after its last frame.
Times      of a frame: both clocks, read when the frame left the socket.
Together   frames that wait when one is taken came together: ``taken_hooks`` hear when all of them were handed
           on, so that nobody decides by the first of them; not at the end of a connection, whose books are
           gone then. A slice is what is handed on before others run.
Ends       on ``stop``, or on an error of the sink: a recorder that cannot record ends the process.
Not here   which commands go out (subscriptions.py), files (trading/recorder).
"""

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, cast
from urllib.parse import urlsplit

import numpy as np
from pydantic_core import from_json
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.clock import ExchangeClock, seconds_since
from kalshi_platform.trading.exchange.frame_queue import FrameQueue, Overflow, Received
from kalshi_platform.trading.exchange.signing import RequestSigner
from kalshi_platform.trading.exchange.sink import FrameSink, MessageSink
from kalshi_platform.trading.exchange.skew import SkewWatch
from kalshi_platform.trading.exchange.stream_settings import MOST_FRAME_BYTES, ExchangeStreamSettings
from kalshi_platform.trading.exchange.subscriptions import Subscriptions
from kalshi_platform.trading.exchange.timed_connection import TimedConnection, words_of_end

#: Frames taken in one go, before other tasks may run, and how long they may take by what the last ones took:
#: new books take ten times as long as changes, and a clock of ten decisions a second waits meanwhile.
_SLICE: Final = 32
_SLICE_NS: Final = 10 * NS_PER_MS
_TICK_S: Final = 0.05
_SHOWN: Final = 80


class ExchangeStream:
    """Stream of one set of markets: ``run`` until ``stop``; ``add`` and ``remove`` at any time."""

    def __init__(
        self,
        settings: ExchangeStreamSettings,
        signer: RequestSigner,
        sink: FrameSink,
        clock: ExchangeClock,
        rng: np.random.Generator,
        conns: Iterator[int] | None = None,
    ) -> None:
        """``conns`` gives connection numbers: share one among streams of one sink, else they count from 1."""
        self._settings, self._signer, self._sink = settings, signer, sink
        self._hand_on = _hand_on(sink)
        self._clock, self._rng = clock, rng
        self._conns = conns or itertools.count(1)
        self._conn = 0
        self._subscriptions = Subscriptions(settings, rng, self._note)
        self.skew = SkewWatch(lambda skew_ns: self._note(kinds.CLOCK_SKEW, {"skew_ns": skew_ns}))
        self._stopping = asyncio.Event()
        self._queue = FrameQueue(settings.queue_frames, settings.queue_bytes)
        self._out: deque[str] = deque()
        self._out_news = asyncio.Event()
        self._heard_ns = 0  # mono; of the last frame
        self._frames = 0  # of this connection
        self._is_silent = False
        self.is_connected = False
        self.taken_hooks: list[Callable[[], None]] = []  # hear that frames that came together were handed on
        self._slice = 1  # frames of the next one

    # For the caller

    @property
    def counters(self) -> Counter[str]:
        """Messages by type, gaps, repeats, unreadable frames, errors, drops: of all connections so far."""
        return self._subscriptions.counters

    @property
    def held(self) -> dict[str, frozenset[str]]:
        """Markets that the exchange took, by channel, on the present connection."""
        return {name: frozenset(each.held) for name, each in self._subscriptions.channels.items()}

    @property
    def books_awaited(self) -> int:
        """Number of books that are invalid here until their snapshots come."""
        return len(self._subscriptions.books)

    @property
    def backlog(self) -> int:
        """Number of frames received and not yet taken."""
        return len(self._queue)

    async def add(self, tickers: Iterable[str]) -> None:
        """Subscribe these markets too, now and on every later connection."""
        self._subscriptions.add(tickers)
        self._command()

    async def remove(self, tickers: Iterable[str]) -> None:
        """Subscribe these markets no longer."""
        self._subscriptions.remove(tickers)
        self._command()

    async def request_books(self, tickers: Iterable[str]) -> None:
        """Ask for whole books of markets whose book the caller found to be wrong."""
        self._subscriptions.request_books(tickers)
        self._command()

    async def stop(self) -> None:
        """Close the connection, and let ``run`` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Connect again and again until stopped; an error of the sink is raised."""
        failures = 0
        while not self._stopping.is_set():
            self._conn = next(self._conns)
            socket = await self._connect(failures + 1)
            if socket is not None:
                began_ns = self._clock.mono_ns()
                await self._serve(socket, failures + 1)
                if seconds_since(self._clock, began_ns) >= self._settings.stable_s:
                    failures = 0
            if not self._stopping.is_set():
                await self._first_of(self._stopping.wait(), self._clock.sleep(self._pause_s(failures)))
                failures += 1

    # One connection

    async def _connect(self, attempt: int) -> TimedConnection | None:
        """Connect with a fresh signature; None where that failed, which is noted."""
        settings = self._settings
        path = urlsplit(settings.url).path or "/"
        opening = _OneAddress(
            settings.url,
            additional_headers=self._signer.headers("GET", path, self._clock.wall_ns()),
            max_size=MOST_FRAME_BYTES,
            create_connection=cast(Any, self._connection),
            compression=settings.compression,
            ping_interval=None,  # the client pings itself, so that a half-open socket is told
            open_timeout=settings.open_timeout_s,
            proxy=settings.proxy,
            close_timeout=1.0,
            logger=_wire_log(),
        )
        try:
            socket = cast(TimedConnection, await opening)
        except (OSError, WebSocketException, TimeoutError) as err:
            self._unreachable(err, attempt)
            return None
        if socket.response is not None:
            self.skew.observe(socket.response.headers.get("Date"), self._clock.wall_ns())
        return socket

    def _connection(self, protocol: Any, **options: Any) -> TimedConnection:
        """Connection that hands its messages to :meth:`_receive`."""
        return TimedConnection(protocol, self._receive, **options)

    def _unreachable(self, error: Exception, attempt: int) -> None:
        """Note a connection that could not be made."""
        detail: dict[str, object] = {
            "why": words_of_end(error),
            "attempt": attempt,
            "url": self._settings.url,
        }
        if isinstance(error, InvalidStatus):
            self.skew.observe(error.response.headers.get("Date"), self._clock.wall_ns())
            detail["status"] = error.response.status_code
        self._note(kinds.UNREACHABLE, detail)

    async def _serve(self, socket: TimedConnection, attempt: int) -> None:
        """Use one connection until it ends."""
        self._subscriptions.begin()
        self._out.clear()
        self._heard_ns, self._frames, self._is_silent = self._clock.mono_ns(), 0, False
        self.is_connected = True
        self._note(kinds.CONNECTED, {"url": self._settings.url, "attempt": attempt})
        self._command()
        why = "failed"
        try:
            why = await self._first_of(
                socket.ended(),
                self._take_all(),
                self._send(socket),
                self._ping(socket),
                self._watch(),
                self._stopped(),
            )
        finally:
            self.is_connected = False
            await self._close(socket, why)

    async def _close(self, socket: TimedConnection, why: str) -> None:
        """End a connection: take what was received, then note its end."""
        if why == _GONE:
            socket.transport.abort()  # nobody is there to answer a closing handshake
        try:
            await socket.close()
            while len(self._queue):
                self._take_slice(len(self._queue))
                await asyncio.sleep(0)  # a halt does not wait for a hundred thousand frames
        except asyncio.CancelledError:
            if lost := self._queue.drop_all():
                self._overflowed(lost)
            self._disconnected(socket, why)
            raise
        self._disconnected(socket, why)

    def _disconnected(self, socket: TimedConnection, why: str) -> None:
        """Note the end of a connection."""
        code = socket.close_code
        detail: dict[str, object] = {"why": why, "frames": self._frames}
        self._note(kinds.DISCONNECTED, detail if code is None else {**detail, "code": code})

    async def _first_of(self, *works: Awaitable[Any]) -> Any:
        """Result of the first to end of ``works``; the others are cancelled."""
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
        return next(iter(done)).result()

    async def _stopped(self) -> str:
        """Wait for ``stop``."""
        await self._stopping.wait()
        return "stopped"

    def _receive(self, raw: bytes) -> None:
        """Stamp one message and queue it, nothing else: the socket waits."""
        clock = self._clock
        self._heard_ns = heard_ns = clock.mono_ns()
        self._frames += 1
        self._queue.put(clock.wall_ns(), heard_ns, raw)

    async def _take_all(self) -> str:
        """Take frames out of the queue as they come: those that came together, a slice at a time."""
        while True:
            await self._queue.wait()
            together = len(self._queue)
            while together:
                together -= self._take_slice(together)
                if not together:
                    for hear in self.taken_hooks:
                        hear()
                self._command()
                await asyncio.sleep(0)
                if self._subscriptions.reconnect_why is not None:
                    return self._subscriptions.reconnect_why

    def _take_slice(self, most: int) -> int:
        """Take the next frames, at most ``most``; returns how many."""
        size, begun_ns = min(most, self._slice), self._clock.mono_ns()
        for _ in range(size):  # one by one: where a sink fails, the others still wait
            self._take(self._queue.take())
        took_ns = max(self._clock.mono_ns() - begun_ns, 1)
        self._slice = max(1, min(_SLICE, 2 * self._slice, _SLICE_NS * size // took_ns))
        return size

    def _take(self, entry: Received | Overflow) -> None:
        """Hand one frame to the sink, and its message to the subscriptions."""
        if isinstance(entry, Overflow):
            self._overflowed(entry)
            return
        recv_ns, mono_ns, raw = entry
        why = "no JSON object"
        try:
            message = from_json(raw)
        except ValueError as err:
            message, why = None, str(err)
        if not isinstance(message, dict):
            self._hand_on(self._conn, recv_ns, mono_ns, raw, None)
            self._subscriptions.unreadable(why, raw[:_SHOWN].decode("utf-8", "replace"))
            return
        self._hand_on(self._conn, recv_ns, mono_ns, raw, message)
        self._subscriptions.take(message, hash(raw), mono_ns)

    def _overflowed(self, lost: Overflow) -> None:
        """Tell of frames that were dropped, and ask for every book: a lost last one would show as no gap."""
        self.counters["frames_dropped"] += lost.frames
        detail: dict[str, object] = {"frames": lost.frames, "bytes": lost.n_bytes}
        times = {"first_recv_ns": lost.first_recv_ns, "last_recv_ns": lost.last_recv_ns}
        self._note(kinds.OVERFLOW, {**detail, **times})
        self._subscriptions.request_all_books()

    # Commands, pings, silence

    def _command(self) -> None:
        """Put the commands that are due onto the way out."""
        if not self.is_connected:
            return
        texts = self._subscriptions.due(self._clock.mono_ns())
        if texts:
            self._out.extend(texts)
            self._out_news.set()

    async def _send(self, socket: TimedConnection) -> str:
        """Send commands in order; a socket that takes none shows by commands without answers."""
        try:
            while True:
                while self._out:
                    await socket.send(self._out.popleft())
                self._out_news.clear()
                await self._out_news.wait()
        except ConnectionClosed as err:
            return words_of_end(err)

    async def _ping(self, socket: TimedConnection) -> str:
        """Ping; the connection ends where no pong comes back in time."""
        settings = self._settings
        try:
            while True:
                await self._clock.sleep(settings.ping_every_s)
                pong = asyncio.ensure_future(await socket.ping())
                await self._first_of(asyncio.shield(pong), self._clock.sleep(settings.pong_timeout_s))
                if not pong.done():
                    why = f"no pong within {settings.pong_timeout_s:g} s"
                    self._note(kinds.HALF_OPEN, {"why": why})
                    return _GONE
        except ConnectionClosed as err:
            return words_of_end(err)

    async def _watch(self) -> str:
        """Send what is due by time, and ask the exchange where it has been silent for long."""
        while True:
            await self._clock.sleep(_TICK_S)
            self._command()
            if self._subscriptions.reconnect_why is not None:
                return self._subscriptions.reconnect_why
            silent_s = seconds_since(self._clock, self._heard_ns)
            if silent_s < self._settings.silence_s:
                self._is_silent = False
            elif not self._is_silent:
                self._is_silent = True
                self._note(kinds.SILENT, {"silent_s": silent_s})
                self._out.append(self._subscriptions.probe(self._clock.mono_ns()))
                self._out_news.set()

    def _pause_s(self, failures: int) -> float:
        """Seconds before the next connection: doubling, half of it drawn."""
        settings = self._settings
        longest_s = min(settings.first_pause_s * 2.0 ** min(failures, 30), settings.longest_pause_s)
        return longest_s * float(self._rng.uniform(0.5, 1.0))

    def _note(self, kind: str, detail: dict[str, object]) -> None:
        """Hand one event of the present connection to the sink."""
        self._sink.note(self._conn, self._clock.wall_ns(), self._clock.mono_ns(), kind, detail)


_GONE: Final = "half-open: the other end is gone"


class _OneAddress(connect):
    """Connecting without redirects: the signature is for one path, and for nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse every redirect."""
        return exc


def _wire_log() -> logging.Logger:
    """Logger of the library that never shows a handshake: its headers carry key and signature."""
    log = logging.getLogger(f"{__name__}.wire")
    log.setLevel(logging.WARNING)
    return log


def _hand_on(sink: FrameSink) -> Callable[[int, int, int, bytes, dict[str, Any] | None], None]:
    """Way of a frame into ``sink``: parsed where it takes that."""
    if isinstance(sink, MessageSink):
        return sink.message
    frame = sink.frame
    return lambda conn, recv_ns, mono_ns, raw, _message: frame(conn, recv_ns, mono_ns, raw)
