"""Duties beside a running session, from its first frame to its end: views, another model, the last word.

Views    never stop trading: a disk or a terminal that takes nothing is a problem of the session, counted and
         shown where it still can be. A journal that cannot be written stops it (``trading/execution``).
Error    of the session itself ends it and is raised here: the recorder would call it one of the disk.
"""

import asyncio
import gc
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Final

from kalshi_platform.domain.errors import PlatformError, StorageError
from kalshi_platform.trading.recorder.live import run_until_ended
from kalshi_platform.trading.session.asked_session import AskedSession, Tell
from kalshi_platform.trading.session.decider import ModelDecider
from kalshi_platform.trading.session.running import THE_END, RunningSession
from kalshi_platform.trading.session.screen.screen_process import SessionScreen, lent_terminal
from kalshi_platform.trading.session.snapshot import SessionSnapshot
from kalshi_platform.trading.session.watching.plain_lines import PlainLines
from kalshi_platform.trading.session.watching.session_watch import SessionWatch
from kalshi_platform.trading.session.watching.showing import showing
from kalshi_platform.trading.session.watching.viewing import (
    SESSION_PLACE,
    snapshot_of,
    snapshot_text,
    write_snapshot,
)

_VIEW_S: Final = 1.0
#: Longest that another thread keeps the loop from running; Python's own 5 ms are a late order.
_SWITCH_S: Final = 0.0005
#: The log keeps so much of a line: of a traceback the end says most.
_MOST_TRACE: Final = 1_900


