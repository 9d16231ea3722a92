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

S = 1_000_000_000
OTHER = "another-client-token"


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 120))


def counted(app: App, kind: str) -> float:
    return app.watched.metrics.snapshot().counters.get(("kalshi_serve_refusals_total", (kind,)), 0)


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
