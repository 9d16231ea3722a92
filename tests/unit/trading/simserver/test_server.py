"""The server as a whole: an error of the world ends it, and its admin port says how it does."""

import asyncio
import socket
import time

import pytest
from made.sim_server import serve_for
from typer.testing import CliRunner

from kalshi_platform.cli.main import app
from kalshi_platform.trading.simserver.keys import make_keys


def test_an_error_of_the_world_ends_the_server_with_that_error():
    """A server whose books stand still would be quietly wrong."""

    async def body(scene):
        def broken(_):
            raise ValueError("no room among 1")

        scene.server.venue.advance = broken
        await asyncio.sleep(30)

    with pytest.raises(ValueError, match="no room among 1"):
        serve_for(body, n_events=1)


def test_the_admin_port_tells_clock_events_and_connections():
    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["trade"])
            await ws.answer(1)
            before_s = time.monotonic()
            await next_slice(scene)
            first = (await scene.admin.get("/admin/status")).json()
            since_s = time.monotonic()
            await asyncio.sleep(0.3)
            until_s = time.monotonic()
            await next_slice(scene)
            second = (await scene.admin.get("/admin/status")).json()
            after_s = time.monotonic()
        (connection,) = first["connections"]
        assert connection["subs"] == [[1, "trade"]]
        assert connection["n_sent"] >= 1
        passed_ns = (second["now_ns"] - first["now_ns"]) / 50 + second["slipped_ns"] - first["slipped_ns"]
        assert until_s - since_s < passed_ns / 1e9 < after_s - before_s
        assert first["n_open"] == 2
        assert second["rss_bytes"] > 0

    serve_for(body, n_events=2, speed=50, begun=False)


async def next_slice(scene):
    """Wait until the world has been advanced."""
    before_ns = scene.server.clock.now_ns

    async def is_later():
        return scene.server.clock.now_ns > before_ns

    await scene.until(is_later)


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_a_port_that_is_taken_is_refused_by_its_option(option, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        make_keys(tmp_path / "keys")
        words = ["simexchange", "serve", "--keys", str(tmp_path / "keys"), "--events", "1", option, port]
        found = CliRunner().invoke(app, words)
    assert found.exit_code == 2, found.output
    assert f"{option} {port}: cannot listen on 127.0.0.1 (Address already in use)" in found.stderr
    assert "Traceback" not in found.output
