"""Order and portfolio calls over REST, private frames, and the account against the admin port's truth."""

import asyncio

import httpx
from made.raw_exchange import RawKey, raw_rest
from made.sim_server import ONE_SHARD, demo_keys, serve_for

STILL = {"speed": 1e-6, "world": ONE_SHARD}
RUNS = {"speed": 300, "world": ONE_SHARD | {"takers_per_hour": 400.0}}


def e6(text):
    whole, _, fraction = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole)) * 10**6 + int(fraction.ljust(6, "0")))


async def reconcile(scene):
    """Every figure of the portfolio calls is that of the cores."""
    truth = (await scene.truth())["account"]
    rest = scene.rest
    balance = await rest.get("/portfolio/balance")
    free = [e6(each["balance"]) for each in balance["balance_breakdown"]]
    assert free == truth["free_e6"]
    assert balance["balance"] == sum(free) // 10_000
    positions = await rest.all("/portfolio/positions", "market_positions", settlement_status="all", limit=3)
    held = {p["ticker"]: round(float(p["position_fp"]) * 100) for p in positions}
    assert {t: q for t, q in held.items() if q} == truth["positions_e2"]
    orders = await rest.all("/portfolio/orders", "orders", limit=7)
    assert len(orders) == len(truth["orders"])
    by_id = {order["order_id"]: order for order in orders}
    for row in truth["orders"]:
        order = by_id[row["order_id"]]
        assert (order["status"], order["book_side"]) == (row["status"], row["side"])
        assert round(float(order["fill_count_fp"]) * 100) == row["filled_e2"]
        assert e6(order["taker_fees_dollars"]) + e6(order["maker_fees_dollars"]) == row["fees_e6"]
    resting = await rest.all("/portfolio/orders", "orders", status="resting")
    assert len(resting) == len(truth["resting"])
    fills = await rest.all("/portfolio/fills", "fills", limit=2)
    assert [f["trade_id"] for f in reversed(fills)] == [f["trade_id"] for f in truth["fills"]]
    assert [e6(f["fee_cost"]) for f in reversed(fills)] == [f["fee_e6"] for f in truth["fills"]]
    return truth


def test_an_order_that_fills_is_told_on_every_surface():
    async def body(scene):
        market = await scene.open_market()
        ticker, ask = market["ticker"], market["yes_ask_dollars"]
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["fill", "user_orders", "market_positions", "trade"])
            await ws.send(2, "subscribe", channels=["orderbook_delta"], market_tickers=[ticker])
            await ws.until(lambda f: f["type"] == "orderbook_snapshot")
            made = await scene.rest.order(ticker, "bid", ask, "1.25", client_order_id="mine-1")
            assert made.status_code == 201
            answer = made.json()
            assert (answer["fill_count"], answer["remaining_count"]) == ("1.25", "0.00")
            assert answer["average_fill_price"] == f"{ask}00"
            delta = await ws.until(lambda f: f["type"] == "orderbook_delta")
        told = {f["type"]: f["msg"] for f in ws.frames}
        assert (delta["msg"]["delta_fp"], delta["msg"]["client_order_id"]) == ("-1.25", "mine-1")
        fill = told["fill"]
        assert fill["order_id"] == answer["order_id"] == told["user_order"]["order_id"]
        assert (fill["is_taker"], fill["book_side"], fill["yes_price_dollars"]) == (True, "bid", ask)
        assert fill["trade_id"] == told["trade"]["trade_id"]
        assert told["user_order"]["ticker"] == ticker
        assert (told["user_order"]["status"], told["user_order"]["last_update_reason"]) == (
            "executed",
            "Trade",
        )
        assert told["market_position"]["position_fp"] == fill["post_position_fp"] == "1.25"
        truth = await reconcile(scene)
        paid = truth["paid_in_e6"][0] - truth["cash_e6"][0]
        assert paid == truth["fills"][0]["price_e4"] * 125 + truth["fills"][0]["fee_e6"]

    serve_for(body, **STILL)


