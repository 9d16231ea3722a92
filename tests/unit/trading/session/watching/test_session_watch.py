"""Each new snapshot becomes lines, alarms and points."""

import asyncio

import pytest
from made.session_snapshot import CALM_RISK, calm_snapshot

from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_watch import SessionWatch


class WatchScene:
    """Watch on a clock that moves by hand; what it sends."""

    def __init__(self) -> None:
        self.now_s, self.sent, self.fallbacks = 100.0, [], 0
        self.log = EventLog(lambda: 0)
        self.alarms = Alarms(self.send, lambda: self.now_s, who="session")
        self.watch = SessionWatch(self.log, self.alarms, lambda: self.fallbacks, lambda: self.now_s)

    async def send(self, title: str, body: str) -> None:
        self.sent.append(f"{title}: {body}")

    async def take(self, after_s: float = 0.0, **changes) -> list[str]:
        """Names of the alarms that stand after a snapshot."""
        self.now_s = 100.0 + after_s
        self.watch.take(calm_snapshot(after_s, **changes))
        await asyncio.sleep(0)
        return list(self.alarms.standing)


def run(script) -> WatchScene:
    async def work() -> WatchScene:
        scene = WatchScene()
        await script(scene)
        await scene.alarms.close()
        return scene

    return asyncio.run(work())


def test_a_halt_is_told_with_its_reason_and_its_end():
    async def script(scene: WatchScene) -> None:
        assert await scene.take(0) == []
        assert await scene.take(1, state="halted", state_why="day loss") == ["trading is halted"]
        await scene.take(2, state="halted", state_why="day loss")
        assert await scene.take(3) == []

    assert run(script).sent == [
        "session: trading is halted: day loss", "session: trading is halted is over: day loss",
    ]  # fmt: skip


def test_an_unknown_outcome_is_told_after_ten_seconds():
    async def script(scene: WatchScene) -> None:
        unknown = {"risk": CALM_RISK | {"undecided": ["kp-7"]}}
        assert await scene.take(0, **unknown) == []
        assert await scene.take(10, **unknown) == []
        assert scene.watch.unknown_s == 10
        assert await scene.take(10.5, **unknown) == ["an outcome is unknown"]
        assert await scene.take(11, risk=CALM_RISK | {"undecided": ["kp-8"]}) == []  # another one, and young
        assert scene.watch.unknown_s == 0

    assert "kp-7" in run(script).sent[0]


def test_a_problem_that_stands_is_an_alarm_and_its_begin_and_end_are_lines():
    async def script(scene: WatchScene) -> None:
        await scene.take(0)
        assert await scene.take(1, problems={"the model": "misfit"}) == ["the session has a problem"]
        assert await scene.take(2) == []

    scene = run(script)
    assert [line[9:] for line in scene.log.lines if "problem" in line] == [
        "problem: the model: misfit", "problem over: the model",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["fallback", "failure"])
def test_a_model_that_falls_back_is_told_for_a_minute(how):
    async def script(scene: WatchScene) -> None:
        await scene.take(0)
        if how == "fallback":
            scene.fallbacks = 3
        counters = {"policy_failures": 2 if how == "failure" else 0}
        assert await scene.take(1, counters=counters) == ["the model falls back"]
        assert await scene.take(60, counters=counters) == ["the model falls back"]
        assert await scene.take(62, counters=counters) == []

    run(script)


def test_fills_refusals_and_breaks_are_lines_once():
    async def script(scene: WatchScene) -> None:
        spread = {"n": 3, "words": "would be 600", "at_ns": 0}
        await scene.take(0, refused={"spread_usd": spread})
        await scene.take(1, refused={"spread_usd": spread})
        shard = {"n": 1, "words": "nobody told it", "at_ns": 0}
        await scene.take(2, refused={"spread_usd": {**spread, "n": 5}, "shard_unknown": shard})
        await scene.take(3, fills=30)
        scene.watch.noted("disconnected", {"why": "reset"})
        scene.watch.noted("subscribed", {})

    assert [line[9:] for line in run(script).log.lines] == [
        "fill: BUY_YES 10.00 KXHIGHNY-26NOV30-T50 @ 0.4100",
        "refused: 3 orders by spread_usd: would be 600",
        "refused: 2 orders by spread_usd: would be 600",
        "refused: 1 orders by shard_unknown: nobody told it",
        "fill: 28 more: the report's ledger has them",
        "fill: BUY_YES 10.00 KXHIGHNY-26NOV30-T50 @ 0.4100",
        "disconnected: reset",
    ]


def test_one_point_a_second_is_kept():
    async def script(scene: WatchScene) -> None:
        for after_s in (0, 0.4, 1, 2):
            await scene.take(after_s)
        first = scene.watch.points[0]
        assert (first.equity_usd, first.p50_ms, first.p99_ms) == (1_000.2425, 0.8, 2.5)
        assert len(scene.watch.points) == 3

    run(script)
