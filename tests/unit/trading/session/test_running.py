"""When a running session decides: frames that came together, many groups by the clock, latencies told."""

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made.recorder import SERIES, market
from pydantic_core import to_json

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import ExchangeError
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.models.registry.marks import UNMARKED
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode
from kalshi_platform.trading.recorder.follow.follower import NoteRow
from kalshi_platform.trading.session import running, session_notes
from kalshi_platform.trading.session.latencies import Latencies
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.running import THE_END, RunningSession
from kalshi_platform.trading.session.session_config import TradingSessionConfig

NOW_NS = 1_795_500_000_000_000_000


class Holder:
    """Holds, and remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def decide(self, batch, groups, now_ns):
        self.asked.append(groups)
        return SimpleNamespace(actions=np.full((batch.n, 1), HOLD, np.int8), model="m-1")


class Scene:
    """A session of one market a group, around a recorder that is told what comes."""

    def __init__(self, markets: int = 1, hz: float = 0.0) -> None:
        self.stream = SimpleNamespace(backlog=0, taken_hooks=[])
        self.notes: list[str] = []
        self.stopped: list[str] = []
        recorder = SimpleNamespace(
            facts=SimpleNamespace(listeners=[]), sink=SimpleNamespace(first_hooks=[], note_hooks=[]),
            ending=[], last_notes=[], simulated=True, stream=self.stream,
            clock=SimpleNamespace(wall_ns=lambda: NOW_NS), note=lambda kind, detail: self.notes.append(kind),
            stop=lambda why, failed: self.stopped.append(why), out=Path("nowhere"), why_stopped="SIGTERM",
        )  # fmt: skip
        self.policy, trading, log = Holder(), TradingConfig(n_slots=1), SimpleNamespace(add=print)
        self.session = RunningSession(
            recorder, TradingSessionConfig(hz=hz), "paper", trading, 0, "m-1", UNMARKED, PaperBook(trading),
            self.policy, lambda _: SimpleNamespace(state=RiskMode.ACTIVE, why=STARTED, look=print), log,
        )  # fmt: skip
        self.tickers = [f"{SERIES}-26DEC01-T{n}" for n in range(markets)]
        for ticker in self.tickers:
            self.session.core.tell({"known_ns": NOW_NS - 1, "market": market(ticker)})
        self.seq = 0

    def frame(self, n: int, mono_ns: int = 1, *, alone: bool = True, conn: int = 1) -> None:
        """One whole book of market ``n``; not ``alone``: more frames came with it."""
        self.seq += 1
        sides = {"yes_dollars_fp": [["0.4000", "50.00"]], "no_dollars_fp": [["0.5500", "50.00"]]}
        message = {
            "type": "orderbook_snapshot", "sid": 1, "seq": self.seq,
            "msg": {"market_ticker": self.tickers[n], **sides},
        }  # fmt: skip
        self.session._frame(NOW_NS + self.seq, conn, mono_ns, to_json(message).decode(), message)
        if alone:
            self.taken()

    def taken(self) -> None:
        """All frames that came together were handed on."""
        for hear in self.stream.taken_hooks:
            hear()


def test_frames_that_came_together_are_taken_before_one_decision():
    scene = Scene(markets=3)
    for n in range(3):
        scene.frame(n, alone=n == 2)
    assert scene.policy.asked == [[0, 1, 2]]
    scene.frame(1)
    assert scene.policy.asked[1:] == [[1]]


def test_a_decision_is_as_old_as_the_first_frame_that_asked_for_it():
    scene = Scene(markets=2)
    scene.frame(0, mono_ns=1_000, alone=False)
    scene.frame(1, mono_ns=2_000)
    assert scene.session.frame_mono_ns == 1_000
    assert scene.session.latencies.stages["decision"].n == 1


def test_frames_that_came_with_one_that_nobody_can_read_are_decided_on():
    scene = Scene()
    scene.frame(0, alone=False)
    scene.session._frame(NOW_NS + 5, 1, 5, "no JSON", None)
    scene.taken()
    assert scene.policy.asked == [[0]]


def test_a_backlog_puts_decisions_off():
    scene = Scene()
    scene.stream.backlog = 1_000
    scene.frame(0)
    assert scene.policy.asked == []
    scene.stream.backlog = 0
    scene.frame(0)
    assert scene.policy.asked == [[0]]


def test_many_groups_are_decided_a_few_at_a_time_and_others_may_run_between():
    scene, turns = Scene(markets=20, hz=10.0), []
    for n in range(20):
        scene.frame(n)
    assert scene.policy.asked == []

    async def work() -> None:
        ticking = asyncio.create_task(scene.session._tick())
        while not ticking.done():
            turns.append(len(scene.policy.asked))
            await asyncio.sleep(0)

    asyncio.run(work())
    assert scene.policy.asked == [[*range(8)], [*range(8, 16)], [*range(16, 20)]]
    assert turns[:3] == [0, 1, 2]


def test_what_was_due_of_a_connection_that_ended_is_decided_when_whole_books_are_back():
    scene = Scene()
    scene.frame(0, alone=False)
    scene.session._noted(NoteRow(NOW_NS + scene.seq, 1, "disconnected", {"why": "reset"}))
    scene.taken()  # an answer to a subscription
    assert scene.policy.asked == []
    scene.frame(0, conn=2)
    assert scene.policy.asked == [[0]]


def test_the_clock_ends_with_the_session():
    scene = Scene(hz=1_000.0)
    scene.session.is_ending = True
    asyncio.run(asyncio.wait_for(scene.session._decide_by_clock(), 60))
    assert scene.session.latencies.ticks == 0


def clock_of(monkeypatch: pytest.MonkeyPatch, ticks_ms: list[int], *, whole: bool = True) -> Latencies:
    """What is counted of a clock of 10 Hz whose ticks take ``ticks_ms``."""
    now_ns = [0]

    class EndError(Exception):
        """No more ticks."""

    async def sleep(seconds: float) -> None:
        now_ns[0] += round(seconds * NS_PER_SECOND)

    async def tick() -> bool:
        if not ticks_ms:
            raise EndError
        now_ns[0] += ticks_ms.pop(0) * NS_PER_MS
        return whole

    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic_ns=lambda: now_ns[0]))
    monkeypatch.setattr(running, "asyncio", SimpleNamespace(sleep=sleep))
    session = SimpleNamespace(
        config=SimpleNamespace(hz=10.0), latencies=Latencies(), _tick=tick, is_ending=False, error=None
    )
    with pytest.raises(EndError):
        asyncio.run(RunningSession._decide_by_clock(session))
    return session.latencies


@pytest.mark.parametrize(
    ("ticks_ms", "periods", "late"),
    [
        ([5, 99, 5], 3, 0),
        ([5, 150, 5], 3, 1),  # the third began 50 ms after its time, and ended in its period
        ([5, 1_950, 5], 21, 19),  # the second stands for the 18 that it ate too
        ([1_950, 1_950], 39, 39),
    ],
)
def test_periods_that_a_long_tick_ate_count_as_late(monkeypatch, ticks_ms, periods, late):
    found = clock_of(monkeypatch, ticks_ms)
    assert (found.ticks, found.ticks_late) == (periods, late)


def test_a_tick_that_was_put_off_was_not_kept(monkeypatch):
    found = clock_of(monkeypatch, [5, 5], whole=False)
    assert (found.ticks, found.ticks_late) == (2, 2)
    scene = Scene(hz=10.0)
    scene.frame(0)
    scene.stream.backlog = 1_000
    assert asyncio.run(scene.session._tick()) is False
    scene.stream.backlog = 0
    assert asyncio.run(scene.session._tick()) is True
    assert scene.policy.asked == [[0]]


def test_nothing_is_decided_after_an_error(monkeypatch):
    scene = Scene(markets=20, hz=10.0)
    for n in range(20):
        scene.frame(n)
    monkeypatch.setattr(scene.session.account, "act", lambda *given: 1 / 0)
    asyncio.run(scene.session._tick())
    assert isinstance(scene.session.error, ZeroDivisionError)
    assert len(scene.policy.asked) == 1


def test_an_error_of_the_account_ends_the_session(monkeypatch: pytest.MonkeyPatch):
    scene = Scene()
    monkeypatch.setattr(scene.session.account, "hear", lambda message: 1 / 0)
    scene.frame(0)
    assert isinstance(scene.session.error, ZeroDivisionError)
    assert scene.stopped


def test_the_recording_tells_when_a_session_begins_to_end():
    scene = Scene(hz=10.0)
    asyncio.run(scene.session._stop())
    assert scene.notes[-1] == session_notes.SESSION_CONTROL
    scene.frame(0)
    scene.session._decide([0], 1)
    assert scene.policy.asked == []


def ended_with(mode: str, working: dict[str, str], stop) -> dict[str, str]:
    """Problems of a session whose account stopped by ``stop`` while ``working`` orders were not ended."""
    scene = Scene()
    session = scene.session
    session.mode, session.account.stop = mode, stop
    session.controls.working = lambda: working
    with suppress(ExchangeError):
        asyncio.run(session._stop())
    return dict(session.core.problems)


async def without_an_answer() -> None:
    raise ExchangeError("the exchange is away")


async def in_order() -> None:
    return None


@pytest.mark.parametrize("stop", [in_order, without_an_answer])
def test_an_end_that_leaves_orders_says_so_however_it_came(stop):
    told = ended_with("simulated", {"kp-1": "KXA-1", "kp-2": "KXA-2"}, stop)
    assert "orders that may still rest: 2, first in KXA-1" in told[THE_END]
    assert ended_with("simulated", {}, stop) == {}
    assert ended_with("paper", {"0/0/1": "KXA-1"}, stop) == {}  # paper orders rest nowhere


def test_an_error_on_hearing_of_a_break_ends_the_session(monkeypatch):
    scene = Scene()
    monkeypatch.setattr(scene.session.account, "told", lambda kind, why: 1 / 0)
    scene.session._noted(NoteRow(NOW_NS, 1, "disconnected", {"why": "reset"}))
    assert isinstance(scene.session.error, ZeroDivisionError)
