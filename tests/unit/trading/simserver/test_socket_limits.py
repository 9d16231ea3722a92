"""Odd commands, limits of a connection, readers that do not read, and compression."""

import asyncio
import base64
import json
import os
import socket

import pytest
import websockets
from made.mute_socket import require_silence
from made.raw_exchange import WS_PATH, RawKey
from made.sim_server import ONE_SHARD, demo_keys, serve_for
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from kalshi_platform.trading.simserver.stream import connection as served

BUSY = {"speed": 300, "world": ONE_SHARD}
STILL = {"speed": 1e-6, "world": ONE_SHARD}
ODD = [
    ("[" * 100_000, 1),
    ('{"id": 1, "cmd": ["subscribe"], "params": {}}', 5),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": [["trade"]]}}', 8),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": [{}]}}', 8),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": [null]}}', 8),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": ["ticker"], "send_initial_snapshot": "no"}}', 11),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "use_yes_price": 1}}', 11),
    ('{"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": [{}]}}', 11),
    ('{"id": 1, "cmd": "unsubscribe", "params": {"sids": [[1]]}}', 7),
    ('{"id": 1, "cmd": "unsubscribe", "params": {"sids": [true]}}', 7),
    ('{"id": 1, "cmd": "unsubscribe", "params": {"sids": [1.0]}}', 7),
    ('{"id": 1, "cmd": "update_subscription", "params": {"sids": [{}], "action": "add_markets"}}', 7),
    ('{"id": 1, "cmd": "update_subscription", "params": {"sid": 1, "action": ["add_markets"]}}', 13),
    (
        '{"id": 1, "cmd": "update_subscription",'
        ' "params": {"sid": 1, "action": "get_snapshot", "market_tickers": ["A"]}}',
        13,
    ),
]


def test_odd_commands_get_an_error_each_and_the_connection_lives():
    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(9, "subscribe", channels=["trade"])
            await ws.answer(9)
            for text, code in ODD:
                await ws.socket.send(text)
                error = await ws.until(lambda f: f["type"] == "error")
                assert error["msg"]["code"] == code, text[:100]
            await ws.send(10, "subscribe", channels=["trade"], market_tickers=["\ud800", "A"])
            assert (await ws.answer(10))["type"] == "ok"  # merged into the subscription to all markets
            await ws.send(11, "unsubscribe", sids=[1, 1])
            assert (await ws.answer(11))["type"] == "unsubscribed"
            await ws.send(12, "list_subscriptions")
            assert (await ws.answer(12))["msg"] == []

    serve_for(body, **STILL)


def test_commands_and_markets_have_limits(monkeypatch):
    monkeypatch.setattr(served, "MOST_COMMANDS_S", 5)
    monkeypatch.setattr("kalshi_platform.trading.simserver.stream.commands.MOST_MARKETS", 3)

    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["trade", "ticker"], market_tickers=["A", "B"])
            assert (await ws.answer(1))["msg"]["code"] == 26
            await ws.send(2, "subscribe", channels=["trade"], market_tickers=["A", "B"])
            assert (await ws.answer(2))["type"] == "subscribed"
            await ws.send(3, "update_subscription", sid=1, action="add_markets", market_tickers=["C", "D"])
            assert (await ws.answer(3))["msg"]["code"] == 26
            for number, code in ((4, None), (5, None), (6, 27), (7, 27)):
                await ws.send(number, "list_subscriptions")
                answer = await ws.answer(number)
                assert (answer["type"], code) in (("ok", None), ("error", 27))

    serve_for(body, **STILL)


def test_one_connection_too_many_is_refused_with_429_until_another_ends():
    async def body(scene):
        async with scene.socket(), scene.socket() as second:
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with scene.socket():
                    pass
            assert refused.value.response.status_code == 429
            await second.socket.close()
            await scene.until(lambda: n_left(scene, 1))
            async with scene.socket() as third:
                await third.send(1, "list_subscriptions")
                await third.answer(1)
        assert (await scene.admin.get("/admin/status")).json()["n_connections_refused"] == 1

    serve_for(body, **STILL, most_connections=2)


