"""One running session: a recorder feeds it, a clock or every message asks it to decide.

Feed       the recorder (``trading/recorder``) hands each frame on once it is in the journal's hands: the
           session's recording holds every frame that the session saw, in the same order, and its notes.
Loop       ``hz`` > 0: a clock asks all groups with news, at that rate; 0: each message, as in training, but
           messages that arrived together are taken before one decision about all of them: a decision on the
           first would be made on a book that is known to be old.
Backlog    where more frames wait than ``most_backlog`` a decision is put off until newer ones are in.
Ends       an error of the session itself ends the recording and is raised: trading never goes on half.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.models.registry.marks import Marks
from kalshi_platform.serving.live.own_orders import OwnOrders
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.sink import DISCONNECTED
from kalshi_platform.trading.recorder.follow.follower import NoteRow
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.controls import HALT_FILE, AccountSwitch, SessionControls
from kalshi_platform.trading.session.core import DecisionMaker, SessionAccount, SessionCore
from kalshi_platform.trading.session.latencies import Latencies
from kalshi_platform.trading.session.named_shards import shards_in
from kalshi_platform.trading.session.refusals import Refusals
from kalshi_platform.trading.session.session_config import TradingSessionConfig
from kalshi_platform.trading.session.watching.event_log import EventLog

#: Mode whose orders never leave this process.
PAPER: Final = "paper"
#: Name of the problem that orders may still rest.
THE_END: Final = "the end"

#: Groups of one decision by the clock, after which frames are taken: more would keep frames waiting for
#: longer than some frames take, fewer would let a burst of frames spread one tick over a whole period.
_AT_A_TIME: Final = 8


class RunningSession:
    """Session around a recorder; make it before ``recorder.run()``."""

    def __init__(
        self,
        recorder: Recorder,
        config: TradingSessionConfig,
        mode: str,
        trading: TradingConfig,
        window: int,
        model: str,
        marks: Marks,
        account: SessionAccount,
        decide: DecisionMaker,
        make_switch: Callable[["RunningSession"], AccountSwitch],
        log: EventLog,
    ) -> None:
        """Follow ``recorder`` from its first frame on; ``make_switch``: controls of the account."""
        self.recorder, self.config, self.mode, self.marks = recorder, config, mode, marks
        self.account, self.log, self.refusals = account, log, Refusals()
        self.latencies = Latencies()
        self.core = SessionCore(
            trading, window, account, decide, self.note,
            max_markets=config.max_markets, accepts_missing=config.accepts_missing,
            own=None if mode == "paper" else OwnOrders(),
        )  # fmt: skip
        self.shards: dict[str, int] = {}  # market -> exchange_index
        self.started_ns = recorder.clock.wall_ns()
        self.error: BaseException | None = None
        self.is_ending = False
        self._number = 0
        self._due: dict[int, int] = {}  # group -> when the first frame left the socket that made it due
        self.frame_mono_ns = 0  # when the newest frame left the socket
        recorder.facts.listeners.append(self._told)
        recorder.sink.first_hooks.append(self._frame)
        recorder.sink.note_hooks.append(self._noted)
        recorder.stream.taken_hooks.append(self._taken)
        recorder.ending.append(self._stop)
        recorder.last_notes.append(self._end)
        self.note(notes.SESSION_BEGAN, {
            "trading": trading.model_dump(mode="json"), "window": window, "mode": mode, "seed": config.seed,
            "accepts_missing": config.accepts_missing, "max_markets": config.max_markets, "hz": config.hz,
            "simulated": recorder.simulated, "model": model, "opening": account.opening(),
        })  # fmt: skip
        self.controls = SessionControls(make_switch(self), self.note, log, recorder.out / HALT_FILE)

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Work beside the frames, by name; each runs until it is cancelled."""
        work = {"outcomes": self._pay_outcomes(), "controls": self.controls.run()}
        if self.config.hz > 0:
            work["clock"] = self._decide_by_clock()
        return work

    def guarded(self, work: Callable[[], object]) -> None:
        """Do ``work``; an error ends the session."""
        try:
            work()
        except Exception as err:
            self.fail(err)

    def fail(self, error: BaseException) -> None:
        """End the session with an error."""
        self.error = self.error or error
        self.recorder.stop(f"the session failed: {type(error).__name__}: {error}"[:300], failed=True)

    def _frame(self, recv_ns: int, conn: int, mono_ns: int, text: str, message: Any) -> None:
        """Take one frame of the recording."""
        if self.error is not None:
            return
        if not isinstance(message, dict):
            return
        self._number += 1
        begun_ns, self.frame_mono_ns = time.monotonic_ns(), mono_ns
        try:
            due = self.core.frame(self._number, recv_ns, conn, text, message)
            done_ns = time.monotonic_ns()
            self.account.hear(message)  # after the books, as its notes stand behind the frame for replay
            stages = self.latencies.stages
            stages["queue"].add(begun_ns - mono_ns)
            stages["features"].add(done_ns - mono_ns)
            if self.config.hz == 0:
                for group in due:
                    self._due.setdefault(group, mono_ns)
        except Exception as err:
            self.fail(err)

    def _told(self, known_ns: int, kind: str, ticker: str, answer: Any) -> None:
        """Take an answer of REST that is news."""
        self.shards.update(shards_in(kind, answer))
        self.guarded(partial(self.core.tell, {"known_ns": known_ns, kind: answer}))

    def _noted(self, row: NoteRow) -> None:
        """Take a note of the recording; an error ends the session: a break would be one that nobody heard."""
        self.guarded(partial(self._take_note, row))

    def _take_note(self, row: NoteRow) -> None:
        """Hand a note to the account and to the count of refusals; a break ends its books."""
        self.refusals.noted(row.recv_ns, row.kind, row.detail)
        self.account.told(row.kind, str(row.detail.get("why", "")))
        if row.kind == DISCONNECTED:
            self.core.end_connection(row.conn, row.recv_ns)
            self._due.clear()  # their books are gone: whole ones make them due again

    def _taken(self) -> None:
        """Decide for the groups that are due, once all frames that came together are in."""
        if not self._due or self._is_behind():
            return
        groups, first_ns = list(self._due), min(self._due.values())
        self._due.clear()
        self.guarded(partial(self._decide, groups, first_ns))

    def _is_behind(self) -> bool:
        """True where so many frames wait that a decision is put off, which is counted."""
        if self.backlog <= self.config.most_backlog:
            return False
        self.core.counters["decisions_put_off"] += 1
        return True

    @property
    def backlog(self) -> int:
        """Frames received and not yet taken."""
        return self.recorder.stream.backlog

    def _decide(self, groups: list[int], mono_ns: int) -> None:
        """Decide and measure; nothing is decided once the session ends or failed."""
        if self.is_ending or self.error is not None:
            return
        self.frame_mono_ns = mono_ns  # orders tell how old the frame is that they answer
        self.core.decide(groups)
        self.latencies.stages["decision"].add(time.monotonic_ns() - mono_ns)

    async def _decide_by_clock(self) -> None:
        """Decide ``hz`` times a second for all groups with news."""
        period_ns = round(NS_PER_SECOND / self.config.hz)
        due_ns = time.monotonic_ns() + period_ns
        while not self.is_ending and self.error is None:
            await asyncio.sleep(max(due_ns - time.monotonic_ns(), 0) / NS_PER_SECOND)
            is_whole = await self._tick()
            took_ns = time.monotonic_ns() - due_ns
            passed = max(1, took_ns // period_ns)  # periods that this tick stands for: it ate all but one
            self.latencies.ticks += passed
            if took_ns > period_ns or not is_whole:
                self.latencies.ticks_late += passed
            due_ns += period_ns * passed

    async def _tick(self) -> bool:
        """Decide for all groups with news, a few at a time: frames that come meanwhile are taken between.

        False where some were put off.
        """
        groups = self.core.tick()
        for at in range(0, len(groups), _AT_A_TIME):
            if self._is_behind():
                return False
            self.guarded(partial(self._decide, groups[at : at + _AT_A_TIME], self.frame_mono_ns))
            await asyncio.sleep(0)
        return True

    async def _pay_outcomes(self) -> None:
        """Pay markets whose outcome REST has told."""
        while True:
            await asyncio.sleep(self.config.outcomes_s)
            self.guarded(self._pay_known)

    def _pay_known(self) -> None:
        """Pay what is known now."""
        for ticker, value_e4 in self.core.known_outcomes(self.recorder.directory.outcomes):
            self.core.pay(ticker, value_e4, max(self.recorder.known_ns(), self.core.now_ns))

    def note(self, kind: str, detail: dict[str, object]) -> None:
        """Write a note into the recording."""
        self.recorder.note(kind, detail)

    async def _stop(self) -> None:
        """Decide no more, end what is under way, and tell of orders whose end nobody has confirmed."""
        self.is_ending = True
        self.controls.tell_end(self.recorder.why_stopped or "ended")
        try:
            await self.account.stop()
        finally:  # also where the recorder waits no longer, or the exchange does not answer
            left = {} if self.mode == PAPER else self.controls.working()
            if left:
                first = next(iter(left.values()))[:80]
                self.core.problems[THE_END] = (
                    f"orders that may still rest: {len(left)}, first in {first}: no answer said that they "
                    "ended; start again (it cancels and compares), or cancel them on the exchange's page"
                )

    def _end(self) -> None:
        """Write what the account was at the end."""
        self.core.finish()
        figures = self.account.figures()
        why = self.recorder.why_stopped or "ended"
        self.note(
            notes.SESSION_ENDED,
            {
                "why": why,
                **figures,
                "latency": self.latencies.figures(),
                "problems": dict(self.core.problems),
            },
        )
