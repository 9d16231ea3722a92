"""An open loop: requests leave on a schedule fixed before the first of them, whatever the server does.

Units      ns of one monotonic clock.
Invariant  nothing that a server does moves a due time; the generator's own lateness is in ``sent - due``.
Not        the requests (``run.py``, ``bodies.py``) nor the figures (``result.py``).
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.serving.loadtest.result import ANSWERED, NOT_SENT, LoadConfig, Timings


class Attempt(NamedTuple):
    """Outcome of one request, and the server's account of it."""

    outcome: str  # ANSWERED or the kind of failure
    tier: str = ""
    notes: tuple[str, ...] = ()
    stages_ms: Mapping[str, float] = MappingProxyType({})  # the server's own timings


class Sender(Protocol):
    """Sends the requests of a test."""

    async def ask(self, k: int) -> Any:
        """Send request ``k`` and wait for its whole answer; raises where none comes."""
        ...

    def judge(self, answer: Any) -> Attempt:
        """Outcome that an answer stands for; the loop calls this after it took the time."""
        ...

    def failure(self, error: Exception) -> str:
        """Name of the kind of failure that ``ask`` raised."""
        ...


#: Calls the function with 0, 1, 2, ... each at its due time, and returns after the last.
Pacer = Callable[[Sequence[int], Callable[[int], None]], Awaitable[None]]


def arrivals_ns(config: LoadConfig) -> np.ndarray:
    """Times at which requests are due, ns since the start, ascending; the same for the same seed.

    Poisson: gaps drawn from the exponential distribution, as of many clients that do not know of each other.
    """
    total_s = config.warm_up_s + config.duration_s
    if config.arrivals == "constant":
        at_s = np.arange(max(1, round(total_s * config.rate_per_s))) / config.rate_per_s
    else:
        rng = np.random.default_rng([config.seed, 0])
        wanted = total_s * config.rate_per_s
        gaps_s = rng.exponential(1 / config.rate_per_s, round(wanted + 10 * wanted**0.5 + 10))
        at_s = np.cumsum(gaps_s)
        at_s = at_s[at_s < total_s]
    return np.round(at_s * NS_PER_SECOND).astype(np.int64)


async def pace_by_thread(due_ns: Sequence[int], launch: Callable[[int], None]) -> None:
    """Call ``launch`` at each due time of ``time.perf_counter_ns``, in the running loop.

    A thread sleeps until each time. The loop's own timers (epoll) count whole milliseconds, which would be
    most of the figure for a server that answers in one.
    """
    loop, over, stopped = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wait_and_launch() -> None:
        for k, at_ns in enumerate(due_ns):
            left_ns = at_ns - time.perf_counter_ns()
            if left_ns > 0 and stopped.wait(left_ns / NS_PER_SECOND):
                return
            loop.call_soon_threadsafe(launch, k)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_and_launch, name="pacer", daemon=True).start()
    try:
        await over.wait()
    finally:
        stopped.set()


async def open_loop(
    due_ns: np.ndarray,
    sender: Sender,
    max_in_flight: int,
    pace: Pacer = pace_by_thread,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Timings:
    """Send a request at each of ``due_ns`` (N,) of ``clock`` and wait until every one ended."""
    n = len(due_ns)
    sent, done = np.zeros(n, np.int64), np.zeros(n, np.int64)
    ends = [Attempt(NOT_SENT)] * n
    flying: set[asyncio.Task[None]] = set()

    async def one(k: int) -> None:
        try:
            answer = await sender.ask(k)
        except Exception as err:  # whatever a request dies of is counted under its name
            ends[k] = Attempt(sender.failure(err))
            return
        done[k] = clock()
        ends[k] = sender.judge(answer)

    def launch(k: int) -> None:
        if len(flying) >= max_in_flight:
            return
        sent[k] = clock()
        task = asyncio.get_running_loop().create_task(one(k))
        flying.add(task)
        task.add_done_callback(flying.discard)

    await pace(due_ns.tolist(), launch)
    while flying:
        await asyncio.wait(flying)
    return Timings(
        due_ns=due_ns,
        sent_ns=sent,
        done_ns=done,
        outcome=[end.outcome for end in ends],
        tier=[end.tier if end.outcome == ANSWERED else "" for end in ends],
        notes=[end.notes if end.outcome == ANSWERED else () for end in ends],
        stages_ms=[end.stages_ms for end in ends],
    )
