"""Shares of a processor: a client whose requests take long is served with what the others leave.

Why        a request may ask for 128 groups, which take 0.1 s, 200 times a second: one client would keep
           everybody else waiting. Few clients ask so, and one that is alone may use the whole processor.
Rule       of large requests, and of those of clients that used up their share, one is decided in a round of
           the event loop. Such a client has none decided while another one asked in the last ALONE_AFTER_S.
           At most LARGE_WAITING large requests of one client wait for their turn, of WAITING_BYTES in all:
           each holds a place of the replica, which the next client needs to be heard, and its body.
Units      microseconds of the processor that serves; ns of a clock that does not go back.
Threads    one: the event loop that serves.
"""

import time
from collections import Counter
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.server.gate import RateLimitConfig, RateLimiter
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.turns import Turns

#: Bytes of a body from which on a request waits for its turn: reading it takes some milliseconds.
LARGE_BYTES: Final = 65_536
LARGE_WAITING: Final = 96
WAITING_BYTES: Final = 128 * 1_048_576
#: Seconds without a request of another client after which a client counts as alone.
ALONE_AFTER_S: Final = 1


class ProcessorShares:
    """Processor time that each client of one replica took, and the clients that asked last."""

    def __init__(self, config: RateLimitConfig) -> None:
        self._rates = RateLimiter(config)
        self._turns = Turns()
        self._large: Counter[str] = Counter()  # client -> its large requests that wait
        self._large_bytes: Counter[str] = Counter()  # of their bodies
        #: The client that asked last and the last other one, and when.
        self._last: tuple[str, int] = ("", -NS_PER_SECOND * ALONE_AFTER_S)
        self._before_last = self._last

    def asked(self, client: str) -> None:
        """Hear that ``client`` asks; Problem 429 where it used up its share and is not alone."""
        now_ns = time.monotonic_ns()
        if client != self._last[0]:
            self._before_last = self._last
        self._last = (client, now_ns)
        self._require(client, now_ns)

    async def decided(self, client: str, n_bytes: int, deciding: Coroutine[Any, Any, bytes]) -> bytes:
        """Answer of ``deciding``, which ``client`` is charged for; Problem 429 as :meth:`asked`.

        ``n_bytes``: of the request's body.
        """
        timed = _Timed(deciding)
        try:
            if n_bytes >= LARGE_BYTES:
                with self._waiting(client, n_bytes):
                    await self._turns.take()
                self._require(client, time.monotonic_ns())
            elif self._wait_ns(client, time.monotonic_ns()):
                await self._turns.take()
                self._require(client, time.monotonic_ns())
            return await timed
        finally:
            deciding.close()  # it never began where the client was refused
            self._rates.charge(client, time.monotonic_ns(), timed.taken_ns // 1_000)

    @contextmanager
    def _waiting(self, client: str, n_bytes: int) -> Iterator[None]:
        """Count a large request of ``client`` that waits; Problem 429 where as many as may do."""
        waiting, waiting_bytes = self._large[client], self._large_bytes[client]
        if waiting >= LARGE_WAITING or (waiting and waiting_bytes + n_bytes > WAITING_BYTES):
            detail = (
                f"{waiting} requests of this client, {waiting_bytes} bytes, wait for their turn; at most "
                f"{LARGE_WAITING} of {WAITING_BYTES} bytes may: send fewer at once, ask again in 1 s"
            )
            raise Problem(429, "too-much-work", detail, headers={"Retry-After": "1"})
        self._large[client] += 1
        self._large_bytes[client] += n_bytes
        try:
            yield
        finally:
            self._large[client] -= 1
            self._large_bytes[client] -= n_bytes
            if not self._large[client]:
                del self._large[client], self._large_bytes[client]

    def _require(self, client: str, now_ns: int) -> None:
        other = self._before_last if client == self._last[0] else self._last
        wait_ns = self._wait_ns(client, now_ns)
        if wait_ns and now_ns - other[1] < ALONE_AFTER_S * NS_PER_SECOND:
            wait_s = -(-wait_ns // NS_PER_SECOND)
            share = self._rates.config.rate_per_s / 10_000
            detail = (
                f"these requests took more than {share:g} % of a processor, and others ask: wait {wait_s} s"
            )
            raise Problem(429, "too-much-work", detail, headers={"Retry-After": str(wait_s)})

    def _wait_ns(self, client: str, now_ns: int) -> int:
        """Time until what ``client`` took is within its share again; 0 where it is."""
        return self._rates.look(client, now_ns)


class _Timed:
    """A coroutine that measures the processor time of its own steps, not of what runs between them."""

    def __init__(self, steps: Coroutine[Any, Any, bytes]) -> None:
        self._steps = steps
        self.taken_ns = 0

    def __await__(self) -> Generator[Any, Any, bytes]:
        given: Any = None
        thrown: BaseException | None = None
        while True:
            begun_ns = time.thread_time_ns()
            try:
                waits_for = self._steps.send(given) if thrown is None else self._steps.throw(thrown)
            except StopIteration as end:
                return bytes(end.value)
            finally:
                self.taken_ns += time.thread_time_ns() - begun_ns
            given = thrown = None
            try:
                given = yield waits_for
            except BaseException as error:  # the coroutine hears of its end
                thrown = error
