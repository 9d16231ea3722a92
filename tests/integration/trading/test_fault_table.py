"""Table of faults: the recorder against the simulated exchange, held against what that exchange knows.

A sample runs always; ``FAULTS=whole`` plays every fault as often as `make faults` does, and writes the table
into the file that ``FAULTS_TABLE`` names.
"""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made.fault_acts import (
    clock_steps,
    drift,
    early_close,
    many_checks,
    no_names,
    outside,
    quiet,
    skewed_key,
    slow_disk,
    strikes,
    then,
)
from made.fault_bench import Bench, Done, Recording, Row, table
from made.s3_server import KEYS, S3Server

from kalshi_platform.trading.recorder.segments.seals import FRAMES, SUFFIX, read_seals
from serve_deployments.local import free_port

WHOLE = os.environ.get("FAULTS") == "whole"
BOOK, TRADE, LIFE = "orderbook_delta", "trade", "market_lifecycle_v2"

pytestmark = pytest.mark.timeout(1_800 if WHOLE else 900)
whole_only = pytest.mark.skipif(not WHOLE, reason="played by `make faults` (FAULTS=whole)")


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def steady(tmp_path_factory) -> Iterator[Bench]:
    """A bench in real time: back-fill asks for the hours in which it lives."""
    bench = Bench(tmp_path_factory.mktemp("steady"), n_events=16, speed=1.0, seed=11)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    found: list[Row] = []
    yield found
    print(f"\n{table(found)}")


def keep(rows: list[Row], row: Row) -> Row:
    """Add a row to the table, and fail where it misses something."""
    rows.append(row)
    print(f"\n{table([row])}")
    if "FAULTS_TABLE" in os.environ:
        Path(os.environ["FAULTS_TABLE"]).write_text(table(rows) + "\n")
    assert not row.misses, row.misses
    return row


@pytest.mark.skipif(WHOLE, reason="the whole table has each of them in a row of its own")
def test_a_sample_of_the_faults_of_the_wire(bench, rows):
    act = then(
        strikes("drop_frame", 1, channel=BOOK),
        strikes("reorder_frame", 1, channel=BOOK),
        strikes("reorder_frame", 1, channel=TRADE),
        outside("duplicate_frame", 3, channel=BOOK),
        strikes("disconnect", 1),
        strikes("half_open", 1),
    )
    keep(rows, bench.play("wire (sample)", act))


def killed_runs(bench: Bench, out: Path, times: int, draw: random.Random) -> tuple[list[int], float]:
    """Kill a recorder at a random moment, again and again: (frames acknowledged by each, longest life)."""
    acknowledged, longest_s = [], 6.0
    for number in range(times):
        with bench.recorder(out) as recorder:
            begun = time.monotonic()
            if number == 0:
                recorder.until_whole()
                longest_s = time.monotonic() - begun + 2.0
            else:
                time.sleep(draw.uniform(0.3, longest_s))
            recorder.kill()
            acknowledged.append(recorder.ack)
    return acknowledged, longest_s


@pytest.mark.parametrize("times", [int(os.environ.get("KILLS", "2"))])
def test_a_recorder_that_is_killed_loses_nothing_acknowledged(bench, rows, tmp_path, times):
    bench._cut_log()
    begun = time.monotonic()
    acknowledged, _ = killed_runs(bench, tmp_path, times, random.Random(20261130))
    with bench.recorder(tmp_path) as recorder:
        recorder.until_whole()
        recorder.end()
        acknowledged.append(recorder.ack)
    done = Done(times, acknowledged=acknowledged)
    done.remarks.append(f"{sum(not each for each in acknowledged)} killed before their first commit")
    row = bench.judged("kill -9", tmp_path, done, time.monotonic() - begun)
    keep(rows, row)


@whole_only
def test_a_byte_that_changes_on_the_disk_is_one_hole_with_the_lines_it_held(bench, rows, tmp_path):
    bench._cut_log()
    begun = time.monotonic()
    acknowledged, times = [], 5
    journal = {"commit_s": 0.1, "segment_s": 300}
    for number in range(times):
        with bench.recorder(tmp_path, record={"journal": journal}) as recorder:
            recorder.until_whole()
            least = recorder.figures()["frames_acknowledged"] + 50
            recorder.until(lambda f, least=least: f["frames_acknowledged"] >= least)
            recorder.kill()
            acknowledged.append(recorder.ack)
        (path,) = (tmp_path / FRAMES).glob(f".*{SUFFIX}.open")
        data = bytearray(path.read_bytes())
        data[len(data) * (number + 1) // (2 * times + 2)] ^= (
            0x10  # not in the last commit: it would look torn
        )
        path.write_bytes(data)
    with bench.recorder(tmp_path) as recorder:
        recorder.until_whole()
        recorder.end()
        acknowledged.append(recorder.ack)
    damaged = [seal.damaged_bytes for seal in read_seals(tmp_path) if seal.damaged_bytes]
    done = Done(times, len(damaged), [f"{sum(damaged)} bytes in {len(damaged)} damaged commits"])
    row = bench.judged("byte changed on the disk", tmp_path, done, time.monotonic() - begun)
    row.acknowledged = sum(acknowledged)
    keep(rows, row)
    assert row.verdict.frames + row.verdict.told_lost >= sum(acknowledged)


