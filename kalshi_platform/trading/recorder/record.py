"""One recording from start to stop: take over the folder, record, look after everything, stop cleanly.

Order      lock, earlier runs (torn ends cut), journal, note ``run_started``, stream; at the end stream, note
           ``run_stopped``, journal, upload. A stop takes less than 10 s on a disk that answers.
Ends       by :meth:`Recorder.stop`, by the disk guard, by a journal or stream that failed. Everything else
           that fails is told and tried again.
Not here   the periodic work itself (``tasks.py``), the page (``live.py``).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from kalshi_platform import __version__
from kalshi_platform.domain.errors import ContractError, PlatformError, StorageError
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.storage.storage import Storage
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.exchange.sink import FrameSink
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.disk_guard import DiskView, look_at_disk
from kalshi_platform.trading.recorder.facts.backfill import Backfill
from kalshi_platform.trading.recorder.facts.directory import Directory
from kalshi_platform.trading.recorder.facts.facts_file import FactsFile
from kalshi_platform.trading.recorder.facts.reads import PublicReads
from kalshi_platform.trading.recorder.facts.unsettled import unsettled_markets
from kalshi_platform.trading.recorder.follow.book_checks import BookChecks
from kalshi_platform.trading.recorder.follow.follower import Follower
from kalshi_platform.trading.recorder.follow.meters import Meters
from kalshi_platform.trading.recorder.segments.journal import RecordingJournal
from kalshi_platform.trading.recorder.segments.lines import RUN_STARTED, RUN_STOPPED
from kalshi_platform.trading.recorder.segments.restart import Earlier, take_over
from kalshi_platform.trading.recorder.segments.upload import Uploader, UploadThread
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.recorder.sinks import RecorderSink
from kalshi_platform.trading.recorder.tasks import periodic_tasks

#: A clock this far behind the last recorded line is refused: every new line would carry a wrong time.
_BEHIND_NS: Final = 3_600 * NS_PER_SECOND
#: Together below 10 s, with the alerts (1.5 s) and the last commit.
_STREAM_STOP_S, _UPLOAD_STOP_S = 2.0, 2.5
#: Longest that a session may take to end its orders: a write without an answer is given up after 5 s, then
#: its cancel, and lists are read.
_ENDING_S = 15.0


class Stream(Protocol):
    """The part of ``trading/exchange``'s ExchangeStream that a recorder uses.

    taken_hooks: hear that all frames that came together were handed on; backlog: frames that wait.
    """

    taken_hooks: list[Callable[[], None]]

    @property
    def backlog(self) -> int:
        """Number of frames received and not yet taken."""

    async def run(self) -> None:
        """Connect, read and reconnect until stopped."""

    async def add(self, tickers: list[str]) -> None:
        """Subscribe to markets."""

    async def remove(self, tickers: list[str]) -> None:
        """End the subscription to markets."""

    async def request_books(self, tickers: list[str]) -> None:
        """Ask for whole books of markets whose book was found to be wrong."""

    async def stop(self) -> None:
        """End :meth:`run`."""


class Recorder:
    """A running recording; ``await run()`` inside a lock on the folder."""

    def __init__(
        self,
        out: Path,
        config: RecordConfig,
        make_stream: Callable[[FrameSink], Stream],
        reads: PublicReads,
        clock: ExchangeClock,
        alarms: Alarms,
        *,
        simulated: bool,
        store: Storage | None = None,
        look: Callable[[Path], DiskView] | None = None,
    ) -> None:
        """Take the folder over and open the journal; ``store``: where segments are uploaded to."""
        self.out, self.config, self.clock, self.alarms = out, config, clock, alarms
        self.simulated, self.reads = simulated, reads
        self.look = look or (lambda place: look_at_disk(place, config.disk))
        self.earlier = take_over(out)
        _refuse_old_clock(self.earlier, clock.wall_ns())
        # Runs sort by name in order of time, and no connection number of one comes again in another.
        began_ms = max(clock.wall_ns(), (self.earlier.last_ns or 0) + NS_PER_MS) // NS_PER_MS
        began = datetime.fromtimestamp(began_ms // 1_000, UTC)
        self.run_name = f"{began:%Y%m%dT%H%M%S}{began_ms % 1_000:03d}Z-{secrets.token_hex(2)}"
        self.journal = RecordingJournal(
            out, self.run_name, config.journal, conn_base=began_ms * 1_000,
            world=config.world if simulated else None, not_before_ns=self.earlier.last_ns or 0,
        )  # fmt: skip
        self.follower, self.meters = Follower(), Meters()
        self.sink = RecorderSink(self.journal, self.follower, self.meters)
        self.stream = make_stream(self.sink)
        self.facts = FactsFile(out, self.run_name)
        self.directory = Directory(
            reads, config.wanted, self.facts, self.known_ns, self.stream.add, self.stream.remove
        )
        self.directory.expect(unsettled_markets(out))
        self.backfill = Backfill(reads, out / ".simulated" if simulated else out, self.run_name)
        self.checks = BookChecks(
            reads, self.follower, config.checks, lambda t: self.directory.is_open(t, clock.wall_ns())
        )
        self.upload = None if store is None else UploadThread(
            Uploader(out, store, config.keep_s), config.upload_every_s
        )  # fmt: skip
        self.disk: DiskView = self.look(out)
        self.exchange_state: dict[str, bool] = {}
        self.why_stopped: str | None = None
        self.ending: list[Callable[[], Awaitable[None]]] = []  # done before the stream stops
        self.last_notes: list[Callable[[], None]] = []  # called before the note that ends the run
        self._has_failed = False
        self._stopping = asyncio.Event()

    def stop(self, why: str, *, failed: bool = False) -> None:
        """End the recording; the first reason stands. ``failed``: :meth:`run` then ends with an error."""
        self.why_stopped = self.why_stopped or why
        self._has_failed |= failed
        self._stopping.set()

    def note(self, kind: str, detail: dict[str, object]) -> None:
        """Write a note of the recorder itself."""
        self.sink.note(0, self.clock.wall_ns(), self.clock.mono_ns(), kind, detail)

    def known_ns(self) -> int:
        """Time of a fact that was learned now: never before a line that is written already.

        Where the clock was set back, the machine's own time would date a fact before frames that came first.
        """
        return max(self.clock.wall_ns(), self.journal.written_ns)

    async def run(self) -> None:
        """Record until stopped; the error of a journal or stream that failed is raised after the clean-up."""
        self._note_start()
        for kind in ("market_lifecycle_v2", "event_lifecycle"):
            self.sink.listeners[kind] = [self.directory.hear]
        self.sink.listeners["trade"] = [self.backfill.saw]
        stream = asyncio.create_task(self.stream.run(), name="stream")
        stream.add_done_callback(lambda task: self.stop(_end_of(task)))
        tasks = [asyncio.create_task(work, name=name) for name, work in periodic_tasks(self).items()]
        try:
            await self._stopping.wait()
        finally:
            await self._end(stream, tasks)
        if not stream.cancelled() and (error := stream.exception()) is not None:
            raise error
        if self._has_failed:  # exit code 0 would tell systemd that nobody wants it to go on
            raise StorageError(f"recording stopped: {self.why_stopped}; make room or mend the disk")

    def _note_start(self) -> None:
        """Write the note that begins the run; with an earlier run it is the hole between the two."""
        detail: dict[str, object] = {
            "run": self.run_name,
            "version": __version__,
            "settings": self.config.digest,
        }
        if self.earlier.last_ns is not None:
            detail |= {
                "since_ns": self.earlier.last_ns, "clean": self.earlier.clean,
                "torn_bytes": self.earlier.torn_bytes, "damaged_bytes": self.earlier.damaged_bytes,
            }  # fmt: skip
        self.note(RUN_STARTED, detail)

    async def _end(self, stream: "asyncio.Task[None]", tasks: "list[asyncio.Task[None]]") -> None:
        """Stop the stream and the tasks, then make everything durable."""
        for work in self.ending:
            with suppress(PlatformError, TimeoutError):
                await asyncio.wait_for(work(), _ENDING_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(PlatformError, TimeoutError):
            await asyncio.wait_for(self.stream.stop(), _STREAM_STOP_S)
        if not stream.done():
            _, late = await asyncio.wait([stream], timeout=_STREAM_STOP_S)
            if late:
                stream.cancel()
                await asyncio.gather(stream, return_exceptions=True)
        try:
            for file in (self.facts.file, *self.backfill.files):
                file.close()
            if self.journal.failure is None:
                for tell in self.last_notes:
                    tell()
                self.note(RUN_STOPPED, {"why": self.why_stopped or "ended"})
            self.journal.close()
        except OSError as err:
            raise StorageError(f"{self.out} cannot be written ({err.strerror}); make room") from None
        finally:
            if self.upload is not None:
                self.upload.close(_UPLOAD_STOP_S)
            await self.alarms.close()


def _end_of(task: "asyncio.Task[None]") -> str:
    """Reason of a stop, from the stream's task."""
    error: Any = None if task.cancelled() else task.exception()
    return "the stream ended" if error is None else f"the stream failed: {error}"


def _refuse_old_clock(earlier: Earlier, now_ns: int) -> None:
    """Refuse to add lines to a folder whose last line is far in the future of this clock."""
    ahead_ns = (earlier.last_ns or 0) - now_ns
    if ahead_ns > _BEHIND_NS:
        raise ContractError(
            f"the last recorded line is {ahead_ns / NS_PER_SECOND:.0f} s ahead of this machine's clock "
            f"(allowed: {_BEHIND_NS // NS_PER_SECOND} s): set the clock, or record into another folder"
        )
