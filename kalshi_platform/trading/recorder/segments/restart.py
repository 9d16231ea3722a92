"""Start on a folder that an earlier run left: torn ends are cut off and counted, files sealed.

A run that was killed leaves one ``.open`` file, whose last commit may be torn, or a finished file whose seal
was not yet written. A commit is synced before the next one begins, so that what lies behind the last whole
commit was never acknowledged. (A last commit whose bytes changed on the disk looks the same; either way the
note ``run_started`` is the hole.) Bytes that changed between whole commits held acknowledged lines: a note
takes their place (``damage.py``), and everything behind them stays.
"""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from pydantic_core import from_json

from kalshi_platform.domain.errors import DataError
from kalshi_platform.storage.whole_file import file_digest
from kalshi_platform.trading.recorder.segments.blocks import extent_of, iter_lines
from kalshi_platform.trading.recorder.segments.damage import mend
from kalshi_platform.trading.recorder.segments.lines import RUN_STOPPED
from kalshi_platform.trading.recorder.segments.seals import (
    FRAMES,
    SUFFIX,
    Seal,
    read_seals,
    seal_path,
    verify,
)
from kalshi_platform.trading.recorder.segments.segment import finish

_NAME: Final = re.compile(r"(?P<run>.+)-(?P<number>\d{6})" + re.escape(SUFFIX))


class Earlier(NamedTuple):
    """State in which the earlier runs of a folder left it."""

    last_ns: int | None  # time of the last acknowledged line; None: there is none
    clean: bool  # the last run said that it stopped
    torn_bytes: int  # cut off now
    damaged_bytes: int  # inside segments, replaced by notes now


def take_over(out: Path) -> Earlier:
    """Cut torn ends, mend damaged bytes, seal what is unsealed; the folder then holds sealed segments only.

    The caller holds the folder's lock. DataError for a file that is no segment.
    """
    (out / FRAMES).mkdir(parents=True, exist_ok=True)
    lost = []
    for path in sorted((out / FRAMES).glob(f".*{SUFFIX}.open")):
        lost.append(_close(out, path, path.name[1 : -len(".open")]))
    for path in sorted((out / FRAMES).glob(f"*{SUFFIX}")):
        if not seal_path(out, path.name).exists():
            lost.append(_close(out, path, path.name))
    torn, damaged = sum(each.torn_bytes for each in lost), sum(each.damaged_bytes for each in lost)
    seals = read_seals(out)
    if not seals:
        return Earlier(None, True, torn, damaged)
    last = max(seals, key=lambda seal: seal.last_ns)
    if (out / FRAMES / last.segment).exists():  # not where it was uploaded and deleted
        verify(out, last)
    return Earlier(last.last_ns, last.is_stop, torn, damaged)


class _LostEnd(NamedTuple):
    """Bytes of one segment that are gone."""

    torn_bytes: int
    damaged_bytes: int


def _close(out: Path, path: Path, name: str) -> _LostEnd:
    """Cut the torn end of a file, mend what is damaged and seal it. An unfinished file without a commit goes.

    DataError for a file that no recorder can have left: it is not touched.
    """
    match = _NAME.fullmatch(name)
    extent = extent_of(path)
    if match is None or (extent.n_torn and path.name == name):  # whole when it was given its final name
        raise DataError(
            f"{path}: has no seal and is no segment of a recorder ({extent.n_torn} of "
            f"{extent.n_bytes + extent.n_torn} bytes cannot be read as one): move it out of {FRAMES}/, "
            "or copy the segment and its seal again"
        )
    if extent.n_torn:
        os.truncate(path, extent.n_bytes)
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    damaged = mend(path, name) if extent.damages else 0
    if extent.n_lines == 0:
        path.unlink()
        return _LostEnd(extent.n_torn, damaged)
    n_notes, times, record = 0, [], {}
    for line in iter_lines(path):
        record = from_json(line)
        n_notes += "note" in record
        times.append(record["recv_ns"])
    seal = Seal(
        segment=name,
        run=match["run"],
        number=int(match["number"]),
        n_bytes=path.stat().st_size,
        sha256=file_digest(path),
        n_frames=len(times) - n_notes,
        n_notes=n_notes,
        first_ns=times[0],
        last_ns=times[-1],
        is_stop=record.get("note") == RUN_STOPPED,
        torn_bytes=extent.n_torn,
        damaged_bytes=damaged,
    )
    finish(out, path, seal)
    return _LostEnd(extent.n_torn, damaged)
