"""Journal: acknowledged means on the disk; segments change, slow and full disks are told."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from made.pace import Within

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.recorder.segments import segment as segment_module
from kalshi_platform.trading.recorder.segments.blocks import iter_lines, iter_pieces
from kalshi_platform.trading.recorder.segments.journal import JournalConfig, RecordingJournal
from kalshi_platform.trading.recorder.segments.lines import DISK_OVERFLOW, RUN_STOPPED
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals, verify

NOW = 1_795_400_000_000_000_000


def raw_of(number: int) -> bytes:
    return b'{"type":"trade","sid":2,"seq":%d,"msg":{"pad":"%s"}}' % (number, b"x" * 80)


def lines_of(out: Path) -> list[dict]:
    return [json.loads(line) for path in sorted((out / FRAMES).glob("*.zst")) for line in iter_lines(path)]


def feed(journal: RecordingJournal, numbers: range) -> None:
    for n in numbers:
        journal.frame(1, NOW + n, n, raw_of(n))


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def test_a_frame_is_acknowledged_within_the_commit_time_without_any_other_frame(tmp_path):
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig(commit_s=0.1))
    with Within(2):
        journal.frame(1, NOW, 1, raw_of(1))
        wait_until(lambda: journal.counts.frames_acknowledged == 1)
    (path,) = (tmp_path / FRAMES).glob(".*.open")
    assert [json.loads(text)["raw"].encode() for _, text in iter_pieces(path)] == [raw_of(1)]
    journal.close()


def test_every_line_lies_once_and_in_order_over_many_segments(tmp_path):
    take_over(tmp_path)
    sealed = []
    config = JournalConfig(segment_bytes=1, commit_bytes=2_000)
    journal = RecordingJournal(tmp_path, "run", config, conn_base=700, sealed=sealed.append)
    for begin in range(0, 300, 50):
        feed(journal, range(begin, begin + 50))
        wait_until(lambda: journal.waiting_bytes < 2_000)
    journal.note(1, NOW + 300, 300, RUN_STOPPED, {"why": "test"})
    journal.close()
    lines = lines_of(tmp_path)
    assert [line["raw"].encode() for line in lines[:-1]] == [raw_of(n) for n in range(300)]
    assert {line["conn"] for line in lines} == {701}
    assert lines[-1]["note"] == RUN_STOPPED
    seals = read_seals(tmp_path)
    assert seals == sealed
    assert len(seals) > 1
    assert [seal.number for seal in seals] == list(range(1, len(seals) + 1))
    assert sum(seal.n_frames for seal in seals) == 300
    for seal in seals:
        verify(tmp_path, seal)


def test_a_segment_is_sealed_by_its_age(tmp_path):
    take_over(tmp_path)
    sealed = []
    journal = RecordingJournal(
        tmp_path, "run", JournalConfig(commit_s=0.02, segment_s=0.05), sealed=sealed.append
    )
    journal.frame(1, NOW, 1, raw_of(1))
    wait_until(lambda: len(sealed) == 1)
    journal.close()
    assert len(read_seals(tmp_path)) == 1  # an empty last segment leaves nothing


def test_a_slow_disk_loses_frames_beyond_the_bound_and_says_how_many_and_where(tmp_path, monkeypatch):
    take_over(tmp_path)
    free = threading.Event()
    real, here = os.fsync, threading.current_thread()

    def slow(handle):
        """A disk that makes the writer wait until it is set free."""
        assert threading.current_thread() is here or free.wait(120)
        return real(handle)

    monkeypatch.setattr(segment_module.os, "fsync", slow)
    config = JournalConfig(commit_s=0.01, commit_bytes=1, max_waiting_bytes=3_000)
    journal = RecordingJournal(tmp_path, "run", config)
    feed(journal, range(100))
    lost = journal.counts.frames_overflowed
    assert 50 < lost < 100
    free.set()
    wait_until(lambda: journal.waiting_bytes == 0)
    feed(journal, range(100, 103))
    journal.close()
    lines = lines_of(tmp_path)
    (hole,) = [n for n, line in enumerate(lines) if line.get("note") == DISK_OVERFLOW]
    assert lines[hole]["detail"]["frames"] == lost
    kept = 100 - lost
    assert [line["raw"].encode() for line in lines[:hole]] == [raw_of(n) for n in range(kept)]
    assert [line["raw"].encode() for line in lines[hole + 1 :]] == [raw_of(n) for n in range(100, 103)]
    assert journal.counts.frames_acknowledged == kept + 3


def test_a_disk_error_ends_the_journal_and_counts_what_is_lost(tmp_path, monkeypatch):
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig(commit_s=0.01))
    feed(journal, range(5))
    wait_until(lambda: journal.counts.frames_acknowledged == 5)
    real = os.write
    left = [40]

    def full(handle, data):
        """A disk with room for 40 more bytes."""
        if not left[0]:
            raise OSError(28, "No space left on device")
        n, left[0] = real(handle, bytes(data)[: left[0]]), 0
        return n

    monkeypatch.setattr(segment_module.os, "write", full)
    feed(journal, range(5, 8))
    wait_until(lambda: journal.failure is not None)
    with pytest.raises(StorageError, match="3 frames are not acknowledged and lost"):
        journal.close()
    with pytest.raises(StorageError, match="No space left"):
        journal.frame(1, NOW, 1, raw_of(9))
    monkeypatch.undo()
    earlier = take_over(tmp_path)
    assert (earlier.last_ns, earlier.clean) == (NOW + 4, False)
    assert [line["raw"].encode() for line in lines_of(tmp_path)] == [raw_of(n) for n in range(5)]


def test_a_step_of_the_clock_is_one_note_before_the_line_that_shows_it(tmp_path):
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig())
    journal.frame(1, NOW, 0, raw_of(1))
    journal.frame(1, NOW - 10**9, 1_000, raw_of(2))
    journal.frame(1, NOW - 10**9 + 1_000, 2_000, raw_of(3))
    journal.close()
    lines = lines_of(tmp_path)
    assert [line.get("note") for line in lines] == [None, "clock_step", None, None]
    assert [line["recv_ns"] for line in lines] == [NOW, NOW + 500, NOW + 500, NOW + 1_000]
    assert lines[2]["wall_ns"] == NOW - 10**9
