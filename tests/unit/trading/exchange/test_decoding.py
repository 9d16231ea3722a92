import asyncio
import json
from collections import Counter

import numpy as np
import pytest
from made.exchange import START_NS, run
from made.exchange_stream import KeptSink, streaming, until
from made.malformed_frames import malformed
from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import CaptureWriter
from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.data.market_data.schema import DELTA, GAP, SNAPSHOT
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.decoding import DecodingSink

TICKERS = ["KXA-26NOV23-T1", "KXA-26NOV23-T2", "KXB-26NOV23-T3"]


class Decoded(KeptSink):
    """Sink that keeps and decodes."""

    def __init__(self):
        super().__init__()
        self.decoding = DecodingSink()
        self.rows = []

    def message(self, conn, recv_ns, mono_ns, raw, message):
        self.frame(conn, recv_ns, mono_ns, raw)
        self.decoding.message(conn, recv_ns, mono_ns, raw, message)

    def note(self, conn, recv_ns, mono_ns, kind, detail):
        super().note(conn, recv_ns, mono_ns, kind, detail)
        self.decoding.note(conn, recv_ns, mono_ns, kind, detail)

    def drain(self):
        self.rows += self.decoding.rows()
        return self.decoding.valid


def test_a_gap_makes_the_books_of_its_sid_invalid_until_their_snapshots():
    async def work():
        async with streaming(Decoded(), market_channels=("orderbook_delta",)) as it:
            await it.subscribed(TICKERS)
            assert it.sink.drain() == set(TICKERS)
            it.exchange.silent_to.add("get_snapshot")
            await it.exchange.delta(TICKERS[0], lost=True)
            await it.exchange.delta(TICKERS[0])
            await until(lambda: it.sink.of(kinds.GAP))
            assert it.sink.drain() == set()
            it.exchange.silent_to.clear()
            await until(lambda: it.stream.books_awaited == 0)
            assert it.sink.drain() == set(TICKERS)
            return it.sink

    sink = run(work())
    kinds_of = Counter(int(kind) for _, rows in sink.rows for kind in rows.kind)
    assert kinds_of[GAP] == 3
    assert sink.drain() == set()  # the connection ended


def test_a_frame_that_only_the_decoder_refuses_spoils_its_book_and_the_caller_can_ask_for_it():
    async def work():
        async with streaming(Decoded(), market_channels=("orderbook_delta",)) as it:
            await it.subscribed(TICKERS)
            it.sink.drain()
            await it.exchange.delta(TICKERS[1], price="0.40001")
            await until(lambda: it.sink.decoding.counters["refused_frames"])
            it.sink.drain()
            assert it.sink.decoding.spoilt == {TICKERS[1]}
            assert it.stream.books_awaited == 0  # the numbers were whole: the stream saw nothing
            await it.stream.request_books(it.sink.decoding.spoilt)
            await until(lambda: it.sink.of(kinds.RESYNC) and it.stream.books_awaited == 0)
            assert it.sink.drain() == set(TICKERS)
            assert it.sink.decoding.spoilt == set()

    run(work())


def test_the_scale_of_a_subscription_reaches_the_decoder():
    snapshot = {
        "market_ticker": TICKERS[0],
        "yes_dollars_fp": [["0.4000", "1.00"]],
        "no_dollars_fp": [["0.6000", "1.00"]],
    }
    frame = json.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": snapshot}).encode()
    for scale, own_price_e4 in ((True, 4_000), (False, 6_000)):
        sink = DecodingSink()
        params = {"channels": ["orderbook_delta"], "use_yes_price": scale}
        sink.note(
            1, START_NS, 1, kinds.SUBSCRIBED, {"sid": 1, "channel": "orderbook_delta", "params": params}
        )
        sink.frame(1, START_NS, 1, frame)
        ((_, rows),) = sink.rows()
        assert rows.price_e4[rows.side == 1].tolist() == [own_price_e4]