def test_a_resting_order_lives_through_amend_decrease_and_cancel():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        made = (await rest.order(ticker, "ask", "0.9900", "10", client_order_id="r")).json()
        place = f"/portfolio/events/orders/{made['order_id']}"
        body = {
            "ticker": ticker,
            "side": "ask",
            "price": "0.9800",
            "count": "8",
            "updated_client_order_id": "r2",
        }
        assert (await rest.send("POST", f"{place}/amend", body)).json()["remaining_count"] == "8.00"
        less = await rest.send("POST", f"{place}/decrease", {"reduce_to": "3.5"})
        assert less.json()["remaining_count"] == "3.50"
        order = (await rest.get(f"/portfolio/orders/{made['order_id']}"))["order"]
        assert (order["client_order_id"], order["yes_price_dollars"], order["initial_count_fp"]) == (
            "r2", "0.9800", "8.00",
        )  # fmt: skip
        assert (await rest.get(f"/portfolio/orders/{made['order_id']}/queue_position"))["queue_position_fp"]
        truth = await reconcile(scene)
        assert truth["reserved_e6"][0] == 350 * 200  # 3.50 NO at 0.02; whole cents fall between no two steps
        gone = await rest.send("DELETE", place, market_ticker=ticker)
        assert (gone.status_code, gone.json()["reduced_by"]) == (200, "3.50")
        again = await rest.send("DELETE", place, market_ticker=ticker)
        assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
        assert (await reconcile(scene))["reserved_e6"][0] == 0

    serve_for(body, **STILL)


def test_what_the_exchange_refuses_it_refuses_with_its_codes():
    async def body(scene):
        market = await scene.open_market()
        ticker, ask, rest = market["ticker"], market["yes_ask_dollars"], scene.rest
        ask_size = float(market["yes_ask_size_fp"])
        await rest.order(ticker, "bid", "0.0100", "1", client_order_id="twice")
        wrong = [
            (("bid", "0.0100", "1", {"client_order_id": "twice"}), 409, "order_already_exists", None),
            (("bid", "0.0150", "1", {}), 400, "invalid_order", "invalid price"),
            (("bid", "0.1", "1", {}), 400, "invalid_order", None),
            (("bid", "0.0100", "0", {}), 400, "invalid_order_size", None),
            (("bid", "0.0100", "1.005", {}), 400, "invalid_order_size", None),
            (("bid", ask, "1", {"post_only": True}), 400, "invalid_order", "post only cross"),
            (("bid", "0.9900", "9000000", {}), 400, "available_balance_too_low", None),
            (("buy", "0.0100", "1", {}), 400, "invalid_parameters", None),
            (("bid", "0.0100", "1", {"colour": "red"}), 400, "invalid_parameters", None),
            (("bid", "0.0100", "1", {"expiration_time": 1}), 400, "invalid_order", None),
            (("bid", "0.0100", "1", {"exchange_index": 2}), 404, "not_found", None),
            (("bid", ask, f"{ask_size + 9_000:.2f}", {"time_in_force": "fill_or_kill"}), 409,
             "fill_or_kill_insufficient_resting_volume", None),
        ]  # fmt: skip
        for (side, price, count, more), status, code, details in wrong:
            answer = await rest.order(ticker, side, price, count, **more)
            assert answer.status_code == status, (side, price, count, more, answer.text)
            error = answer.json()["error"]
            assert error["code"] == code, (more, error)
            assert details is None or error["details"] == details
        assert (await rest.order("NO-SUCH", "bid", "0.0100", "1")).status_code == 404
        assert len((await reconcile(scene))["orders"]) == 1  # refusals leave no trace

    serve_for(body, **STILL)


