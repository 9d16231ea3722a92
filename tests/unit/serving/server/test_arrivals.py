"""Bodies that are still arriving: their deadline, their room, and who gives way."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from kalshi_platform.serving.server.arrivals import ArrivalArgs, Arrivals
from kalshi_platform.serving.server.problems import Problem

#: Longer than any of these tests takes: what ends there has not waited for it.
NEVER_S = 600.0


class Body:
    """A client's end of a body."""

    def __init__(self, length: int | None = None) -> None:
        self._parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        self.request = Request({"type": "http", "method": "POST", "headers": headers}, self._parts.get)

    def send(self, part: bytes, *, more: bool = True) -> "Body":
        self._parts.put_nowait({"type": "http.request", "body": part, "more_body": more})
        return self


def run(scenario: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario(), 60))


async def begun(arrivals: Arrivals, body: Body, client: str) -> "asyncio.Task[bytes]":
    """A task that has begun to read ``body``."""
    task = asyncio.create_task(arrivals.read(body.request, client, 2**20))
    for _ in range(3):
        await asyncio.sleep(0)
    return task


def test_a_body_that_trickles_is_ended_by_its_deadline_and_its_connection_closed():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=0.05))
        with pytest.raises(Problem) as found:
            await arrivals.read(Body(1_000).send(b"{").request, "a", 2**20)
        assert (found.value.status, found.value.kind) == (408, "body-too-slow")
        assert "1 bytes came" in str(found.value)
        assert found.value.headers["Connection"] == "close"
        assert len(arrivals) == 0

    run(scenario)


def test_a_whole_body_is_read_and_leaves_no_place_behind():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs())
        assert await arrivals.read(Body().send(b"ab").send(b"c", more=False).request, "a", 3) == b"abc"
        with pytest.raises(Problem) as found:
            await arrivals.read(Body().send(b"ab").send(b"cd").request, "a", 3)
        assert found.value.status == 413
        with pytest.raises(Problem) as found:
            await arrivals.read(Body(4).request, "a", 3)
        assert found.value.status == 413
        with pytest.raises(Problem) as found:  # more digits than Python reads as a number
            await arrivals.read(Body().send(b"").request.__class__(
                {"type": "http", "headers": [(b"content-length", b"9" * 5_000)]}), "a", 3)  # fmt: skip
        assert found.value.status == 413
        assert len(arrivals) == 0

    run(scenario)


def test_a_body_whose_time_ran_out_this_moment_is_not_asked_to_give_way():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=NEVER_S, bodies=1))
        slow = await begun(arrivals, Body(9).send(b"x"), "attacker")
        (place,) = arrivals._here
        place.clock.reschedule(0.0)
        while not place.clock.expired():
            await asyncio.sleep(0)
        assert not slow.done()  # it hears of its end in the next round of the loop
        whole = Body().send(b"whole", more=False)
        assert await arrivals.read(whole.request, "honest", 2**20) == b"whole"
        with pytest.raises(Problem) as found:
            await slow
        assert found.value.kind == "body-too-slow"

    run(scenario)


def test_a_new_body_is_read_where_every_place_is_held_by_bodies_that_trickle():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=NEVER_S, bodies=3))
        slow = [await begun(arrivals, Body(9).send(b"x"), "attacker") for _ in range(3)]
        whole = Body().send(b"whole", more=False)
        assert await arrivals.read(whole.request, "honest", 2**20) == b"whole"
        done, _ = await asyncio.wait(slow, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert done == {slow[0]}, "the oldest of them gives way"
        problem = slow[0].exception()
        assert isinstance(problem, Problem)
        assert (problem.status, problem.kind) == (408, "body-gave-way")
        for task in slow:
            task.cancel()

    run(scenario)


def test_the_client_with_the_most_bodies_gives_way_and_no_other():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=NEVER_S, bodies=4))
        oldest = await begun(arrivals, Body(9).send(b"x"), "honest")
        many = [await begun(arrivals, Body(9).send(b"x"), "attacker") for _ in range(6)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not oldest.done()
        assert [task.done() for task in many] == [True, True, True, False, False, False]
        for task in [oldest, *many]:
            task.cancel()

    run(scenario)


def test_bytes_on_their_way_are_bounded_together():
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=NEVER_S, bytes=2**20))
        large = await begun(arrivals, Body().send(b"x" * (2**20 - 10)), "attacker")
        small = Body().send(b"y" * 100, more=False)
        assert await arrivals.read(small.request, "honest", 2**20) == b"y" * 100
        await asyncio.wait([large], timeout=60)
        problem = large.exception()
        assert isinstance(problem, Problem)
        assert problem.kind == "body-gave-way"

    run(scenario)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 5))
def test_there_are_never_more_than_there_may_be_and_the_newest_stays(clients: list[str], bodies: int):
    async def scenario() -> None:
        arrivals = Arrivals(ArrivalArgs(body_s=NEVER_S, bodies=bodies))
        tasks = []
        for client in clients:
            tasks.append(await begun(arrivals, Body(9).send(b"x"), client))
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(arrivals) <= bodies
        assert len(arrivals) == min(bodies, len(clients))
        if bodies > 1:
            assert not tasks[-1].done()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(arrivals) == 0
        assert arrivals._bytes == 0

    run(scenario)
