"""A replica's end of a WebSocket under uvicorn: it reads in pieces, and says when it reads no more."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import uvicorn
from made.raw_websocket import EMPTY_PING, EMPTY_TEXT, RawWebSocket, text_frame
from uvicorn.protocols.websockets import auto
from websockets.asyncio.client import connect
from websockets.frames import Opcode

from serve_deployments import fair_reading
from serve_deployments.fair_reading import FRAGMENTS, PINGS, FairSocket, install

LONGEST = 2**16


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "AutoWebSocketsProtocol", auto.AutoWebSocketsProtocol)
    monkeypatch.setattr(FairSocket, "longest_bytes", FairSocket.longest_bytes)
    install(LONGEST)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send every text back, at once."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[int]:
    """Port of a server of ``app``, on this event loop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        assert config.ws_protocol_class is FairSocket
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def serve(app: Any, scenario: Callable[[int], Awaitable[None]]) -> None:
    async def both() -> None:
        async with running(app) as port:
            await scenario(port)

    asyncio.run(asyncio.wait_for(both(), 120))


def test_thirty_thousand_texts_in_one_piece_leave_the_loop_to_others_in_between():
    n, rounds, seen = 30_000, 0, 0

    async def count(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            seen += 1

    async def scenario(port: int) -> None:
        nonlocal rounds
        client = await RawWebSocket.connect(port)
        await client.send(EMPTY_TEXT * n)
        while seen < n:
            await asyncio.sleep(0)
            rounds += 1
        assert rounds > n // 100, "a piece of 512 bytes holds 85 of them"
        client.abort()

    serve(count, scenario)


def test_what_comes_in_any_pieces_arrives_whole_and_in_order():
    rng = Random(5)
    texts = [bytes(rng.choices(b"abcdef", k=rng.choice([0, 1, 60, 700, 9_000]))) for _ in range(300)]
    sent = b""
    for text in texts:
        cut = rng.randrange(len(text) + 1)
        if rng.random() < 0.3:
            sent += text_frame(text[:cut], fin=False) + EMPTY_PING * (rng.random() < 0.3)
            sent += text_frame(text[cut:], opcode=Opcode.CONT)
        else:
            sent += text_frame(text)

    async def scenario(port: int) -> None:
        client = await RawWebSocket.connect(port)

        async def send() -> None:
            at = 0
            while at < len(sent):
                size = rng.choice([1, 3, 511, 512, 513, 5_000, 100_000])
                await client.send(sent[at : at + size])
                await asyncio.sleep(0)
                at += size

        sending = asyncio.create_task(send())
        came = []
        while len(came) < len(texts):
            opcode, payload = await client.next()
            if opcode is Opcode.TEXT:
                came.append(payload)
        assert came == texts
        await sending
        await client.send(text_frame(b"\x03\xe8", opcode=Opcode.CLOSE))
        assert await client.close_code() == 1000
        client.abort()

    serve(echo, scenario)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (EMPTY_PING * (PINGS + 1), 1008),
        (
            text_frame(b"a", fin=False) + text_frame(b"", fin=False, opcode=Opcode.CONT) * (FRAGMENTS + 1),
            1009,
        ),
        (text_frame(b"a" * (LONGEST + 1)), 1009),
        (text_frame(b"\xff"), 1007),
        (b"\xff" * 100, 1002),
    ],
    ids=["pings", "fragments", "too long", "no UTF-8", "no frame"],
)
def test_what_no_client_of_good_will_sends_ends_the_connection_with_a_code(sent: bytes, code: int):
    async def scenario(port: int) -> None:
        client = await RawWebSocket.connect(port)
        await client.send(sent)
        # Bytes that nobody reads any more may let the system cut the connection off before the code arrives.
        assert await client.close_code() in ((code, 0) if len(sent) > LONGEST else (code,))
        client.abort()
        other = await RawWebSocket.connect(port)
        await other.send(text_frame(b"still here"))
        assert await other.next() == (Opcode.TEXT, b"still here")
        other.abort()

    serve(echo, scenario)


def test_a_client_that_offers_to_pack_messages_is_answered_and_packs_none():
    async def scenario(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}/", compression="deflate") as client:
            assert "Sec-WebSocket-Extensions" not in client.response.headers
            await client.send("a" * 1_000)
            assert await client.recv() == "a" * 1_000

    serve(echo, scenario)


def test_a_connection_that_breaks_in_the_middle_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch):
    async def scenario(port: int) -> None:
        broken, other = await RawWebSocket.connect(port), await RawWebSocket.connect(port)
        await broken.send(EMPTY_TEXT * 20_000)
        broken.abort()
        await other.send(text_frame(b"here") * 3)
        for _ in range(3):
            assert await other.next() == (Opcode.TEXT, b"here")
        other.abort()

    serve(echo, scenario)


def test_a_fault_in_one_connection_ends_no_turn_of_the_others(monkeypatch: pytest.MonkeyPatch):
    whole = FairSocket.take_apart

    def fails(self: FairSocket, end_s: float) -> bool:
        if b"poison" in bytes(self._rest):
            raise TypeError("planted")
        return whole(self, end_s)

    monkeypatch.setattr(fair_reading.FairSocket, "take_apart", fails)

    async def scenario(port: int) -> None:
        bad, good = await RawWebSocket.connect(port), await RawWebSocket.connect(port)
        # Longer than one piece, so that it waits for a turn; an unmasked mark stands behind it.
        await bad.send(EMPTY_TEXT * 200 + b"poison")
        await good.send(text_frame(b"x" * 2_000))
        assert (await good.next())[0] is Opcode.TEXT
        bad.abort()
        good.abort()

    serve(echo, scenario)
