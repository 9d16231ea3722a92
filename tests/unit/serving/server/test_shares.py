"""Shares of a processor: who asks for much keeps nobody waiting, and may have all of it where it is alone."""

import asyncio
from itertools import count
from types import SimpleNamespace

import pytest
from made.serving_app import CLIENT, App, refused, token, token_files

from kalshi_platform.serving.server import shares
from kalshi_platform.serving.server.gate import RateLimitConfig
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.shares import LARGE_BYTES, LARGE_WAITING, ProcessorShares

MS = 1_000_000
HALF = RateLimitConfig(rate_per_s=500_000, burst=1_000_000)
OTHER = "another-client-token"


class Clock:
    """Time that a test moves; work takes processor time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = self.spent_ns = 10**12
        told = SimpleNamespace(monotonic_ns=lambda: self.now_ns, thread_time_ns=lambda: self.spent_ns)
        monkeypatch.setattr(shares, "time", told)

    async def work(self, taken_ms: int) -> bytes:
        self.spent_ns += taken_ms * MS
        return b"answer"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ask(kept: ProcessorShares, clock: Clock, client: str, taken_ms: int) -> bytes:
    kept.asked(client)
    return asyncio.run(kept.decided(client, 1, clock.work(taken_ms)))


def test_a_client_that_is_alone_may_use_the_whole_processor(clock: Clock):
    kept = ProcessorShares(HALF)
    for _ in range(50):
        clock.now_ns += 100 * MS
        assert ask(kept, clock, "alone", 100) == b"answer"


def test_a_client_beyond_its_share_is_refused_while_another_asks_and_not_later(clock: Clock):
    kept = ProcessorShares(HALF)
    for _ in range(11):
        ask(kept, clock, "greedy", 100)
    assert ask(kept, clock, "modest", 1) == b"answer"
    with pytest.raises(Problem, match=r"more than 50 % of a processor, and others ask: wait 1 s") as caught:
        kept.asked("greedy")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    clock.now_ns += 300 * MS  # half of that is granted: it is within its share again
    assert ask(kept, clock, "greedy", 1) == b"answer"


def test_an_hour_of_another_client_long_ago_refuses_nobody(clock: Clock):
    kept = ProcessorShares(HALF)
    ask(kept, clock, "modest", 1)
    clock.now_ns += 1_000 * MS
    for _ in range(30):
        assert ask(kept, clock, "greedy", 100) == b"answer"


def test_requests_that_were_let_in_give_way_to_one_that_comes_meanwhile(clock: Clock):
    kept, answered = ProcessorShares(HALF), []
    for _ in range(11):
        ask(kept, clock, "greedy", 100)

    async def one(client: str, number: int) -> None:
        kept.asked(client)
        try:
            await kept.decided(client, 1, clock.work(100))
            answered.append((client, number))
        except Problem as problem:
            answered.append((problem.kind, number))

    async def scenario() -> None:
        crowd = [asyncio.create_task(one("greedy", number)) for number in range(20)]
        await asyncio.sleep(0)  # all are let in, none is refused: the client is alone
        modest = asyncio.create_task(one("modest", 99))
        await asyncio.gather(modest, *crowd)

    asyncio.run(scenario())
    place = answered.index(("modest", 99))
    assert place <= 4, "one of the others is decided in a round of the loop"
    assert {kind for kind, _ in answered[place + 1 :]} <= {"greedy", "too-much-work"}
    assert sum(kind == "too-much-work" for kind, _ in answered) >= 15


def test_of_large_requests_one_is_decided_in_a_round_and_small_ones_come_between(clock: Clock):
    kept, answered = ProcessorShares(HALF), []

    async def one(name: str, n_bytes: int) -> None:
        await kept.decided(name, n_bytes, clock.work(1))
        answered.append(name)

    async def scenario() -> None:
        large = [asyncio.create_task(one("large", shares.LARGE_BYTES)) for _ in range(20)]
        small = asyncio.create_task(one("small", 1_000))
        await asyncio.gather(*large, small)

    asyncio.run(scenario())
    assert answered.index("small") <= 2


def test_few_large_requests_of_one_client_wait_and_those_of_another_are_decided(clock: Clock):
    kept = ProcessorShares(HALF)

    async def scenario() -> None:
        greedy = ["greedy"] * (LARGE_WAITING + 8)
        asked = [kept.decided(client, LARGE_BYTES, clock.work(0)) for client in [*greedy, "modest"]]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found.count(b"answer") == 1 + LARGE_WAITING + 1, "one has its turn at once, and the other's"
        told = [str(each.detail) for each in found if isinstance(each, Problem) and each.status == 429]
        assert len(told) == 7
        assert "96 requests of this client, 6291456 bytes, wait" in told[0]
        assert "send fewer at once" in told[0]
        assert await kept.decided("greedy", LARGE_BYTES, clock.work(0)) == b"answer"
        assert not kept._large
        assert not kept._large_bytes

    asyncio.run(scenario())


def test_a_client_that_is_alone_is_answered_as_many_large_requests_at_once_as_a_replica_decides(clock: Clock):
    kept = ProcessorShares(HALF)

    async def scenario() -> None:
        asked = [kept.decided("alone", LARGE_BYTES, clock.work(0)) for _ in range(96)]
        assert await asyncio.gather(*asked) == [b"answer"] * 96

    asyncio.run(scenario())


def test_bodies_that_wait_have_a_bound_in_bytes_too_and_one_may_always_wait(clock: Clock):
    kept, half = ProcessorShares(HALF), shares.WAITING_BYTES // 2

    async def scenario() -> None:
        sizes = [LARGE_BYTES, half, half, half, shares.WAITING_BYTES * 2]
        asked = [kept.decided("greedy", n_bytes, clock.work(0)) for n_bytes in sizes]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [each == b"answer" for each in found] == [True, True, True, False, False]
        assert await kept.decided("greedy", shares.WAITING_BYTES * 2, clock.work(0)) == b"answer"

    asyncio.run(scenario())


def test_time_is_counted_of_own_steps_and_an_end_is_heard(clock: Clock):
    kept, ended = ProcessorShares(HALF), []

    async def waits() -> bytes:
        clock.spent_ns += 10 * MS
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append(True)
        return b""

    async def scenario() -> None:
        task = asyncio.create_task(kept.decided("a", 1, waits()))
        await asyncio.sleep(0)
        clock.spent_ns += 10**6 * MS  # others
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert ended == [True]
    assert kept._rates._full_at["a"] == (clock.now_ns + 20 * MS) * HALF.rate_per_s


def test_the_service_refuses_who_takes_all_and_answers_the_other(tmp_path, monkeypatch: pytest.MonkeyPatch):
    app = App(access=token_files(tmp_path), limits={"deciding": {"rate_per_s": 1, "burst": 100_000}})
    body, spent_ns = app.example(), count(0, 60 * MS)
    monkeypatch.setattr(shares.time, "thread_time_ns", lambda: next(spent_ns))

    def decide(shown: str, number: int):
        return app.decide({**body, "request_id": f"r-{number}"}, **token(shown))

    assert [decide(CLIENT, number).status_code for number in range(4)] == [200] * 4
    assert decide(OTHER, 4).status_code == 200
    refused(decide(CLIENT, 5), 429, "too-much-work")
    assert decide(OTHER, 6).status_code == 200
