"""Holes in the sequence numbers of a file: found row group by row group as over the whole file at once."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.market_data.importers import seq_gaps
from kalshi_platform.data.market_data.importers.seq_gaps import find_seq_gaps, no_seq_gaps
from kalshi_platform.data.market_data.importers.types import SeqGap

MESSAGE = st.tuples(st.integers(0, 1), st.integers(1, 2), st.one_of(st.none(), st.integers(0, 30)))


def write(path, messages, rows_a_group):
    """A level-2 file of (session, sid, seq), as far as numbers go."""
    session, sid, seq = zip(*messages, strict=True)
    table = pa.table(
        {
            "market_ticker": ["E-A"] * len(messages),
            "session": pa.array(session, pa.int32()),
            "sid": pa.array(sid, pa.int64()),
            "seq": pa.array(seq, pa.int64()),
        }
    )
    pq.write_table(table, path, row_group_size=rows_a_group)
    return path


def over_all(messages):
    """Holes by their definition: of each stream, between one number seen and the next."""
    streams = {}
    for session, sid, seq in messages:
        if seq is not None:
            streams.setdefault((session, sid), set()).add(seq)
    return tuple(
        SeqGap(*stream, after, after - before - 1)
        for stream, seen in sorted(streams.items())
        for before, after in zip(sorted(seen), sorted(seen)[1:], strict=False)
        if after - before > 1
    )


@given(st.lists(MESSAGE, min_size=1, max_size=50), st.integers(1, 20), st.integers(0, 20))
def test_holes_are_those_of_the_whole_file_whatever_the_row_groups(messages, rows_a_group, few):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(seq_gaps, "_FEW_RUNS", few)
        path = write(Path(folder, "l2.parquet"), messages, rows_a_group)
        assert find_seq_gaps(path).of_groups(range(100)) == over_all(messages)


def test_a_part_gets_the_holes_of_the_streams_in_its_row_groups_alone(tmp_path):
    first = [(0, 1, 1), (0, 1, 4), (0, 1, 5)]
    second = [(1, 1, 7), (1, 1, 9), (0, 2, 1)]
    gaps = find_seq_gaps(write(tmp_path / "l2.parquet", [*first, *second, (0, 2, 3)], 3))
    assert gaps.of_groups([0]) == (SeqGap(0, 1, 4, 2),)
    assert gaps.of_groups([1]) == (SeqGap(0, 2, 3, 1), SeqGap(1, 1, 9, 1))
    assert gaps.of_groups([2]) == (SeqGap(0, 2, 3, 1),)
    assert gaps.of_groups([0, 1]) == (*gaps.of_groups([0]), *gaps.of_groups([1]))
    assert gaps.of_groups(()) == ()


def test_memory_follows_the_holes_and_not_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(seq_gaps, "_FEW_RUNS", 8)
    sizes = []
    joined = seq_gaps._joined
    monkeypatch.setattr(
        seq_gaps, "_joined", lambda parts: sizes.append(len(joined(parts).first)) or joined(parts)
    )
    find_seq_gaps(write(tmp_path / "l2.parquet", [(0, 1, seq) for seq in range(5_000)], 10))
    assert max(sizes) == 1


def test_a_file_without_numbers_has_no_holes(tmp_path):
    pq.write_table(pa.table({"market_ticker": ["E-A"]}), tmp_path / "l2.parquet")
    assert find_seq_gaps(tmp_path / "l2.parquet").of_groups([0]) == no_seq_gaps().of_groups([0]) == ()
    assert np.concatenate(no_seq_gaps()).size == 0
