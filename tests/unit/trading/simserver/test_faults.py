"""Every planted fault does what it says, and the admin port lists it."""

import asyncio
import json

import httpx
import pytest
import websockets
from made.mute_socket import require_silence
from made.sim_server import ONE_SHARD, serve_for

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.simserver.faults.forms import read_schedule

BUSY = {"speed": 300, "world": ONE_SHARD}
STILL = {"speed": 1e-6, "world": ONE_SHARD}


async def subscribed(scene, ws, channel="orderbook_delta", **more):
    tickers = [m["ticker"] for m in await scene.rest.all("/markets", "markets", status="open")]
    await ws.send(1, "subscribe", channels=[channel], market_tickers=tickers, **more)
    await ws.until(lambda f: f["type"] == "subscribed")
    return tickers


def numbers(frames):
    return [f["seq"] for f in frames if "seq" in f and f["type"].startswith("orderbook")]


async def strikes(scene, kind):
    found = await scene.struck()
    return [s for s in found["struck"] if s["kind"] == kind], found


@pytest.mark.parametrize("kind", ["drop_frame", "duplicate_frame", "reorder_frame", "skip_seq"])
def test_a_fault_of_frames_strikes_the_frame_that_is_listed(kind):
    async def body(scene):
        async with scene.socket() as ws:
            await subscribed(scene, ws)
            await ws.until(lambda f: f["type"] == "orderbook_delta")
            await scene.plant(kind, channel="orderbook_delta", count=2)
            while (await scene.struck())["armed"]:
                await ws.listen(0.1)
            listed, found = await strikes(scene, kind)
            last = max(s["seq"] for s in listed) + 5  # what a fault did shows in the frames after it
            await ws.until(lambda f: f["type"].startswith("orderbook") and f["seq"] > last)
            got, hit = numbers(ws.frames), [s["seq"] for s in listed]
            assert len(hit) == found["counts"][kind] == (1 if kind == "skip_seq" else 2)
            whole = list(range(1, max(got) + 1))
            if kind == "drop_frame":
                assert got == [n for n in whole if n not in hit]
            elif kind == "duplicate_frame":
                assert got == sorted(whole + hit)
            elif kind == "skip_seq":
                assert got == [n for n in whole if n not in (hit[0] + 1, hit[0] + 2)]
            else:
                assert sorted(got) == whole
                assert [n for i, n in enumerate(got[:-1]) if got[i + 1] < n] == [n + 1 for n in hit]

    serve_for(body, **BUSY)


def test_an_acknowledgement_of_an_order_can_come_twice():
    async def body(scene):
        ticker = (await scene.open_market())["ticker"]
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["user_orders"])
            await ws.answer(1)
            await scene.plant("duplicate_ack")
            await scene.rest.order(ticker, "bid", "0.0100", "1")
            await ws.send(2, "list_subscriptions")
            await ws.answer(2)  # it comes after all frames sent before
            told = [f["msg"] for f in ws.frames if f["type"] == "user_order"]
            assert len(told) == 2
            assert told[0] == told[1]

    serve_for(body, **STILL)


@pytest.mark.parametrize(("kind", "code"), [("overflow", 25), ("channel_error", 10)])
def test_a_subscription_ends_with_a_terminal_error(kind, code):
    async def body(scene):
        async with scene.socket() as ws:
            await subscribed(scene, ws)
            await scene.plant(kind, channel="orderbook_delta")
            error = await ws.until(lambda f: f["type"] == "error")
            assert (error["msg"]["code"], error["sid"]) == (code, 1)
            n = len(ws.frames)
            await ws.listen(0.4)
            assert len(ws.frames) == n
            await ws.send(3, "list_subscriptions")
            assert (await ws.answer(3))["msg"] == []

    serve_for(body, **BUSY)


def test_a_disconnect_cuts_and_a_half_open_socket_only_falls_silent():
    async def body(scene):
        async with scene.socket() as ws:
            await subscribed(scene, ws)
            await scene.plant("disconnect")
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.listen(60)
        async with scene.socket(close_timeout=0.2, ping_interval=None) as ws:
            await subscribed(scene, ws)
            await ws.until(lambda f: f["type"] == "orderbook_delta")
            (connection,) = scene.server.hub.connections.values()
            await scene.plant("half_open")
            await require_silence(scene, ws, connection)
            waiter = await ws.socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiter), 0.5)
        assert (await scene.struck())["counts"] == {"disconnect": 1, "half_open": 1}

    serve_for(body, **BUSY)


