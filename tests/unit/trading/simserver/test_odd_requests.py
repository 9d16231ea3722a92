"""Requests that no client should send: each is refused in the exchange's words, and the server goes on."""

import json

import httpx
import pytest
from made.raw_exchange import RawKey
from made.sim_server import ONE_SHARD, demo_keys, serve_for

STILL = {"speed": 1e-6, "world": ONE_SHARD}
ORDER = {
    "side": "bid", "price": "0.0100", "count": "1", "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "maker",
}  # fmt: skip
ODD_FIELDS = [
    ("count", "-1"), ("count", "+1"), ("count", "1e3"), ("count", "NaN"), ("count", "Infinity"),
    ("count", "1e400"), ("count", "9" * 5_000), ("count", "9" * 13), ("count", " 1"), ("count", "1."),
    ("count", "٣"),
    ("count", 1), ("count", 1.5), ("count", None), ("count", True), ("count", "1_0"),
    ("price", "-0.01"), ("price", "0.01e0"), ("price", "1.00"), ("price", "0.00"), ("price", "0.005"),
    ("price", "00.0100000"), ("price", "0,01"), ("price", "0.01\n"), ("price", 0.01), ("price", "NaN00"),
    ("expiration_time", -1), ("expiration_time", 2**63), ("expiration_time", 10**30),
    ("expiration_time", 1e300), ("expiration_time", True), ("expiration_time", 0),
    ("exchange_index", 4), ("exchange_index", -2), ("exchange_index", 10**30), ("exchange_index", "0"),
    ("subaccount", 1), ("subaccount", -1), ("subaccount", 10**30),
    ("client_order_id", "x" * 65), ("client_order_id", "a b"), ("client_order_id", "\ud800"),
    ("order_group_id", "none"), ("order_group_id", ""), ("ticker", ""), ("ticker", "\ud800"),
    ("ticker", "A" * 5_000), ("side", "BID"), ("time_in_force", []), ("post_only", "true"),
    ("self_trade_prevention_type", "none"), ("reduce_only", True),
]  # fmt: skip


def test_odd_fields_of_an_order_are_refused_by_name_and_leave_nothing():
    async def body(scene):
        ticker = (await scene.open_market())["ticker"]
        for name, value in ODD_FIELDS:
            answer = await scene.rest.send(
                "POST", "/portfolio/events/orders", {**ORDER, "ticker": ticker, name: value}
            )
            assert 400 <= answer.status_code < 410, (name, value, answer.status_code, answer.text)
            told = answer.json()
            assert told.get("error", told)["code"], (name, value)
        truth = (await scene.truth())["account"]
        assert (truth["orders"], truth["reserved_e6"]) == ([], [0, 0, 0, 0])

    serve_for(body, **STILL)


BODIES = [
    b"", b"{", b"[]", b"1", b"null", b'"x"', b"\xff\xfe", b"[" * 20_000, b'{"ticker":' * 5_000,
    b'{"ticker": "A", "ticker": 1}', b"x" * 2_000_000,
]  # fmt: skip
WRITES = [
    ("POST", "/portfolio/events/orders"), ("POST", "/portfolio/events/orders/batched"),
    ("DELETE", "/portfolio/events/orders/batched"), ("POST", "/portfolio/events/orders/x/amend"),
    ("POST", "/portfolio/events/orders/x/decrease"), ("POST", "/portfolio/order_groups/create"),
    ("POST", "/portfolio/intra_exchange_instance_transfer"), ("POST", "/portfolio/subaccounts/transfer"),
    ("PUT", "/portfolio/subaccounts/netting"),
]  # fmt: skip


def test_bodies_that_are_no_request_are_refused_on_every_write():
    async def body(scene):
        key = RawKey(demo_keys(), "rsa")
        async with httpx.AsyncClient(timeout=30) as client:
            for method, path in WRITES:
                for content in BODIES:
                    url = httpx.URL(scene.served.url + path)
                    headers = key.headers(method, url.path) | {
                        "Content-Type": "application/json; charset=x-no"
                    }
                    answer = await client.request(method, url, content=content, headers=headers)
                    assert 400 <= answer.status_code < 500, (path, content[:20], answer.status_code)
                    told = answer.json()
                    assert told.get("error", told)["code"], (path, content[:20])

    serve_for(body, **STILL)


@pytest.mark.parametrize("form", ["nested", "flat"])
def test_a_body_that_cannot_be_parsed_has_a_flat_error_in_either_form(form):
    async def body(scene):
        answer = await scene.rest.send("POST", "/portfolio/events/orders", [])
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        missing = (await scene.rest.send("POST", "/portfolio/events/orders", {"ticker": "A"})).json()
        assert (missing["error"] if form == "nested" else missing)["code"] == "invalid_order"

    serve_for(body, **STILL, error_body=form)


QUERIES = [
    ("/markets", {"cursor": "9" * 4_000}), ("/markets", {"cursor": "٣"}), ("/markets", {"limit": "1_0"}),
    ("/markets", {"limit": "9" * 4_000}), ("/markets", {"limit": "-1"}), ("/markets", {"status": "none"}),
    ("/markets", {"min_close_ts": "1", "max_settled_ts": "2"}), ("/markets", {"mve_filter": "x"}),
    ("/markets/trades", {"min_ts": "1e9"}), ("/markets/orderbooks", {}), ("/markets/candlesticks", {}),
    ("/portfolio/fills", {"ticker": ",".join(map(str, range(200)))}),
    ("/portfolio/orders", {"subaccount": "64"}), ("/portfolio/orders", {"subaccount": "9" * 4_000}),
    ("/portfolio/balance", {"exchange_index": "9" * 4_000}), ("/portfolio/positions", {"subaccount": "-1"}),
    ("/communications/quotes", {}), ("/communications/rfqs", {}), ("/multivariate_event_collections", {}),
]  # fmt: skip


