import asyncio
import json
import logging
import socket
import time

import numpy as np
import pytest
from made.exchange import run, signer
from made.exchange_stream import KeptSink, SmallExchange, streaming, until

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream

TICKERS = ["KXA-1", "KXA-2", "KXB-3"]


def test_the_client_subscribes_books_on_the_yes_scale_and_hands_every_frame_on_as_received():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            sent = await it.exchange.delta("KXA-1")
            await until(lambda: json.dumps(sent) in it.sink.texts())
            books = [c for c in it.exchange.commands if "orderbook_delta" in c["params"].get("channels", [])]
            assert books[0]["params"]["use_yes_price"] is True
            trades = [c for c in it.exchange.commands if "trade" in c["params"].get("channels", [])]
            assert "use_yes_price" not in trades[0]["params"]
            return it.sink

    sink = run(work())
    assert sink.events[0] == kinds.CONNECTED
    assert sink.events[-1] == kinds.DISCONNECTED
    channels = {detail["channel"]: detail for detail in sink.of(kinds.SUBSCRIBED)}
    assert channels["orderbook_delta"]["params"] == {
        "channels": ["orderbook_delta"],
        "market_tickers": TICKERS,
        "use_yes_price": True,
    }
    assert sink.of(kinds.DISCONNECTED)[0]["frames"] == len(sink.frames)
    assert sink.of(kinds.GAP) == []


def test_markets_are_added_in_batches_of_at_most_500_and_deleted_again():
    many = [f"KXM-{i:04d}" for i in range(1_234)]

    async def work():
        async with streaming(market_channels=("orderbook_delta",)) as it:
            await it.subscribed(many)
            sizes = [len(c["params"]["market_tickers"]) for c in it.exchange.commands]
            assert sizes == [500, 500, 234]
            await it.stream.remove(many[100:])
            await until(lambda: it.stream.held["orderbook_delta"] == frozenset(many[:100]))
            await until(lambda: len(it.exchange.markets["orderbook_delta"]) == 100)
            await it.stream.remove(many)
            await until(lambda: it.exchange.sids == {})
            # deleting the last market could leave a subscription to all: the client unsubscribes
            assert it.exchange.commands[-1]["cmd"] == "unsubscribe"
            await until(lambda: it.sink.of(kinds.UPDATED)[-1]["action"] == "unsubscribe")
            assert it.sink.of(kinds.UPDATED)[-1]["market_tickers"] == many[:100]
            await it.subscribed(many[:2])

    run(work())


def test_a_market_channel_of_single_markets_may_be_told_in_one_command_each_way():
    async def work():
        async with streaming() as it:
            await it.subscribed(["KXA-1"])
            await it.subscribed(["KXA-1", "KXA-2"])
            return it.sink.of(kinds.UPDATED)

    updates = run(work())
    assert {each["channel"] for each in updates} == {"orderbook_delta", "trade"}
    assert all(each["action"] == "add_markets" for each in updates)
    assert all(each["params"]["market_tickers"] == ["KXA-2"] for each in updates)


def test_a_lost_frame_spoils_every_book_of_its_sid_and_all_are_asked_for():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            await it.exchange.delta("KXA-1", lost=True)
            await it.exchange.delta("KXB-3")
            await until(lambda: it.sink.of(kinds.RESYNC))
            await until(lambda: it.is_whole(TICKERS))
            asked = [c["params"] for c in it.exchange.commands if c["params"].get("action") == "get_snapshot"]
            return it.sink, asked

    sink, asked = run(work())
    sid = next(d["sid"] for d in sink.of(kinds.SUBSCRIBED) if d["channel"] == "orderbook_delta")
    assert sink.of(kinds.GAP) == [{"sid": sid, "expected": 4, "got": 5}]
    assert [each["market_tickers"] for each in asked] == [TICKERS]
    assert len(sink.of(kinds.CONNECTED)) == 1


