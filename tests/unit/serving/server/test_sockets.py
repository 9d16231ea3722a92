"""Connections of streams: when they end, and that one client's never stop another's; all in process."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import httpx
import pytest
from made.serving_app import CLIENT, App, token, token_files
from made.stream_socket import OPEN, Socket
from made.stream_texts import T0_NS, delta, line, snapshot

from kalshi_platform.domain.bounded import MAX_MESSAGE
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.server import streaming
from kalshi_platform.serving.server.args import LimitArgs
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


def test_a_connection_that_sends_no_first_message_is_ended_and_counted():
    app = App(limits={"sockets": {"open_s": 0.05}})

    async def scenario() -> None:
        socket = Socket(app.app, {})
        assert (await socket.next())["type"] == "websocket.accept"
        closed = await socket.next()
        assert (closed["code"], "no session was opened" in closed["reason"]) == (streaming.TRY_LATER, True)

    run(scenario)
    assert counted(app, "stream-unopened") == 1


def test_a_client_opens_where_every_place_is_held_by_connections_that_send_nothing(tmp_path):
    app = App(access=token_files(tmp_path), limits={"sockets": {"open_s": 600, "unopened": 8}})

    async def scenario() -> None:
        silent = [Socket(app.app, token(CLIENT)) for _ in range(30)]
        for each in silent:
            assert (await each.next())["type"] == "websocket.accept"
        honest = Socket(app.app, token(OTHER))
        assert (await honest.opened())["type"] == "opened"
        gone = [each for each in silent if not each._out.empty()]
        assert len(gone) == 23, "7 wait on beside the honest one, which did not give way"
        assert (await gone[0].next())["code"] == streaming.TRY_LATER
        await honest.leave()
        for each in silent:
            await each.leave()

    run(scenario)
    assert counted(app, "stream-gave-way") == 23


def test_a_session_that_sends_nothing_ends_and_can_be_taken_up_again():
    app = App(limits={"sockets": {"idle_s": 0.1}})

    async def scenario() -> None:
        socket = Socket(app.app, {})
        opened = await socket.opened()
        closed = await socket.next()
        assert (closed["code"], "nothing came" in closed["reason"]) == (streaming.TRY_LATER, True)
        again = Socket(app.app, {})
        told = await again.opened(json.dumps({"type": "open", "session": opened["session"]}))
        assert told["resumed"]
        await again.leave()

    run(scenario)
    assert counted(app, "stream-idle") == 1


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


def test_a_client_that_takes_no_answer_is_ended_and_its_place_is_free():
    app = App(limits={"sockets": {"unread_s": 0.1}, "streams": {"max_sessions": 1}})

    async def scenario() -> None:
        deaf = Socket(app.app, {})
        await deaf.opened()
        deaf.stop_reading()
        for k in range(10):
            deaf.send(line(T0_NS + k * S, snapshot(k + 1)))
        await asyncio.wait_for(deaf.task, 60)
        other = Socket(app.app, {})
        assert (await other.opened())["type"] == "opened"
        await other.leave()

    run(scenario)
    assert counted(app, "stream-unread") == 1


def test_one_client_gets_its_share_of_the_sessions_and_another_client_one(tmp_path):
    app = App(access=token_files(tmp_path), limits={"streams": {"max_sessions": 4, "max_of_one": 3}})

    async def scenario() -> None:
        sockets = [Socket(app.app, token(CLIENT)) for _ in range(6)]
        for socket in sockets[:3]:
            assert (await socket.opened())["type"] == "opened"
        for socket in sockets[3:]:
            assert (await socket.next())["type"] == "websocket.accept"
            socket.send(OPEN)
            closed = await socket.next()
            assert (closed["code"], "as one may have" in closed["reason"]) == (streaming.TRY_LATER, True)
        other = Socket(app.app, token(OTHER))
        assert (await other.opened())["type"] == "opened"
        for socket in [*sockets[:3], other]:
            await socket.leave()

    run(scenario)
    assert counted(app, "stream-no-room") == 3


def test_while_streams_flood_a_request_waits_for_few_of_their_steps():
    unbounded = {"rate_per_s": 10**9, "burst": 10**9}
    app = App(limits={"frames": unbounded, "work": unbounded})
    body = app.example()

    async def scenario() -> None:
        floods = [Socket(app.app, {}) for _ in range(8)]
        for flood in floods:
            await flood.opened()
            for k in range(400):
                flood.send(line(T0_NS + k * S, snapshot(k + 1)))
        transport = httpx.ASGITransport(app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for n in range(5):
                before = n_frames(app)
                answer = await client.post("/v1/decide", json={**body, "request_id": f"r-{n}"})
                assert answer.status_code == 200
                assert n_frames(app) - before < 40, "3,200 frames lie ready; a request needs a few rounds"
        assert n_frames(app) < 3_200, "the flood was over before it was measured"
        for flood in floods:
            await flood.leave()

    run(scenario)


def n_frames(app: App) -> float:
    return app.watched.metrics.snapshot().counters.get(("kalshi_serve_stream_frames_total", ()), 0)


def test_frames_beyond_a_clients_rate_wait_and_those_of_another_do_not(tmp_path):
    limits = {"frames": {"rate_per_s": 1, "burst": 20}, "message_chars": 2**14}
    app = App(access=token_files(tmp_path), limits=limits)

    async def scenario() -> None:
        eager, other = Socket(app.app, token(CLIENT)), Socket(app.app, token(OTHER))
        await eager.opened()
        for k in range(100):
            eager.send(line(T0_NS + k * S, snapshot(k + 1)))
        told = [await eager.read() for _ in range(19)]  # the open message cost one
        assert {each["type"] for each in told} == {"decision"}
        await other.opened()
        other.send(line(T0_NS, snapshot()))
        assert (await other.read())["type"] == "decision"
        assert n_frames(app) <= 23, "the eager one's other frames wait"
        await other.leave()
        eager.task.cancel()
        await asyncio.wait([eager.task])

    run(scenario)


def test_a_client_whose_frames_cost_much_waits_for_its_share_of_the_processor(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    spent_ns = count(0, 10_000_000)  # ten milliseconds between two looks: 15 a step, 5 of them for deciding
    app = App(access=token_files(tmp_path), limits={"work": {"rate_per_s": 1, "burst": 100_000}})

    async def scenario() -> None:
        eager, other = Socket(app.app, token(CLIENT)), Socket(app.app, token(OTHER))
        monkeypatch.setattr(streaming.time, "thread_time_ns", lambda: next(spent_ns))
        await eager.opened()  # ten milliseconds
        for k in range(30):
            eager.send(line(T0_NS + k * S, snapshot(k + 1)))
        assert {(await eager.read())["type"] for _ in range(6)} == {"decision"}
        await other.opened()
        other.send(line(T0_NS, snapshot()))
        assert (await other.read())["type"] == "decision"
        assert n_frames(app) == 7
        await other.leave()
        eager.task.cancel()
        await asyncio.wait([eager.task])

    run(scenario)


def test_a_client_that_opens_again_and_again_waits_for_its_share_and_another_does_not(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    spent_ns = count(0, 40_000_000)  # an opening takes forty milliseconds of a processor
    app = App(access=token_files(tmp_path), limits={"work": {"rate_per_s": 1, "burst": 100_000}})

    async def scenario() -> None:
        monkeypatch.setattr(streaming.time, "thread_time_ns", lambda: next(spent_ns))
        for opening in (OPEN, json.dumps({"type": "open", "groups": 5}), OPEN):  # a refused one costs as well
            socket = Socket(app.app, token(CLIENT))
            assert (await socket.next())["type"] == "websocket.accept"
            socket.send(opening)
            await socket.next()
            await socket.leave()
        waits, other = Socket(app.app, token(CLIENT)), Socket(app.app, token(OTHER))
        assert (await waits.next())["type"] == "websocket.accept"
        waits.send(OPEN)
        assert (await other.opened())["type"] == "opened"
        assert waits._out.empty(), "it owes what its closed connections took"
        await other.leave()
        waits.task.cancel()
        await asyncio.wait([waits.task])

    run(scenario)


@pytest.mark.parametrize("opening", [{f"{'x' * 60}{k}": k for k in range(300)}, {"session": "\0" * 99}])
def test_an_opening_of_many_wrong_fields_is_refused_in_few_words(opening):
    app = App()

    async def scenario() -> None:
        socket = Socket(app.app, {})
        told = await socket.opened(json.dumps({"type": "open", **opening}))
        assert told["type"] == "closed"
        assert len(told["reason"]) <= MAX_MESSAGE
        assert (await socket.next())["code"] == streaming.REFUSED

    run(scenario)


def test_a_bug_ends_a_stream_with_words_and_a_code(monkeypatch: pytest.MonkeyPatch):
    app = App()

    async def fails(*_: object) -> None:
        raise TypeError("planted")

    async def scenario() -> None:
        socket = Socket(app.app, {})
        await socket.opened()
        monkeypatch.setattr(app.service, "decide_batch", fails)
        socket.send(line(T0_NS, snapshot()))
        closed = await socket.next()
        while closed["type"] == "websocket.send":
            closed = await socket.next()
        assert (closed["code"], "planted" in closed["reason"]) == (streaming.FAILED, False)
        assert "connect again" in closed["reason"]

    run(scenario)
    assert counted(app, "stream-failed") == 1


def test_refused_frames_are_counted():
    app = App()

    async def scenario() -> None:
        socket = Socket(app.app, {})
        await socket.opened()
        for text in ("{", "[]", line(T0_NS, snapshot()), line(T0_NS - 1, delta(2))):
            socket.send(text)
        assert [(await socket.read())["type"] for _ in range(4)] == [
            "refused",
            "refused",
            "decision",
            "refused",
        ]
        await socket.leave()

    run(scenario)
    assert counted(app, "stream-frame") == 3


def test_a_message_that_could_never_be_granted_is_a_refused_setting():
    with pytest.raises(ContractError, match="raise the burst, or lower message_chars"):
        LimitArgs.parse({"frames": {"rate_per_s": 10, "burst": 10}})
