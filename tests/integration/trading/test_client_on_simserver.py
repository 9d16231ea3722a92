"""Our client of the exchange on the simulated one, over real sockets: writes, account, stream.

Each side has tests of its own; these hold the two together.
"""

import asyncio
import json

import numpy as np
import pytest
from made.sim_server import ONE_SHARD, demo_keys, serve_for

from kalshi_platform.trading.exchange.account_calls import AccountCalls
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.new_orders import Amendment, NewOrder
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, Unknown
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import RequestSigner
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream

STILL = {"speed": 1e-6, "world": ONE_SHARD, "sweep_s": 0}
#: Seconds in which the slowest machine answers.
PATIENCE_S = 240
PATIENT_REST = dict.fromkeys(("connect_timeout_s", "read_timeout_s", "write_deadline_s"), PATIENCE_S)
PATIENT_STREAM = dict.fromkeys(
    ("open_timeout_s", "pong_timeout_s", "silence_s", "command_timeout_s", "snapshot_timeout_s"), PATIENCE_S
)


def signer():
    listed = json.loads((demo_keys() / "keys.json").read_text())
    key_id = next(each["key_id"] for each in listed if each["name"] == "rsa")
    return RequestSigner(key_id, (demo_keys() / "rsa.pem").read_bytes(), "test")


def client(scene):
    asked = RestSettings.parse({"url": scene.served.url, **PATIENT_REST})
    return RestTransport(asked, signer(), SystemClock(), np.random.default_rng(0))


def order(ticker, price_e4=100, qty_e2=300, **more):
    return NewOrder.parse({
        "ticker": ticker, "side": "bid", "price_e4": price_e4, "qty_e2": qty_e2, "exchange_index": 0,
        "time_in_force": "good_till_canceled", "client_order_id": "c1", **more,
    })  # fmt: skip


def test_every_write_of_the_client_does_what_it_says():
    async def body(scene):
        ticker = (await scene.open_market())["ticker"]
        async with client(scene) as transport:
            orders, account = OrderCalls(transport), AccountCalls(transport)
            await account.learn_limits()
            made = await orders.create(order(ticker))
            assert isinstance(made, Accepted)
            order_id = made.answer.order_id
            less = await orders.decrease(order_id, ticker, 0, to_e2=200)
            assert isinstance(less, Accepted)
            assert less.answer.remaining_e2 == 200
            change = Amendment.parse({
                "ticker": ticker, "side": "bid", "price_e4": 200, "qty_e2": 250, "exchange_index": 0,
                "client_order_id": "c1", "new_client_order_id": "c2",
            })  # fmt: skip
            moved = await orders.amend(order_id, change)
            assert isinstance(moved, Accepted)
            assert (moved.answer.client_order_id, moved.answer.remaining_e2) == ("c2", 250)
            (resting,) = (await account.orders(status="resting")).items
            assert (resting.order_id, resting.client_order_id) == (order_id, "c2")
            gone = await orders.cancel(order_id, ticker, 0)
            assert isinstance(gone, Accepted)
            group = await orders.create_group(500, 0)
            assert isinstance(group, Accepted)
            held = await orders.create(order(ticker, client_order_id="c3", group_id=group.answer))
            assert isinstance(held, Accepted)
            assert isinstance(await orders.trigger_group(group.answer, 0), Accepted)
            assert (await account.orders(status="resting")).items == ()
            assert (await account.group(group.answer)).auto_cancel is False
            assert isinstance(await orders.reset_group(group.answer, 0), Accepted)
            assert isinstance(await orders.delete_group(group.answer, 0), Accepted)
            assert isinstance(await orders.create(order(ticker, client_order_id="c4")), Accepted)
            assert isinstance(await orders.cancel_all(), Accepted)
            assert (await account.orders(status="resting")).items == ()

    serve_for(body, **STILL)


def test_the_clients_words_for_a_refusal_are_those_of_the_exchange():
    async def body(scene):
        market = await scene.open_market()
        ticker = market["ticker"]
        ask_e4 = round(float(market["yes_ask_dollars"]) * 10_000)
        size_e2 = round(float(market["yes_ask_size_fp"]) * 100)
        async with client(scene) as transport:
            orders = OrderCalls(transport)
            assert isinstance(await orders.create(order(ticker)), Accepted)
            twice = await orders.create(order(ticker))
            assert isinstance(twice, Refused)
            assert (twice.is_duplicate, twice.conflict) == (True, "duplicate")
            killed = await orders.create(
                order(ticker, ask_e4, size_e2 + 100_000, time_in_force="fill_or_kill", client_order_id="k")
            )
            assert isinstance(killed, Refused)
            assert (killed.is_duplicate, killed.conflict) == (False, "unfillable")
            await scene.plant("pause", seconds=60)
            paused = await orders.create(order(ticker, client_order_id="p"))
            assert isinstance(paused, Refused)
            assert (paused.is_duplicate, paused.conflict) == (False, "paused")

    serve_for(body, **STILL)