def test_requests_fail_with_429_and_5xx_done_or_not():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        await scene.plant("http_429", path="/markets/trades")
        assert (await rest.send("GET", "/markets")).status_code == 200
        refused = await rest.send("GET", "/markets/trades")
        assert (refused.status_code, refused.json()) == (429, {"error": "too many requests"})
        assert (await rest.send("GET", "/markets/trades")).status_code == 200
        for accepted in (False, True):
            await scene.plant("http_5xx", method="POST", status=504, accepted=accepted)
            failed = await rest.order(ticker, "bid", "0.0100", "1", client_order_id=f"x{accepted}")
            assert failed.status_code == 504
        orders = await rest.all("/portfolio/orders", "orders")
        assert [order["client_order_id"] for order in orders] == ["xTrue"]

    serve_for(body, **STILL)


def test_a_request_that_times_out_was_done_or_not():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        for kind in ("timeout_accepted", "timeout_refused"):
            await scene.plant(kind, method="POST", seconds=0.2)
            with pytest.raises(httpx.RemoteProtocolError):
                await rest.order(ticker, "bid", "0.0100", "1", client_order_id=kind)
        orders = await rest.all("/portfolio/orders", "orders")
        assert [order["client_order_id"] for order in orders] == ["timeout_accepted"]

    serve_for(body, **STILL)


def test_a_fill_can_come_before_the_answer_to_its_order():
    async def body(scene):
        market = await scene.open_market()
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["fill"])
            await ws.answer(1)
            await scene.plant("late_ack", method="POST", seconds=0.5)
            sent = asyncio.create_task(
                scene.rest.order(market["ticker"], "bid", market["yes_ask_dollars"], "1")
            )
            fill = await ws.until(lambda f: f["type"] == "fill")
            assert not sent.done()
            assert (await sent).json()["order_id"] == fill["msg"]["order_id"]

    serve_for(body, **STILL)


def test_an_order_that_filled_can_be_denied_once():
    async def body(scene):
        market, rest = await scene.open_market(), scene.rest
        ask = market["yes_ask_dollars"]
        await scene.plant("not_found_after_fill", path="/portfolio/orders/")
        rests = (await rest.order(market["ticker"], "bid", "0.0100", "1")).json()["order_id"]
        fills = (await rest.order(market["ticker"], "bid", ask, "1")).json()["order_id"]
        assert (await rest.send("GET", f"/portfolio/orders/{rests}")).status_code == 200
        assert (await rest.send("GET", f"/portfolio/orders/{fills}")).status_code == 404
        assert (await rest.send("GET", f"/portfolio/orders/{fills}")).status_code == 200

    serve_for(body, **STILL)