def test_a_gap_seen_on_a_snapshot_frame_spoils_the_other_books_too():
    async def work():
        async with streaming(market_channels=("orderbook_delta",)) as it:
            await it.subscribed(TICKERS)
            await it.exchange.delta("KXA-2", lost=True)
            await it.exchange.snapshot("KXA-1")  # this one is whole again, the other two are not
            await until(lambda: it.sink.of(kinds.RESYNC))
            await until(lambda: it.is_whole(TICKERS))
            return it.sink

    assert [each["tickers"] for each in run(work()).of(kinds.RESYNC)] == [["KXA-2", "KXB-3"]]


def test_a_lost_first_frame_of_a_subscription_is_a_gap():
    def lose_first(exchange):
        exchange.errors["subscribe"] = lambda command: None

    async def work():
        async with streaming(prepare=lose_first) as it:
            it.exchange.no_book.add("KXA-1")
            await it.stream.add(["KXA-1"])
            await until(lambda: it.exchange.sids.keys() == {"orderbook_delta", "trade"})
            await it.exchange.trade("KXA-1", lost=True)
            await it.exchange.trade("KXA-1")
            await until(lambda: it.sink.of(kinds.GAP))
            return it.sink.of(kinds.GAP)

    assert [(gap["expected"], gap["got"]) for gap in run(work())] == [(1, 2)]


def test_a_repeated_frame_is_kept_and_no_gap():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            sent = await it.exchange.delta("KXA-1")
            await it.exchange.send(sent)
            last = await it.exchange.delta("KXA-1")
            await until(lambda: json.dumps(last) in it.sink.texts())
            assert it.sink.texts().count(json.dumps(sent)) == 2
            assert it.stream.counters["repeats"] == 1
            assert it.sink.of(kinds.GAP) == []

    run(work())


def test_reordered_frames_are_a_gap_and_the_books_come_again():
    async def work():
        async with streaming(market_channels=("orderbook_delta",)) as it:
            await it.subscribed(TICKERS)
            late = await it.exchange.delta("KXA-1", lost=True)
            await it.exchange.delta("KXA-1")
            await it.exchange.send(late)
            await until(lambda: it.sink.of(kinds.RESYNC))
            await until(lambda: it.is_whole(TICKERS))
            assert len(it.sink.of(kinds.GAP)) >= 1
            assert json.dumps(late) in it.sink.texts()

    run(work())


def test_a_gap_of_trades_is_told_and_asks_for_no_book():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            await it.exchange.trade("KXA-1", lost=True)
            await it.exchange.trade("KXA-1", lost=True)
            await it.exchange.trade("KXA-1")
            await until(lambda: it.sink.of(kinds.GAP))
            assert it.sink.of(kinds.RESYNC) == []
            return it.sink.of(kinds.GAP)

    (gap,) = run(work())
    assert (gap["expected"], gap["got"]) == (1, 3)


def test_after_a_disconnect_everything_is_subscribed_again_with_a_fresh_signature():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            await asyncio.sleep(0.002)
            await it.exchange.socket.close(1001, "restart")
            await until(lambda: it.exchange.connections == 2)
            await until(lambda: it.is_whole(TICKERS))
            stamps = it.exchange.timestamps
            assert len(set(stamps)) == 2
            return it.sink

    sink = run(work())
    assert sink.of(kinds.DISCONNECTED)[0]["code"] == 1001
    assert sorted({conn for conn, _ in sink.frames}) == [1, 2]
    assert [each for each in sink.events if each in (kinds.CONNECTED, kinds.DISCONNECTED)] == [
        kinds.CONNECTED, kinds.DISCONNECTED, kinds.CONNECTED, kinds.DISCONNECTED,
    ]  # fmt: skip


def test_a_refused_handshake_is_told_with_its_status_and_tried_again():
    def refuse(exchange):
        exchange.refuse = [(401, "bad signature"), (429, "slow down")]

    async def work():
        async with streaming(prepare=refuse) as it:
            await it.subscribed(["KXA-1"])
            return it.sink

    sink = run(work())
    assert [(each["status"], each["attempt"]) for each in sink.of(kinds.UNREACHABLE)] == [(401, 1), (429, 2)]
    assert sink.of(kinds.CONNECTED)[0]["attempt"] == 3