def test_the_account_reconciles_while_agents_trade_against_its_orders_until_it_is_paid():
    async def body(scene):
        rest = scene.rest
        for round_ in range(12):
            for market in (await rest.all("/markets", "markets", status="open"))[:6]:
                bid, ask = market["yes_bid_dollars"], market["yes_ask_dollars"]
                side, price = (("bid", bid), ("ask", ask), ("bid", ask), ("ask", bid))[round_ % 4]
                if "0.0000" < price < "1.0000":
                    await rest.order(market["ticker"], side, price, f"{3 + round_}.50")
        await scene.until(lambda: paid(rest), 60)
        scene.server.clock.speed = 1e-9
        await asyncio.sleep(0.1)
        truth = await reconcile(scene)
        fills = truth["fills"]
        assert {f["is_taker"] for f in fills} == {True, False}
        settlements = await rest.all("/portfolio/settlements", "settlements")
        assert len(settlements) == len(truth["settlements"]) > 0
        change = sum(truth["cash_e6"]) - sum(truth["paid_in_e6"])
        sides = {o["order_id"]: o["side"] for o in truth["orders"]}
        moved = sum(
            (f["price_e4"] if sides[f["order_id"]] == "ask" else -f["price_e4"]) * f["qty_e2"] - f["fee_e6"]
            for f in fills
        )
        # buying NO at 1 - p is selling YES at p against a dollar that the exchange keeps until the end
        pledged = sum(10_000 * min(q, 0) for q in truth["positions_e2"].values())
        revenue = sum(s["revenue_e6"] + 10_000 * min(s["position_e2"], 0) for s in truth["settlements"])
        assert change == moved + pledged + revenue

    async def paid(rest):
        return bool(await rest.all("/portfolio/settlements", "settlements"))

    serve_for(body, **RUNS)


def test_an_order_group_falls_at_its_limit_in_every_event():
    async def body(scene):
        rest = scene.rest
        group = await rest.send("POST", "/portfolio/order_groups/create", {"contracts_limit": 2})
        name = group.json()["order_group_id"]
        markets = await rest.all("/markets", "markets", status="open")
        by_event = {m["event_ticker"]: m for m in markets if m["yes_ask_size_fp"] != "0.00"}
        one, two = list(by_event.values())[:2]
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["order_group_updates"])
            await ws.answer(1)
            left = await rest.order(two["ticker"], "bid", "0.0100", "1", order_group_id=name)
            for _ in range(3):
                made = await rest.order(
                    one["ticker"], "bid", one["yes_ask_dollars"], "1", order_group_id=name
                )
                assert made.status_code == 201
            told = await ws.until(lambda f: f["type"] == "order_group_updates")
            assert (told["msg"]["event_type"], told["seq"]) == ("triggered", 1)
        order = (await rest.get(f"/portfolio/orders/{left.json()['order_id']}"))["order"]
        assert order["status"] == "canceled"
        refused = await rest.order(two["ticker"], "bid", "0.0100", "1", order_group_id=name)
        assert refused.json()["error"]["details"] == "exceeded order group risk limit"
        assert (await rest.send("PUT", f"/portfolio/order_groups/{name}/reset", {})).status_code == 200
        assert (await rest.order(two["ticker"], "bid", "0.0100", "1", order_group_id=name)).status_code == 201
        await reconcile(scene)

    serve_for(body, **STILL)


def test_batches_answer_every_order_and_cancel_all_leaves_none():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        order = {
            "ticker": ticker, "side": "bid", "price": "0.0100", "count": "1",
            "time_in_force": "good_till_canceled", "self_trade_prevention_type": "maker",
        }  # fmt: skip
        batch = {"orders": [order, order | {"price": "0.0001", "client_order_id": "bad"}, order]}
        made = (await rest.send("POST", "/portfolio/events/orders/batched", batch)).json()["orders"]
        assert [("error" in each) for each in made] == [False, True, False]
        assert made[1]["client_order_id"] == "bad"
        body = {"orders": [{"order_id": made[0]["order_id"]}, {"order_id": "none"}]}
        gone = (await rest.send("DELETE", "/portfolio/events/orders/batched", body)).json()["orders"]
        assert [each["reduced_by"] for each in gone] == ["1.00", "0.00"]
        assert (await rest.send("DELETE", "/portfolio/events/orders")).status_code == 204
        assert (await reconcile(scene))["resting"] == []

    serve_for(body, **STILL)