def test_a_short_page_goes_on_behind_its_cursor():
    async def body(scene):
        rest = scene.rest
        whole = [m["ticker"] for m in await rest.all("/markets", "markets")]
        await scene.plant("partial_page", path="/markets", count=2)
        page = await rest.get("/markets")
        assert len(page["markets"]) == len(whole) // 2
        assert page["cursor"]
        assert [m["ticker"] for m in await rest.all("/markets", "markets")] == whole
        (first, *_), _ = await strikes(scene, "partial_page")
        assert (first["shown"], first["of"]) == (len(whole) // 2, len(whole))

    serve_for(body, **STILL)


@pytest.mark.parametrize("full", [False, True])
def test_a_pause_refuses_orders_shows_in_the_status_and_ends(full):
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        made = (await rest.order(ticker, "bid", "0.0100", "1")).json()["order_id"]
        await scene.plant("pause", seconds=60, full=full)
        status = await rest.get("/exchange/status")
        assert (status["exchange_active"], status["trading_active"]) == (not full, False)
        assert status["exchange_estimated_resume_time"]
        refused = await rest.order(ticker, "bid", "0.0100", "1")
        assert refused.json()["error"]["code"] == ("exchange_is_paused" if full else "trading_is_paused")
        cancel = await rest.send("DELETE", f"/portfolio/events/orders/{made}", market_ticker=ticker)
        assert cancel.status_code == (409 if full else 200)
        scene.server.clock.speed = 300
        await scene.until(lambda: trades(rest))
        assert (await rest.order(ticker, "bid", "0.0100", "1")).status_code == 201

    async def trades(rest):
        return (await rest.get("/exchange/status"))["trading_active"]

    serve_for(body, **STILL)


def test_changes_of_the_world_come_as_lifecycle_frames():
    async def body(scene):
        event = (await scene.open_market())["event_ticker"]
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["market_lifecycle_v2"])
            await ws.answer(1)
            await scene.plant("tick_change", ticker=event)
            bands = await ws.until(lambda f: f["msg"].get("event_type") == "price_level_structure_updated")
            assert [b["step"] for b in bands["msg"]["price_ranges"]] == ["0.0010", "0.0100", "0.0010"]
            ticker = bands["msg"]["market_ticker"]
            market = (await scene.rest.get(f"/markets/{ticker}"))["market"]
            assert market["price_ranges"] == bands["msg"]["price_ranges"]
            assert (await scene.rest.order(ticker, "bid", "0.0015", "1")).status_code == 400
            assert (await scene.rest.order(ticker, "bid", "0.0010", "1")).status_code == 201
            await scene.plant("market_pause", ticker=event, seconds=30)
            await ws.until(lambda f: f["msg"].get("event_type") == "deactivated")
            assert (await scene.rest.get(f"/markets/{ticker}"))["market"]["status"] == "inactive"
            await scene.plant("fee_change", ticker=event)
            fees = await ws.until(lambda f: f["type"] == "event_fee_update")
            assert fees["msg"] == {
                "event_ticker": event, "fee_type_override": "quadratic_with_maker_fees",
                "fee_multiplier_override": 0.5,
            }  # fmt: skip
            scene.server.clock.speed = 300
            await ws.until(lambda f: f["msg"].get("event_type") == "activated")
            resting = await scene.rest.all("/portfolio/orders", "orders", status="resting")
            assert resting == []  # the exchange cancels all orders when a market is active again
            await scene.plant("redetermine", ticker=event, seconds=10)
            await scene.plant("early_close", ticker=event, seconds=20)
            moved = await ws.until(lambda f: f["msg"].get("event_type") == "close_date_updated")
            assert moved["msg"]["close_ts"] < scene.server.clock.now_ns // 10**9 + 21
            results = []
            while not [f for f in ws.frames if f["msg"].get("event_type") == "settled"]:
                frame = await ws.until(lambda f: f["msg"].get("event_type") in ("determined", "settled"))
                if frame["msg"]["market_ticker"] == ticker and "result" in frame["msg"]:
                    results.append(frame["msg"]["result"])
            assert sorted(results) == ["no", "yes"]
            settled = (await scene.rest.get(f"/markets/{ticker}"))["market"]
            assert settled["result"] == results[-1]
        assert (await scene.struck())["counts"]["redetermine"] == 1

    serve_for(body, **STILL)


def test_a_planted_drift_shows_in_rest_and_not_in_the_stream():
    async def body(scene):
        ticker = (await scene.open_market())["ticker"]
        before = (await scene.rest.get(f"/markets/{ticker}/orderbook"))["orderbook_fp"]
        await scene.plant("drift", ticker=ticker, qty_e2=700)
        after = (await scene.rest.get(f"/markets/{ticker}/orderbook"))["orderbook_fp"]
        assert after["no_dollars"] == before["no_dollars"]
        assert float(after["yes_dollars"][-1][1]) - float(before["yes_dollars"][-1][1]) == pytest.approx(7.0)
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["orderbook_delta"], market_tickers=[ticker])
            snap = await ws.until(lambda f: f["type"] == "orderbook_snapshot")
            assert sorted(snap["msg"]["yes_dollars_fp"]) == sorted(before["yes_dollars"])
        assert (await scene.struck())["counts"] == {"drift": 1, "drift_shown": 1}

    serve_for(body, **STILL)


def test_a_skewed_clock_refuses_signatures_and_shows_in_times():
    async def body(scene):
        assert (await scene.rest.send("GET", "/portfolio/balance")).status_code == 200
        await scene.plant("clock_skew", skew_ms=31_000)
        assert (await scene.rest.send("GET", "/portfolio/balance")).status_code == 401
        await scene.plant("clock_skew", skew_ms=20_000)
        assert (await scene.rest.send("GET", "/portfolio/balance")).status_code == 200

    serve_for(body, **STILL)


