"""One segment being written: commits are appended and synced, then the file is sealed under its final name.

File       ``frames/.NAME.open`` while it grows, ``frames/NAME`` afterwards; NAME is ``RUN-NUMBER.jsonl.zst``
Invariant  :meth:`Segment.commit` returns after the fsync: whatever it was given is then *acknowledged*.
Errors     OSError as the system gives it; the file then ends with the last whole commit, or is cut there by
           the next start.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kalshi_platform.storage.whole_file import sync
from kalshi_platform.trading.recorder.segments.blocks import pack_block
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SUFFIX, Seal, write_seal


class LineBatch(NamedTuple):
    """Lines of one commit."""

    text: bytes
    n_frames: int
    n_notes: int
    first_ns: int
    last_ns: int


class Segment:
    """A file that grows by whole commits."""

    def __init__(self, out: Path, run: str, number: int) -> None:
        """Create the file; OSError where it is there already."""
        self.name = f"{run}-{number:06d}{SUFFIX}"
        self._out, self._run, self._number = out, run, number
        self._path = open_path(out, self.name)
        self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        sync(self._path.parent)
        self._digest = hashlib.sha256()
        self.n_bytes = self.n_frames = self.n_notes = 0
        self.first_ns: int | None = None
        self._last_ns = 0

    def commit(self, batch: LineBatch) -> None:
        """Append the lines of ``batch`` as one block and sync them to the disk."""
        block = pack_block(batch.text, batch.n_frames + batch.n_notes)
        try:
            left = memoryview(block)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # a restart cuts it where this disk cannot
                os.ftruncate(self._file, self.n_bytes)
                os.lseek(self._file, self.n_bytes, os.SEEK_SET)
            raise
        self._digest.update(block)
        self.n_bytes += len(block)
        self.n_frames += batch.n_frames
        self.n_notes += batch.n_notes
        self.first_ns = batch.first_ns if self.first_ns is None else self.first_ns
        self._last_ns = batch.last_ns

    def seal(self, is_stop: bool = False) -> Seal | None:
        """Close the file, give it its final name and write its seal; None for a file without a commit.

        ``is_stop``: its last line is the note of a clean stop.
        """
        os.close(self._file)
        if self.first_ns is None:
            self._path.unlink()
            return None
        seal = Seal(
            segment=self.name,
            run=self._run,
            number=self._number,
            n_bytes=self.n_bytes,
            sha256=self._digest.hexdigest(),
            n_frames=self.n_frames,
            n_notes=self.n_notes,
            first_ns=self.first_ns,
            last_ns=self._last_ns,
            is_stop=is_stop,
        )
        finish(self._out, self._path, seal)
        return seal


def open_path(out: Path, name: str) -> Path:
    """Place of a segment that is not finished; hidden, so that ``dataset build`` passes it over."""
    return out / FRAMES / f".{name}.open"


def finish(out: Path, unfinished: Path, seal: Seal) -> None:
    """Give a closed, synced segment its final name, then write its seal."""
    final = out / FRAMES / seal.segment
    os.rename(unfinished, final)
    sync(final.parent)
    write_seal(out, seal)
