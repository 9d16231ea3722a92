"""Places of a replica that one client's streams can hold: each has a session of its own, or a deadline."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from made.serving_app import CLIENT, App, token, token_files
from made.stream_socket import Socket
from made.stream_texts import T0_NS, line, snapshot

from kalshi_platform.serving.server import streaming
from kalshi_platform.serving.server.sockets import CLOSING, TAKEN_OVER

S = 1_000_000_000
OTHER = "another-client-token"


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 120))


def counted(app: App, kind: str) -> float:
    return app.watched.metrics.snapshot().counters.get(("kalshi_serve_refusals_total", (kind,)), 0)


async def closing(socket: Socket) -> dict[str, Any]:
    """Return the last message to ``socket``, which closes it."""
    while (message := await socket.next())["type"] == "websocket.send":
        pass
    return message


def test_a_client_that_takes_its_own_session_over_again_and_again_holds_one_place(tmp_path):
    app = App(access=token_files(tmp_path), limits={"sockets": {"unread_s": 3_600}})

    async def scenario() -> None:
        first = Socket(app.app, token(CLIENT))
        again = json.dumps({"type": "open", "session": (await first.opened())["session"]})
        sockets = [first]
        for n in range(3 * CLOSING):
            newer = Socket(app.app, token(CLIENT))
            assert (await newer.opened(again))["resumed"]
            assert (await closing(sockets[-1]))["code"] == TAKEN_OVER
            await sockets[-1].task
            sockets.append(newer)
            if n % 2:
                newer.send(line(T0_NS + n * S, snapshot(n + 1)))
        await sockets[-1].leave()

    run(scenario)
    assert counted(app, "stream-taken-over") == 3 * CLOSING


@pytest.mark.parametrize("stage", ["waits for its share", "takes no answer"])
def test_a_connection_that_is_taken_over_ends_whatever_it_waits_for(stage):
    app = App(limits={"frames": {"rate_per_s": 1, "burst": 600}, "sockets": {"unread_s": 3_600}})

    async def scenario() -> None:
        old = Socket(app.app, {})
        again = json.dumps({"type": "open", "session": (await old.opened())["session"]})
        if stage == "takes no answer":
            old.stop_reading()
            old.send(line(T0_NS, snapshot()))
        else:
            for _ in range(2):  # the second is granted minutes later
                old.send(f'"{"x" * 2**20}"')
            await old.read()
        while not app.guard.n_answered and stage == "takes no answer":
            await asyncio.sleep(0)
        newer = Socket(app.app, {})
        assert (await newer.opened(again))["resumed"]
        await old.task
        await newer.leave()

    run(scenario)
    assert counted(app, "stream-taken-over") == 1


def test_a_decision_that_is_under_way_as_its_session_is_taken_over_is_kept_and_its_work_charged(
    monkeypatch: pytest.MonkeyPatch,
):
    charged: list[int] = []
    charge = streaming.Streams._charge
    monkeypatch.setattr(
        streaming.Streams, "_charge", lambda self, who, ns: (charged.append(ns), charge(self, who, ns))
    )

    async def scenario() -> None:
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def slow_tier_3(_key, batch):
            asked.set()
            await may_answer.wait()
            return app.policy.ask(3, batch, 0)

        app = App(thresholds=(0.9999999, 0.9999999), ask_tier_3=slow_tier_3, tier_3_inside_ms=0)
        old = Socket(app.app, {})
        told = await old.opened(json.dumps({"type": "open", "decision_interval_ms": 60_000}))
        before = len(charged)
        old.send(line(T0_NS, snapshot()))
        await asked.wait()
        again = json.dumps({"type": "open", "session": told["session"], "decide_after": 0})
        newer = Socket(app.app, {})
        assert (await newer.opened(again))["resumed"]
        may_answer.set()
        assert (await closing(old))["code"] == TAKEN_OVER
        await old.task
        assert len(charged) == before + 2  # the newer one's opening, and the frame of the older one
        await newer.leave()
        newest = Socket(app.app, {})
        assert (await newest.opened(again))["resumed"]
        assert json.loads((await newest.next())["text"])["type"] == "decision"
        await newest.leave()

    run(scenario)


def test_ends_that_nobody_reads_hold_a_bounded_number_of_places(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "_CLOSE_S", 3_600.0)
    app = App()

    async def scenario() -> None:
        deaf = [Socket(app.app, {}) for _ in range(2 * CLOSING)]
        for each in deaf:
            assert (await each.next())["type"] == "websocket.accept"
            each.stop_reading()
            each.give({"type": "websocket.receive", "bytes": b"x"})
        done, held = await asyncio.wait(
            [each.task for each in deaf], timeout=60, return_when="FIRST_COMPLETED"
        )
        while len(done) < CLOSING:
            more, held = await asyncio.wait(held, timeout=60, return_when="FIRST_COMPLETED")
            assert more, "an end waits for a client though as many as may wait do"
            done |= more
        assert len(held) == CLOSING
        for each in held:
            each.cancel()
        await asyncio.wait(held)

    run(scenario)


def test_first_messages_that_wait_for_their_clients_share_end_at_the_deadline_of_openings():
    """Two messages of this length are granted, and the third would be in minutes."""
    app = App(limits={"frames": {"rate_per_s": 1, "burst": 600}, "sockets": {"open_s": 0.2}})
    long = "x" * 2**20

    async def scenario() -> None:
        waiting = [Socket(app.app, {}) for _ in range(5)]
        for each in waiting:
            assert (await each.next())["type"] == "websocket.accept"
            each.send(long)
        codes = [(await each.next())["code"] for each in waiting]
        assert sorted(codes) == [streaming.REFUSED] * 2 + [streaming.TRY_LATER] * 3

    run(scenario)
    assert counted(app, "stream-unopened") == 3


def test_first_messages_that_wait_for_their_clients_share_give_way_to_another_client(tmp_path):
    limits = {"frames": {"rate_per_s": 1, "burst": 600}, "sockets": {"open_s": 600, "unopened": 8}}
    app = App(access=token_files(tmp_path), limits=limits)
    long = "x" * 2**20

    async def scenario() -> None:
        waiting = [Socket(app.app, token(CLIENT)) for _ in range(30)]
        for each in waiting:
            assert (await each.next())["type"] == "websocket.accept"
            each.send(long)
        honest = Socket(app.app, token(OTHER))
        assert (await honest.opened())["type"] == "opened"
        for each in waiting[:2]:
            assert (await each.next())["type"] == "websocket.close"
        assert sum(not each.task.done() for each in waiting) <= 8
        await honest.leave()
        for each in waiting:
            each.task.cancel()
        await asyncio.wait([each.task for each in waiting])

    run(scenario)


def test_a_first_message_that_is_too_long_is_refused_before_it_waits_for_anything():
    app = App(limits={"frames": {"rate_per_s": 1, "burst": 600}, "sockets": {"open_s": 3_600}})

    async def scenario() -> None:
        for _ in range(4):  # three would use the client's share up
            socket = Socket(app.app, {})
            assert (await socket.next())["type"] == "websocket.accept"
            socket.send("x" * (2**20 + 1))
            closed = await socket.next()
            assert (closed["code"], "at most 1048576 are" in closed["reason"]) == (streaming.REFUSED, True)

    run(scenario)
    assert counted(app, "stream-refused") == 4
