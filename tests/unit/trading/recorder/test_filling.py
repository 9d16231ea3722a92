"""Filling: a hole is asked for when it shows, and once more, whole, when the trade channel is back."""

import asyncio
from types import SimpleNamespace
from typing import Any

from made.recorder import A, B

from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder.filling import Filling
from kalshi_platform.trading.recorder.follow.follower import NoteRow
from kalshi_platform.trading.recorder.segments import lines

S = 1_000_000_000
T0 = 1_795_400_000 * S


class Scene:
    """A filling and what it asks for: (market, from, to) in seconds since T0."""

    def __init__(self, earlier_s: float | None = None) -> None:
        self.now_s = 0.0
        self.asked: list[tuple[str, float, float]] = []
        self.open: dict[str, str] = {}
        self.recorder: Any = SimpleNamespace(
            clock=SimpleNamespace(wall_ns=lambda: T0 + round(self.now_s * S)),
            known_ns=lambda: T0,
            config=SimpleNamespace(backfill_s=500),
            earlier=SimpleNamespace(last_ns=None if earlier_s is None else T0 + round(earlier_s * S)),
            directory=SimpleNamespace(markets={A: "E"}, series_of={}),
            backfill=SimpleNamespace(open=self.open, open_candles={}, fill_trades=self._fill),
            sink=SimpleNamespace(note_hooks=[]),
        )
        self.filling = Filling(self.recorder)

    async def _fill(self, ticker: str, since_ns: int, until_ns: int, known_ns: int) -> int:
        self.asked.append((ticker, (since_ns - T0) / S, (until_ns - T0) / S))
        self.now_s += 7  # an answer takes its time
        return 0

    def note(self, second: float, kind: str, **detail: Any) -> None:
        self.now_s = second
        for hook in self.recorder.sink.note_hooks:
            hook(NoteRow(T0 + round(second * S), 1, kind, detail))

    def subscribed(self, second: float, *tickers: str) -> None:
        params = {"channels": ["trade"], "market_tickers": list(tickers)}
        self.note(second, sink.SUBSCRIBED, sid=3, channel="trade", params=params)

    def look(self, second: float) -> list[tuple[str, float, float]]:
        self.now_s, self.asked[:] = second, []
        asyncio.run(self.filling.look())
        return list(self.asked)


def begun() -> Scene:
    scene = Scene()
    scene.subscribed(0, A)
    scene.look(1)
    return scene


def test_a_market_that_is_met_is_filled_from_before_the_start_and_then_left_alone():
    scene = Scene()
    assert scene.look(10) == [(A, -490, 10)]
    assert scene.look(20) == []


def test_the_time_between_two_runs_is_filled_however_long():
    assert Scene(earlier_s=-9_000).look(10) == [(A, -9_060, 10)]


def test_a_broken_connection_is_filled_when_it_shows_and_whole_when_the_trades_are_back():
    scene = begun()
    scene.note(100, sink.DISCONNECTED, why="EOFError")
    assert scene.look(101) == [(A, 40, 101)]
    assert scene.look(1_000) == []
    scene.subscribed(1_900, A)  # half an hour later: the middle of the outage was never asked for
    assert scene.look(1_901) == [(A, 40, 1_901)]
    scene.subscribed(2_000, A)
    assert scene.look(2_001) == [(A, 1_940, 2_001)]


def test_missing_numbers_are_filled_once():
    scene = begun()
    scene.note(100, sink.GAP, sid=3, expected=4, got=9)
    assert scene.look(101) == [(A, 40, 101)]
    scene.subscribed(500, A)
    assert scene.look(501) == [(A, 440, 501)]  # only what a new subscription may have missed


def test_the_end_of_the_trade_subscription_lasts_until_the_next_one_and_that_of_the_book_does_not():
    scene = begun()
    scene.note(100, sink.TERMINAL, code=25, channel="trade")
    scene.note(200, sink.TERMINAL, code=25, channel="orderbook_delta")
    scene.look(201)
    scene.subscribed(900, A)
    assert scene.look(901) == [(A, 40, 901)]


def test_each_market_is_asked_up_to_the_moment_of_the_question():
    scene = Scene()
    scene.recorder.directory.markets[B] = "E"
    assert scene.look(10) == [(A, -490, 10), (B, -490, 17)]


def test_what_could_not_be_filled_is_asked_again_and_a_clock_that_was_set_back_hides_nothing():
    scene = begun()
    scene.note(100, lines.DISK_OVERFLOW, first_recv_ns=T0 + 900 * S)  # written times ran ahead of the clock
    scene.open[A] = "503"
    assert scene.look(101) == [(A, 40, 101)]
    scene.open.clear()
    assert scene.look(110) == [(A, 40, 110)]
    assert scene.look(120) == []