class SmallDisk:
    """A disk of its own in memory, unmounted at the end of the block."""

    def __init__(self, place: Path, n_bytes: int) -> None:
        self.place = place
        place.mkdir()
        done = self._run("mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(place))
        if done.returncode:
            pytest.skip(f"this machine mounts no tmpfs: {done.stderr.strip()}")

    def grow(self, n_bytes: int) -> None:
        """Give it more room."""
        assert self._run("mount", "-o", f"remount,size={n_bytes}", str(self.place)).returncode == 0

    def leave(self, n_bytes: int) -> None:
        """Fill it up to so many free bytes."""
        found = os.statvfs(self.place)
        (self.place / "ballast").write_bytes(bytes(max(found.f_bavail * found.f_bsize - n_bytes, 0)))

    @staticmethod
    def _run(*words: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        except FileNotFoundError as err:
            pytest.skip(f"this machine has no mount: {err}")

    def __enter__(self) -> "SmallDisk":
        return self

    def __exit__(self, *error: object) -> None:
        self._run("umount", "-l", str(self.place))


@whole_only
def test_a_full_disk_ends_the_recording_and_a_larger_one_lets_it_go_on(bench, rows, tmp_path):
    bench._cut_log()
    begun, out, acknowledged = time.monotonic(), tmp_path / "disk", []
    done = Done(2, acknowledged=acknowledged)
    with SmallDisk(out, 900_000) as disk:
        with bench.recorder(out) as recorder:
            recorder.until_whole()
            disk.leave(60_000)
            why = recorder.hear("ended", 600)
            assert recorder.wait() == 3
            acknowledged.append(recorder.ack)
            done.misses += [] if "No space left" in why else [f"ended by {why}"]
        with bench.recorder(out) as recorder:  # it is full still
            why = recorder.hear("ended")
            assert recorder.wait() == 3
            acknowledged.append(recorder.ack)
            done.remarks.append(f"full: {why[:90]}")
        disk.grow(4_000_000)
        with bench.recorder(out) as recorder:
            recorder.until_whole()
            recorder.end()
            acknowledged.append(recorder.ack)
        keep(rows, bench.judged("disk full (tmpfs)", out, done, time.monotonic() - begun))


@whole_only
def test_a_disk_that_is_nearly_full_stops_the_recording_cleanly(bench, rows, tmp_path):
    bench._cut_log()
    begun, out = time.monotonic(), tmp_path / "disk"
    disk_settings = {"alarm_bytes": 400_000, "stop_bytes": 200_000}
    with SmallDisk(out, 900_000) as disk, bench.recorder(out, record={"disk": disk_settings}) as recorder:
        recorder.until_whole()
        disk.leave(240_000)
        why = recorder.hear("ended", 600)
        assert recorder.wait() == 0
        done = Done(1, 0, [why], acknowledged=[recorder.ack])
        keep(rows, bench.judged("disk nearly full (guard)", out, done, time.monotonic() - begun))
    assert why.startswith("disk nearly full")


DEFAULT_PACE = {
    "checks": {"every_s": 10}, "backfill_every_s": 60, "outcome_every_s": 30, "journal": {"commit_s": 0.5},
}  # fmt: skip


@whole_only
def test_half_an_hour_without_names_is_one_hole(bench, rows):
    keep(rows, bench.play("30 min without DNS", no_names(30, 60), host="exchange.test", record=DEFAULT_PACE))


@whole_only
def test_a_disk_that_is_too_slow_for_its_memory_loses_counted_frames_in_told_holes(bench, rows):
    def act(bench: Bench, recorder: Recording) -> Done:
        done = slow_disk(1.5, 10)(bench, recorder)
        done.holes_are_stretches = True
        return done

    journal = {"commit_s": 0.2, "max_waiting_bytes": 20_000}
    row = keep(rows, bench.play("disk slower than memory", act, record={"journal": journal}))
    assert row.verdict.told_lost > 0


WIRE = {
    "no fault": (quiet(5), {}),
    "disconnect": (strikes("disconnect", 5), {}),
    "half-open socket": (strikes("half_open", 3), {}),
    "book frame dropped": (strikes("drop_frame", 5, channel=BOOK), {}),
    "3 book frames dropped": (strikes("drop_frame", 3, channel=BOOK, count=3), {}),
    "trade frame dropped": (strikes("drop_frame", 3, channel=TRADE), {}),
    "numbers left out": (strikes("skip_seq", 5, channel=BOOK, count=7), {}),
    "book frames reordered": (strikes("reorder_frame", 5, channel=BOOK), {}),
    "trade frames reordered": (strikes("reorder_frame", 3, channel=TRADE), {}),
    "book frames doubled": (outside("duplicate_frame", 10, channel=BOOK), {}),
    "trade frames doubled": (outside("duplicate_frame", 3, channel=TRADE), {}),
    "subscription ended (25)": (strikes("overflow", 3, channel=BOOK), {}),
    "subscription ended (10)": (strikes("channel_error", 3, channel=BOOK), {}),
    "clock set 10 min": (clock_steps(600, -600, -600, 600), {}),
    "clock of the key 1 min ahead": (skewed_key(-60), {}),
    "clock of the key 1 min behind": (skewed_key(60), {}),
    "slow disk": (slow_disk(1.0, 8), {}),
    "exchange paused": (outside("pause", 2, seconds=3, full=True), {}),
    "markets paused": (outside("market_pause", 2, seconds=2), {}),
    "ticks change": (outside("tick_change", 1), {}),
    "early close": (early_close(redetermine=False), {}),
    "result changed": (early_close(redetermine=True), {}),
    "1,000 checks against REST": (
        many_checks(1_000),
        {"record": {"checks": {"every_s": 0.2, "settle_s": 0.4}}},
    ),
    "stream lies once": (drift, {"record": {"checks": {"every_s": 0.2, "settle_s": 0.4}}}),
}


@whole_only
@pytest.mark.parametrize("fault", WIRE)
def test_faults_of_a_running_recorder(bench, rows, fault):
    act, settings = WIRE[fault]
    keep(rows, bench.play(fault, act, **settings))


FILLED = {
    "trades: no fault": quiet(5),
    "trades: disconnect": strikes("disconnect", 3),
    "trades: half-open socket": strikes("half_open", 2),
    "trades: frame dropped": strikes("drop_frame", 2, channel=TRADE),
}


@whole_only
@pytest.mark.parametrize("fault", FILLED)
def test_every_trade_is_there_streamed_or_filled(steady, rows, fault):
    keep(rows, steady.play(fault, FILLED[fault], fills=True))


@whole_only
def test_calls_that_are_refused_or_fail_in_the_search_and_the_filling_are_asked_again(steady, rows):
    bench = steady
    planted = [
        ("http_429", "/events", 4), ("partial_page", "/events", 2), ("http_5xx", "/series", 4),
        ("http_5xx", "/markets/trades", 6), ("http_429", "/candlesticks", 4),
        ("timeout_refused", "/events", 1),
    ]  # fmt: skip
    before = {kind: bench.struck(kind) for kind, _, _ in planted}
    for kind, path, count in planted:
        bench.plant(kind, path=path, count=count, method="GET", seconds=1)

    def act(bench: Bench, recorder: Recording) -> Done:
        counts = {kind: sum(n for k, _, n in planted if k == kind) for kind in before}
        for kind, n in counts.items():
            bench.until_struck(kind, before[kind] + n)
        recorder.until(lambda f: "REST is incomplete" not in f["standing"])
        return Done(sum(counts.values()))

    keep(rows, bench.play("429, 5xx, time-out, short page", act, fills=True))


@whole_only
def test_a_bucket_that_goes_away_and_comes_back_has_every_segment(bench, rows, tmp_path, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    port = free_port("127.0.0.1")
    server = S3Server(port, tmp_path / "bucket-log")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    try:
        server.make_buckets("recordings")

        def act(bench: Bench, recorder: Recording) -> Done:
            nonlocal server
            recorder.until(lambda f: f["backlog"]["segments"] <= 1)
            server.stop()
            recorder.until(lambda f: f["backlog"]["segments"] >= 2 and "upload fails" in f["standing"])
            server = S3Server(port, tmp_path / "bucket-log")  # an empty one
            server.make_buckets("recordings")
            recorder.until(lambda f: f["backlog"]["segments"] <= 1 and "upload fails" not in f["standing"])
            return Done(1)

        out = tmp_path / "spool"
        record = {"upload_every_s": 0.5, "journal": {"commit_s": 0.2, "segment_s": 1.0}}
        row = bench.play("bucket away", act, out=out, store="s3://recordings/day", record=record)
        there = set(server.keys("recordings", "day/"))
        seals = read_seals(out)
        found = [seal for seal in seals if f"day/{FRAMES}/{seal.segment}" in there]
        for seal in found:
            data = server.read("recordings", f"day/{FRAMES}/{seal.segment}")
            assert data == (out / FRAMES / seal.segment).read_bytes()
        row.remarks.append(f"{len(found)} of {len(seals)} segments in the new bucket, byte by byte")
        row.misses += [] if len(found) >= 2 else ["no segment in the bucket"]
        keep(rows, row)
    finally:
        server.stop()
