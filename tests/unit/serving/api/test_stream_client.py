"""A client and a server of ``/v1/stream`` over real sockets: what breaks in between changes no decision."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from made.http_server import served
from made.live_capture import in_order, simulated
from made.stream_texts import MODEL, NOW_NS, M, Policy, delta, session, snapshot, texts_of
from websockets.asyncio.client import ClientConnection, connect

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.serving.api import stream_client
from kalshi_platform.serving.api.decide_client import ServiceError
from kalshi_platform.serving.api.messages import AccountMessage, OpenMessage
from kalshi_platform.serving.api.stream_client import StreamClient, StreamClientConfig
from kalshi_platform.serving.live.sessions import SessionConfig, SessionStore
from kalshi_platform.serving.live.stream import StreamLimits

LIMITS = StreamLimits(ack_every=8)
#: Longer than a busy machine needs to open or close a connection.
PATIENCE_S = 300.0


async def no_pause(seconds: float) -> None:
    """Try again at once: a test waits for nothing."""


#: The model of these tests reads facts that nobody tells.
OPENING = OpenMessage(type="open", accept_missing_inputs=True)


class Server:
    """The smallest server of streams; ``break_after`` ends a connection after so many texts."""

    def __init__(self, *breaks: int, keep_s: int = 300) -> None:
        self.config = SessionConfig(keep_s=keep_s, limits=LIMITS)
        self.store = SessionStore(self.config)
        self.policy = Policy()
        self.breaks = list(breaks)
        self.forget = False
        self.tokens: list[str | None] = []

    async def __call__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.tokens.append(request.headers.get("Authorization"))
        if self.forget:
            self.store = SessionStore(self.config)
        lease = self.store.open(await socket.receive_str(), MODEL, 0)
        for message in lease.messages:
            await socket.send_str(message)
        left = self.breaks.pop(0) if self.breaks else -1
        async for text in socket:
            for message in lease.session.step(text.data, NOW_NS, self.policy):
                await socket.send_str(message)
            left -= 1
            if left == 0:
                request.transport.abort()
                break
        self.store.leave(lease, 0)


@asynccontextmanager
async def running(
    server: Callable[[web.Request, web.WebSocketResponse], Awaitable[None]], token: str | None = None
):
    """A server of streams; refuses whoever does not show ``token``, where there is one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if token is not None and request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await server(request, socket)
        return socket

    async with served("GET", "/v1/stream", answer) as url:
        yield f"{url.replace('http', 'ws')}/v1/stream"


def client(url: str, **options: Any) -> StreamClient:
    names = StreamClientConfig.model_fields.keys() & options.keys()
    config = StreamClientConfig(url=url, **{name: options.pop(name) for name in names})
    options.setdefault("opening", OPENING)
    return StreamClient(config, sleep=no_pause, **options)


async def answered(stream: StreamClient, n: int) -> list[dict]:
    """The next ``n`` answers."""
    out: list[dict] = []
    if n:
        async for message in stream:
            out.append(message)
            if len(out) == n:
                break
    return out


