"""Journal of one run: the sink of the stream, made durable by group commits on a thread of its own.

Owns       what is waiting for the disk, what is acknowledged, the change from one segment to the next.
Invariant  a line is in the file once, in the order in which it came; it is *acknowledged* when the commit
           that holds it was synced: at most ``commit_s`` and one sync after it came, on a disk that keeps up.
Slow disk  lines wait in memory up to ``max_waiting_bytes``; beyond it frames are thrown away and counted; one
           note ``disk_overflow`` says so where they are missing.
Bad disk   the first error ends the journal: ``failure`` is set, nothing is accepted any more.
Thread     ``frame`` and ``note`` come from the event loop and never block on the disk.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.recorder.segments.lines import (
    CLOCK_STEP,
    DISK_OVERFLOW,
    RUN_STOPPED,
    frame_line,
    note_line,
    parsed,
)
from kalshi_platform.trading.recorder.segments.seals import Seal
from kalshi_platform.trading.recorder.segments.segment import LineBatch, Segment
from kalshi_platform.trading.recorder.segments.written_clock import WrittenClock

#: Stands for a parsed frame that the caller does not have.
_UNPARSED: Final = object()


class JournalConfig(Config):
    """When lines become durable, and when a segment is full."""

    commit_s: float = Field(1.0, gt=0, le=1, description="longest time that a line waits for its commit")
    commit_bytes: int = Field(4 << 20, gt=0, description="waiting text that causes a commit at once")
    segment_bytes: int = Field(64 << 20, gt=0, description="size at which a segment is sealed, packed")
    segment_s: float = Field(300.0, gt=0, description="age at which a segment is sealed")
    max_waiting_bytes: int = Field(256 << 20, gt=0, description="waiting text beyond which frames are lost")


class Taken(NamedTuple):
    """One frame that the journal accepted, as followers of the recording see it."""

    recv_ns: int  # as written
    conn: int  # as written
    raw: bytes
    message: Any  # the parsed frame; None where it is no JSON


@dataclass
class JournalCounts:
    """Running totals; read from any thread."""

    frames: int = 0  # accepted
    notes: int = 0
    frames_acknowledged: int = 0
    notes_acknowledged: int = 0
    frames_overflowed: int = 0
    text_bytes: int = 0  # acknowledged, unpacked
    packed_bytes: int = 0  # acknowledged, on disk
    commits: int = 0
    last_acknowledged_ns: int = 0
    sync_s: float = 0.0  # time of the last commit


@dataclass
class _Waiting:
    """Lines that no commit has taken yet."""

    lines: list[bytes] = field(default_factory=list)
    n_bytes: int = 0
    n_frames: int = 0
    first_ns: int = 0
    last_ns: int = 0
    since: float = 0.0  # time.monotonic() of the first line


@dataclass
class _Lost:
    """Frames thrown away since the last note of it."""

    frames: int = 0
    n_bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0


class RecordingJournal:
    """Sink of frames and notes; see the module."""

    def __init__(
        self,
        out: Path,
        run: str,
        config: JournalConfig,
        *,
        conn_base: int = 0,
        world: str | None = None,
        not_before_ns: int = 0,
        sealed: Callable[[Seal], None] = lambda _: None,
    ) -> None:
        """Open the first segment of a run.

        ``conn_base`` is added to the stream's connection numbers, so that none returns in a later run;
        ``world`` marks every frame as simulated; ``sealed`` is called on the journal's thread for each
        sealed segment.
        """
        self.counts = JournalCounts()
        self.failure: StorageError | None = None
        self._out, self._run, self._config, self._sealed = out, run, config, sealed
        self._conn_base, self._world = conn_base, world
        self._clock = WrittenClock(not_before_ns)
        self._wake = threading.Condition()
        self._waiting = _Waiting()
        self._lost = _Lost()
        self._closing = self._is_stopped = False
        self._number = 1
        self._segment = Segment(out, run, 1)
        self._segment_since = time.monotonic()
        self._thread = threading.Thread(target=self._write_on, name="journal", daemon=True)
        self._thread.start()

    @property
    def written_ns(self) -> int:
        """Time of the last line taken; 0 before the first of a folder."""
        return self._clock.last_ns

    @property
    def waiting_bytes(self) -> int:
        """Text that is not yet acknowledged or being committed."""
        return self._waiting.n_bytes

    def frame(
        self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: Any = _UNPARSED
    ) -> Taken | None:
        """Take one frame; None where it was thrown away because the disk is too slow.

        ``message``: the parsed frame, for a caller that has it. StorageError once the disk failed.
        """
        if message is _UNPARSED:
            message = parsed(raw)
        written_conn = self._conn_base + conn
        with self._wake:
            self._refuse_after_failure()
            if self._waiting.n_bytes + len(raw) > self._config.max_waiting_bytes:
                self._lose(recv_ns, raw)
                return None
            self._tell_lost(written_conn, recv_ns, mono_ns)
            at = self._at(recv_ns, mono_ns, written_conn)
            wall_ns = at.wall_ns
            line = frame_line(at.recv_ns, mono_ns, written_conn, raw, message, self._world, wall_ns)
            self._append(line, at.recv_ns, is_frame=b'"raw":' in line)
            self._is_stopped = False
        return Taken(at.recv_ns, written_conn, raw, message)

    def note(
        self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: Mapping[str, object]
    ) -> tuple[int, int]:
        """Take one note, whatever waits; returns (recv_ns, conn) as written. Errors as :meth:`frame`."""
        written_conn = self._conn_base + conn
        with self._wake:
            self._refuse_after_failure()
            at = self._at(recv_ns, mono_ns, written_conn)
            self._append(
                note_line(at.recv_ns, mono_ns, written_conn, kind, detail), at.recv_ns, is_frame=False
            )
            self._is_stopped = kind == RUN_STOPPED
        return at.recv_ns, written_conn

    def close(self) -> None:
        """Commit what waits, seal the segment and end the thread; closing twice is harmless.

        StorageError where the disk failed: what was not acknowledged is then lost, and counted.
        """
        with self._wake:
            if self._lost.frames and self.failure is None:
                self._tell_lost(self._conn_base, self._lost.last_ns, time.monotonic_ns())
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _at(self, recv_ns: int, mono_ns: int, conn: int) -> Any:
        """Written times of a line; a step of the clock is noted before it."""
        at = self._clock.at(recv_ns, mono_ns)
        if at.step_ns:
            self._append(
                note_line(at.recv_ns, mono_ns, conn, CLOCK_STEP, {"step_ns": at.step_ns}),
                at.recv_ns,
                is_frame=False,
            )
        return at

    def _lose(self, recv_ns: int, raw: bytes) -> None:
        """Count a frame for which there is no room."""
        lost = self._lost
        lost.first_ns = lost.first_ns or recv_ns
        lost.last_ns = recv_ns
        lost.frames += 1
        lost.n_bytes += len(raw)
        self.counts.frames_overflowed += 1

    def _tell_lost(self, conn: int, recv_ns: int, mono_ns: int) -> None:
        """Note the frames thrown away before this place, if there are any."""
        if not self._lost.frames:
            return
        lost, self._lost = self._lost, _Lost()
        detail = {
            "frames": lost.frames, "bytes": lost.n_bytes, "first_recv_ns": lost.first_ns,
            "last_recv_ns": lost.last_ns,
        }  # fmt: skip
        at = self._at(recv_ns, mono_ns, conn)
        self._append(note_line(at.recv_ns, mono_ns, conn, DISK_OVERFLOW, detail), at.recv_ns, is_frame=False)

    def _append(self, line: bytes, recv_ns: int, *, is_frame: bool) -> None:
        """Add a line to those that wait; wake the thread where enough do."""
        waiting = self._waiting
        if not waiting.lines:
            waiting.first_ns, waiting.since = recv_ns, time.monotonic()
        waiting.lines.append(line)
        waiting.n_bytes += len(line)
        waiting.last_ns = recv_ns
        if is_frame:
            waiting.n_frames += 1
            self.counts.frames += 1
        else:
            self.counts.notes += 1
        if waiting.n_bytes >= self._config.commit_bytes:
            self._wake.notify()

    # The journal's own thread

    def _write_on(self) -> None:
        """Commit group after group until the journal closes or the disk fails."""
        try:
            while True:
                waiting, is_last = self._next_group()
                if waiting.lines:
                    self._commit(waiting)
                if is_last:
                    break
                if self._is_full():
                    self._rotate()
            seal = self._segment.seal(self._is_stopped)
            if seal is not None:
                self._sealed(seal)
        except Exception as err:  # a thread that died in silence would lose every later frame
            why = err.strerror if isinstance(err, OSError) and err.strerror else repr(err)
            with self._wake:
                self.failure = StorageError(
                    f"recording stopped: {self._out / self._segment.name} cannot be written "
                    f"({why}); {self.counts.frames - self.counts.frames_acknowledged} frames "
                    "are not acknowledged and lost; make room or mend the disk, then start again"
                )

    def _next_group(self) -> tuple[_Waiting, bool]:
        """Lines for the next commit, none where the time passed without any; True where they are the last."""
        with self._wake:
            deadline = time.monotonic() + self._config.commit_s
            while not self._closing and self._waiting.n_bytes < self._config.commit_bytes:
                if self._waiting.lines:
                    deadline = min(deadline, self._waiting.since + self._config.commit_s)
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._wake.wait(left)
            group, self._waiting = self._waiting, _Waiting()
            return group, self._closing

    def _commit(self, waiting: _Waiting) -> None:
        """Write and sync one group, then count it as acknowledged."""
        begun = time.monotonic()
        text, n_notes = b"".join(waiting.lines), len(waiting.lines) - waiting.n_frames
        before = self._segment.n_bytes
        self._segment.commit(LineBatch(text, waiting.n_frames, n_notes, waiting.first_ns, waiting.last_ns))
        counts = self.counts
        counts.frames_acknowledged += waiting.n_frames
        counts.notes_acknowledged += n_notes
        counts.text_bytes += len(text)
        counts.packed_bytes += self._segment.n_bytes - before
        counts.commits += 1
        counts.last_acknowledged_ns = waiting.last_ns
        counts.sync_s = time.monotonic() - begun

    def _is_full(self) -> bool:
        """True where the next line belongs into a new segment."""
        segment, config = self._segment, self._config
        is_old = time.monotonic() - self._segment_since >= config.segment_s
        return segment.n_bytes >= config.segment_bytes or (is_old and segment.first_ns is not None)

    def _rotate(self) -> None:
        """Seal the segment and open the next one."""
        seal = self._segment.seal()
        self._number += 1
        self._segment = Segment(self._out, self._run, self._number)
        self._segment_since = time.monotonic()
        if seal is not None:
            self._sealed(seal)
