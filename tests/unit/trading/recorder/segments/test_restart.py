"""Start after a kill: the torn end is cut and counted, nothing acknowledged is lost."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ChecksumError, DataError
from kalshi_platform.trading.recorder.segments.blocks import iter_lines
from kalshi_platform.trading.recorder.segments.lines import RUN_STOPPED, frame_line, note_line
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals, seal_path, verify
from kalshi_platform.trading.recorder.segments.segment import LineBatch, Segment, open_path

NOW = 1_795_400_000_000_000_000


def batch(first: int, n: int) -> LineBatch:
    lines = [frame_line(NOW + i, i, 1, b'{"n":%d}' % i, None, None, None) for i in range(first, first + n)]
    return LineBatch(b"".join(lines), n, 0, NOW + first, NOW + first + n - 1)


def killed(out: Path, sizes: list[int]) -> Path:
    """A segment of a run that was killed after these commits; returns its file."""
    (out / FRAMES).mkdir(parents=True, exist_ok=True)
    segment = Segment(out, "run", 1)
    begin = 0
    for n in sizes:
        segment.commit(batch(begin, n))
        begin += n
    return open_path(out, segment.name)


def numbers(out: Path) -> list[int]:
    (path,) = (out / FRAMES).glob("*.zst")
    return [json.loads(json.loads(line)["raw"])["n"] for line in iter_lines(path)]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), torn=st.binary(max_size=120))
def test_whatever_follows_the_last_commit_is_cut_and_every_commit_stays(tmp_path_factory, sizes, torn):
    out = tmp_path_factory.mktemp("torn")
    path = killed(out, sizes)
    with path.open("ab") as file:
        file.write(torn)
    earlier = take_over(out)
    assert earlier == (NOW + sum(sizes) - 1, False, len(torn), 0)
    assert numbers(out) == list(range(sum(sizes)))
    (seal,) = read_seals(out)
    verify(out, seal)
    assert (seal.torn_bytes, seal.n_frames) == (len(torn), sum(sizes))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), back=st.integers(1, 200))
def test_a_commit_that_was_not_finished_is_cut_whole(tmp_path_factory, sizes, back):
    out = tmp_path_factory.mktemp("unfinished")
    path = killed(out, sizes)
    whole = path.stat().st_size
    with path.open("ab") as file:  # the beginning of another commit
        other = killed(tmp_path_factory.mktemp("next"), [3])
        file.write(other.read_bytes()[:-back] or b"\x50")
    take_over(out)
    assert numbers(out) == list(range(sum(sizes)))
    assert read_seals(out)[0].n_bytes == whole


def test_starting_twice_changes_nothing(tmp_path):
    killed(tmp_path, [2])
    first = take_over(tmp_path)
    seals = read_seals(tmp_path)
    assert take_over(tmp_path) == first._replace(torn_bytes=0)
    assert read_seals(tmp_path) == seals


def test_a_segment_that_was_renamed_and_not_sealed_is_sealed(tmp_path):
    killed(tmp_path, [2])
    take_over(tmp_path)
    (seal,) = read_seals(tmp_path)
    seal_path(tmp_path, seal.segment).unlink()
    take_over(tmp_path)
    assert read_seals(tmp_path) == [seal]


def test_an_empty_segment_goes_and_an_empty_folder_has_no_earlier_run(tmp_path):
    path = killed(tmp_path, [])
    assert take_over(tmp_path) == (None, True, 0, 0)
    assert not path.exists()
    assert os.listdir(tmp_path / FRAMES) == []


def test_a_clean_stop_is_known_by_its_last_line(tmp_path):
    (tmp_path / FRAMES).mkdir()
    segment = Segment(tmp_path, "run", 1)
    segment.commit(LineBatch(note_line(NOW, 1, 0, RUN_STOPPED, {"why": "asked"}), 0, 1, NOW, NOW))
    segment.seal(is_stop=True)
    assert take_over(tmp_path) == (NOW, True, 0, 0)
    (seal,) = read_seals(tmp_path)
    seal_path(tmp_path, seal.segment).unlink()  # a kill between the rename and the seal
    assert take_over(tmp_path) == (NOW, True, 0, 0)


def test_a_finished_segment_that_was_altered_is_refused(tmp_path):
    killed(tmp_path, [2])
    take_over(tmp_path)
    (seal,) = read_seals(tmp_path)
    path = tmp_path / FRAMES / seal.segment
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ChecksumError, match="copy the segment again"):
        take_over(tmp_path)


@pytest.mark.parametrize("name", ["mine.jsonl.zst", "20261129T000000000Z-ab12-000001.jsonl.zst"])
def test_a_finished_file_that_is_no_segment_is_refused_and_not_touched(tmp_path, name):
    (tmp_path / FRAMES).mkdir()
    foreign = tmp_path / FRAMES / name
    foreign.write_bytes(b"\x28\xb5\x2f\xfd a recording of somebody else")
    before = foreign.read_bytes()
    with pytest.raises(DataError, match="no segment of a recorder"):
        take_over(tmp_path)
    assert foreign.read_bytes() == before