def test_a_socket_whose_other_end_is_gone_is_found_by_its_pings():
    async def work():
        async with streaming(ping_every_s=0.1, pong_timeout_s=0.2) as it:
            await it.subscribed(TICKERS)
            it.exchange.socket.transport.pause_reading()  # it sees no ping, and says no goodbye
            await until(lambda: it.sink.of(kinds.HALF_OPEN))
            await until(lambda: it.exchange.connections == 2)
            await until(lambda: it.is_whole(TICKERS))
            return it.sink

    sink = run(work())
    order = [each for each in sink.events if each in (kinds.HALF_OPEN, kinds.DISCONNECTED, kinds.CONNECTED)]
    assert order[:4] == [kinds.CONNECTED, kinds.HALF_OPEN, kinds.DISCONNECTED, kinds.CONNECTED]


def test_a_silent_connection_is_asked_what_it_sends_and_stays_where_it_answers():
    async def work():
        async with streaming(silence_s=0.1) as it:
            await it.subscribed(["KXA-1"])
            await until(lambda: sum(c["cmd"] == "list_subscriptions" for c in it.exchange.commands) >= 2)
            return it.sink

    sink = run(work())
    assert len(sink.of(kinds.CONNECTED)) == 1
    assert all(each["silent_s"] >= 0.1 for each in sink.of(kinds.SILENT))


def test_a_silent_connection_that_lost_a_subscription_subscribes_again():
    async def work():
        async with streaming(silence_s=0.1) as it:
            await it.subscribed(["KXA-1"])
            del it.exchange.sids["orderbook_delta"]
            await until(lambda: it.sink.of(kinds.TERMINAL))
            await until(lambda: "orderbook_delta" in it.exchange.sids and it.is_whole(["KXA-1"]))
            return it.sink

    (ended,) = run(work()).of(kinds.TERMINAL)
    assert ended["channel"] == "orderbook_delta"
    assert ended["message"] == "absent from list_subscriptions"


def test_a_connection_that_answers_no_command_is_made_anew():
    async def work():
        async with streaming(silence_s=0.1, command_timeout_s=0.1) as it:
            await it.subscribed(["KXA-1"])
            it.exchange.silent_to.add("list_subscriptions")
            await until(lambda: it.exchange.connections == 2)
            return it.sink.of(kinds.DISCONNECTED)

    assert run(work())[0]["why"] == "no answer to list_subscriptions"


@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_ends_its_subscription_only_and_it_is_made_again(code):
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            sid = it.exchange.sids.pop("orderbook_delta")
            del it.exchange.markets["orderbook_delta"]
            it.exchange.sids["gone"] = sid  # a new subscription gets a new number
            await it.exchange.send({"type": "error", "sid": sid, "msg": {"code": code, "msg": "too slow"}})
            await until(lambda: it.sink.of(kinds.TERMINAL))
            await until(lambda: it.is_whole(TICKERS))
            assert it.exchange.sids["orderbook_delta"] != sid
            return it.sink

    sink = run(work())
    (ended,) = sink.of(kinds.TERMINAL)
    assert (ended["code"], ended["channel"]) == (code, "orderbook_delta")
    assert len(sink.of(kinds.CONNECTED)) == 1
    assert [each["channel"] for each in sink.of(kinds.SUBSCRIBED)] == [
        "orderbook_delta",
        "trade",
        "orderbook_delta",
    ]


def test_one_market_that_the_exchange_refuses_spoils_no_other():
    tickers = [f"KXM-{i:02d}" for i in range(20)]

    def refuse_seven(command):
        return 11 if "KXM-07" in command["params"]["market_tickers"] else None

    def prepare(exchange):
        exchange.errors = {"subscribe": refuse_seven, "add_markets": refuse_seven}

    good = [ticker for ticker in tickers if ticker != "KXM-07"]

    async def work():
        async with streaming(prepare=prepare, market_channels=("orderbook_delta",)) as it:
            await it.stream.add(tickers)
            await until(lambda: it.is_whole(good))
            await until(lambda: it.sink.of(kinds.REFUSED))
            return it.sink.of(kinds.REFUSED)

    (refused,) = run(work())
    assert refused["params"]["market_tickers"] == ["KXM-07"]
    assert refused["code"] == 11


