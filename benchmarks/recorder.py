"""Frames a second that the recorder takes on one core, over a loopback socket: none lost, memory flat.

recorder        a sender on another core sends ``--rate`` frames a second for ``--seconds``; the client, the
                journal, the books and the coverage run on one core. Every frame must lie in the sealed files
                once and in order, and every book must be proven to the end, or it fails.
age             from the sender's clock just before it writes to the end of the journal's ``frame``, one clock
memory          resident bytes after a tenth of the time and at the end
The record      10 minutes at 5,000: ``python benchmarks/recorder.py --seconds 600``; 60 s in development
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from websockets.asyncio.server import ServerConnection, serve

from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.signing import RequestSigner
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.recorder.follow.follower import Follower
from kalshi_platform.trading.recorder.follow.meters import Meters
from kalshi_platform.trading.recorder.segments.journal import JournalConfig, RecordingJournal
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.sinks import RecorderSink
from kalshi_platform.trading.recorder.status import read_state

MARKETS = 100
TICKERS = [f"KXBENCH-26DEC01-T{n}" for n in range(MARKETS)]
#: Frames are sent this often, in bursts of rate * PACE_S.
PACE_S = 0.005
FLAT_BYTES = 64 << 20


def main(rate: int = 5_000, seconds: float = 60.0) -> Iterator[dict[str, Any]]:
    """Measure one rate."""
    cores = sorted(os.sched_getaffinity(0))
    parent, child = multiprocessing.Pipe()
    sender = multiprocessing.get_context("spawn").Process(
        target=run_sender, args=(child, rate, seconds, cores[0]), daemon=True
    )
    sender.start()
    port = parent.recv()
    os.sched_setaffinity(0, {cores[-1]})
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(record(Path(folder), port, parent))
            sent = parent.recv()
            yield checked(Path(folder), figures, sent, rate, seconds)
    finally:
        os.sched_setaffinity(0, set(cores))
        sender.terminate()
        sender.join()


class TimedSink(RecorderSink):
    """The recorder's sink, which keeps the age of every frame that carries its time of sending."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.ages_ns = array("q")

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        super().frame(conn, recv_ns, mono_ns, raw)
        at = raw.rfind(b'"sent_ns":')
        if at >= 0:
            self.ages_ns.append(time.time_ns() - int(raw[at + 10 : -1]))