def unbroken(texts: list[str]) -> list[dict]:
    alone = session()
    told = [json.loads(m) for text in texts for m in alone.step(text, NOW_NS, Policy())]
    return [m for m in told if m["type"] == "decision"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    capture = simulated(tmp_path_factory.mktemp("sim"), messages_per_market=50)
    return texts_of(in_order(read_frames(capture)))


@pytest.mark.parametrize("forget", [False, True], ids=["session kept", "session lost"])
def test_broken_connections_change_no_decision(texts: list[str], forget: bool) -> None:
    async def run() -> None:
        server = Server(30, 1, 55, 17)
        server.forget = forget
        expected = unbroken(texts)
        decided = {message["frame"] for message in expected}
        async with running(server) as url, client(url) as stream:
            found = []
            for text in texts:  # a server that kept the session says its last decision again, none before it
                number = stream.send_frame(text)
                found += await answered(stream, number in decided)
            await stream.flush()
            assert found == expected
            assert stream.n_connections == 5

    asyncio.run(run())


@pytest.mark.parametrize("forget", [False, True], ids=["session kept", "session lost"])
def test_of_decisions_lost_on_their_way_a_server_that_kept_the_session_says_the_last_again(
    texts: list[str], forget: bool
) -> None:
    async def run() -> None:
        server = Server(30, 1, 55, 17)
        server.forget = forget
        expected = unbroken(texts)
        async with running(server) as url, client(url) as stream:
            for text in texts:
                stream.send_frame(text)
            await stream.flush()
            assert stream.n_connections == 5
        found = sorted([message async for message in stream], key=lambda message: message["frame"])
        assert found == (expected if forget else [message for message in expected if message in found])
        last = {message["group"]: message for message in expected}
        assert {message["group"]: message for message in found} == last

    asyncio.run(run())


def test_what_was_said_of_the_account_is_said_again_to_a_server_that_lost_the_session() -> None:
    async def run() -> None:
        server = Server(3)
        server.forget = True
        account = AccountMessage(type="account", cash_e6=7_000_000)
        async with running(server) as url, client(url) as stream:
            stream.send_frame(snapshot())
            stream.send_account(account)
            for k in range(2, 6):
                stream.send_frame(delta(k))
            await stream.flush()
            assert stream.n_connections == 2
            (lease,) = server.store._kept.values()
            assert lease.session.books.groups[0].envs["cash_e6"][0] == 7_000_000

    asyncio.run(run())


def test_a_server_that_lost_the_session_is_shown_what_was_kept_under_its_numbers() -> None:
    async def run() -> None:
        server = Server(3_000)
        server.forget = True
        async with running(server) as url, client(url, keep_frames=10) as stream:
            for k in range(1, 3_006):
                stream.send_frame(snapshot(k))
                if k % 500 == 0 and k <= 2_500:
                    await stream.flush()
            await stream.flush()
            assert stream.opened["resumed"] is False
            assert 1_000 < stream.opened["next_frame"] < 3_000
            assert stream.opened["groups"] == [[M]]
            (lease,) = server.store._kept.values()
            assert lease.session.next_frame == 3_006

    asyncio.run(run())


def test_a_capture_file_is_fed_in_order_of_its_times(tmp_path: Path) -> None:
    async def run() -> None:
        capture = simulated(tmp_path, n_events=2, messages_per_market=50)
        expected = unbroken(texts_of(in_order(read_frames(capture))))
        async with running(Server()) as url, client(url, most_unacknowledged=40) as stream:
            n = await stream.feed_capture(capture)
            assert n == len(list(read_frames(capture)))
            assert await answered(stream, len(expected)) == expected

    asyncio.run(run())


def test_refusals_are_given_out_and_a_closed_session_ends_the_client() -> None:
    async def run() -> None:
        server = Server()
        server.config = SessionConfig(limits=StreamLimits(max_refused=2))
        server.store = SessionStore(server.config)
        async with running(server) as url, client(url) as stream:
            stream.send_frame("{")
            assert [m["type"] for m in await answered(stream, 1)] == ["refused"]
            stream.send_frame("{")
            with pytest.raises(ServiceError, match="2 texts were refused"):
                await answered(stream, 5)
            with pytest.raises(ServiceError, match="2 texts were refused"):
                stream.send_frame("{}")

    asyncio.run(run())


def test_the_token_is_shown_and_a_wrong_one_is_not_tried_again() -> None:
    async def run() -> None:
        async with running(Server(), token="right-token") as url:
            async with client(url, token="right-token") as stream:
                stream.send_frame(snapshot())
                await stream.flush()
            async with client(url, token="wrong-token") as stream:
                stream.send_frame(snapshot())
                with pytest.raises(ServiceError, match="answered 401: check the address and token"):
                    await stream.flush()

    asyncio.run(run())


@pytest.mark.parametrize("code", [1003, 1008, 1009, 4000])
def test_a_session_ended_for_good_is_not_tried_again(code: int) -> None:
    async def ending(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.receive_str()
        await socket.close(code=code, message=b"because")

    async def run() -> None:
        async with running(ending) as url, client(url) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match=f"ended the session .{code}.: because"):
                await stream.flush()

    asyncio.run(run())


def test_a_server_that_ends_every_connection_cleanly_is_tried_again_with_pauses_and_given_up() -> None:
    async def ending(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.receive_str()
        await socket.close(code=1001, message=b"restarting")

    async def run() -> None:
        async with running(ending) as url, client(url, attempts=4) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(
                ServiceError, match=r"after 4 attempts: the connection ended .1001. restarting"
            ):
                await stream.flush()

    asyncio.run(run())


def test_a_server_that_accepts_and_says_nothing_is_left_after_the_time_to_open() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, client(url, attempts=2, open_timeout_s=0.05) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match="after 2 attempts"):
                await stream.flush()

    asyncio.run(run())


def test_a_message_that_is_too_long_would_come_again_and_ends_the_client(monkeypatch) -> None:
    monkeypatch.setattr(stream_client, "_MAX_BYTES", 1_000)

    async def talkative(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.receive_str()
        await socket.send_str("x" * 2_000)
        await socket.receive()

    async def run() -> None:
        async with running(talkative) as url, client(url) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match=r"ended the session .1009."):
                await stream.flush()

    asyncio.run(run())


@pytest.mark.parametrize("end", ["at once", "after the open message"])
def test_a_connection_that_breaks_without_a_close_frame_is_tried_again(end: str) -> None:
    async def breaking(request: web.Request, socket: web.WebSocketResponse) -> None:
        if end != "at once":
            await socket.receive_str()
        request.transport.abort()

    async def run() -> None:
        async with running(breaking) as url, client(url, attempts=3) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match=r"after 3 attempts: the connection ended .1006."):
                await stream.flush()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "said"), [(404, "answered 404"), (429, "3 attempts"), (503, "3 attempts")]
)
def test_a_refusal_that_may_pass_is_tried_again_and_another_is_not(status: int, said: str) -> None:
    n_asked = 0

    async def refusing(request: web.Request) -> web.StreamResponse:
        nonlocal n_asked
        n_asked += 1
        return web.Response(status=status)

    async def run() -> None:
        async with (
            served("GET", "/", refusing) as url,
            client(url.replace("http", "ws"), attempts=3) as stream,
        ):
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match=said):
                await stream.flush()

    asyncio.run(run())
    assert n_asked == (1 if status == 404 else 3)


