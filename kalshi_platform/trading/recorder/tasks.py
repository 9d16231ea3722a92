"""Periodic work of a running recorder, one coroutine a duty; each goes on whatever the others do.

Fails      an error of the exchange or the network is told as an alarm and the duty is tried again at its next
           turn; an error of the disk ends the recording.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kalshi_platform.domain.errors import PlatformError, StorageError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.recorder.disk_guard import DiskState
from kalshi_platform.trading.recorder.filling import Filling
from kalshi_platform.trading.recorder.follow.coverage import total_share
from kalshi_platform.trading.recorder.page.view import figures
from kalshi_platform.trading.recorder.segments.lines import COVERAGE, MISMATCH, PAUSE

if TYPE_CHECKING:
    from kalshi_platform.trading.recorder.record import Recorder

_DRAIN_S, _TICK_S, _CATCH_UP_S, _STATE_S, _STATUS_S, _COVERAGE_S = 0.25, 1.0, 1.0, 5.0, 30.0, 60.0
#: A book that is unproven for so long is asked for, whatever the stream thinks of it.
_LOST_BOOK_NS = 30 * NS_PER_SECOND

Duty = Callable[[], Awaitable[None]]


def periodic_tasks(recorder: "Recorder") -> dict[str, Coroutine[Any, Any, None]]:
    """Coroutine of every duty, by name; each runs until it is cancelled."""
    watch, fill = _Watch(recorder), Filling(recorder)
    config, directory = recorder.config, recorder.directory

    async def outcomes() -> None:
        directory.expect_outcomes(recorder.clock.wall_ns())

    async def drain() -> None:
        recorder.follower.drain()

    duties: dict[str, tuple[float, Duty]] = {
        "drain": (_DRAIN_S, drain),
        "watch": (_TICK_S, watch.look),
        "discover": (config.wanted.rediscover_s, directory.discover),
        "catch_up": (_CATCH_UP_S, directory.catch_up),
        "files": (_TICK_S, lambda: _flush_files(recorder)),
        "state": (_STATE_S, lambda: _write_state(recorder)),
        "outcomes": (config.outcome_every_s, outcomes),
        "checks": (config.checks.every_s, lambda: _check_books(recorder)),
        "backfill": (config.backfill_every_s, fill.look),
        "status": (_STATUS_S, lambda: _ask_status(recorder)),
        "coverage": (_COVERAGE_S, lambda: _note_coverage(recorder)),
    }
    return {name: _every(recorder, name, seconds, duty) for name, (seconds, duty) in duties.items()}


async def _every(recorder: "Recorder", name: str, seconds: float, duty: Duty) -> None:
    """Do a duty at once and then every few seconds."""
    while True:
        try:
            await duty()
            recorder.alarms.set(f"{name} fails", None)
        except StorageError as err:
            recorder.stop(f"the disk failed: {err}", failed=True)
            return
        except PlatformError as err:
            recorder.alarms.set(f"{name} fails", str(err))
        except OSError as err:
            recorder.stop(f"{name}: the disk failed: {err}", failed=True)
            return
        except Exception as err:
            # A bug in one duty must not end the recording of frames; it is told until it is mended.
            recorder.alarms.set(f"{name} fails", f"{type(err).__name__}: {err}")
        await recorder.clock.sleep(seconds)


class _Watch:
    """Looks at everything once a second: alarms, the disk, the journal."""

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self._connected_mono_ns = recorder.clock.mono_ns()
        self._overflowed = 0
        self._lost_since_ns: dict[str, int] = {}  # market -> mono; since when its book is unproven

    async def look(self) -> None:
        """Look once."""
        recorder = self._recorder
        if recorder.journal.failure is not None:
            raise recorder.journal.failure
        recorder.meters.turn(recorder.clock.wall_ns() // NS_PER_SECOND)
        self._look_at_disk()
        self._look_at_stream()
        await self._resync_after_overflow()
        await self._ask_for_lost_books()

    def _look_at_disk(self) -> None:
        """Raise the alarm of the disk, or stop."""
        recorder = self._recorder
        recorder.disk = recorder.look(recorder.out)
        left = f"{recorder.disk.free_bytes / 1e9:.2f} GB free at {recorder.out}"
        if recorder.disk.state is DiskState.STOP:
            recorder.alarms.set("disk full", f"{left}: the recorder stops before it is full; make room")
            recorder.stop(f"disk nearly full: {left}")
            return
        is_low = recorder.disk.state is DiskState.ALARM
        recorder.alarms.set("disk low", f"{left}: make room, or it stops" if is_low else None)

    def _look_at_stream(self) -> None:
        """Alarms of the connection, the messages' age, the checks, the upload and the followers."""
        recorder, set_alarm = self._recorder, self._recorder.alarms.set
        now_ns = recorder.clock.mono_ns()
        if recorder.sink.connected:
            self._connected_mono_ns = now_ns
        apart_s = (now_ns - self._connected_mono_ns) / NS_PER_SECOND
        is_apart = apart_s > recorder.config.silence_alarm_s
        why = f": {recorder.sink.why_unreachable}" if recorder.sink.why_unreachable else ""
        set_alarm("not connected", f"no connection for {apart_s:.0f} s{why}" if is_apart else None)
        growth_ms = recorder.meters.growth_ms()
        is_old = growth_ms > recorder.config.age_alarm_ms
        text = f"messages arrive {growth_ms:.0f} ms later than at best within the hour: a slow reader or link"
        set_alarm("messages grow old", text if is_old else None)
        rate = recorder.checks.match_rate
        drift = f"{rate:.2%} of the last checks agree with REST" if rate is not None else ""
        set_alarm("books differ from REST", drift if recorder.checks.is_alarming else None)
        error = recorder.upload.error if recorder.upload is not None else None
        set_alarm("upload fails", error)
        problems = [f"{what}: {why}" for what, why in recorder.directory.problems.items()]
        set_alarm("REST is incomplete", "; ".join(problems[:3]) or None)
        set_alarm("a follower failed", recorder.sink.failure)

    async def _resync_after_overflow(self) -> None:
        """Ask for whole books again once the disk has caught up after frames were thrown away."""
        recorder = self._recorder
        lost, limit = recorder.journal.counts.frames_overflowed, recorder.config.journal.max_waiting_bytes
        if lost == self._overflowed or recorder.journal.waiting_bytes > limit // 4:
            return
        self._overflowed = lost
        tickers = sorted(recorder.directory.markets)
        recorder.alarms.tell_once("frames lost", f"{lost} frames so far: the disk was too slow")
        await recorder.stream.request_books(tickers)

    async def _ask_for_lost_books(self) -> None:
        """Ask for books that stay unproven: what the stream took for a good message may have been none."""
        recorder, now_ns = self._recorder, self._recorder.clock.mono_ns()
        recorder.follower.drain()  # the newest rows too: a book that came just now is not lost
        books, directory, wall_ns = recorder.follower.books, recorder.directory, recorder.clock.wall_ns()
        open_markets = [t for t in directory.markets if directory.is_open(t, wall_ns)]
        lost = [t for t in open_markets if (book := books.get(t)) is None or not book.proven]
        self._lost_since_ns = {ticker: self._lost_since_ns.get(ticker, now_ns) for ticker in lost}
        due = [t for t, since_ns in self._lost_since_ns.items() if now_ns - since_ns >= _LOST_BOOK_NS]
        if due:
            self._lost_since_ns.update(dict.fromkeys(due, now_ns))
            await recorder.stream.request_books(due)


