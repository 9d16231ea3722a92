"""Frames in any envelope or none give the rows that capture lines give."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from made.foreign_files import T0_MS, M, delta, document, lines, snapshot
from made.market_files import CORE, load, table

from kalshi_platform.data.market_data.frame_files import read_frames, span_ns
from kalshi_platform.domain.errors import DataError

NS = 10**6
FRAMES = [snapshot(), delta(2, T0_MS + 5)]


def times(path: Path, counters: Counter[str] | None = None) -> list[int]:
    return [frame.recv_ns - T0_MS * NS for frame in read_frames(path, counters)]


def test_every_envelope_gives_the_rows_and_times_of_the_capture(tmp_path: Path) -> None:
    at = [T0_MS + 1, T0_MS + 9]
    texts = [json.dumps(frame) for frame in FRAMES]
    forms = [
        lines(
            tmp_path / "a", [{"recv_ns": t * NS, "conn": 0, "raw": r} for t, r in zip(at, texts, strict=True)]
        ),
        lines(tmp_path / "b", [{"received_ms": t, "frame": f} for t, f in zip(at, FRAMES, strict=True)]),
        lines(tmp_path / "c", [{"ts": t / 1_000, "data": r} for t, r in zip(at, texts, strict=True)]),
        lines(tmp_path / "d", [{**f, "recv_ts": t * NS} for t, f in zip(at, FRAMES, strict=True)]),
        document(
            tmp_path / "e",
            {
                "note": "x",
                "frames": [{"received_ms": t, "frame": f} for t, f in zip(at, FRAMES, strict=True)],
            },
            indent=1,
        ),
        document(tmp_path / "f", [{"recv_ms": t, "message": f} for t, f in zip(at, FRAMES, strict=True)]),
    ]
    wanted = None
    for path in forms:
        assert times(path) == [1 * NS, 9 * NS], path.name
        assert span_ns(path) == (at[0] * NS, at[1] * NS)
        markets, _ = load(path)
        rows = table(markets[M], "recv_ns", *CORE)
        wanted = wanted or rows
        assert rows == wanted, path.name
        assert markets[M].provenance == "recorded"
    assert wanted is not None
    assert len(wanted) == 4  # marker, two levels, delta


def test_a_raw_frame_takes_the_exchanges_time_and_one_without_any_that_of_the_next(tmp_path: Path) -> None:
    trade = {"type": "trade", "sid": 2, "seq": 1, "msg": {"market_ticker": M, "ts": T0_MS // 1_000}}
    frames = [
        {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
        snapshot(),
        delta(2, T0_MS + 5, sending_ts_ms=T0_MS + 7),
        trade,  # whole seconds: earlier than the frame before it, whose time it keeps
        delta(3, T0_MS + 9),
        snapshot(seq=4),
    ]
    counters: Counter[str] = Counter()
    assert times(lines(tmp_path / "raw.jsonl", frames), counters) == [n * NS for n in (7, 7, 7, 7, 9, 9)]
    assert counters == {"frames_with_exchange_time_as_receive_time": 6, "frames_without_any_time": 3}


def test_a_recorders_clock_that_steps_back_is_not_hidden(tmp_path: Path) -> None:
    wrapped = [{"received_ms": T0_MS + n, "frame": f} for n, f in zip((9, 4), FRAMES, strict=True)]
    assert times(lines(tmp_path / "x.jsonl", wrapped)) == [9 * NS, 4 * NS]
    assert load(tmp_path / "x.jsonl")[1]["rows_refused:time_goes_backwards"] == 1


def test_blank_lines_gzip_and_lines_of_something_else_are_no_hindrance(tmp_path: Path) -> None:
    text = "\n\n".join(json.dumps(f) for f in [{"note": "begun"}, *FRAMES, {"event": "closed"}])
    (tmp_path / "x.gz").write_bytes(gzip.compress(text.encode()))
    counters: Counter[str] = Counter()
    assert times(tmp_path / "x.gz", counters) == [5 * NS, 5 * NS]
    assert counters["lines_without_frame"] == 2
    assert load(tmp_path / "x.gz")[1]["lines_without_frame"] == 2


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([snapshot()], "no frame has a time.*put each frame into"),
        (
            [{"received_ms": T0_MS // 1_000, "frame": snapshot()}],
            "line 1: received_ms = .* looks like seconds",
        ),
        ([delta(1, T0_MS * 1_000)], "line 1: ts_ms = .* looks like microseconds"),
        ([delta(1, 3 * T0_MS // 2)], "line 1: time = .* cannot be"),
    ],
)
def test_times_that_cannot_be_are_refused_with_their_line(
    tmp_path: Path, records: list, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        list(read_frames(lines(tmp_path / "x.jsonl", records)))


@pytest.mark.parametrize("other", [T0_MS + 5, "2026-11-23T02:13:25Z"])
def test_receive_times_in_two_units_are_refused_with_both_lines(other: object, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    held = [{"ts": when, "frame": snapshot()} for when in (T0_MS // 1_000, T0_MS // 1_000, other)]
    path.write_text("\n".join(map(json.dumps, held)))
    with pytest.raises(DataError, match=r"line 3 looks like (milliseconds|text), that of line 1 like sec"):
        list(read_frames(path))
