"""A recorder follows a faster exchange's clock: never behind what was sent, never back."""

import asyncio
import time

from aiohttp import ClientTimeout
from hypothesis import given
from hypothesis import strategies as st
from made.sim_server import serve_for

from kalshi_platform.trading.exchange.sink import OVERFLOW
from kalshi_platform.trading.recorder.exchange_time import (
    HEADER,
    ClockTold,
    DatedSink,
    ExchangeTime,
    exchange_time,
)
from kalshi_platform.trading.simserver.clock import CLOCK_HEADER
from serve_deployments.local import free_port

MS, S = 10**6, 10**9
NOW = 1_793_620_800 * S


def told(now_ns: int, answered_mono_ns: int, *, speed: float = 60, way_ns: int = MS) -> ClockTold:
    return ClockTold(now_ns, speed, answered_mono_ns - way_ns, answered_mono_ns)


def test_the_way_of_the_question_is_added_to_the_time_told():
    clock = ExchangeTime(told(NOW, 5 * S, way_ns=2 * MS))
    assert clock.at(5 * S) == NOW + 120 * MS
    assert clock.at(6 * S) == NOW + 60 * S + 120 * MS


def test_an_exchange_that_slipped_is_waited_for_at_half_speed():
    clock = ExchangeTime(told(NOW, 0, way_ns=0))
    assert clock.at(S) == NOW + 60 * S
    clock.hear(told(NOW + 30 * S, S, way_ns=0))  # it lost half a second
    assert clock.at(S) == NOW + 60 * S
    assert clock.at(S + 500 * MS) == NOW + 75 * S  # 15 s where the exchange went 30 s
    assert clock.at(3 * S) == NOW + 150 * S  # caught up


def test_a_clock_that_nobody_answers_waits():
    clock = ExchangeTime(told(NOW, 0, way_ns=0))
    assert clock.at(150 * S) == NOW + 120 * S  # this process stood still, and so may have the exchange
    clock.hear(told(NOW + 60 * S, 151 * S, way_ns=0))
    assert clock.at(151 * S) < NOW + 151 * S


def test_an_answer_that_fits_moves_nothing():
    clock = ExchangeTime(told(NOW, 0, way_ns=10 * MS))
    clock.hear(told(NOW + 60 * S, S, way_ns=20 * MS))
    assert clock.at(S) == NOW + 60 * S + 600 * MS


@given(
    steps=st.lists(
        st.tuples(st.integers(0, S), st.integers(0, 300 * MS), st.integers(0, 50 * MS)), max_size=30
    ),
    speed=st.sampled_from([0.5, 1.0, 60.0, 1_500.0]),
)
def test_the_clock_never_goes_back_and_is_never_before_the_exchange(steps, speed):
    mono, exchange = 0, NOW
    clock = ExchangeTime(told(exchange, 0, speed=speed, way_ns=0))
    last = 0
    for passed, slipped, way in steps:
        mono += passed + way
        exchange += round((passed + way) * speed) - round(min(slipped, passed) * speed)
        clock.hear(told(exchange - round(way * speed), mono, speed=speed, way_ns=way))
        now = clock.at(mono)
        assert now >= max(last, exchange - 2)  # two roundings
        last = now


class Kept:
    def __init__(self) -> None:
        self.frames, self.notes = [], []

    def frame(self, *given) -> None:
        self.frames.append(given)

    def note(self, *given) -> None:
        self.notes.append(given)


def test_frames_notes_and_the_times_of_an_overflow_are_dated_by_the_exchange():
    kept, wall = Kept(), 1_800_000_000 * S
    sink = DatedSink(kept, ExchangeTime(told(NOW, 0, way_ns=0)))
    sink.frame(1, wall, S, b"{}")
    detail = {"frames": 2, "bytes": 9, "first_recv_ns": wall + S // 2, "last_recv_ns": wall + S}
    sink.note(1, wall + S, 2 * S, OVERFLOW, detail)
    assert kept.frames == [(1, NOW + 60 * S, NOW + 60 * S, b"{}")]
    (note,) = kept.notes
    assert note[:4] == (1, NOW + 120 * S, NOW + 120 * S, OVERFLOW)
    assert (note[4]["first_recv_ns"], note[4]["last_recv_ns"]) == (NOW + 90 * S, NOW + 120 * S)


def test_the_served_exchange_tells_its_clock_and_one_that_keeps_our_time_needs_none(monkeypatch):
    assert HEADER == CLOCK_HEADER
    place = "kalshi_platform.trading.recorder.exchange_time"
    monkeypatch.setattr(f"{place}._TIMEOUT", ClientTimeout(total=240))
    monkeypatch.setattr(f"{place}._SAME_NS", 3_600 * S)  # a server that starts late is behind for ever

    async def fast(scene) -> None:
        asked_ns = time.monotonic_ns()
        clock = await exchange_time(scene.served.url)
        assert clock.speed == 40
        told_ns = scene.server.clock.told_now_ns
        ahead_ns = clock.wall_ns() - told_ns
        assert 0 <= ahead_ns <= 40 * (time.monotonic_ns() - asked_ns)

    async def plain(scene) -> None:
        assert await exchange_time(scene.served.url) is None

    async def of_yesterday(scene) -> None:
        assert (await exchange_time(scene.served.url)).speed == 1

    serve_for(fast, speed=40, start_ns=NOW, n_events=1)
    serve_for(plain, n_events=1)
    serve_for(of_yesterday, start_ns=time.time_ns() - 86_400 * S, n_events=1)


def test_an_address_where_nobody_answers_gives_no_clock():
    nobody = f"http://127.0.0.1:{free_port('127.0.0.1')}/trade-api/v2"
    assert asyncio.run(exchange_time(nobody)) is None