async def _flush_files(recorder: "Recorder") -> None:
    """Make facts and back-filled rows durable, off the event loop."""
    for file in (recorder.facts.file, *recorder.backfill.files):
        await asyncio.to_thread(file.flush)


async def _write_state(recorder: "Recorder") -> None:
    """Write the figures for ``record status``; they need not survive a power cut, so nothing is synced."""
    place = recorder.out / ".recorder"
    place.mkdir(exist_ok=True)
    partial = place / "status.json.partial"
    partial.write_text(json_text(figures(recorder)))
    partial.replace(place / "status.json")


async def _check_books(recorder: "Recorder") -> None:
    """Compare a few books with REST and note those that disagree.

    The stream's delay behind REST passes in this machine's time, however fast an exchange's clock runs.
    """
    for found in await recorder.checks.check(asyncio.sleep, recorder.clock.wall_ns):
        recorder.note(
            MISMATCH,
            {
                "ticker": found.ticker, "stream": found.stream._asdict(), "rest": found.rest._asdict(),
                "age_ns": found.age_ns, "drift": found.is_drift, "agreed_ns": found.agreed_ns,
            },
        )  # fmt: skip
        if found.is_drift:
            text = f"{found.ticker}: the stream shows {found.stream}, REST {found.rest}, twice in a row"
            recorder.alarms.tell_once("a book drifted", text)
            await recorder.stream.request_books([found.ticker])


async def _ask_status(recorder: "Recorder") -> None:
    """Note every change of the exchange's state."""
    status = await recorder.reads.status()
    state = {"exchange_active": status.exchange_active, "trading_active": status.trading_active}
    if state != recorder.exchange_state:
        if recorder.exchange_state or not all(state.values()):
            recorder.note(PAUSE, dict(state))
        recorder.exchange_state = state


async def _note_coverage(recorder: "Recorder") -> None:
    """Write how much is covered so far."""
    markets = recorder.follower.coverage.markets(recorder.clock.wall_ns())
    recorder.note(COVERAGE, {"markets": len(markets), "proven_share": round(total_share(markets), 6)})