def test_odd_queries_are_refused():
    async def body(scene):
        for path, query in QUERIES:
            answer = await scene.rest.send("GET", path, **query)
            assert answer.status_code == 400, (path, str(query)[:60], answer.status_code, answer.text[:200])
            assert answer.json()["error"]["code"]
        for path in ("/portfolio/orders/x", "/markets/%00", "/historical/markets/A", "/events/..%2f"):
            assert (await scene.rest.send("GET", path)).status_code == 404
        assert (await scene.rest.get("/historical/trades")) == {"trades": [], "cursor": ""}

    serve_for(body, **STILL)


def test_the_admin_port_takes_no_other_host_and_no_odd_fault():
    async def body(scene):
        admin = scene.admin
        for host, status in (
            ("evil.example", 403),
            ("evil.example:80", 403),
            ("localhost:1", 200),
            ("[::1]", 200),
        ):
            answer = await admin.get("/admin/status", headers={"Host": host})
            assert answer.status_code == status, host
        odd = [
            b"", b"[" * 20_000, b"5", b"[5]", b"null", b'{"kind":"none"}', b'{"kind":"pause","at_s":1e400}',
            b'{"kind":"pause","seconds":-1}', b'[{"kind":"pause"},{"kind":"x"}]', b"\xff",
        ]  # fmt: skip
        for content in odd:
            answer = await admin.post("/admin/faults", content=content)
            assert answer.status_code == 400, (content[:30], answer.text)
            assert answer.json()["error"]
        assert (await scene.struck())["counts"] == {}
        assert (await admin.get("/admin/none")).status_code == 404

    serve_for(body, **STILL)


def test_a_killed_order_and_an_amended_one_use_their_client_ids_up():
    async def body(scene):
        rest, market = scene.rest, await scene.open_market()
        ticker, ask = market["ticker"], market["yes_ask_dollars"]
        size = f"{float(market['yes_ask_size_fp']) + 9_000:.2f}"
        killed = await rest.order(ticker, "bid", ask, size, time_in_force="fill_or_kill", client_order_id="k")
        assert killed.status_code == 409
        assert killed.json()["error"]["code"] == "fill_or_kill_insufficient_resting_volume"
        again = await rest.order(ticker, "bid", "0.0100", "1", client_order_id="k")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "order_already_exists")
        one = (await rest.order(ticker, "bid", "0.0100", "1", client_order_id="a")).json()["order_id"]
        await rest.order(ticker, "bid", "0.0100", "1", client_order_id="b")
        place = f"/portfolio/events/orders/{one}/amend"
        change = {"ticker": ticker, "side": "bid", "price": "0.0100", "count": "1"}
        taken = await rest.send("POST", place, {**change, "updated_client_order_id": "b"})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "order_already_exists")
        assert (await rest.send("POST", place, {**change, "updated_client_order_id": "c"})).status_code == 200
        assert (await rest.order(ticker, "bid", "0.0100", "1", client_order_id="a")).status_code == 409

    serve_for(body, **STILL)


def test_a_decrease_may_name_its_market_and_no_other():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        made = (await rest.order(ticker, "bid", "0.0100", "3")).json()["order_id"]
        place = f"/portfolio/events/orders/{made}/decrease"
        less = await rest.send("POST", place, {"reduce_to": "2", "market_ticker": ticker})
        assert (less.status_code, less.json()["remaining_count"]) == (200, "2.00")
        other = await rest.send("POST", place, {"reduce_to": "1", "market_ticker": "OTHER"})
        assert other.json()["error"]["code"] == "order_ticker_mismatch"

    serve_for(body, **STILL)


def test_orders_within_a_minute_of_a_cancel_all_are_cancelled_too():
    async def body(scene):
        rest, ticker = scene.rest, (await scene.open_market())["ticker"]
        assert (await rest.send("DELETE", "/portfolio/events/orders")).status_code == 204
        made = await rest.order(ticker, "bid", "0.0100", "1")
        assert made.status_code == 201  # taken, and gone a moment later
        order_id = made.json()["order_id"]
        await scene.until(lambda: ended(rest, order_id))
        scene.server.clock.speed = 600
        until_ns = scene.server.clock.now_ns + 61 * 10**9
        await scene.until(lambda: passed(scene, until_ns))
        scene.server.clock.speed = 1e-9
        kept = (await rest.order(ticker, "bid", "0.0100", "1")).json()["order_id"]
        await rest.get("/markets")
        order = (await rest.get(f"/portfolio/orders/{kept}"))["order"]
        assert order["status"] == "resting"

    async def ended(rest, order_id):
        return (await rest.get(f"/portfolio/orders/{order_id}"))["order"]["status"] == "canceled"

    async def passed(scene, until_ns):
        return scene.server.clock.now_ns > until_ns

    serve_for(body, **STILL)


def test_what_a_refused_request_says_is_short():
    """A body of megabytes must not come back in its own refusal."""

    async def body(scene):
        for content in ({"x" * 100_000: 1}, {"ticker": "x" * 100_000}):
            answer = await scene.rest.send("POST", "/portfolio/events/orders", content)
            assert answer.status_code == 400
            assert len(json.dumps(answer.json())) < 1_000

    serve_for(body, **STILL)
