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
)
from kalshi_platform.domain.errors import ContractError, DataError

FRAMES = [(1_000 + i, 1, json.dumps({"type": "ticker", "n": i, "text": "é\n"})) for i in range(50)]


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
        (b'{"recv_ns": -5, "conn": 1, "raw": "{}"}', "line 3 has recv_ns = -5"),
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


def test_notes_stand_between_and_beside_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    frame = {"recv_ns": 5, "conn": 2, "raw": '{"use_yes_price":1}'}
    lines = [{"conn": 1, "use_yes_price": True}, frame, {**frame, "use_yes_price": False}]
    path.write_text("\n".join(map(json.dumps, lines)))
    first, second = Frame(2, 5, 2, frame["raw"]), Frame(3, 5, 2, frame["raw"])  # type: ignore[arg-type]
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