def test_cash_moves_between_shards_and_an_order_needs_it_where_its_market_is():
    async def body(scene):
        rest = scene.rest
        market = await scene.open_market(exchange_index=3)
        move = {"source": 3, "destination": 0, "amount": 100_000_000}  # 1e-4 dollar: all of it
        assert (
            await rest.send("POST", "/portfolio/intra_exchange_instance_transfer", move)
        ).status_code == 200
        poor = await rest.order(market["ticker"], "bid", "0.0100", "1", exchange_index=3)
        assert poor.json()["error"]["code"] == "available_balance_too_low"
        back = {"source": 0, "destination": 3, "amount": 500}
        await rest.send("POST", "/portfolio/intra_exchange_instance_transfer", back)
        made = await rest.order(market["ticker"], "bid", "0.0100", "1", exchange_index=3)
        assert made.status_code == 201
        place = f"/portfolio/events/orders/{made.json()['order_id']}"
        assert (await rest.send("DELETE", place)).status_code == 404  # an id alone means shard 0
        assert (await rest.send("DELETE", place, exchange_index=3)).status_code == 200
        await reconcile(scene)

    serve_for(body, speed=1e-6, world={"category_shares": [0.0, 0.0, 1.0, 0.0]})


def test_buckets_refuse_with_429_and_fill_again_in_simulated_time():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        limits = await rest.get("/account/limits")
        assert limits["write"] == {"refill_rate": 100, "bucket_capacity": 100}
        assert limits["read"] == {"refill_rate": 200, "bucket_capacity": 600}
        codes = [
            (await rest.order(ticker, "bid", "0.0100", "1", exchange_index=0)).status_code for _ in range(12)
        ]
        assert codes == [201] * 10 + [429] * 2  # 100 tokens, 10 an order, no burst
        refused = await rest.order(ticker, "bid", "0.0100", "1", exchange_index=0)
        assert refused.json() == {"error": "too many requests"}
        begun_ns = scene.server.clock.now_ns
        scene.server.clock.speed = 1.0
        await asyncio.sleep(0.4)
        scene.server.clock.speed = 1e-9
        await asyncio.sleep(0.1)  # the slice under way
        n_paid = int((scene.server.clock.now_ns - begun_ns) / 1e9 * 100 / 10)
        codes = [
            (await rest.order(ticker, "bid", "0.0100", "1", exchange_index=0)).status_code
            for _ in range(min(n_paid, 10) + 2)
        ]
        assert n_paid >= 2
        assert abs(codes.count(201) - min(n_paid, 10)) <= 1

    serve_for(body, **(STILL | {"tier": "basic"}))


def test_calls_of_the_account_need_a_signature_and_public_ones_do_not():
    async def body(scene):
        async with httpx.AsyncClient(timeout=60) as bare:
            url = scene.served.url
            assert (await bare.get(f"{url}/markets")).status_code == 200
            refused = await bare.get(f"{url}/portfolio/balance")
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
            assert (await bare.post(f"{url}/portfolio/events/orders", json={})).status_code == 401
            assert (await bare.get(f"{url}/no/such")).json()["error"]["code"] == "not_found"
            admin = await bare.get(f"{scene.served.admin_url}/truth")
            assert admin.status_code == 401

    serve_for(body, **STILL)


def test_a_key_that_may_only_read_changes_nothing():
    async def body(scene):
        ticker = (await scene.open_market())["ticker"]
        async with raw_rest(scene.served.url, RawKey(demo_keys(), "reader")) as reader:
            assert (await reader.get("/portfolio/balance"))["balance"] == 4_000_000
            refused = await reader.order(ticker, "bid", "0.0100", "1")
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
        assert (await scene.truth())["account"]["orders"] == []

    serve_for(body, **STILL)


def test_an_order_expires_and_an_unfilled_rest_is_told_why():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        now_s = scene.server.clock.now_ns // 10**9
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["user_orders"])
            await ws.answer(1)
            await rest.order(ticker, "bid", "0.0100", "1", expiration_time=now_s + 60)
            gone = await ws.until(lambda f: f.get("msg", {}).get("status") == "canceled")
            assert gone["msg"]["last_update_reason"] == "ExpiryCancel"
            assert abs(gone["msg"]["last_updated_ts_ms"] - 1_000 * (now_s + 60)) < 10
        await reconcile(scene)

    serve_for(body, speed=30, world=ONE_SHARD)
