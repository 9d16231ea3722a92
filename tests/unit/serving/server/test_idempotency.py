"""One request id, one answer: kept, shared while in flight, bounded, never another's."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.server.idempotency import (
    Answers,
    IdempotencyConfig,
    RequestIdReusedError,
    StoredAnswer,
)

S = 1_000_000_000


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class Maker:
    """Answers with its number; waits while ``gate`` is shut."""

    def __init__(self) -> None:
        self.runs, self.gate, self.error = 0, asyncio.Event(), None
        self.gate.set()

    async def __call__(self) -> bytes:
        self.runs += 1
        number = self.runs
        await self.gate.wait()
        if self.error:
            raise self.error
        return b"answer %d" % number


def answers(clock=None, **config):
    return Answers(IdempotencyConfig(**config), clock or Clock())


async def begun(*tasks):
    """Tasks that have come to where they wait."""
    made = [asyncio.create_task(task) for task in tasks]
    for _ in range(3):
        await asyncio.sleep(0)
    return made


def test_a_repeated_request_gets_the_same_answer_without_being_made_again():
    async def scene():
        kept, make = answers(), Maker()
        assert await kept.once("me", "1", b"x", make) == StoredAnswer(b"answer 1", repeated=False)
        assert await kept.once("me", "1", b"x", make) == StoredAnswer(b"answer 1", repeated=True)
        assert (make.runs, kept.counts.made, kept.counts.repeated) == (1, 1, 1)

    asyncio.run(scene())


def test_an_answer_that_is_made_at_once_is_kept_too_and_what_it_raises_is_not():
    async def scene():
        kept, made = answers(), iter([b"one", b"two"])
        assert await kept.once("me", "1", b"x", lambda: next(made)) == StoredAnswer(b"one", repeated=False)
        assert await kept.once("me", "1", b"x", lambda: next(made)) == StoredAnswer(b"one", repeated=True)
        with pytest.raises(ZeroDivisionError):
            await kept.once("me", "2", b"x", lambda: 1 // 0)
        assert (await kept.once("me", "2", b"x", lambda: next(made))).body == b"two"
        assert (kept.counts.made, kept.counts.kept) == (2, 2)

    asyncio.run(scene())


def test_an_id_belongs_to_its_owner():
    async def scene():
        kept, make = answers(), Maker()
        assert (await kept.once("me", "1", b"x", make)).body == b"answer 1"
        assert await kept.once("you", "1", b"other", make) == StoredAnswer(b"answer 2", repeated=False)

    asyncio.run(scene())


def test_an_id_with_another_body_is_refused_kept_or_in_flight():
    async def scene():
        kept, make = answers(), Maker()
        make.gate.clear()
        (first,) = await begun(kept.once("me", "1", b"x", make))
        with pytest.raises(RequestIdReusedError, match="'1' was used for another body"):
            await kept.once("me", "1", b"y", make)
        make.gate.set()
        await first
        with pytest.raises(RequestIdReusedError):
            await kept.once("me", "1", b"y", make)
        assert (make.runs, kept.counts.refused) == (1, 2)

    asyncio.run(scene())


@pytest.mark.parametrize("request_id", ["", "x" * 129])
def test_an_id_of_a_length_that_is_not_allowed_is_refused(request_id):
    with pytest.raises(ContractError, match=r"outside 1\.\.128"):
        asyncio.run(answers().once("me", request_id, b"x", Maker()))


def test_equal_requests_in_flight_are_answered_once():
    async def scene():
        kept, make = answers(), Maker()
        make.gate.clear()
        waiting = await begun(*(kept.once("me", "1", b"x", make) for _ in range(3)))
        make.gate.set()
        found = await asyncio.gather(*waiting)
        assert [f.body for f in found] == [b"answer 1"] * 3
        assert [f.repeated for f in found] == [False, True, True]
        assert (make.runs, kept.counts.shared) == (1, 2)

    asyncio.run(scene())


@pytest.mark.parametrize("leaves", [(0,), (1,), (0, 1)])
def test_clients_that_go_away_take_the_answer_from_nobody_and_find_it_when_they_come_again(leaves):
    async def scene():
        kept, make = answers(), Maker()
        make.gate.clear()
        waiting = await begun(*(kept.once("me", "1", b"x", make) for _ in range(2)))
        for k in leaves:
            waiting[k].cancel()
        await begun()
        make.gate.set()
        for k, task in enumerate(waiting):
            if k in leaves:
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                assert (await task).body == b"answer 1"
        assert (await kept.once("me", "1", b"x", make)).body == b"answer 1"
        assert make.runs == 1

    asyncio.run(scene())


def test_a_failure_reaches_all_who_wait_and_is_forgotten():
    async def scene():
        kept, make = answers(), Maker()
        make.gate.clear()
        make.error = RuntimeError("planted")
        waiting = await begun(*(kept.once("me", "1", b"x", make) for _ in range(2)))
        make.gate.set()
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(f) for f in failed] == ["planted"] * 2
        make.error = None
        assert await kept.once("me", "1", b"x", make) == StoredAnswer(b"answer 2", repeated=False)

    asyncio.run(scene())


def test_an_answer_serves_for_its_time_and_a_ns_longer_no_more():
    async def scene():
        clock, make = Clock(), Maker()
        kept = answers(clock, keep_s=2.0)
        await kept.once("me", "1", b"x", make)
        clock.now_ns = 2 * S
        assert (await kept.once("me", "1", b"x", make)).repeated
        clock.now_ns += 1
        assert await kept.once("me", "1", b"y", make) == StoredAnswer(b"answer 2", repeated=False)

    asyncio.run(scene())


def test_an_answer_larger_than_everything_that_may_be_kept_is_given_and_not_kept():
    async def scene():
        kept, make = answers(max_bytes=10), Maker()  # "answer 1" + "me" + "1" = 11 bytes
        assert (await kept.once("me", "1", b"x", make)).body == b"answer 1"
        assert (kept.counts.kept, kept.counts.kept_bytes, kept.counts.dropped) == (0, 0, 1)

    asyncio.run(scene())


@given(
    asks=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("123456"), st.integers(0, S)), max_size=40
    ),
    max_answers=st.integers(1, 5),
    max_bytes=st.integers(1, 60),
)
def test_bounds_hold_and_what_is_given_again_is_the_owners_own_and_fresh(asks, max_answers, max_bytes):
    async def scene():
        clock, make, made = Clock(), Maker(), {}
        kept = answers(clock, max_answers=max_answers, max_bytes=max_bytes, keep_s=1.0)
        for owner, request_id, gap_ns in asks:
            clock.now_ns += gap_ns
            found = await kept.once(owner, request_id, b"x", make)
            if found.repeated:
                body, made_ns = made[owner, request_id]
                assert found.body == body
                assert clock.now_ns - made_ns <= S
            else:
                made[owner, request_id] = (found.body, clock.now_ns)
            assert kept.counts.kept <= max_answers
            assert kept.counts.kept_bytes <= max_bytes

    asyncio.run(scene())
