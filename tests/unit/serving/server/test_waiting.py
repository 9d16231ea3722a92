"""How long a request would wait for the event loop."""

import asyncio
import time

import pytest

from kalshi_platform.serving.server.metrics import WAIT_SECONDS
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.waiting import waits_s, watch_waits


def test_a_stall_of_half_a_second_counts_for_all_who_would_have_come():
    # Looks were due at 10.0, 10.1, ... 10.5; the loop came back at 10.55.
    assert waits_s(10.0, 10.55, 0.1) == pytest.approx([0.55, 0.45, 0.35, 0.25, 0.15, 0.05])
    assert waits_s(10.0, 10.02, 0.1) == pytest.approx([0.02])


def test_of_a_very_long_stall_a_minute_is_counted():
    waits = waits_s(0.0, 86_400.0, 0.1)
    assert len(waits) == 600
    assert waits[0] == pytest.approx(59.9, abs=0.11)
    assert min(waits) >= 0


def test_the_watch_sees_a_loop_that_is_blocked_and_keeps_its_schedule():
    waits: list[float] = []
    looked_s = 0.0

    def tell(wait: float) -> None:
        nonlocal looked_s
        waits.append(wait)
        looked_s = time.monotonic()

    async def scenario() -> float:
        watch = asyncio.create_task(watch_waits(tell, 0.02))
        begun = time.monotonic()
        await asyncio.sleep(0.1)
        time.sleep(0.3)  # blocks the loop, as a stopped process would
        await asyncio.sleep(0.1)
        watch.cancel()
        return looked_s - begun

    took_s = asyncio.run(scenario())
    assert max(waits) > 0.25
    assert sum(wait > 0.1 for wait in waits) >= 8  # of the 15 looks that the stall made late
    assert len(waits) == pytest.approx(took_s / 0.02, abs=4)  # none is lost, none counted twice


def test_waits_are_counted():
    seen = Observability()
    for wait in (0.001, 0.12):
        seen.waited(wait)
    found = seen.collect(None).histograms[WAIT_SECONDS.name, ()]
    assert sum(found.counts) == 2
    assert found.total == pytest.approx(0.121)