class Deadlines:
    """``asyncio`` of the transport: it keeps a write's deadline, so that a test lets it pass."""

    last: asyncio.Timeout

    def timeout(self, delay_s):
        self.last = asyncio.timeout(delay_s)
        return self.last

    def let_pass(self):
        self.last.reschedule(asyncio.get_running_loop().time())


@pytest.mark.parametrize(("kind", "is_there"), [("timeout_accepted", True), ("timeout_refused", False)])
@pytest.mark.parametrize("speed", [60, 1_500])
def test_a_time_out_is_unknown_at_any_speed_and_reading_back_by_the_client_id_tells(
    speed, kind, is_there, monkeypatch
):
    """A second of the client is a minute, or 25, of the exchange; the silence outlasts every patience."""
    deadlines = Deadlines()
    monkeypatch.setattr("kalshi_platform.trading.exchange.rest.asyncio", deadlines)

    async def body(scene):
        server, clock = scene.server, scene.server.clock
        ticker = (await scene.open_market())["ticker"]
        async with client(scene) as transport:
            orders, account = OrderCalls(transport), AccountCalls(transport)
            await scene.plant(kind, method="POST", path="/events/orders", seconds=10 * PATIENCE_S)
            creating = asyncio.create_task(orders.create(order(ticker)))

            async def is_silent():
                return server.faults.counts[kind] == 1 and len(server.venue.account.orders) == is_there

            await scene.until(is_silent)
            later_ns = clock.now_ns + speed * 10**9
            clock.speed = speed

            async def is_later():
                return clock.now_ns >= later_ns

            await scene.until(is_later)
            clock.speed = 1e-9
            assert not creating.done()
            deadlines.let_pass()
            outcome = await creating
            assert isinstance(outcome, Unknown)
            assert outcome.why.endswith(f"no answer within {PATIENCE_S} s")
            found = [o for o in (await account.orders()).items if o.client_order_id == "c1"]
            assert bool(found) == is_there
            again = await orders.create(order(ticker, exchange_index=None))
            assert isinstance(again, Refused if is_there else Accepted)
            if is_there:
                assert again.is_duplicate

    long = {"min_duration_s": 7_000, "max_duration_s": 7_200}
    serve_for(body, speed=1e-6, n_events=1, begun=False, world=ONE_SHARD | long)


class Books:
    """Sink that keeps frames and their bytes."""

    def __init__(self):
        self.frames, self.troubles = [], []

    def frame(self, conn, recv_ns, mono_ns, raw):
        self.frames.append(json.loads(raw))

    def note(self, conn, recv_ns, mono_ns, kind, detail):
        if kind not in ("connected", "subscribed", "disconnected"):
            self.troubles.append((kind, detail))


def book_of(frames, ticker):
    book = {}
    for frame in frames:
        msg = frame["msg"]
        if not isinstance(msg, dict) or msg.get("market_ticker") != ticker:
            continue
        if frame["type"] == "orderbook_snapshot":
            sides = (("yes", "yes_dollars_fp"), ("no", "no_dollars_fp"))
            book = {(s, e4(p)): e2(q) for s, name in sides for p, q in msg.get(name, [])}
        elif frame["type"] == "orderbook_delta":
            place = msg["side"], e4(msg["price_dollars"])
            book[place] = book.get(place, 0) + e2(msg["delta_fp"])
            if not book[place]:
                del book[place]
    return book


def e4(text):
    return round(float(text) * 10_000)


def e2(text):
    return round(float(text) * 100)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_the_stream_of_the_client_shows_the_true_books_with_and_without_compression(compression):
    async def body(scene):
        tickers = [m["ticker"] for m in await scene.rest.all("/markets", "markets", status="open")]
        patient = {"url": scene.served.ws_url, **PATIENT_STREAM}
        settings = ExchangeStreamSettings.parse({**patient, "compression": compression})
        sink = Books()
        stream = ExchangeStream(settings, signer(), sink, SystemClock(), np.random.default_rng(0))
        await stream.add(tickers)
        running = asyncio.create_task(stream.run())
        try:
            await scene.until(lambda: heard(sink, 1_000), 60)
            deflates = [c.deflater is not None for c in scene.server.hub.connections.values()]
            assert deflates == [compression is not None]
            scene.server.clock.speed = 1e-9
            await asyncio.sleep(0.2)
            truth = await scene.truth(*tickers)
            sent = sum(c.n_sent for c in scene.server.hub.connections.values())
            await scene.until(lambda: heard(sink, sent), 30)
        finally:
            await stream.stop()
            await running
        assert sink.troubles == []
        for ticker in tickers:
            market = truth["markets"][ticker]
            sides = (("yes", market["bids"]), ("no", market["asks"]))
            assert book_of(sink.frames, ticker) == {(s, p): q for s, levels in sides for p, q in levels}

    async def heard(sink, n):
        return len(sink.frames) >= n

    serve_for(body, speed=300, world=ONE_SHARD)
