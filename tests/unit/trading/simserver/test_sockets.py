"""The WebSocket surface, seen by a client that shares no code with the server."""

import asyncio

import pytest
import websockets
from made.raw_exchange import WS_PATH, RawKey
from made.sim_server import ONE_SHARD, demo_keys, serve_for

BUSY = {"speed": 300, "world": ONE_SHARD}


def levels(frames, ticker, sid):
    """Book of one market on the scale of its subscription, from a snapshot and the deltas after it."""
    book = {}
    for frame in frames:
        msg = frame.get("msg")
        if frame.get("sid") != sid or not isinstance(msg, dict) or msg.get("market_ticker") != ticker:
            continue
        if frame["type"] == "orderbook_snapshot":
            sides = (("yes", "yes_dollars_fp"), ("no", "no_dollars_fp"))
            book = {(s, p): cents(q) for s, name in sides for p, q in msg.get(name, [])}
        elif frame["type"] == "orderbook_delta":
            place = msg["side"], msg["price_dollars"]
            book[place] = book.get(place, 0) + cents(msg["delta_fp"])
            assert book[place] >= 0
            if book[place] == 0:
                del book[place]
    return book


def cents(text):
    return round(float(text) * 100)


def shown(truth, ticker, *, yes_price):
    """Book of the admin port in the words of the wire."""
    market = truth["markets"][ticker]
    bids = {("yes", f"{p / 10_000:.4f}"): q for p, q in market["bids"]}
    asks = {("no", f"{(p if yes_price else 10_000 - p) / 10_000:.4f}"): q for p, q in market["asks"]}
    return bids | asks


def test_books_rebuilt_from_frames_are_the_true_ones_on_both_price_scales():
    async def body(scene):
        tickers = [m["ticker"] for m in await scene.rest.all("/markets", "markets", status="open")]
        async with scene.socket() as one, scene.socket("rsa") as other:
            for socket, yes_price in ((one, True), (other, False)):
                await socket.send(
                    1,
                    "subscribe",
                    channels=["orderbook_delta"],
                    market_tickers=tickers,
                    use_yes_price=yes_price,
                )
                await socket.until(lambda f: f.get("seq", 0) > len(tickers) + 100)
            scene.server.clock.speed = 1e-9  # the world stands still
            truth = await scene.truth(*tickers)
            for socket, yes_price in ((one, True), (other, False)):
                await socket.send(2, "list_subscriptions")
                await socket.answer(2)  # it comes after all frames sent before
                seqs = [f["seq"] for f in socket.frames if "seq" in f]
                assert seqs == list(range(1, len(seqs) + 1))  # all markets of a sid share one count
                assert len(seqs) > len(tickers) + 100
                for ticker in tickers:
                    book = levels(socket.frames, ticker, 1)
                    assert book == shown(truth, ticker, yes_price=yes_price)

    serve_for(body, **BUSY)


def test_commands_are_answered_in_the_exchanges_words():
    async def body(scene):
        tickers = [m["ticker"] for m in await scene.rest.all("/markets", "markets", status="open")][:3]
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["orderbook_delta"], market_ticker=tickers[0])
            assert await ws.answer(1) == {
                "id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1},
            }  # fmt: skip
            await ws.send(
                2, "update_subscription", sids=[1], action="add_markets", market_tickers=tickers[1:]
            )
            ok = await ws.answer(2)
            seq = ok["seq"]  # above 2 where the market has traded meanwhile
            assert ok == {"id": 2, "type": "ok", "sid": 1, "seq": seq, "msg": {"market_tickers": tickers}}
            snap = await ws.until(lambda f: f["msg"].get("market_ticker") == tickers[1])
            assert (snap["type"], snap["seq"]) == ("orderbook_snapshot", seq + 1)
            await ws.send(3, "update_subscription", sid=1, action="get_snapshot", market_tickers=tickers[:1])
            snap = await ws.answer(3)
            assert (snap["type"], snap["sid"]) == ("orderbook_snapshot", 1)
            await ws.send(
                4, "update_subscription", sids=[1], action="delete_markets", market_tickers=tickers[:2]
            )
            assert (await ws.answer(4))["msg"] == {"market_tickers": tickers[2:]}
            await ws.send(5, "subscribe", channels=["orderbook_delta"], market_tickers=tickers[:1])
            again = await ws.answer(5)
            assert (again["type"], again["sid"]) == ("ok", 1)
            assert again["msg"]["market_tickers"] == [tickers[2], tickers[0]]
            await ws.send(6, "subscribe", channels=["ticker", "trade"])
            await ws.send(7, "list_subscriptions")
            listed = await ws.answer(7)
            assert listed["type"] == "ok"
            assert listed["msg"] == [
                {"channel": "orderbook_delta", "sid": 1}, {"channel": "ticker", "sid": 2},
                {"channel": "trade", "sid": 3},
            ]  # fmt: skip
            await ws.send(8, "unsubscribe", sids=[1])
            gone = await ws.answer(8)
            assert (gone["type"], gone["sid"]) == ("unsubscribed", 1)
            numbers = [f["seq"] for f in ws.frames if f.get("sid") == 1]
            assert numbers == list(range(1, len(numbers) + 1))  # answers use up numbers too
            n = len(ws.frames)
            await ws.listen(0.4)
            assert not [f for f in ws.frames[n:] if f.get("sid") == 1]

    serve_for(body, **BUSY)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", 1),
        ("[]", 1),
        ('{"id":1,"cmd":"dance","params":{}}', 5),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["ticker_v2"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["ticker"],"market_tickers":"A"}}', 11),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"action":"add_markets"}}', 4),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1]}}', 15),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1],"action":"rename"}}', 13),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1],"action":"add_markets"}}', 14),
    ],
)
def test_a_wrong_command_is_answered_with_its_code(text, code, standing):
    error = standing(text)
    assert error["type"] == "error"
    assert error["msg"]["code"] == code
    assert error.get("id") == (None if code == 1 else 1)