@pytest.mark.parametrize("url", ["http://127.0.0.1/v1/stream", "ws://127.0.0.1:99999/", "127.0.0.1"])
def test_what_is_no_address_of_a_stream_is_told_at_once(url: str) -> None:
    async def run() -> None:
        async with client(url) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match=f"{url} is no address of a stream"):
                await stream.flush()

    asyncio.run(run())


def test_a_client_that_leaves_while_it_is_answered_closes_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes: asyncio.Queue[int | None] = asyncio.Queue()
    sockets: list[ClientConnection] = []

    class Noted(ClientConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            sockets.append(self)

    # By itself the client waits 10 s for the answer to its close frame: a busy server needs more.
    patient = partial(connect, create_connection=Noted, close_timeout=PATIENCE_S)
    monkeypatch.setattr(stream_client, "connect", patient)

    async def talkative(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.receive_str()
        await socket.send_json({"type": "opened", "session": "s", "next_frame": 1, "groups": []})
        await socket.receive_str()
        for frame in range(1_000):
            await socket.send_json({"type": "ack", "frame": 0, "filler": "x" * 1_000 + str(frame)})
        async for _ in socket:
            pass
        codes.put_nowait(socket.close_code)

    async def run() -> None:
        async with running(talkative) as url:
            async with client(url, open_timeout_s=PATIENCE_S) as stream:
                stream.send_frame(snapshot())
                while not stream.n_connections:
                    await asyncio.sleep(0)
            assert [socket.close_code for socket in sockets] == [1000], "the server's close frame was heard"
            assert await codes.get() == 1000

    asyncio.run(run())


def test_a_server_that_is_not_there_is_given_up_after_the_attempts() -> None:
    async def run() -> None:
        async with running(Server()) as url:
            pass
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        config = StreamClientConfig(url=url, attempts=5, first_pause_s=1, longest_pause_s=3)
        async with StreamClient(config, sleep=sleep) as stream:
            stream.send_frame(snapshot())
            with pytest.raises(ServiceError, match="after 5 attempts"):
                await stream.flush()
        assert pauses == [1, 2, 3, 3]

    asyncio.run(run())


def test_frames_that_nobody_takes_are_refused_beyond_the_bound() -> None:
    async def run() -> None:
        async with client("ws://127.0.0.1:1/", most_unacknowledged=2) as stream:
            stream.send_frame("{}")
            stream.send_frame("{}")
            with pytest.raises(LimitError, match="2 frames were not acknowledged"):
                stream.send_frame("{}")

    asyncio.run(run())


def test_a_stream_that_no_real_model_answers_ends_the_client_with_the_reason():
    async def refusing(request: web.Request, socket: web.WebSocketResponse) -> None:
        said = json.loads(await socket.receive_str())
        seen.append((said["allow_simulated"], said["source"]))
        await socket.send_str(json.dumps({"type": "closed", "reason": "tiny-1 was judged on simulated data"}))
        await socket.close(code=1008)

    async def scenario() -> None:
        opening = OpenMessage(type="open", allow_simulated=True, source="recorded")
        async with running(refusing) as url, client(url, opening=opening) as stream:
            with pytest.raises(ServiceError, match="closed the session: tiny-1 was judged on simulated data"):
                await answered(stream, 1)

    seen: list[tuple[bool, str]] = []
    asyncio.run(scenario())
    assert seen == [(True, "recorded")]


def test_no_more_frames_are_on_their_way_than_the_server_answers_also_when_the_past_is_shown_again() -> None:
    counts: list[int] = []

    class Slow:
        """Answers nothing until the client has gone quiet, then acknowledges all that came; breaks once."""

        def __init__(self) -> None:
            self.connections = 0

        async def __call__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
            self.connections += 1
            first = json.loads(await socket.receive_str())["first_frame"]
            opened = {"type": "opened", "session": f"s-{self.connections}", "resumed": False, "groups": [],
                      "next_frame": first, "ack_every": 4}  # fmt: skip
            await socket.send_str(json.dumps(opened))
            done = first - 1
            while done < 60:
                came = 0
                with suppress(TimeoutError):
                    while True:
                        text = json.loads((await asyncio.wait_for(socket.receive(), 0.3)).data)
                        came += "raw" in text
                counts.append(came)
                done += came
                if self.connections == 1 and done >= 30:
                    request.transport.abort()
                    return
                await socket.send_str(json.dumps({"type": "ack", "frame": done}))
            await socket.receive()

    async def scenario() -> None:
        async with running(Slow()) as url, client(url, in_flight=10) as stream:
            for k in range(60):
                stream.send_frame(json.dumps({"recv_ns": k, "conn": 1, "raw": "{}"}))
            await asyncio.wait_for(stream.flush(), 60)

    asyncio.run(scenario())
    assert max(counts) == 10
    assert sum(counts) == 30 + 60, "the second session was shown everything again"
