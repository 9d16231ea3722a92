"""Holes in the sequence numbers of a level-2 Parquet file, found in one pass over its row groups.

Owns     runs of numbers without a hole, a few for each (session, sid) of a row group. Runs that touch are
         joined again and again, so memory follows the streams and holes of a file and not its rows.
Worst    a file sorted by market: until it ends, the numbers of one market lie between those of the others,
         and nearly every message is a run of its own (48 bytes each).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.importers.parquet import column_names, read_groups, whole_numbers
from kalshi_platform.data.market_data.importers.types import SeqGap

#: Fewer runs than this are not joined before the file ends.
_FEW_RUNS: Final = 4_096


class SeqGaps(NamedTuple):
    """Holes of one file by (session, sid, number); every array (n,) i8."""

    session: np.ndarray
    sid: np.ndarray
    next_seq: np.ndarray  # the first number after the hole
    missing: np.ndarray  # numbers in the hole
    first_group: np.ndarray  # row groups that hold messages of the hole's stream: the first
    last_group: np.ndarray  # and the last

    def of_groups(self, groups: Sequence[int]) -> tuple[SeqGap, ...]:
        """Holes of the streams that row groups between the first and the last of ``groups`` may hold."""
        if not groups:
            return ()
        near = np.flatnonzero((self.first_group <= max(groups)) & (self.last_group >= min(groups)))
        columns = (column[near].tolist() for column in self[:4])
        return tuple(SeqGap(*values) for values in zip(*columns, strict=True))


def no_seq_gaps() -> SeqGaps:
    """Holes of a file that has none, or no sequence numbers."""
    return SeqGaps(*(np.zeros(0, np.int64) for _ in SeqGaps._fields))


def find_seq_gaps(path: Path) -> SeqGaps:
    """Holes in the sequence numbers of each (session, sid), over all markets of the file."""
    names = column_names(path)
    if not {"sid", "seq"} <= names:
        return no_seq_gaps()
    columns = [*(["session"] if "session" in names else []), "sid", "seq"]
    runs, waiting, n_waiting = _joined([]), [], 0
    for group, read in enumerate(read_groups(path, columns)):
        table = read.drop_null()
        values = [whole_numbers(table.column(name), name, path) for name in columns]
        session = values[0] if len(columns) == len(("session", "sid", "seq")) else np.zeros_like(values[-1])
        waiting.append(_runs_of(session, values[-2], values[-1], group))
        n_waiting += waiting[-1].first.size
        if n_waiting > max(_FEW_RUNS, runs.first.size):
            runs, waiting, n_waiting = _joined([runs, *waiting]), [], 0
    return _gaps_between(_joined([runs, *waiting]))


class _Runs(NamedTuple):
    """Numbers ``first`` to ``last`` of a stream, all of them seen; every array (n,) i8."""

    session: np.ndarray
    sid: np.ndarray
    first: np.ndarray
    last: np.ndarray
    first_group: np.ndarray
    last_group: np.ndarray


def _runs_of(session: np.ndarray, sid: np.ndarray, seq: np.ndarray, group: int) -> _Runs:
    """Runs of the messages of one row group, sorted by (session, sid, first number)."""
    order = np.lexsort((seq, sid, session))
    session, sid, seq = session[order], sid[order], seq[order]
    begins = np.flatnonzero(_is_new(session, sid) | (np.diff(seq, prepend=seq[:1]) > 1))
    ends = np.append(begins[1:], seq.size)[: begins.size] - 1
    at = np.full(begins.size, group)
    return _Runs(session[begins], sid[begins], seq[begins], seq[ends], at, at)


def _joined(parts: Sequence[_Runs]) -> _Runs:
    """Runs of all ``parts`` in one, sorted, with those that touch or overlap made one."""
    empty = np.zeros(0, np.int64)
    runs = _Runs(*(np.concatenate([empty, *(part[k] for part in parts)]) for k in range(len(_Runs._fields))))
    order = np.lexsort((runs.first, runs.sid, runs.session))
    runs = _Runs(*(column[order] for column in runs))
    if not order.size:
        return runs
    reached = _reached(runs)
    is_new = _is_new(runs.session, runs.sid)
    is_new[1:] |= runs.first[1:] > reached[:-1] + 1
    begins = np.flatnonzero(is_new)
    ends = np.append(begins[1:], order.size) - 1
    return _Runs(
        runs.session[begins], runs.sid[begins], runs.first[begins], reached[ends],
        np.minimum.reduceat(runs.first_group, begins), np.maximum.reduceat(runs.last_group, begins),
    )  # fmt: skip


def _reached(runs: _Runs) -> np.ndarray:
    """Highest number of its stream up to each run, (n,) i8."""
    by_last = np.argsort(runs.last, kind="stable")
    rank = np.empty_like(by_last)
    rank[by_last] = np.arange(by_last.size)
    offset = (np.cumsum(_is_new(runs.session, runs.sid)) - 1) * by_last.size  # a later stream begins anew
    highest: np.ndarray = runs.last[by_last[np.maximum.accumulate(rank + offset) - offset]]
    return highest


def _gaps_between(runs: _Runs) -> SeqGaps:
    """Holes between the runs of each stream."""
    if not runs.first.size:
        return no_seq_gaps()
    starts = np.flatnonzero(_is_new(runs.session, runs.sid))
    stream = np.cumsum(_is_new(runs.session, runs.sid)) - 1
    after = np.flatnonzero(~_is_new(runs.session, runs.sid))
    return SeqGaps(
        runs.session[after], runs.sid[after], runs.first[after], runs.first[after] - runs.last[after - 1] - 1,
        np.minimum.reduceat(runs.first_group, starts)[stream[after]],
        np.maximum.reduceat(runs.last_group, starts)[stream[after]],
    )  # fmt: skip


def _is_new(session: np.ndarray, sid: np.ndarray) -> np.ndarray:
    """Mask (n,) of sorted entries at which another stream begins."""
    new = np.ones(session.size, np.bool_)
    new[1:] = (np.diff(session) != 0) | (np.diff(sid) != 0)
    return new