async def record(out: Path, port: int, pipe: Any) -> dict[str, Any]:
    """Record until the sender has sent everything."""
    take_over(out)
    journal, follower = RecordingJournal(out, "bench", JournalConfig()), Follower()
    sink = TimedSink(journal, follower, Meters())
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    settings = ExchangeStreamSettings.parse(
        {"url": f"ws://127.0.0.1:{port}", "market_channels": ["orderbook_delta"], "global_channels": []}
    )
    signer = RequestSigner("bench", key, "made here")
    stream = ExchangeStream(settings, signer, sink, SystemClock(), np.random.default_rng(0))
    await stream.add(TICKERS)
    work = asyncio.create_task(stream.run())
    process, memory = psutil.Process(), []
    begun, cpu = time.monotonic(), time.process_time()
    while not pipe.poll():
        await asyncio.sleep(0.25)
        follower.drain()
        memory.append(process.memory_info().rss - 8 * len(sink.ages_ns))  # the benchmark's own
    await asyncio.sleep(1.0)
    spent = (time.process_time() - cpu) / (time.monotonic() - begun)
    await stream.stop()
    await work
    journal.close()
    ages = np.array(sink.ages_ns) / 1e6
    return {
        "cpu_share": round(spent, 3),
        "age_p50_ms": round(float(np.quantile(ages, 0.5)), 2),
        "age_p99_ms": round(float(np.quantile(ages, 0.99)), 2),
        "age_max_ms": round(float(ages.max()), 1),
        "rss_begin_mb": round(memory[len(memory) // 10] / 1e6, 1),
        "rss_end_mb": round(memory[-1] / 1e6, 1),
        "packed_share": round(journal.counts.packed_bytes / journal.counts.text_bytes, 4),
        "stream_gaps": stream.counters["gaps"],
    }


def checked(
    out: Path, figures: dict[str, Any], sent: dict[str, Any], rate: int, seconds: float
) -> dict[str, Any]:
    """Result of a run; AssertionError where a frame is missing or a book lost its proof."""
    state = read_state(out)
    in_files = state.frames - sent["others"]
    assert in_files == sent["frames"], f"{sent['frames']} frames were sent, {in_files} are in the files"
    assert state.holes == 0, state.kinds
    assert len(state.markets) == MARKETS
    assert all(market.is_proven and market.holes == 0 for market in state.markets)
    grown = (figures["rss_end_mb"] - figures["rss_begin_mb"]) * 1e6
    assert grown < FLAT_BYTES, f"memory grew by {grown / 1e6:.0f} MB: {figures}"
    value = round(sent["frames"] / sent["seconds"], 1)
    return {
        "bench": f"recorder_{rate}", "value": value, "unit": "frames/s", "peer": "frames sent and asked for",
        "peer_value": rate, "ratio": round(value / rate, 3), "seconds": seconds, "frames": sent["frames"],
        "lost": sent["frames"] - in_files, **figures,
    }  # fmt: skip


# The sender, in a process of its own


def run_sender(pipe: Any, rate: int, seconds: float, core: int) -> None:
    """Serve one connection, then tell what was sent."""
    os.sched_setaffinity(0, {core})
    asyncio.run(send_all(pipe, rate, seconds))


async def send_all(pipe: Any, rate: int, seconds: float) -> None:
    """Answer the subscription, send snapshots, then deltas at a steady pace."""
    done = asyncio.Event()

    async def exchange(socket: ServerConnection) -> None:
        seq = others = 0
        while True:
            command = json.loads(await socket.recv())
            if command["cmd"] == "subscribe":
                break
        await socket.send(
            json.dumps(
                {"id": command["id"], "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}}
            )
        )
        others += 1
        for ticker in TICKERS:
            seq += 1
            await socket.send(snapshot(ticker, seq))
            others += 1
        begun = time.monotonic()
        frames = 0
        while (passed := time.monotonic() - begun) < seconds:
            for _ in range(int(passed * rate) - frames):
                seq += 1
                await socket.send(delta(frames, seq))
                frames += 1
            await asyncio.sleep(PACE_S)
        pipe.send({"frames": frames, "others": others, "seconds": time.monotonic() - begun})
        await socket.wait_closed()
        done.set()

    async with serve(exchange, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        pipe.send(next(iter(server.sockets)).getsockname()[1])
        await done.wait()


def snapshot(ticker: str, seq: int) -> str:
    """Whole book of one market."""
    levels = {"yes_dollars_fp": [["0.4200", "75.00"]], "no_dollars_fp": [["0.4500", "40.00"]]}
    msg = {"market_ticker": ticker, "market_id": "5b1c3a52-0d1b-4f0e-9b52-7a4d2c9e1f10", **levels}
    return json.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": msg})


def delta(number: int, seq: int) -> str:
    """Change of one level: up, and the next time down again."""
    now_ns = time.time_ns()
    by = "2.25" if number // MARKETS % 2 == 0 else "-2.25"
    return (
        f'{{"type":"orderbook_delta","sid":1,"seq":{seq},"sending_ts_ms":{now_ns // 1_000_000},"msg":'
        f'{{"market_ticker":"{TICKERS[number % MARKETS]}","market_id":"5b1c3a52-0d1b-4f0e-9b52-7a4d2c9e1f10",'
        f'"price_dollars":"0.4{number % 20:02d}0","delta_fp":"{by}","side":"yes",'
        f'"ts_ms":{now_ns // 1_000_000}}},'
        f'"sent_ns":{now_ns}}}'
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    for result in main(asked.rate, asked.seconds):
        print(json.dumps(result), flush=True)
