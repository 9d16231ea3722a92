"""Time of a simulated exchange that is faster than this machine's clock, or lives in another year.

Why        such an exchange tells times of its own: beside receive times of the wall clock, its closes, days
           and outcomes would mean nothing. It says its time in a header of every REST answer.
Rule       no frame is received before the exchange sent it: the question's whole way is added to the time
           that an answer tells. The clock never goes back; where it is ahead, it runs at half the speed. Two
           seconds after the last answer it waits for the next one: the exchange may have stood still too.
Real       the real exchange has no such header, nor has its demonstration: their receive times are this
           machine's. So are those of a simulated exchange that keeps this machine's time.
Signatures, pings and time-outs of the client keep to the machine's clock, as the server does.
"""

import asyncio
import time
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.sink import OVERFLOW, FrameSink

#: ``NOW_NS SPEED``: nanoseconds since 1970 and exchange seconds a second (docs/simexchange.md).
HEADER: Final = "Simulated-Clock"
#: An exchange that keeps this machine's time to within so much needs no clock of its own.
_SAME_NS: Final = 2 * NS_PER_SECOND
_TIMEOUT: Final = ClientTimeout(total=5.0)
#: Shortest pause of periodic work, in seconds of this machine: a fast exchange must not make it spin.
_LEAST_PAUSE_S: Final = 0.1
_LISTEN_EVERY_S: Final = 1.0
#: Longest time of this machine that the clock goes on without an answer.
_ALONE_NS: Final = 2 * NS_PER_SECOND


class ClockTold(NamedTuple):
    """Time that an answer told, and the moments of this machine between which it was told."""

    now_ns: int
    speed: float
    asked_mono_ns: int
    answered_mono_ns: int

    @property
    def latest_ns(self) -> int:
        """Latest time that the exchange's clock can show when the answer is here."""
        return self.now_ns + round((self.answered_mono_ns - self.asked_mono_ns) * self.speed)


class ExchangeTime:
    """Clock that follows the exchange's; an ``ExchangeClock`` (``trading/exchange/clock.py``)."""

    def __init__(self, told: ClockTold) -> None:
        """Begin at the time that an answer told."""
        self.speed = told.speed
        self._anchor_ns, self._anchor_mono_ns = told.latest_ns, told.answered_mono_ns
        self._last_ns, self._last_mono_ns = told.latest_ns, told.answered_mono_ns
        self._heard_mono_ns = told.answered_mono_ns

    def hear(self, told: ClockTold) -> None:
        """Follow another answer, where its time does not fit what this clock shows."""
        self._heard_mono_ns = told.answered_mono_ns
        here_ns = self._follow(told.answered_mono_ns)
        if not told.now_ns <= here_ns <= told.latest_ns:
            self._anchor_ns, self._anchor_mono_ns = told.latest_ns, told.answered_mono_ns

    def at(self, mono_ns: int) -> int:
        """Exchange's time, ns since 1970, when this machine's monotonic clock said ``mono_ns``."""
        passed_ns = max(mono_ns - self._last_mono_ns, 0)
        slowed_ns = self._last_ns + round(min(passed_ns, _ALONE_NS) * self.speed / 2)
        self._last_ns = max(self._follow(mono_ns), slowed_ns)
        self._last_mono_ns += passed_ns
        return self._last_ns

    def before(self, mono_ns: int, by_ns: int) -> int:
        """Exchange's time ``by_ns`` of this machine before ``mono_ns``; the clock stays where it is."""
        return self._last_ns - round((self._last_mono_ns - mono_ns + by_ns) * self.speed)

    def wall_ns(self) -> int:
        """Exchange's time now, ns since 1970."""
        return self.at(time.monotonic_ns())

    def mono_ns(self) -> int:
        """Exchange's time now: this clock never goes back."""
        return self.wall_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of the exchange, though not less than a short pause of this machine."""
        await asyncio.sleep(max(seconds / self.speed, min(seconds, _LEAST_PAUSE_S), 0.0))

    def _follow(self, mono_ns: int) -> int:
        """Time of the exchange by the last answer that did not fit."""
        known_ns = min(mono_ns, self._heard_mono_ns + _ALONE_NS)
        return self._anchor_ns + round((known_ns - self._anchor_mono_ns) * self.speed)


class DatedSink:
    """FrameSink that dates frames and notes by the exchange's time."""

    def __init__(self, sink: FrameSink, clock: ExchangeTime) -> None:
        """Hand everything on to ``sink``."""
        self._sink, self._clock = sink, clock

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        """Take one frame."""
        at_ns = self._clock.at(mono_ns)
        self._sink.frame(conn, at_ns, at_ns, raw)

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        """Take one note; the receive times in an ``overflow`` are dated too."""
        at_ns = self._clock.at(mono_ns)
        if kind == OVERFLOW:
            times: dict[str, Any] = {k: detail[k] for k in ("first_recv_ns", "last_recv_ns")}
            detail = detail | {k: self._clock.before(mono_ns, recv_ns - t) for k, t in times.items()}
        self._sink.note(conn, at_ns, at_ns, kind, detail)


async def listen(rest_url: str, clock: ExchangeTime) -> None:
    """Follow the exchange's clock until cancelled; an answer that fails to come is asked for again."""
    async with ClientSession(timeout=_TIMEOUT) as client:
        while True:
            await asyncio.sleep(_LISTEN_EVERY_S)
            if (told := await _ask(client, rest_url)) is not None:
                clock.hear(told)


async def exchange_time(rest_url: str) -> ExchangeTime | None:
    """Clock of the exchange at ``rest_url``; None where it keeps this machine's time, or does not say."""
    async with ClientSession(timeout=_TIMEOUT) as client:
        told = await _ask(client, rest_url)
    if told is None or (told.speed == 1 and abs(told.now_ns - time.time_ns()) < _SAME_NS):
        return None
    return ExchangeTime(told)


async def _ask(client: ClientSession, rest_url: str) -> ClockTold | None:
    """Ask once what time it is; None where no answer comes or it does not say."""
    asked = time.monotonic_ns()
    try:
        async with client.get(f"{rest_url.rstrip('/')}/exchange/status") as answer:
            answered = time.monotonic_ns()
            now, _, speed = answer.headers.get(HEADER, "").partition(" ")
    except (ClientError, TimeoutError):
        return None
    try:
        told = ClockTold(int(now), float(speed), asked, answered)
    except ValueError:
        return None
    return told if told.now_ns > 0 and 0 < told.speed < float("inf") else None
