"""Capture files: what is read back, what is refused, what survives a crash."""

import gzip
import json
from pathlib import Path

import pytest

from kalshi_platform.data.market_data.capture import (
    CaptureWriter,
    ConnectionNote,
    Frame,
    is_note,
    read_capture,
    read_frames,
    read_lines,
)
from kalshi_platform.domain.errors import ContractError, DataError

FRAMES = [
    (1_700_000_000 * 10**9 + i, 1, json.dumps({"type": "ticker", "n": i, "text": "é\n"})) for i in range(50)
]


def _lines(n: int) -> bytes:
    return b"".join(
        json.dumps({"recv_ns": t, "conn": c, "raw": r}).encode() + b"\n" for t, c, r in FRAMES[:n]
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_written_is_read_back_in_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with CaptureWriter(path, flush_bytes=300) as writer:
        for frame in FRAMES:
            writer.append(*frame)
    assert list(read_frames(path)) == [Frame(i, *frame) for i, frame in enumerate(FRAMES, start=1)]
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_what_was_flushed_survives_a_writer_that_never_closes(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "a.jsonl.gz")
    for frame in FRAMES[:10]:
        writer.append(*frame)
    writer.flush()
    writer.append(*FRAMES[10])
    assert len(list(read_frames(tmp_path / "a.jsonl.gz"))) == 10
    writer.close()
    assert len(list(read_frames(tmp_path / "a.jsonl.gz"))) == 11


def test_a_capture_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(_lines(1))
    with pytest.raises(ContractError, match="exists"):
        CaptureWriter(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == _lines(1)


def test_gzip_cut_in_the_middle_is_refused_with_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(_lines(20)) + gzip.compress(_lines(30))
    path.write_bytes(whole[:-20])
    with pytest.raises(
        DataError, match=r"cut\.jsonl\.gz: gzip data ends in the middle, after line \d+; .*gzip -dc"
    ):
        list(read_frames(path))


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.gz"
    data = bytearray(gzip.compress(_lines(50)))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"bad\.jsonl\.gz: "):
        list(read_frames(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"recv_ns": 5, "conn": 1, "raw"', "line 3 is not JSON"),
        (b'{"recv_ns": 5, "conn": 1}', "line 3 has no 'raw'"),
        (b'{"recv_ns": "5", "conn": 1, "raw": "{}"}', "line 3 has recv_ns = '5', expected int"),
        (b'{"recv_ns": true, "conn": 1, "raw": "{}"}', "line 3 has recv_ns = True, expected int"),
        (
            b'{"recv_ns": -5, "conn": 1, "raw": "{}"}',
            "line 3: recv_ns = -5 cannot be: as ns it is no time between 1970",
        ),
        (b"[1, 2]", "line 3 is list, not a JSON object"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(_lines(2) + line + b"\n" + _lines(1))
    with pytest.raises(DataError, match=message):
        list(read_frames(path))


@pytest.mark.parametrize("data", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(DataError, match="the file is empty"):
        list(read_frames(tmp_path / "a.jsonl"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_frames(tmp_path / "none.jsonl"))


NOW_NS = 1_750_000_000 * 10**9


def _written(path: Path, *times: int, **more: object) -> Path:
    lines = [json.dumps({"recv_ns": t, "conn": 1, "raw": "{}", **more}) for t in times]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("factor", "unit", "power"), [(1, "seconds", 9), (10**3, "milliseconds", 6), (10**6, "microseconds", 3)]
)
def test_a_receive_time_in_another_unit_is_refused_with_line_unit_and_remedy(
    tmp_path: Path, factor: int, unit: str, power: int
) -> None:
    second = 1_712_000_000
    path = _written(tmp_path / "a.jsonl", second * 10**9, second * factor)  # one line among good ones
    message = (
        rf"a\.jsonl: line 2: recv_ns = {second * factor} looks like {unit}: as ns it is 1970-.*by 1e{power}$"
    )
    with pytest.raises(DataError, match=message):
        list(read_frames(path, NOW_NS))


def test_nothing_was_received_after_the_clock_unless_it_is_simulated(tmp_path: Path) -> None:
    later_ns = NOW_NS + 86_400 * 10**9 + 1
    assert len(list(read_frames(_written(tmp_path / "a", later_ns - 1), NOW_NS))) == 1
    with pytest.raises(DataError, match=r"line 1: recv_ns = \d+ cannot be: as ns it is 2025-06-16"):
        list(read_frames(_written(tmp_path / "b", later_ns), NOW_NS))
    made_up = _written(tmp_path / "c", later_ns, provenance="simulated")
    assert len(list(read_frames(made_up, NOW_NS))) == 1


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_byte_order_mark_crlf_and_blank_lines_are_read(tmp_path: Path, name: str) -> None:
    text = b"\xef\xbb\xbf" + b"\r\n  \r\n\r\n".join(_lines(3).splitlines()) + b"\r\n \t"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert [frame[1:] for frame in read_frames(tmp_path / name)] == FRAMES[:3]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_by_name_with_the_way_out(tmp_path: Path, coding: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(_lines(2).decode().encode(coding))
    with pytest.raises(DataError, match=r"a\.jsonl: is UTF-16 text .*iconv -f UTF-16 -t UTF-8 a\.jsonl"):
        list(read_frames(tmp_path / "a.jsonl"))


def test_a_line_far_above_256_kib_is_read(tmp_path: Path) -> None:
    raw = json.dumps({"type": "ticker", "text": "x" * 3_000_000})
    with CaptureWriter(tmp_path / "a.jsonl.gz") as writer:
        writer.append(*FRAMES[0][:2], raw)
        writer.append(*FRAMES[1])
    assert [frame.raw for frame in read_frames(tmp_path / "a.jsonl.gz")] == [raw, FRAMES[1][2]]


def test_a_line_beyond_the_bound_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 9 + b"\n" + b"y" * 11)
    with pytest.raises(DataError, match="line 2 is longer than 10 bytes"):
        list(read_lines(tmp_path / "a", 10))
    assert list(read_lines(tmp_path / "a", 12)) == [(1, b"x" * 9), (2, b"y" * 11)]


def test_notes_stand_between_and_beside_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    now_ns = FRAMES[0][0]
    frame = {"recv_ns": now_ns, "conn": 2, "raw": '{"use_yes_price":1}'}
    lines = [{"conn": 1, "use_yes_price": True}, frame, {**frame, "use_yes_price": False}]
    path.write_text("\n".join(map(json.dumps, lines)))
    first, second = Frame(2, now_ns, 2, frame["raw"]), Frame(3, now_ns, 2, frame["raw"])  # type: ignore[arg-type]
    notes = ConnectionNote(1, True), ConnectionNote(2, False)
    assert list(read_capture(path)) == [notes[0], first, notes[1], second]
    assert list(read_frames(path)) == [first, second]
    texts = path.read_bytes().splitlines()
    assert [is_note(text) for text in texts] == [True, False, False]


@pytest.mark.parametrize(
    "note", [{"use_yes_price": "true"}, {"use_yes_price": None}, {"conn": "1", "use_yes_price": True}]
)
def test_a_note_that_says_nothing_is_refused_with_its_line(tmp_path: Path, note: dict[str, object]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps(note))
    with pytest.raises(DataError, match=r"a\.jsonl: line 2 has conn = .*, use_yes_price = .*; a note is"):
        list(read_capture(path))
