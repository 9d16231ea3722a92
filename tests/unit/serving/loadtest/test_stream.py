"""serving/loadtest/stream.py: frames in order and in time, decisions matched to them, what never came."""

import asyncio
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web
from made.load_clock import in_virtual_time, pace_in_loop
from made.stream_texts import T0_NS
from websockets.exceptions import ConnectionClosedError

from kalshi_platform.data.market_data.capture import CaptureWriter
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.serving.loadtest.result import LoadConfig, summarise
from kalshi_platform.serving.loadtest.run import generate
from kalshi_platform.serving.loadtest.stream import OPENING, _opening, open_stream, stream_lines, stream_loop

MS = 1_000_000
CONFIG = LoadConfig(url="http://x", rate_per_s=100, duration_s=1, warm_up_s=0, arrivals="constant")


class Socket:
    """A server of one thread: an even frame is decided ``work_s`` after its turn, an odd one is quiet."""

    close_code = 1006

    def __init__(
        self, first=1, work_s=0.002, stall_at=-1, stall_s=0.0, refuse=(), end_after=None, says_why=True
    ):
        self.said = asyncio.Queue()
        self.got = []
        self.next, self.first = first, first
        self.work_s, self.stall_at, self.stall_s = work_s, stall_at, stall_s
        self.refuse, self.end_after, self.says_why = refuse, end_after, says_why
        self.turn = asyncio.Lock()
        self.tasks = []

    async def send(self, text):
        if text == '{"type":"ack"}':
            self.tasks.append(asyncio.create_task(self._acknowledge()))
            return
        self.got.append(text)
        self.tasks.append(asyncio.create_task(self._take(self.next)))
        self.next += 1

    async def _take(self, frame):
        async with self.turn:
            k = frame - self.first
            await asyncio.sleep(self.stall_s if k == self.stall_at else self.work_s)
            if self.end_after is not None and k >= self.end_after:
                if self.says_why:
                    self._say(type="closed", reason="too many markets")
                self.said.put_nowait(None)
            elif k in self.refuse:
                self._say(type="refused", frame=frame, problem={})
            elif k % 2 == 0:
                self._say(type="decision", frame=frame, group=0, tier="tier_1", notes=["cached"])

    async def _acknowledge(self):
        async with self.turn:
            self._say(type="ack", frame=self.next - 1)

    def _say(self, **fields):
        self.said.put_nowait(json.dumps(fields))

    async def recv(self, decode):
        assert decode
        text = await self.said.get()
        if text is None:
            raise ConnectionClosedError(None, None)
        return text


def loop_of(n=100, **server):
    """100 frames, 10 ms apart, through such a server: (times, socket)."""

    async def main(clock):
        socket = Socket(**server)
        due = np.arange(n, dtype=np.int64) * 10 * MS
        lines = [f"line {k}" for k in range(n)]
        times = await stream_loop(due, lines, socket, socket.first, 5.0, pace_in_loop, clock)
        for task in socket.tasks:
            task.cancel()
        await asyncio.gather(*socket.tasks, return_exceptions=True)
        return times, socket

    return in_virtual_time(main)


def test_every_decided_frame_is_timed_and_the_others_are_quiet():
    times, socket = loop_of(first=41)
    assert socket.got == [f"line {k}" for k in range(100)]
    timings, quiet = times.timings()
    assert quiet == 50
    np.testing.assert_array_equal(timings.due_ns, np.arange(0, 100, 2) * 10 * MS)
    np.testing.assert_array_equal(timings.done_ns - timings.due_ns, np.full(50, 2 * MS))
    assert set(timings.tier) == {"tier_1"}
    assert set(timings.notes) == {("cached",)}


def test_a_stall_is_counted_for_every_frame_that_waited():
    # Frame 10, due at 100 ms, takes 300 ms: it is done at 400. Frame 10 + j, due at 100 + 10 j, is done 2 j
    # after that: it waited 300 - 8 j ms, while that is above 2, so for j = 0..37; of these the even ones are
    # decided: j = 0, 2, ... 36 took 300, 284, ... 12 ms.
    times, _ = loop_of(stall_at=10, stall_s=0.3)
    timings, _ = times.timings()
    took_ms = np.round((timings.done_ns - timings.due_ns) / MS).astype(int).tolist()
    assert took_ms == [2] * 5 + [300 - 8 * j for j in range(0, 38, 2)] + [2] * 26
    np.testing.assert_array_equal(timings.sent_ns, timings.due_ns)
    assert summarise(CONFIG, 0, timings).latency.max_ms == 300


def test_refused_frames_and_those_after_the_streams_end_are_failures():
    timings, quiet = loop_of(refuse=(3,))[0].timings()
    assert timings.outcome.count("refused") == 1
    assert quiet == 49
    times, _ = loop_of(end_after=60)
    timings, _ = times.timings()
    assert times.closed == "too many markets"
    assert timings.outcome.count("answered") == 30
    found = summarise(CONFIG, 0, timings)
    assert found.errors["stream_closed"] >= 40


def test_a_stream_that_breaks_off_is_told_with_its_code():
    times, _ = loop_of(end_after=60, says_why=False)
    assert times.closed == "connection closed, code 1006"
    assert times.timings()[0].outcome.count("answered") == 30


