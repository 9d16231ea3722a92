"""The WebSocket side in process: who may connect, what is answered, how connections end."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from made.served import SIMULATED_MARKS, made_served
from made.serving_app import ADMIN, CLIENT, MODEL, App, token, token_files
from made.stream_socket import OPEN, Socket
from made.stream_texts import T0_NS, delta, line, snapshot

from kalshi_platform.serving.api.requests import ProblemBody
from kalshi_platform.serving.server import sockets, streaming

S = 1_000_000_000


@pytest.fixture(scope="module")
def app() -> App:
    return App()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> App:
    return App(access=token_files(tmp_path_factory.mktemp("tokens")))


def connected(app: App, scenario: Callable[[Socket], Coroutine[Any, Any, None]], **headers: str) -> None:
    """Run ``scenario`` on a new connection."""

    async def run() -> None:
        await scenario(Socket(app.app, headers))

    asyncio.run(run())


def test_frames_are_answered_by_the_decisions_of_the_policy(app: App):
    async def scenario(socket: Socket) -> None:
        opened = await socket.opened()
        assert (opened["type"], opened["model"], opened["n_slots"]) == ("opened", app.served.key.model, 5)
        told = []
        for k, text in enumerate((snapshot(), delta(2)), start=1):
            socket.send(line(T0_NS + k * S, text))
            told.append(await socket.read())
        assert [(m["type"], m["frame"], m["tier"]) for m in told] == [
            ("decision", 1, "tier_3"),
            ("decision", 2, "tier_3"),
        ]
        await socket.leave()

    before = app.guard.n_answered
    connected(app, scenario)
    assert app.guard.n_answered == before + 2


def test_a_bad_frame_is_refused_and_the_next_one_answered(app: App):
    async def scenario(socket: Socket) -> None:
        await socket.opened()
        socket.send("{")
        refused = await socket.read()
        assert (refused["type"], refused["frame"]) == ("refused", 1)
        socket.send(line(T0_NS + S, snapshot()))
        assert (await socket.read())["type"] == "decision"
        await socket.leave()

    connected(app, scenario)


def test_a_broken_connection_is_gone_on_with_where_it_stood(app: App):
    async def run() -> None:
        first = Socket(app.app, {})
        opened = await first.opened()
        first.send(line(T0_NS + S, snapshot()))
        decision = await first.read()
        await first.leave()
        second = Socket(app.app, {})
        again = await second.opened(json.dumps({"type": "open", "session": opened["session"]}))
        assert (again["resumed"], again["next_frame"]) == (True, 2)
        assert await second.read() == decision, "it may have been missed"
        await second.leave()

    asyncio.run(run())


def test_real_frames_are_refused_by_a_simulated_model_with_the_whole_reason_and_answered_if_allowed(app: App):
    real = app.served
    app.served = replace(real, marks=SIMULATED_MARKS)

    async def refused(socket: Socket) -> None:
        told = await socket.opened()
        assert told["type"] == "closed"
        assert real.key.model in told["reason"]
        assert told["reason"].endswith("or serve a model that recorded data judged")
        assert (await socket.next())["code"] == streaming.REFUSED

    async def allowed(socket: Socket) -> None:
        opened = await socket.opened(json.dumps({"type": "open", "allow_simulated": True}))
        assert opened["simulated"]
        assert "simulated data only" in opened["cautions"][0]
        socket.send(line(T0_NS + S, snapshot()))
        decision = await socket.read()
        assert (decision["type"], decision["simulated"]) == ("decision", True)
        await socket.leave()

    try:
        connected(app, refused)
        connected(app, allowed)
    finally:
        app.served = real


def test_a_session_of_real_frames_gets_no_answer_of_a_simulated_model_that_is_swapped_in(app: App):
    real = app.served

    async def scenario(socket: Socket) -> None:
        await socket.opened()
        socket.send(line(T0_NS + S, snapshot()))
        assert (await socket.read())["type"] == "decision"
        app.served = replace(real, number=real.number + 1, marks=SIMULATED_MARKS)
        socket.send(line(T0_NS + 2 * S, delta(2)))
        told = await socket.read()
        assert told["type"] == "closed"
        assert "was judged on simulated data only" in told["reason"]
        assert (await socket.next())["code"] == streaming.REFUSED

    before = app.guard.n_answered
    try:
        connected(app, scenario)
    finally:
        app.served = real
    assert app.guard.n_answered == before + 1, "the simulated model was asked"


def test_a_real_model_that_follows_a_simulated_one_answers_its_sessions_and_the_mark_ends(app: App):
    real = app.served
    app.served = replace(real, marks=SIMULATED_MARKS)

    async def scenario(socket: Socket) -> None:
        await socket.opened(json.dumps({"type": "open", "source": "simulated"}))
        app.served = replace(real, number=real.number + 1)
        socket.send(line(T0_NS + S, snapshot()))
        decision = await socket.read()
        assert decision["type"] == "decision"
        assert "simulated" not in decision
        await socket.leave()

    try:
        connected(app, scenario)
    finally:
        app.served = real


def test_a_newer_connection_takes_the_session_over(app: App):
    async def run() -> None:
        first, second = Socket(app.app, {}), Socket(app.app, {})
        opened = await first.opened()
        again = await second.opened(json.dumps({"type": "open", "session": opened["session"]}))
        assert again["resumed"]
        closed = await first.next()  # told at once, whether or not it sends anything
        assert (closed["code"], "a newer connection" in closed["reason"]) == (sockets.TAKEN_OVER, True)
        await first.task
        second.send(line(T0_NS + S, snapshot()))
        assert (await second.read())["type"] == "decision"
        await second.leave()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"text": "{"}, streaming.REFUSED, "not JSON"),
        ({"text": "3"}, streaming.REFUSED, "open"),
        (
            {"text": json.dumps({"type": "open", "surprise": 1, "source": "live"})},
            streaming.REFUSED,
            "surprise",
        ),
        ({"text": " " * (2**24 + 1)}, streaming.TOO_LONG, "longer"),
        ({"bytes": b"x"}, streaming.UNSUPPORTED, "binary"),
    ],
)
def test_a_first_message_that_opens_nothing_ends_the_connection(app: App, message, code, words):
    async def scenario(socket: Socket) -> None:
        assert (await socket.next())["type"] == "websocket.accept"
        socket.give({"type": "websocket.receive", **message})
        closed = await socket.next()
        told = ""
        if closed["type"] == "websocket.send":  # longer than a close frame may be
            told = json.loads(closed["text"])["reason"]
            assert "source = 'live': send one of 'real', " in told
            closed = await socket.next()
        assert (closed["type"], closed["code"]) == ("websocket.close", code)
        assert words in (told or closed["reason"])
        assert len(closed["reason"].encode()) <= 123

    connected(app, scenario)


def test_too_many_bad_frames_end_the_session():
    app = App(limits={"streams": {"limits": {"max_refused": 2}}})

    async def scenario(socket: Socket) -> None:
        await socket.opened()
        for _ in range(2):
            socket.send("{")
        assert [(await socket.read())["type"] for _ in range(3)] == ["refused", "refused", "closed"]
        assert (await socket.next())["code"] == streaming.REFUSED

    connected(app, scenario)


def test_more_sessions_than_there_may_be_are_sent_away():
    app = App(limits={"streams": {"max_sessions": 1}})

    async def run() -> None:
        first, second = Socket(app.app, {}), Socket(app.app, {})
        await first.opened()
        assert (await second.next())["type"] == "websocket.accept"
        second.send(OPEN)
        assert (await second.next())["code"] == streaming.TRY_LATER
        await first.leave()

    asyncio.run(run())


def test_a_model_that_reads_other_arrays_ends_the_sessions_of_the_one_before():
    app = App()
    assert app.served is not None

    async def scenario(socket: Socket) -> None:
        await socket.opened()
        assert app.served is not None
        app.served = made_served(app.policy, app.served.trading.replace(order_qty_e2=500), MODEL)
        socket.send(line(T0_NS + S, snapshot()))
        assert (await socket.next())["code"] == streaming.REPLACED

    connected(app, scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (token("wrong-token-wrong-token"), 401),
        ({**token(CLIENT), "origin": "https://evil.example"}, 403),
    ],
)
def test_who_may_not_connect_is_told_why_before_anything_is_read(guarded: App, headers, status):
    async def scenario(socket: Socket) -> None:
        start, body = await socket.next(), await socket.next()
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert (b"content-type", b"application/problem+json") in start["headers"]
        assert ProblemBody.model_validate_json(body["body"]).status == status

    connected(guarded, scenario, **headers)


@pytest.mark.parametrize("value", [CLIENT, ADMIN])
def test_a_known_token_may_connect_and_no_other_goes_on_with_its_session(guarded: App, value: str):
    async def run() -> None:
        socket = Socket(guarded.app, token(value))
        opened = await socket.opened()
        await socket.leave()
        other = Socket(guarded.app, token("another-client-token"))
        again = await other.opened(json.dumps({"type": "open", "session": opened["session"]}))
        assert not again["resumed"]
        assert again["session"] != opened["session"]
        await other.leave()

    asyncio.run(run())


def test_the_oldest_row_of_a_decision_is_told_by_its_age():
    app = App()

    async def scenario(socket: Socket) -> None:
        await socket.opened()
        # The first market speaks at 1 s and at 4 s, the second at 2 s: the oldest row is 0, 1 and 2 s old.
        for at_s, text in ((1, snapshot()), (2, snapshot(2, ticker="KXB-26-B")), (4, delta(3))):
            socket.send(line(T0_NS + at_s * S, text))
            await socket.read()
        await socket.leave()

    connected(app, scenario)
    assert app.watched.row_ages_ns == [0, 1 * S, 2 * S]