def test_the_rows_equal_those_that_importing_the_same_frames_gives(tmp_path):
    async def work():
        async with streaming(Decoded(), market_channels=("orderbook_delta", "trade")) as it:
            await it.subscribed(TICKERS[:2])
            for i in range(40):
                await it.exchange.delta(TICKERS[i % 2], lost=i == 17)
                if i % 5 == 0:
                    await it.exchange.trade(TICKERS[i % 2])
            await until(lambda: it.sink.of(kinds.GAP) and it.stream.books_awaited == 0)
            it.sink.drain()
            return it.sink

    times = []

    sink = run(work())
    path = tmp_path / "capture.jsonl"
    with CaptureWriter(path) as writer:
        for i, (conn, raw) in enumerate(sink.frames):
            writer.append(START_NS + i * 10**6, conn, raw.decode())
            times.append(START_NS + i * 10**6)
    live = {
        ticker: np.concatenate([rows.kind for name, rows in sink.rows if name == ticker])
        for ticker in TICKERS[:2]
    }
    (job,) = [*discover([path]).jobs()]
    imported = {market.spec.ticker: market.rows.kind for event in run_job(job) for market in event.markets}
    assert imported.keys() == live.keys()
    for ticker, kind in imported.items():
        assert kind.tolist() == live[ticker].tolist()
        assert {SNAPSHOT, DELTA, GAP} <= set(kind.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_malformed_frames_crash_nothing_are_all_kept_and_counted(seed):
    """A sample; ``tests/drills/malformed_frames.py`` sends 100,000."""
    n = 1_500

    async def work():
        async with streaming(Decoded(), market_channels=("orderbook_delta",)) as it:
            await it.subscribed(TICKERS)
            it.sink.drain()
            it.exchange.silent_to |= {"get_snapshot", "subscribe", "add_markets"}
            before = len(it.sink.frames)
            sent = [frame for frame in malformed(n, TICKERS, seed, it.exchange.seq[1]) if frame]
            for frame in sent:
                await it.exchange.socket.send(frame.decode("utf-8", "replace"))
            await until(lambda: len(it.sink.frames) - before == len(sent))
            await asyncio.sleep(0)
            counted = sum(
                v for k, v in it.stream.counters.items() if k.startswith(("messages:", "unknown_type:"))
            )
            unread = it.stream.counters["unreadable_frames"]
            assert counted + unread == len(it.sink.frames)
            assert unread == len(it.sink.of(kinds.UNREADABLE))
            assert len(it.sink.of(kinds.CONNECTED)) == 1
            return it.sink

    sink = run(work())
    parsed = [raw for _, raw in sink.frames if _is_object(raw)]
    assert 0 < len(parsed) < len(sink.frames)
    assert sink.decoding.counters["frames"] == len(sink.frames)


def test_a_book_that_a_malformed_frame_may_have_changed_is_not_believed():
    hit = 0
    for i, raw in enumerate(malformed(600, TICKERS, 5, 3)):
        sink = DecodingSink()
        for number, ticker in enumerate(TICKERS, 1):
            sink.frame(1, START_NS, 1, _book(ticker, number))
        list(sink.rows())
        assert sink.valid == set(TICKERS)
        message = from_json(raw) if _is_object(raw) else None
        if message is not None and message.get("seq") == 4 + i:
            message["seq"] = 4
        sink.frame(1, START_NS + 1, 1, raw if message is None else json.dumps(message).encode())
        sink.frame(1, START_NS + 2, 1, _book(TICKERS[2], 5))  # its number shows a frame that took none
        list(sink.rows())
        refused = sink.counters["refused_frames"] + sink.counters["frames_not_json_objects"]
        if refused:
            hit += 1
            msg = message.get("msg") if message else None
            named = msg.get("market_ticker") if isinstance(msg, dict) else None
            lost = {named} if isinstance(named, str) and named in TICKERS else set(TICKERS)
            assert not (lost - {TICKERS[2]}) & sink.valid, raw
    assert hit > 200


def _book(ticker, seq):
    msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.4000", "10.00"]]}
    return json.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": msg}).encode()


def _is_object(raw):
    try:
        return isinstance(from_json(raw), dict)
    except ValueError:
        return False