def test_a_server_that_hangs_is_left_after_the_time_out():
    timings, _ = loop_of(stall_at=50, stall_s=1_000)[0].timings()
    assert timings.outcome.count("answered") == 25
    assert timings.outcome[-1] == "no_answer"


def write(path, frames):
    with CaptureWriter(path) as out:
        for recv_ns, conn, raw in frames:
            out.append(recv_ns, conn, raw)


def test_a_short_capture_is_sent_again_on_a_clock_that_goes_on(tmp_path):
    write(tmp_path / "c.jsonl.gz", [(T0_NS + 1_000, 0, "a"), (T0_NS + 5_000, 1, "b")])
    lines = [json.loads(line) for line in stream_lines(tmp_path / "c.jsonl.gz", 5)]
    # One round spans 4,000 ns and a second between two rounds.
    round_ns = 1_000_004_000
    assert [line["recv_ns"] - T0_NS for line in lines] == [
        1_000, 5_000, 1_000 + round_ns, 5_000 + round_ns, 1_000 + 2 * round_ns,
    ]  # fmt: skip
    assert [line["conn"] for line in lines] == [0, 1, 1_000, 1_001, 2_000]
    assert [line["raw"] for line in lines] == ["a", "b", "a", "b", "a"]


def test_repetitions_that_would_reach_beyond_the_present_are_moved_into_the_past(tmp_path):
    write(tmp_path / "c.jsonl", [(T0_NS, 0, "a"), (T0_NS + 5_000, 0, "b")])
    times = [json.loads(line)["recv_ns"] for line in stream_lines(tmp_path / "c.jsonl", 4, now_ns=T0_NS)]
    assert times[2] == T0_NS - 5_000
    assert times[3] == T0_NS
    assert times == sorted(times)


def test_a_capture_out_of_order_is_refused_with_the_line(tmp_path):
    write(tmp_path / "c.jsonl", [(T0_NS + 5_000, 0, "a"), (T0_NS + 1_000, 0, "b")])
    with pytest.raises(DataError, match="line 2 was received before line 1"):
        stream_lines(tmp_path / "c.jsonl", 2)


@asynccontextmanager
async def listening(answer):
    """A server whose stream does what ``answer`` does with each request: its address."""
    app = web.Application()
    app.router.add_get("/v1/stream", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def accepted(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    assert json.loads(await socket.receive_str()) == OPENING
    return socket


def test_a_stream_over_a_socket_is_opened_with_a_token_and_every_frame_is_timed(tmp_path):
    write(tmp_path / "c.jsonl", [(T0_NS + 1_000, 0, "a"), (T0_NS + 5_000, 0, "b")])
    (tmp_path / "token").write_text("secret\n")
    seen, texts = [], []

    async def deciding(request):
        seen.append((request.headers["Authorization"], request.headers.get("Sec-WebSocket-Extensions")))
        socket = await accepted(request)
        await socket.send_json({"type": "opened", "next_frame": 7})
        async for message in socket:
            if message.data == '{"type":"ack"}':
                await socket.send_json({"type": "ack", "frame": 6 + len(texts)})
            else:
                texts.append(json.loads(message.data)["raw"])
                await socket.send_json({"type": "decision", "frame": 6 + len(texts), "tier": "tier_1"})
        return socket

    async def main():
        async with listening(deciding) as url:
            return await generate(
                CONFIG.replace(
                    url=url + "/", duration_s=0.2, stream=tmp_path / "c.jsonl", token_file=tmp_path / "token"
                )
            )

    found = asyncio.run(main())
    assert seen == [("Bearer secret", None)]
    assert texts == ["a", "b"] * 10
    assert (found.latency.n, found.quiet, found.errors) == (20, 0, {})


async def first_frame(url):
    async with open_stream(CONFIG.replace(url=url, timeout_s=5.0), {}) as (_, frame):
        return frame


async def closing(request):
    socket = await accepted(request)
    await socket.close(code=1008, message=b"no open message")
    return socket


async def simulated(request):
    socket = await accepted(request)
    why = 'tiny-1 was judged on simulated data only: open with "allow_simulated": true'
    await socket.send_str(json.dumps({"type": "closed", "reason": why}))
    await socket.receive()
    return socket


async def refusing(request):
    socket = await accepted(request)
    await socket.send_str('{"type":"closed","reason":"full"}')
    await socket.receive()
    return socket


async def forbidding(request):
    return web.Response(status=401)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (closing, r"/v1/stream: the stream was closed when it was opened \(no open message\)"),
        (refusing, r"/v1/stream: refused: full$"),
        (simulated, r"/v1/stream: refused: .* with \"allow_simulated\": true \(here: --allow-simulated\)$"),
        (forbidding, r"/v1/stream: status 401; is a token wanted"),
    ],
)
def test_a_stream_that_is_refused_says_why(answer, said):
    async def main():
        async with listening(answer) as url:
            await first_frame(url)

    with pytest.raises(ContractError, match=said):
        asyncio.run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_told(url):
    with pytest.raises(ContractError, match=f"{url}: no server answers .*or correct --url"):
        asyncio.run(first_frame(url))


def test_the_open_message_allows_what_the_command_allows_and_nothing_more():
    assert _opening(CONFIG) == OPENING
    allowed = _opening(CONFIG.replace(allow_simulated=True, accept_missing_inputs=True))
    assert allowed == {**OPENING, "allow_simulated": True, "accept_missing_inputs": True}
