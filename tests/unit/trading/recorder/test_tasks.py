"""Periodic work of a recorder whose exchange's clock runs faster than this machine's."""

import asyncio
from types import SimpleNamespace

from kalshi_platform.trading.recorder import tasks


class FastClock:
    """Clock of a simulated exchange: its seconds pass at once."""

    def wall_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def test_a_check_of_books_gives_the_stream_time_of_this_machine():
    """At speed 120 the second of patience took 8 ms: frames on their way counted as books that differ."""
    heard: list[str] = []

    async def check(sleep, wall_ns):
        asyncio.get_running_loop().call_later(0.02, heard.append, "frame")  # the line is this slow
        await sleep(0.2)
        heard.append("compared")
        return []

    recorder = SimpleNamespace(clock=FastClock(), checks=SimpleNamespace(check=check))
    asyncio.run(tasks._check_books(recorder))
    assert heard == ["frame", "compared"]