def test_an_unknown_channel_is_left_and_the_others_go_on():
    def prepare(exchange):
        exchange.errors = {"subscribe": lambda c: 8 if c["params"]["channels"] == ["new_channel"] else None}

    async def work():
        async with streaming(prepare=prepare, global_channels=("new_channel",)) as it:
            await it.stream.add(TICKERS)
            await until(lambda: it.stream.held["orderbook_delta"] == frozenset(TICKERS))
            await asyncio.sleep(0.2)
            asked = [c for c in it.exchange.commands if c["params"].get("channels") == ["new_channel"]]
            assert len(asked) == 1
            return it.sink

    (ended,) = run(work()).of(kinds.TERMINAL)
    assert (ended["code"], ended["channel"]) == (8, "new_channel")


def test_a_command_without_an_answer_is_sent_again():
    async def work():
        async with streaming(command_timeout_s=0.15, prepare=lambda e: e.silent_to.add("subscribe")) as it:
            await it.stream.add(["KXA-1"])
            await until(lambda: it.sink.of(kinds.REFUSED))
            it.exchange.silent_to.clear()
            await until(lambda: it.is_whole(["KXA-1"]))
            return it.sink.of(kinds.REFUSED)

    assert {each["message"] for each in run(work())} == {"no answer"}


def test_a_book_that_never_comes_is_told_and_costs_no_connection():
    async def work():
        async with streaming(snapshot_timeout_s=0.2, market_channels=("orderbook_delta",)) as it:
            it.exchange.no_book.add("KXA-2")
            await it.stream.add(TICKERS)
            await until(lambda: it.sink.of(kinds.REFUSED))
            assert it.stream.books_awaited == 1
            it.exchange.no_book.clear()
            await until(lambda: it.is_whole(TICKERS))
            return it.sink

    sink = run(work())
    (told,) = sink.of(kinds.REFUSED)
    assert told["params"]["market_tickers"] == ["KXA-2"]
    assert len(sink.of(kinds.CONNECTED)) == 1


def test_a_caller_may_ask_for_books_that_it_found_wrong():
    async def work():
        async with streaming() as it:
            await it.subscribed(TICKERS)
            await it.stream.request_books(["KXA-2", "UNKNOWN"])
            await until(lambda: it.sink.of(kinds.RESYNC))
            await until(lambda: it.is_whole(TICKERS))
            return it.sink.of(kinds.RESYNC)

    assert [each["tickers"] for each in run(work())] == [["KXA-2"]]


def test_unknown_types_and_unreadable_frames_are_kept_and_counted():
    strange = ['{"type":"brand_new","sid":9,"seq":1,"msg":{}}', "not json", "[1,2]", '{"type":3}', "null"]

    async def work():
        async with streaming() as it:
            await it.subscribed(["KXA-1"])
            for text in strange:
                await it.exchange.send(text)
            await until(lambda: set(strange) <= set(it.sink.texts()))
            await until(lambda: it.is_whole(["KXA-1"]))
            return it.stream.counters, it.sink

    counters, sink = run(work())
    assert counters["unknown_type:brand_new"] == 1
    assert counters["unknown_type:(none)"] == 1
    assert counters["unreadable_frames"] == 3
    assert [each["beginning"] for each in sink.of(kinds.UNREADABLE)] == ["not json", "[1,2]", "null"]
    assert sink.of(kinds.RESYNC)[0]["tickers"] == ["KXA-1"]


def test_a_sink_that_is_slow_loses_frames_with_their_count_and_place():
    class Slow(KeptSink):
        def frame(self, conn, recv_ns, mono_ns, raw):
            super().frame(conn, recv_ns, mono_ns, raw)
            if b"orderbook_delta" in raw and b'"seq"' in raw:
                time.sleep(0.01)

    async def work():
        async with streaming(Slow(), queue_frames=10, market_channels=("orderbook_delta",)) as it:
            await it.subscribed(["KXA-1"])
            for _ in range(400):
                await it.exchange.delta("KXA-1")
            await until(lambda: it.sink.of(kinds.OVERFLOW) and it.is_whole(["KXA-1"]))
            return it.sink

    sink = run(work())
    dropped = sum(each["frames"] for each in sink.of(kinds.OVERFLOW))
    assert dropped > 0
    assert sum(each["frames"] for each in sink.of(kinds.DISCONNECTED)) == len(sink.frames) + dropped
    # the note stands where the frames are missing, and the numbers show it too
    assert sink.events.index(kinds.OVERFLOW) < sink.events.index(kinds.GAP)


