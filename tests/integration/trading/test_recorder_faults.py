"""Faults of a recorder: killed at random moments, disk full or slow, clock set, bucket away, half-open.

``KILLS`` sets how often it is killed; `make faults` kills 50 times. Each test says what was done to it.
"""

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from made.recorder import A, ScriptedReads, ScriptedStream
from made.s3_server import KEYS, S3Server

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.segments import segment as segment_module
from kalshi_platform.trading.recorder.segments.blocks import iter_lines
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals, verify
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.recorder.status import read_state
from serve_deployments.local import free_port

KILLS = int(os.environ.get("KILLS", "5"))
ROOT = Path(__file__).parents[3]
S = 1_000_000_000


def lines_of(out: Path) -> list[dict]:
    return [json.loads(line) for path in sorted((out / FRAMES).glob("*.zst")) for line in iter_lines(path)]


def killed_run(out: Path, run: int, draw: random.Random) -> int:
    """Record in another process until it is killed at a random moment; returns the frames it acknowledged."""
    commit_s = draw.choice([0.002, 0.02, 0.2])
    with subprocess.Popen(
        [sys.executable, "-m", "made.recording_child", str(out), str(run), str(commit_s)],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        first = child.stdout.readline()  # something is acknowledged
        time.sleep(draw.uniform(0, 0.4))
        child.kill()
        rest = child.stdout.read().splitlines()
    whole = [line for line in [first.strip(), *rest] if line.isdigit()]
    if rest and not rest[-1].isdigit():
        whole = whole[:-1]
    return int(whole[-2] if len(whole) > 1 else whole[-1])  # the last line may be torn: 12 of 1234


@pytest.mark.timeout(900 + 6 * KILLS)
def test_no_acknowledged_frame_is_lost_none_is_there_twice_and_every_kill_is_one_row(tmp_path):
    draw = random.Random(20261129)
    acknowledged = [killed_run(tmp_path, run, draw) for run in range(KILLS)]
    torn = take_over(tmp_path).torn_bytes
    found: Counter[tuple[int, int]] = Counter()
    holes = []
    last_of_run, line = None, {}
    for line in lines_of(tmp_path):
        if line.get("note") == "run_started":
            holes.append((line["detail"].get("since_ns"), last_of_run))
        elif "raw" in line:
            message = json.loads(line["raw"])
            if message["type"] == "numbered":
                found[message["msg"]["run"], message["msg"]["n"]] += 1
        last_of_run = line["recv_ns"]
    assert set(found.values()) == {1}
    for run, least in enumerate(acknowledged):
        recorded = sorted(n for r, n in found if r == run)
        assert recorded == list(range(len(recorded))), f"run {run} has a hole in the middle"
        assert len(recorded) >= least, f"run {run} acknowledged {least} frames, {len(recorded)} are there"
    # one row a kill, from the last acknowledged line on
    assert len(holes) == KILLS
    assert holes[0] == (None, None)
    assert all(since == last for since, last in holes[1:])
    for seal in read_seals(tmp_path):
        verify(tmp_path, seal)
    told = f"{KILLS} kills, {sum(acknowledged)} acknowledged, {sum(found.values())} there"
    print(f"{told}, last torn {torn} bytes")


class Faulty:
    """A recorder against the scripted exchange, stopped at the end of the block."""

    def __init__(self, out: Path, clock: SystemClock | None = None, **options) -> None:
        config = RecordConfig.parse({
            "wanted": {"series": ["KXDEMO"]},
            "journal": {"commit_s": 0.02, **options.pop("journal", {})},
            "upload_every_s": 0.05,
        })  # fmt: skip
        alarms = Alarms(None, asyncio.get_running_loop().time)
        self.recorder = Recorder(
            out,
            config,
            ScriptedStream,
            ScriptedReads(),
            clock or SystemClock(),
            alarms,
            simulated=True,
            **options,
        )
        self.alarms = alarms
        self.stream: ScriptedStream = self.recorder.stream

    async def __aenter__(self) -> "Faulty":
        self.work = asyncio.create_task(self.recorder.run())
        await self.until(lambda: len(self.recorder.follower.books) == 2)
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        self.recorder.stop("test")
        await self.work

    async def until(self, condition, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            await asyncio.sleep(0.01)


def test_a_full_disk_ends_the_recording_with_every_acknowledged_frame_whole(tmp_path, monkeypatch):
    real, room = os.write, [4_000]

    def quota(handle, data):
        """Write as a disk with little room: the last write is cut short, then there is none."""
        if room[0] <= 0:
            raise OSError(28, "No space left on device")
        n = real(handle, bytes(data)[: room[0]])
        room[0] -= n
        return n

    async def fill(faulty: Faulty) -> None:
        async with faulty:
            await faulty.until(lambda: faulty.recorder.journal.counts.frames_acknowledged == 2)
            monkeypatch.setattr(segment_module.os, "write", quota)
            for n in range(100_000):
                pad = random.Random(n).randbytes(60).hex()
                faulty.stream.send("numbered", {"n": n, "pad": pad}, sid=9)
                await asyncio.sleep(0.002 if n % 20 == 0 else 0)

    async def run() -> Recorder:
        faulty = Faulty(tmp_path)
        with pytest.raises(StorageError, match="No space left"):
            await fill(faulty)
        return faulty.recorder

    recorder = asyncio.run(run())
    monkeypatch.undo()
    take_over(tmp_path)
    frames = sum("raw" in line for line in lines_of(tmp_path))
    assert frames == recorder.journal.counts.frames_acknowledged >= 2


def test_a_slow_disk_loses_nothing_within_its_memory_and_the_loop_goes_on(tmp_path, monkeypatch):
    real, sent, held_up = os.fsync, 0, 0

    def slow(handle) -> None:
        """Write once a hundred more frames were sent: a commit that holds up the event loop prevents it."""
        nonlocal held_up
        wanted, end_s = min(sent + 100, 600), time.monotonic() + 60
        while sent < wanted and time.monotonic() < end_s:
            time.sleep(0.01)
        held_up += sent < wanted
        real(handle)

    async def run() -> None:
        nonlocal sent
        async with Faulty(tmp_path) as faulty:
            monkeypatch.setattr(segment_module.os, "fsync", slow)
            for n in range(600):
                faulty.stream.send("numbered", {"n": n}, sid=9)
                await asyncio.sleep(0.002)
                sent = n + 1

    asyncio.run(run())
    assert held_up == 0
    numbers = [
        json.loads(line["raw"])["msg"]["n"]
        for line in lines_of(tmp_path)
        if '"numbered"' in line.get("raw", "")
    ]
    assert numbers == list(range(600))


def test_a_bucket_that_is_away_holds_up_nothing_and_gets_everything_later(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    there.write_text("in the way of a folder")  # every write fails

    async def run() -> None:
        async with Faulty(here, store=open_storage(there), journal={"segment_s": 0.1}) as faulty:
            upload = faulty.recorder.upload
            faulty.stream.delta(A)
            await faulty.until(lambda: upload.error is not None and upload.backlog.segments >= 1)
            assert list((here / FRAMES).glob("*.zst"))
            await faulty.until(lambda: "upload fails" in faulty.alarms.standing)
            there.unlink()
            await faulty.until(lambda: upload.backlog.segments == 0)
            await faulty.until(lambda: "upload fails" not in faulty.alarms.standing)

    asyncio.run(run())
    for seal in read_seals(there):
        verify(there, seal)
    assert len(read_seals(there)) == len(read_seals(here))


def test_a_bucket_that_goes_away_and_comes_back_has_every_segment_whole(tmp_path, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    port = free_port("127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    here = tmp_path / "here"
    store = open_storage("s3://recordings/day", patience_s=0.2)

    async def run() -> None:
        async with Faulty(here, store=store, journal={"segment_s": 0.1}) as faulty:
            upload = faulty.recorder.upload
            faulty.stream.delta(A)
            await faulty.until(lambda: upload.error is not None and upload.backlog.segments >= 1)
            server = await asyncio.to_thread(S3Server, port, tmp_path / "log")
            try:
                server.make_buckets("recordings")
                faulty.stream.delta(A)
                await faulty.until(lambda: upload.backlog.segments == 0 and upload.error is None)
                for seal in read_seals(here):
                    data = await asyncio.to_thread(server.read, "recordings", f"day/{FRAMES}/{seal.segment}")
                    assert hashlib.sha256(data).hexdigest() == seal.sha256
                names = server.keys("recordings", "day/.seals/")
                assert len(names) == len(read_seals(here)) >= 2
            finally:
                server.stop()

    asyncio.run(run())


class SteppingClock(SystemClock):
    """A wall clock that somebody sets."""

    off_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_ns


def test_a_clock_that_is_set_back_makes_no_line_go_back_and_is_one_row(tmp_path):
    async def run() -> None:
        clock = SteppingClock()
        async with Faulty(tmp_path, clock=clock) as faulty:
            faulty.stream.clock = clock
            faulty.stream.delta(A)
            clock.off_ns = -5 * S
            for _ in range(20):
                faulty.stream.delta(A)
                await asyncio.sleep(0.01)

    asyncio.run(run())
    lines = lines_of(tmp_path)
    times = [line["recv_ns"] for line in lines]
    assert times == sorted(times)
    steps = [line["detail"]["step_ns"] for line in lines if line.get("note") == "clock_step"]
    assert len(steps) == 1
    assert abs(steps[0] + 5 * S) < S
    assert read_state(tmp_path).markets[0].proven_ns > 0


def test_a_half_open_connection_is_one_hole_from_its_last_frame(tmp_path):
    async def run() -> float:
        async with Faulty(tmp_path) as faulty:
            await asyncio.sleep(0.5)
            begun_s = time.monotonic()
            faulty.stream.delta(A)
            await asyncio.sleep(1.0)  # nothing comes, nobody notices
            faulty.stream.note(kinds.HALF_OPEN, why="no pong for 5 s")
            faulty.stream.note(kinds.DISCONNECTED, why="half open", frames=3)
            await asyncio.sleep(0.3)
            faulty.stream.connect()
            await asyncio.sleep(0.5)
        return time.monotonic() - begun_s

    most_s = asyncio.run(run())
    state = read_state(tmp_path)
    assert state.kinds["half_open"] == 1
    market = {m.ticker: m for m in state.markets}[A]
    assert market.holes == 1
    assert 1.2 * S < market.longest_hole_ns < most_s * S