async def run_session(
    asked: AskedSession, session: RunningSession, decider: ModelDecider, tell: Tell
) -> None:
    """Run recorder and session until one of them stops; an error of the session is raised."""
    recorder = session.recorder
    async with AsyncExitStack() as stack:
        stack.callback(_tell_the_end, session, tell)  # last of all: the terminal is given back by then
        shown = showing(session, asked.out / SESSION_PLACE, asked.page_port, lambda: decider.fallbacks)
        watch, page = await stack.enter_async_context(shown)
        tell(f"page: {page.address}")
        screen = None
        if asked.tui:
            lent = lent_terminal(session.controls, recorder.stop, session.fail, asked.out, tell)
            screen = await stack.enter_async_context(lent)
        views = SessionViews(asked, session, decider, watch, tell, screen)
        duties = {**session.tasks(), "model": _reload(asked, session, decider), "view": views.run()}
        tasks = [asyncio.create_task(work, name=name) for name, work in duties.items()]
        for task in tasks:
            task.add_done_callback(lambda done: _watch(session, done))
        try:
            with _undisturbed():
                await run_until_ended(recorder, asked.minutes)
        except StorageError:
            if session.error is None:  # else its words blame the disk for an error of the session
                raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await views.write(views.snapshot())
        if session.error is not None:
            raise _told_error(session, session.error)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let neither garbage collection nor another thread hold the event loop up in the block."""
    # Modules, kernels and engines stay until the end: to look through them again and again would stop the
    # loop for a few hundred ms each time.
    gc.collect()
    gc.freeze()
    # A thread that computes (a snapshot's text, a model's check) hands the interpreter back so soon.
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(switch_s)


def _told_error(session: RunningSession, error: BaseException) -> BaseException:
    """Error for the user: one that nobody foresaw goes into the log whole, and is told in a sentence."""
    if isinstance(error, PlatformError):
        return error
    session.log.say("failed", "".join(traceback.format_exception(error))[-_MOST_TRACE:], level="error")
    words = f"{type(error).__name__}: {error}"[:250]
    told = PlatformError(
        f"the session ended by an error of this program ({words}); where it happened stands in "
        f"{session.recorder.out / SESSION_PLACE / 'log.jsonl'}"
    )
    told.__cause__ = error
    return told


def _tell_the_end(session: RunningSession, tell: Tell) -> None:
    """Tell of orders that may still rest."""
    if THE_END in session.core.problems:
        tell(session.core.problems[THE_END])


def _watch(session: RunningSession, task: "asyncio.Task[None]") -> None:
    """End the session where one of its own tasks died."""
    if not task.cancelled() and (error := task.exception()) is not None:
        session.fail(error)


async def _reload(asked: AskedSession, session: RunningSession, decider: ModelDecider) -> None:
    """Look for another model again and again, off the event loop."""
    while True:
        await asyncio.sleep(asked.config.reload_s)
        await asyncio.to_thread(decider.refresh)
        _set_problem(session, "the model", decider.problem)


def _set_problem(session: RunningSession, name: str, words: str | None) -> None:
    """Let a problem stand, or end it where there are no words."""
    if words is None:
        session.core.problems.pop(name, None)
    else:
        session.core.problems[name] = words


class SessionViews:
    """Everything that shows a session: once a second the snapshot is taken, written, and drawn or told."""

    def __init__(
        self,
        asked: AskedSession,
        session: RunningSession,
        decider: ModelDecider,
        watch: SessionWatch,
        tell: Tell,
        screen: SessionScreen | None,
    ) -> None:
        self._asked, self._session, self._decider = asked, session, decider
        self._watch, self._tell, self._screen = watch, tell, screen
        self._lines, self._untold_s = PlainLines(), 0.0

    async def run(self) -> None:
        """Show the session until cancelled; without a screen tell lines now and then."""
        while True:
            screen = self._screen
            await (asyncio.sleep(_VIEW_S) if screen is None else screen.pause(_VIEW_S))
            await self.show()

    async def show(self) -> None:
        """Take, write and show one snapshot; problems that came long ago are over in it."""
        self._session.core.repeated.end_quiet(self._session.recorder.clock.wall_ns())
        snapshot = self.snapshot()
        self._watch.take(snapshot)
        text = await self.write(snapshot)
        self._look_at_log()
        if self._screen is not None and self._screen.is_open:
            self._screen.show(text)
            return
        self._untold_s += _VIEW_S
        if self._untold_s >= self._asked.config.told_s:
            self._untold_s = 0.0
            self._say(snapshot)

    def snapshot(self) -> SessionSnapshot:
        """State of the session now."""
        return snapshot_of(self._session, self._asked.alias, _model_counts(self._decider))

    async def write(self, snapshot: SessionSnapshot) -> str:
        """Write the snapshot for other programs, beside the event loop; returns its text."""
        text = await asyncio.to_thread(snapshot_text, snapshot)
        try:
            await asyncio.to_thread(write_snapshot, self._asked.out, text)
        except OSError as err:
            self._failed("the view", "snapshots", f"{self._asked.out / SESSION_PLACE}/snapshot.json", err)
        else:
            _set_problem(self._session, "the view", None)
        return text

    def _say(self, snapshot: SessionSnapshot) -> None:
        """Tell the lines of a snapshot."""
        try:
            for line in self._lines.of(snapshot):
                self._tell(line)
        except OSError as err:
            self._failed("the terminal", "lines", "stderr", err)
        else:
            _set_problem(self._session, "the terminal", None)

    def _failed(self, problem: str, what: str, place: str, err: OSError) -> None:
        """Count what could not be written, and say so wherever it can still be seen."""
        counters, name = self._session.core.counters, f"{what}_not_written"
        counters[name] += 1
        words = (
            f"{place} takes nothing ({err.strerror or type(err).__name__}), {counters[name]} {what} lost: "
            "trading goes on, and what stands there is old; make room, or look at the page"
        )
        _set_problem(self._session, problem, words)

    def _look_at_log(self) -> None:
        """Tell of lines that the log's file lacks."""
        lost = self._session.log.failed
        words = f"the disk did not take {lost} lines of log.jsonl: they are on the page only; make room"
        _set_problem(self._session, "the log", words if lost else None)


def _model_counts(decider: ModelDecider) -> Mapping[str, int]:
    """Groups decided by a lower tier than wanted, and by none: the session held there."""
    return {"fallbacks": decider.fallbacks, "decided_by_none": decider.tiers.get("none", 0)}