@pytest.fixture(scope="module")
def standing():
    """Answers of one server and connection to all texts; sid 1 is a subscription."""
    answers = {}
    wanted = [mark.args[1] for mark in test_a_wrong_command_is_answered_with_its_code.pytestmark]
    cases = [text for text, _ in wanted[0]]

    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["market_lifecycle_v2"])
            await ws.answer(1)
            for text in cases:
                await ws.socket.send(text)
                answers[text] = await ws.until(lambda f: f["type"] == "error")

    serve_for(body, speed=1)
    return answers.__getitem__


def test_a_handshake_without_a_valid_signature_is_refused():
    async def body(scene):
        key = RawKey(demo_keys())
        for headers in ({}, key.headers("POST", WS_PATH), key.headers("GET", WS_PATH, 0)):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(scene.served.ws_url, additional_headers=headers, proxy=None)
            assert refused.value.response.status_code == 401

    serve_for(body)


def test_a_market_that_opens_while_subscribed_fills_its_book_by_deltas_alone():
    """The exchange sends no message at the opening: the book that was empty grows."""

    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["market_lifecycle_v2"])
            first = await ws.until(lambda f: f["msg"].get("event_type") == "created", 30)
            scene.server.clock.speed = 1e-9  # the market must not open before it is subscribed
            ticker = first["msg"]["market_ticker"]
            assert first["msg"]["additional_metadata"]["event_ticker"] in ticker
            assert (await scene.rest.get(f"/markets/{ticker}"))["market"]["status"] == "initialized"
            await ws.send(2, "subscribe", channels=["orderbook_delta"], market_tickers=[ticker])
            empty = await ws.until(lambda f: f["type"] == "orderbook_snapshot")
            assert set(empty["msg"]) == {"market_ticker", "market_id"}  # a side without orders is absent
            scene.server.clock.speed = 300
            for _ in range(50):
                await ws.until(lambda f: f["type"] == "orderbook_delta")
            scene.server.clock.speed = 1e-9
            truth = await scene.truth(ticker)
            await ws.send(3, "list_subscriptions")
            await ws.answer(3)  # it comes after all frames sent before
            assert levels(ws.frames, ticker, 2) == shown(truth, ticker, yes_price=False)

    serve_for(body, speed=300, lead_s=600, world=ONE_SHARD | {"min_duration_s": 600, "max_duration_s": 900})


def test_life_of_a_market_is_told_and_ends_settled():
    async def body(scene):
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["market_lifecycle_v2"])
            settled = await ws.until(lambda f: f["msg"].get("event_type") == "settled", 30)
            ticker = settled["msg"]["market_ticker"]
            own = [f["msg"] for f in ws.frames if f["msg"].get("market_ticker") == ticker]
            determined = next(m for m in own if m["event_type"] == "determined")
            assert determined["result"] in ("yes", "no")
            assert determined["settlement_value"] == {"yes": "1.0000", "no": "0.0000"}[determined["result"]]
            market = (await scene.rest.get(f"/markets/{ticker}"))["market"]
            assert (market["status"], market["result"]) == ("finalized", determined["result"])
            assert market["settlement_value_dollars"] == determined["settlement_value"]
            seqs = [f["seq"] for f in ws.frames if "seq" in f]
            assert seqs == list(range(1, len(seqs) + 1))

    serve_for(body, speed=1_000, world={"min_duration_s": 600, "max_duration_s": 900})


def test_the_server_answers_pings():
    async def body(scene):
        async with scene.socket() as ws:
            assert await asyncio.wait_for(await ws.socket.ping(), 60) >= 0

    serve_for(body)


def test_the_server_pings_with_heartbeat_as_body(monkeypatch):
    """Read from the bare connection: libraries answer pings without showing them."""
    monkeypatch.setattr("kalshi_platform.trading.simserver.stream.socket.PING_S", 0.1)

    async def body(scene):
        host, port = scene.served.ws_url.removeprefix("ws://").partition("/")[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        signed = "".join(f"{k}: {v}\r\n" for k, v in RawKey(demo_keys()).headers("GET", WS_PATH).items())
        writer.write(
            f"GET {WS_PATH} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n{signed}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        opcode, length = await asyncio.wait_for(reader.readexactly(2), 60)
        assert (opcode, await reader.readexactly(length)) == (0x89, b"heartbeat")
        writer.close()

    serve_for(body)


def test_tickers_of_chosen_markets_come_by_id_with_a_first_one_at_once():
    async def body(scene):
        market = await scene.open_market()
        async with scene.socket() as ws:
            await ws.send(1, "subscribe", channels=["orderbook_delta"], market_tickers=[market["ticker"]])
            snap = await ws.until(lambda f: f["type"] == "orderbook_snapshot")
            ids = [snap["msg"]["market_id"]]
            await ws.send(2, "subscribe", channels=["ticker"], market_ids=ids, send_initial_snapshot=True)
            first = await ws.until(lambda f: f["type"] == "ticker")
            assert "seq" not in first
            assert first["msg"]["market_ticker"] == market["ticker"]
            assert first["msg"]["yes_bid_dollars"] == market["yes_bid_dollars"]

    serve_for(body, speed=0.001)
