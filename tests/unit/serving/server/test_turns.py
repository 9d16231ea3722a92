"""Turns of streams: at most one step in a round of the event loop, first come, first served."""

import asyncio

from kalshi_platform.serving.server.turns import Turns


def test_of_many_streams_one_takes_a_step_in_a_round_and_all_take_as_many():
    async def scenario() -> None:
        turns, steps, rounds = Turns(), [], 0

        async def stream(name: int) -> None:
            for _ in range(20):
                await turns.take()
                steps.append((rounds, name))

        tasks = [asyncio.create_task(stream(name)) for name in range(5)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            rounds += 1
        of_round = [at for at, _ in steps]
        assert len(of_round) == len(set(of_round)) == 100, "two steps in one round"
        for n in range(len(steps)):
            taken = [sum(each == name for _, each in steps[:n]) for name in range(5)]
            assert max(taken) - min(taken) <= 2, "in turn"
        assert rounds < 1_000

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_turn_that_nobody_else_wants_is_had_at_once():
    async def scenario() -> None:
        turns = Turns()
        for _ in range(3):
            taken = asyncio.ensure_future(turns.take())
            await asyncio.sleep(0)
            assert taken.done()
            for _ in range(3):
                await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_stream_that_ends_while_it_waits_costs_nobody_a_turn():
    async def scenario() -> None:
        turns = Turns()
        await turns.take()
        waiting = [asyncio.create_task(turns.take()) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[2].cancel()
        await asyncio.wait_for(asyncio.gather(waiting[1], waiting[3]), 60)
        await asyncio.wait_for(turns.take(), 60)

    asyncio.run(scenario())
