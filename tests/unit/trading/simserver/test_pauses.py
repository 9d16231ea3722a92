"""Pauses that overlap, the weekly one, and markets whose pause outlives them."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import websockets
from made.sim_server import ONE_SHARD, serve_for

STILL = {"speed": 1e-6, "world": ONE_SHARD}
#: A Thursday 02:59 in New York, on summer time.
BEFORE_NS = int(datetime(2026, 7, 16, 2, 59, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
MINUTE_NS = 60 * 10**9


def run_until(scene, time_ns):
    """Let simulated time pass until ``time_ns``, as the server does, in slices of a minute."""
    now_ns = scene.server.clock.now_ns
    for until_ns in [*range(now_ns + MINUTE_NS, time_ns, MINUTE_NS), time_ns]:
        scene.server.venue.advance(until_ns)
        scene.server.sockets.flush_all()


async def active(scene):
    status = await scene.rest.get("/exchange/status")
    return status["exchange_active"], status["trading_active"]


def test_a_short_pause_within_a_long_one_does_not_end_it():
    async def body(scene):
        start_ns = scene.server.clock.now_ns
        await scene.plant("pause", seconds=600)
        await scene.plant("pause", seconds=60, full=True)
        assert await active(scene) == (False, False)
        run_until(scene, start_ns + 2 * MINUTE_NS)
        assert await active(scene) == (True, False)
        run_until(scene, start_ns + 11 * MINUTE_NS)
        assert await active(scene) == (True, True)
        assert "exchange_estimated_resume_time" not in await scene.rest.get("/exchange/status")

    serve_for(body, **STILL)


def test_a_pause_of_a_market_that_closes_meanwhile_does_not_open_it_again():
    async def body(scene):
        market = await scene.open_market()
        event = market["event_ticker"]
        start_ns = scene.server.clock.now_ns
        await scene.plant("market_pause", ticker=event, seconds=900)
        await scene.plant("early_close", ticker=event, seconds=60)
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["market_lifecycle_v2"])
            await ws.answer(1)
            run_until(scene, start_ns + 16 * MINUTE_NS)
            await ws.send(2, "list_subscriptions")
            await ws.answer(2)  # it comes after all frames sent before
        told = [f["msg"] for f in ws.frames if f["type"] == "market_lifecycle_v2"]
        told = [msg for msg in told if msg["market_ticker"] == market["ticker"]]
        assert [each["event_type"] for each in told] == ["determined"]
        assert (await scene.rest.get(f"/markets/{market['ticker']}"))["market"]["status"] == "determined"

    serve_for(body, **STILL, determine_s=300, settle_s=3_600)


def test_trading_pauses_every_thursday_and_connections_are_cut():
    async def body(scene):
        rest = scene.rest
        windows = (await rest.get("/exchange/schedule"))["schedule"]["maintenance_windows"]
        assert windows[:2] == [
            {"start_datetime": "2026-07-16T07:00:00Z", "end_datetime": "2026-07-16T09:00:00Z"},
            {"start_datetime": "2026-07-23T07:00:00Z", "end_datetime": "2026-07-23T09:00:00Z"},
        ]
        ticker = (await scene.open_market())["ticker"]
        made = (await rest.order(ticker, "bid", "0.0100", "1")).json()["order_id"]
        async with scene.socket() as ws:
            run_until(scene, BEFORE_NS + 2 * MINUTE_NS)
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.listen(60)
        status = await rest.get("/exchange/status")
        assert (status["exchange_active"], status["trading_active"]) == (True, False)
        assert status["exchange_estimated_resume_time"] == "2026-07-16T09:00:00Z"
        refused = await rest.order(ticker, "bid", "0.0100", "1")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "trading_is_paused")
        order = f"/portfolio/events/orders/{made}"
        assert (await rest.send("DELETE", order, market_ticker=ticker)).status_code == 200
        async with scene.socket() as ws:  # a client may come back at once
            await ws.send(1, "list_subscriptions")
            await ws.answer(1)
        run_until(scene, BEFORE_NS + 122 * MINUTE_NS)
        assert await active(scene) == (True, True)

    serve_for(body, **STILL, weekly_pause=True, start_ns=BEFORE_NS)


def test_a_server_that_starts_within_the_pause_is_paused():
    async def body(scene):
        await asyncio.sleep(0.1)
        assert await active(scene) == (True, False)

    serve_for(body, **STILL, weekly_pause=True, start_ns=BEFORE_NS + 30 * MINUTE_NS)


def test_maintenance_can_be_planted_as_a_full_pause():
    async def body(scene):
        async with scene.socket() as ws:
            await scene.plant("maintenance", seconds=60, full=True)
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.listen(60)
        assert await active(scene) == (False, False)
        assert (await scene.rest.send("DELETE", "/portfolio/events/orders")).status_code == 204  # none rests

    serve_for(body, **STILL)


def test_a_cancel_all_that_cannot_reach_every_order_cancels_none():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        made = (await rest.order(ticker, "bid", "0.0100", "1")).json()["order_id"]
        await scene.plant("pause", seconds=60, full=True)
        refused = await rest.send("DELETE", "/portfolio/events/orders")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "exchange_is_paused")
        assert (await rest.get(f"/portfolio/orders/{made}"))["order"]["status"] == "resting"

    serve_for(body, **STILL)


def test_a_group_cannot_be_changed_while_its_shard_is_fully_paused():
    """Its orders could not follow: a trigger that cancels nothing would be a broken kill switch."""

    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        made = await rest.send("POST", "/portfolio/order_groups/create", {"contracts_limit": 5})
        name = made.json()["order_group_id"]
        order = (await rest.order(ticker, "bid", "0.0100", "1", order_group_id=name)).json()["order_id"]
        await scene.plant("pause", seconds=60, full=True)
        for method, act, body in (
            ("PUT", "/trigger", {}), ("PUT", "/reset", {}), ("PUT", "/limit", {"contracts_limit": 9}),
            ("DELETE", "", None),
        ):  # fmt: skip
            refused = await rest.send(method, f"/portfolio/order_groups/{name}{act}", body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "exchange_is_paused")
        group = await rest.get(f"/portfolio/order_groups/{name}")
        assert (group["is_auto_cancel_enabled"], group["orders"]) == (True, [order])

    serve_for(body, **STILL)
