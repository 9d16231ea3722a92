"""Bytes that change on the disk inside a segment: everything else stays, a note says what is gone."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.trading.recorder.follow.follower import Follower
from kalshi_platform.trading.recorder.segments.blocks import iter_lines
from kalshi_platform.trading.recorder.segments.lines import frame_line
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals, verify
from kalshi_platform.trading.recorder.segments.segment import LineBatch, Segment, open_path
from kalshi_platform.trading.recorder.status import read_state

NOW = 1_795_400_000_000_000_000


def killed(out: Path, sizes: list[int]) -> tuple[Path, list[int]]:
    """A segment of a run that was killed after commits of so many frames: (its file, where each ends)."""
    (out / FRAMES).mkdir(parents=True, exist_ok=True)
    segment, number, ends = Segment(out, "run", 1), 0, []
    for n in sizes:
        lines = [
            frame_line(NOW + i, i, 1, b'{"n":%d}' % i, None, None, None) for i in range(number, number + n)
        ]
        segment.commit(LineBatch(b"".join(lines), n, 0, NOW + number, NOW + number + n - 1))
        number += n
        ends.append(segment.n_bytes)
    return open_path(out, segment.name), ends


def lines_of(out: Path) -> list[dict]:
    (path,) = (out / FRAMES).glob("*.zst")
    return [json.loads(line) for line in iter_lines(path)]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    where=st.lists(st.integers(0), min_size=1, max_size=2),
)
def test_whatever_byte_changes_the_other_commits_stay_and_the_lost_bytes_are_told(
    tmp_path_factory, sizes, where
):
    out = tmp_path_factory.mktemp("damage")
    path, ends = killed(out, sizes)
    data = bytearray(path.read_bytes())
    hit = set()
    for at in (number % ends[-2] for number in where):  # not the last commit: it would look unfinished
        if (number := next(n for n, end in enumerate(ends) if at < end)) not in hit:
            data[at] ^= 0x20
            hit.add(number)
    path.write_bytes(data)
    earlier = take_over(out)
    lost = sum(ends[n] - (ends[n - 1] if n else 0) for n in hit)
    assert (earlier.torn_bytes, earlier.damaged_bytes) == (0, lost)
    lines = lines_of(out)
    firsts = [sum(sizes[:n]) for n in range(len(sizes))]
    expected = [i for n, first in enumerate(firsts) if n not in hit for i in range(first, first + sizes[n])]
    assert [json.loads(line["raw"])["n"] for line in lines if "raw" in line] == expected
    times = [line["recv_ns"] for line in lines]
    assert times == sorted(times)
    notes = [line for line in lines if line.get("note") == "damaged"]
    assert sum(note["detail"]["bytes"] for note in notes) == lost
    assert len(notes) == len([n for n in hit if n - 1 not in hit])
    for note in notes:
        kept = out / FRAMES / note["detail"]["kept"]
        assert kept.stat().st_size == note["detail"]["bytes"]
        assert kept.read_bytes() in bytes(data)
    (seal,) = read_seals(out)
    verify(out, seal)
    assert (seal.damaged_bytes, seal.n_frames, seal.n_notes) == (lost, len(expected), len(notes))
    assert take_over(out) == earlier._replace(damaged_bytes=0)


def test_the_note_tells_the_lines_and_times_around_and_is_one_hole(tmp_path):
    path, ends = killed(tmp_path, [2, 3, 4])
    data = bytearray(path.read_bytes())
    data[ends[1] - 1] ^= 1
    path.write_bytes(data)
    unfinished = read_state(tmp_path)
    assert (unfinished.frames, unfinished.damaged_bytes) == (6, ends[1] - ends[0])
    take_over(tmp_path)
    (note,) = [line for line in lines_of(tmp_path) if "note" in line]
    detail = note["detail"]
    assert (detail["lines"], detail["since_ns"], detail["until_ns"]) == (3, NOW + 1, NOW + 5)
    state = read_state(tmp_path)
    assert (state.holes, state.damaged_bytes) == (1, ends[1] - ends[0])
    assert [(row.kind, row.since_ns, row.shown_ns) for row in state.hole_rows] == [
        ("damaged", NOW + 1, NOW + 5)
    ]


def test_a_kill_in_the_middle_of_the_mend_is_mended_by_the_next_start(tmp_path, monkeypatch):
    path, ends = killed(tmp_path, [2, 3, 4])
    data = bytearray(path.read_bytes())
    data[ends[1] - 1] ^= 1
    path.write_bytes(data)

    def killed_here(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kalshi_platform.trading.recorder.segments.damage.pack_block", killed_here)
    with pytest.raises(KeyboardInterrupt):
        take_over(tmp_path)
    monkeypatch.undo()
    assert path.read_bytes() == data
    assert take_over(tmp_path).damaged_bytes == ends[1] - ends[0]
    assert len([line for line in lines_of(tmp_path) if "raw" in line]) == 6


def test_every_book_is_unproven_from_the_damage_to_its_next_snapshot():
    follower = Follower()

    def frame(second: int, kind: str, seq: int, **msg: object) -> dict[str, object]:
        raw = json.dumps({"type": kind, "sid": 1, "seq": seq, "msg": {"market_ticker": "M", **msg}})
        return {"recv_ns": NOW + second * 10**9, "mono_ns": second, "conn": 1, "raw": raw}

    book = {"yes_dollars_fp": [["0.4200", "75.00"]], "no_dollars_fp": [["0.4500", "40.00"]]}
    delta = {"price_dollars": "0.4100", "delta_fp": "1.00", "side": "yes"}
    follower.line(frame(1, "orderbook_snapshot", 1, **book))
    follower.line(frame(2, "orderbook_delta", 2, **delta))
    damaged = {"bytes": 9, "lines": 1, "since_ns": NOW + 2 * 10**9, "until_ns": NOW + 5 * 10**9, "kept": ""}
    follower.line({"recv_ns": NOW + 5 * 10**9, "mono_ns": 2, "conn": 0, "note": "damaged", "detail": damaged})
    follower.line(frame(5, "orderbook_delta", 3, **delta))  # nothing numbered is missing: notes may be
    follower.drain()
    assert not follower.books["M"].proven
    follower.line(frame(7, "orderbook_snapshot", 4, **book))
    follower.drain()
    (market,) = follower.coverage.markets(NOW + 8 * 10**9)
    assert (market.proven_ns, market.wanted_ns, market.longest_hole_ns) == (2 * 10**9, 7 * 10**9, 5 * 10**9)