async def n_left(scene, n):
    return len((await scene.admin.get("/admin/status")).json()["connections"]) == n


def test_a_client_that_asks_on_and_never_reads_is_cut_before_memory_is_lost():
    """It has no subscription to lose: without the cut its answers would pile up for ever."""

    async def body(scene):
        host, port = scene.served.ws_url.removeprefix("ws://").split("/")[0].split(":")
        key = base64.b64encode(os.urandom(16)).decode()
        headers = RawKey(demo_keys()).headers("GET", WS_PATH) | {
            "Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        wire = socket.create_connection((host, int(port)))
        try:
            wire.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(wire, f"GET {WS_PATH} HTTP/1.1\r\n{lines}\r\n".encode())
            command = json.dumps({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"]}}).encode()
            many = masked(command) * 2_000
            with pytest.raises(OSError, match=r"reset|pipe|abort"):
                await send_for_ever(loop, wire, many)
        finally:
            wire.close()
        status = (await scene.admin.get("/admin/status")).json()
        assert status["n_cut"] == 1

    serve_for(body, **STILL, buffer_bytes=65_536)


async def send_for_ever(loop, wire, many):
    """Send until the other end cuts; at most 75 MB."""
    for _ in range(500):
        await asyncio.wait_for(loop.sock_sendall(wire, many), 20)


def masked(text):
    """One text frame of a client, with a mask of zeros."""
    assert 126 > len(text) >= 1
    return bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text


def test_half_open_connections_cost_nothing_and_later_faults_strike_living_ones():
    async def body(scene):
        async with scene.socket(close_timeout=0.2, ping_interval=None) as first, scene.socket() as second:
            for ws in (first, second):
                await ws.send(1, "subscribe", channels=["ticker"])
                await ws.answer(1)
            struck_first, _ = scene.server.hub.connections.values()
            await scene.plant("half_open")
            assert len(scene.server.hub.connections) == 1
            await scene.plant("disconnect")
            struck = (await scene.struck())["struck"]
            assert [s["connection"] for s in struck] == [1, 2]
            with pytest.raises(websockets.ConnectionClosedError):
                await second.listen(60)
            await require_silence(scene, first, struck_first)

    serve_for(body, **BUSY)


FACTORIES = {
    "context kept": None,
    "no context": [ClientPerMessageDeflateFactory(server_no_context_takeover=True)],
    "small window": [ClientPerMessageDeflateFactory(server_max_window_bits=9)],
}


@pytest.mark.parametrize("name", FACTORIES)
def test_compressed_frames_are_the_same_frames(name):
    async def body(scene):
        market = await scene.open_market()
        factories = FACTORIES[name]
        options = {} if factories is None else {"compression": None, "extensions": factories}
        async with scene.socket(**options) as small, scene.socket(compression=None) as plain:
            assert [type(e).__name__ for e in small.socket.protocol.extensions] == ["PerMessageDeflate"]
            assert plain.socket.protocol.extensions == []
            for ws in (small, plain):
                await ws.send(1, "subscribe", channels=["orderbook_delta"], market_tickers=[market["ticker"]])
                await ws.until(lambda f: f["type"] == "orderbook_snapshot")
            for turn in range(30):  # longer and shorter than what one length field holds
                await scene.rest.order(market["ticker"], "bid", "0.0100", "1", client_order_id=f"c{turn}")
            tickers = [f"NONE-{k}" for k in range(9_000)]
            for ws in (small, plain):
                await ws.send(2, "update_subscription", sid=1, action="add_markets", market_tickers=tickers)
                assert len((await ws.answer(2))["msg"]["market_tickers"]) == 9_001
        keep = [[f["msg"] for f in ws.frames if f["type"] == "orderbook_delta"] for ws in (small, plain)]
        assert len(keep[0]) == 30
        assert keep[0] == keep[1]

    serve_for(body, **STILL)
