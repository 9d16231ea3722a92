"""Commits of a segment: a cut anywhere loses nothing before it, any bytes come back."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.data.market_data.capture import read_lines
from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.recorder.segments.blocks import (
    Damage,
    extent_of,
    iter_lines,
    iter_pieces,
    pack_block,
)

LINE = st.binary(min_size=1, max_size=60).map(lambda raw: raw.replace(b"\n", b" "))
COMMITS = st.lists(st.lists(LINE, min_size=1, max_size=8), min_size=1, max_size=6)


def written(path: Path, commits: list[list[bytes]]) -> list[int]:
    """Write the commits; returns where each ends."""
    ends, data = [], b""
    for lines in commits:
        data += pack_block(b"".join(line + b"\n" for line in lines), len(lines))
        ends.append(len(data))
    path.write_bytes(data)
    return ends


@settings(max_examples=60, deadline=None)
@given(commits=COMMITS, where=st.floats(0, 1))
def test_a_cut_anywhere_loses_only_the_commit_that_it_cuts(tmp_path_factory, commits, where):
    path = tmp_path_factory.mktemp("cut") / "segment"
    ends = written(path, commits)
    cut = int(where * ends[-1])
    path.write_bytes(path.read_bytes()[:cut])
    whole = [end for end in ends if end <= cut]
    extent = extent_of(path)
    assert (extent.n_bytes, extent.n_torn) == (max(whole, default=0), cut - max(whole, default=0))
    assert extent.damages == ()
    texts = [text for _, text in iter_pieces(path)]
    assert texts == [b"".join(line + b"\n" for line in lines) for lines in commits[: len(whole)]]


@settings(max_examples=60, deadline=None)
@given(commits=COMMITS, at=st.integers(0), value=st.integers(0, 255))
def test_a_changed_byte_costs_the_commit_that_holds_it_and_no_other(tmp_path_factory, commits, at, value):
    path = tmp_path_factory.mktemp("flip") / "segment"
    ends = written(path, commits)
    data = bytearray(path.read_bytes())
    at %= len(data)
    is_changed, data[at] = data[at] != value, value
    path.write_bytes(data)
    hit = next(n for n, end in enumerate(ends) if at < end)
    pieces = list(iter_pieces(path))
    expected = [b"".join(line + b"\n" for line in lines) for lines in commits]
    if not is_changed:
        hit = len(commits)
    assert [p[1] for p in pieces if not isinstance(p, Damage)] == expected[:hit] + expected[hit + 1 :]
    damages = [p for p in pieces if isinstance(p, Damage)]
    if hit < len(commits) - 1:  # the last one looks like a commit that was never finished
        (damage,) = damages
        assert (damage.begin, damage.end) == (ends[hit - 1] if hit else 0, ends[hit])
        assert damage.n_lines in (None, len(commits[hit])) or at - damage.begin < 28  # its header was hit
    else:
        assert not damages


def test_two_damaged_commits_in_a_row_are_one_damage_and_lines_behind_it_are_refused(tmp_path):
    ends = written(tmp_path / "s", [[b"a"], [b"b"], [b"c"], [b"d"]])
    data = bytearray((tmp_path / "s").read_bytes())
    for end in ends[1:3]:
        data[end - 1] ^= 1
    (tmp_path / "s").write_bytes(data)
    extent = extent_of(tmp_path / "s")
    assert extent == (ends[3], 0, 2, 2, (Damage(ends[0], ends[2], None),))
    with pytest.raises(DataError, match=f"from offset {ends[0]} on"):
        list(iter_lines(tmp_path / "s"))


def test_a_torn_segment_is_refused_by_readers_with_the_offset(tmp_path):
    ends = written(tmp_path / "s", [[b"a"], [b"b"]])
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-1])
    with pytest.raises(DataError, match=f"from offset {ends[0]} on"):
        list(iter_lines(tmp_path / "s"))


def test_the_file_is_plain_zstd_for_everybody_else(tmp_path):
    written(tmp_path / "s", [[b"one", b"two"], [b"three"]])
    assert [line for _, line in read_lines(tmp_path / "s")] == [b"one", b"two", b"three"]
    try:
        said = subprocess.run(["zstd", "-dc", tmp_path / "s"], capture_output=True, check=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no zstd command on this machine; pyarrow read the file")
    assert said.stdout == b"one\ntwo\nthree\n"