def test_frames_without_a_number_that_were_dropped_have_every_book_asked_for_again():
    class Slow(KeptSink):
        def frame(self, conn, recv_ns, mono_ns, raw):
            super().frame(conn, recv_ns, mono_ns, raw)
            if b"flood" in raw:
                time.sleep(0.01)

    async def work():
        async with streaming(Slow(), queue_frames=10, market_channels=("orderbook_delta",)) as it:
            await it.subscribed(["KXA-1"])
            for _ in range(400):
                await it.exchange.send({"type": "flood"})  # no gap shows that one of them is missing
            await until(lambda: it.sink.of(kinds.OVERFLOW) and it.sink.of(kinds.RESYNC))
            return it.sink

    sink = run(work())
    assert not sink.of(kinds.GAP)
    assert sink.of(kinds.RESYNC)[0]["tickers"] == ["KXA-1"]


def test_an_error_of_the_sink_ends_the_stream():
    class Broken(KeptSink):
        def frame(self, conn, recv_ns, mono_ns, raw):
            if b"delta" in raw:
                raise OSError("disk full")
            super().frame(conn, recv_ns, mono_ns, raw)

    async def work():
        async with streaming(Broken()) as it:
            await it.subscribed(["KXA-1"])

    with pytest.raises(OSError, match="disk full"):
        run(work())


def test_a_name_that_does_not_resolve_is_tried_until_it_does(monkeypatch):
    async def work():
        loop = asyncio.get_running_loop()
        real, asked = loop.getaddrinfo, []

        async def resolve(host, *more, **options):
            asked.append(host)
            if len(asked) <= 3:
                raise socket.gaierror(-3, "Temporary failure in name resolution")
            return await real("127.0.0.1", *more, **options)

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        async with streaming(prepare=as_named) as it:
            await it.subscribed(["KXA-1"])
            assert asked == ["exchange.test"] * 4
            return it.sink

    class Named(SmallExchange):
        @property
        def url(self):
            return super().url.replace("127.0.0.1", "exchange.test")

    def as_named(exchange):
        exchange.__class__ = Named

    sink = run(work())
    assert ["name resolution" in each["why"] for each in sink.of(kinds.UNREACHABLE)] == [True] * 3


def test_no_log_shows_the_signature(caplog):
    caplog.set_level(logging.DEBUG)

    async def work():
        async with streaming() as it:
            await it.subscribed(["KXA-1"])

    run(work())
    mine = [record.getMessage() for record in caplog.records if record.name.startswith("kalshi_platform")]
    assert not any("KALSHI-ACCESS" in text for text in mine)


def test_a_message_in_fragments_with_pings_between_is_one_frame():
    text = json.dumps({"type": "brand_new", "msg": "x" * 300})

    async def pieces(server):
        for start in range(0, len(text), 100):
            yield text[start : start + 100]
            await server.ping()

    async def work():
        async with streaming() as it:
            await it.exchange.socket.send(pieces(it.exchange.socket))
            await until(lambda: text in it.sink.texts())
            assert it.stream.counters["unknown_type:brand_new"] == 1

    run(work())


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["kxbtc-2026-04-18", "mlb-wnba-2026-08-07", "demo-exchange-2026-07-01"])
def test_real_frames_pass_unchanged_and_in_order(name, recorded_data):
    sent = [frame.raw for frame in read_frames(recorded_data / "captures" / f"{name}.jsonl.gz")]

    async def work():
        async with streaming(market_channels=("orderbook_delta",)) as it:
            for raw in sent:
                await it.exchange.socket.send(raw)
            await until(lambda: len(it.sink.frames) == len(sent))
            return it.sink, it.stream.counters

    sink, counters = run(work())
    assert sink.texts() == sent
    assert not [name for name in counters if name.startswith("unknown_type")]
    assert counters["unreadable_frames"] == 0
    assert sink.of(kinds.GAP) == []


class _OneClock(SystemClock):
    """Clock that only a sink moves."""

    now_ns = 1

    def mono_ns(self) -> int:
        return self.now_ns


