"""The server as a whole: an error of the world ends it, and its admin port says how it does."""

import asyncio

import pytest
from made.sim_server import serve_for


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
            first = (await scene.admin.get("/admin/status")).json()
            await asyncio.sleep(0.3)
            second = (await scene.admin.get("/admin/status")).json()
        (connection,) = first["connections"]
        assert connection["subs"] == [[1, "trade"]]
        assert connection["n_sent"] >= 1
        passed_s = (second["now_ns"] - first["now_ns"]) / 1e9
        assert 50 * 0.25 < passed_s + second["slipped_ns"] / 1e9 * 50 < 50 * 5
        assert first["n_open"] == 2
        assert second["rss_bytes"] > 0

    serve_for(body, n_events=2, speed=50)