def test_a_reader_that_is_too_slow_is_ended_with_code_25():
    async def body(scene):
        async with scene.socket(compression=None) as ws:
            tickers = await subscribed(scene, ws)
            await scene.until(lambda: kicked(scene), 30)
            error = await ws.until(lambda f: f["type"] == "error", 30)  # it begins to read only now
            assert error["msg"]["code"] == 25
            await ws.send(2, "subscribe", channels=["orderbook_delta"], market_tickers=tickers[:1])
            assert (await ws.answer(2))["type"] == "subscribed"

    async def kicked(scene):
        return (await scene.admin.get("/admin/status")).json()["n_kicked"] == 1

    serve_for(body, speed=3_000, n_events=12, buffer_bytes=65_536, world=ONE_SHARD)


def test_a_schedule_plants_its_faults_at_their_times_the_same_way_each_time():
    plan = {
        "seed": 3,
        "faults": [{"kind": "drift", "at_s": 30}, {"kind": "http_429", "at_s": 10}],
        "random": [{"fault": {"kind": "market_pause", "seconds": 5}, "per_hour": 60}],
    }
    runs = []

    async def body(scene):
        start = scene.server.clock.start_ns
        scene.server.venue.advance(start + 1_200 * 10**9)
        found = scene.server.faults.struck
        runs.append([(s["kind"], s["time_ns"] - start, s.get("ticker")) for s in found])
        assert [f["fault"]["kind"] for f in scene.server.faults.armed] == ["http_429"]

    for _ in range(2):
        serve_for(body, faults=plan, seed=5, **STILL)
    assert runs[0] == runs[1]
    kinds = [kind for kind, *_ in runs[0]]
    assert kinds.count("drift") == 1
    assert 8 <= kinds.count("market_pause") <= 36  # 20 are expected in 20 minutes
    assert next(at for kind, at, _ in runs[0] if kind == "drift") == 30 * 10**9


def test_a_schedule_that_is_none_is_refused_with_the_file_and_the_field(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"faults": [{"kind": "earthquake"}]}))
    with pytest.raises(ContractError, match=r"faults\.0\.kind"):
        read_schedule(path)
    path.write_text("{}")
    with pytest.raises(ContractError, match="plants nothing"):
        read_schedule(path)
    path.write_text("no json")
    with pytest.raises(ContractError, match="no schedule of faults"):
        read_schedule(path)


def test_the_admin_port_refuses_a_fault_that_does_not_exist():
    async def body(scene):
        answer = await scene.admin.post("/admin/faults", json={"kind": "earthquake"})
        assert answer.status_code == 400
        assert "earthquake" in answer.json()["error"]

    serve_for(body, **STILL)


def test_bodies_that_are_no_json_and_foreign_clients_are_refused_by_the_admin_port():
    async def body(scene):
        json_kind = "application/json"
        bodies = (
            (b"[" * 100_000, json_kind), (b"\xff", json_kind), (b"{}", f"{json_kind}; charset=no-such"),
            (b"9" * 5_000, "text/plain"),
        )  # fmt: skip
        for content, kind in bodies:
            answer = await scene.admin.post("/admin/faults", content=content, headers={"content-type": kind})
            assert answer.status_code == 400, content[:20]
            assert len(answer.text) <= 600
        assert (await scene.admin.post("/admin/faults", json=[1, "x", None])).status_code == 400
        # After DNS rebinding a page is the same origin, and still has no token to show.
        foreign = {"host": "evil.example", "authorization": ""}
        for path in ("/admin/status", "/admin/truth", "/admin/faults"):
            assert (await scene.admin.get(path, headers=foreign)).status_code == 401
        assert (await scene.admin.get("/admin/status")).status_code == 200

    serve_for(body, **STILL)


def test_faults_that_wait_can_be_forgotten():
    async def body(scene):
        await scene.plant("http_429", method="GET", count=100)
        await scene.plant("drop_frame", count=100)
        scene.server.faults.disarm()
        assert scene.server.faults.armed == []
        assert await scene.open_market()  # it reads by REST

    serve_for(body, **STILL)