class _BusySink(KeptSink):
    """Sink that takes ``frame_ms`` for a frame, and raises at its ``fails_at``-th."""

    def __init__(self, clock: _OneClock) -> None:
        super().__init__()
        self._clock, self.frame_ms, self.fails_at = clock, 0, 0

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        super().frame(conn, recv_ns, mono_ns, raw)
        self._clock.now_ns += self.frame_ms * NS_PER_MS
        if len(self.frames) == self.fails_at:
            raise StorageError("full")


FRAME = b'{"type":"trade","sid":1,"msg":{}}'


@pytest.fixture
def queued() -> tuple[ExchangeStream, _BusySink]:
    """A stream without a connection, in whose queue 200 frames wait."""
    clock = _OneClock()
    sink = _BusySink(clock)
    settings = ExchangeStreamSettings.parse({"url": "ws://127.0.0.1:9/none"})
    stream = ExchangeStream(settings, signer(), sink, clock, np.random.default_rng(0))
    for n in range(200):
        stream._queue.put(n + 1, n + 1, FRAME)
    return stream, sink


def test_a_slice_holds_the_frames_of_ten_milliseconds_and_at_most_32(queued):
    stream, sink = queued

    def sizes(frame_ms: int, slices: int) -> list[int]:
        sink.frame_ms = frame_ms
        return [stream._take_slice(200) for _ in range(slices)]

    assert sizes(0, 7) == [1, 2, 4, 8, 16, 32, 32]
    assert sizes(3, 4) == [32, 3, 3, 3]  # the first of them was begun before anybody knew
    assert sizes(20, 3) == [3, 1, 1]
    assert sizes(0, 4) == [1, 2, 4, 8]
    assert stream._take_slice(5) == 5
    assert stream.backlog == 200 - len(sink.frames)


def test_who_hears_that_frames_were_taken_hears_it_once_all_that_waited_together_are_in(queued):
    stream, sink = queued
    heard: list[int] = []

    def hear() -> None:
        heard.append(len(sink.frames))
        if len(heard) == 1:  # these come while the first ones are taken
            for n in range(3):
                stream._queue.put(n + 1, n + 1, FRAME)
            stream._queue.put(9, 9, b"no JSON")  # also where the last one says nothing

    async def work() -> None:
        taking = asyncio.create_task(stream._take_all())
        await until(lambda: len(sink.frames) == 204)
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)

    stream.taken_hooks.append(hear)
    run(work())
    assert heard == [200, 204]


def test_where_a_sink_fails_amid_a_slice_the_frames_behind_still_wait(queued):
    stream, sink = queued
    sink.fails_at = 5
    assert [stream._take_slice(200) for _ in range(2)] == [1, 2]
    with pytest.raises(StorageError):
        stream._take_slice(200)
    assert (len(sink.frames), stream.backlog) == (5, 195)


class _ClosedSocket:
    close_code = 1006

    async def close(self) -> None:
        return


def test_others_run_while_a_connection_that_ended_gives_its_last_frames(queued):
    stream, sink = queued
    turns: list[int] = []

    async def work() -> None:
        closing = asyncio.create_task(stream._close(_ClosedSocket(), "gone"))
        while not closing.done():
            turns.append(len(sink.frames))
            await asyncio.sleep(0)

    run(work())
    assert len(set(turns)) > 5
    assert len(sink.frames) == 200
    assert [kind for _, kind, _ in sink.notes] == [kinds.DISCONNECTED]


def test_frames_that_nobody_waits_for_at_the_end_stand_in_an_overflow(queued):
    stream, sink = queued

    async def work() -> None:
        closing = asyncio.create_task(stream._close(_ClosedSocket(), "gone"))
        while len(sink.frames) < 7:
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    run(work())
    (overflow,) = sink.of(kinds.OVERFLOW)
    assert overflow["frames"] == 200 - len(sink.frames) > 0
    assert overflow["bytes"] == len(FRAME) * overflow["frames"]
    assert (overflow["first_recv_ns"], overflow["last_recv_ns"]) == (len(sink.frames) + 1, 200)
    assert [kind for _, kind, _ in sink.notes][-1] == kinds.DISCONNECTED
