"""The open loop in virtual time: coordinated omission with worked numbers."""

import asyncio

import numpy as np
import pytest
from made.load_clock import in_virtual_time, pace_in_loop

from kalshi_platform.serving.loadtest.open_loop import Attempt, arrivals_ns, open_loop
from kalshi_platform.serving.loadtest.result import (
    ANSWERED,
    NOT_SENT,
    LoadConfig,
    summarise,
)

MS = 1_000_000


class _OneAtATime:
    """A server of one thread: an answer takes ``service_s``, that of request ``slow`` takes ``stall_s``."""

    def __init__(self, service_s, slow=-1, stall_s=0.0):
        self.service_s, self.slow, self.stall_s = service_s, slow, stall_s
        self.turn = asyncio.Lock()

    async def ask(self, k):
        async with self.turn:
            await asyncio.sleep(self.stall_s if k == self.slow else self.service_s)
        return k

    def judge(self, answer):
        return Attempt(ANSWERED, "tier_1" if answer % 2 else "tier_3", ("cached",) if answer % 2 else ())

    def failure(self, error):
        return type(error).__name__


CONSTANT = LoadConfig(
    url="http://x", rate_per_s=100, duration_s=2, warm_up_s=0, arrivals="constant", target_ms=50
)


def test_a_stall_is_counted_for_everyone_who_would_have_asked_during_it():
    # 200 requests, 10 ms apart, each takes 1 ms; request 50 (due at 500 ms) stalls the server for 1,000 ms.
    # It is done at 1,500. Request 50 + j (due at 500 + 10 j) is served after those before it, at 1,500 + j:
    # it took 1,000 - 9 j ms, while that is above 1, so for j = 0..110: 111 requests felt the stall.
    # A tester that waits for its answers would have seen one slow request in 200.
    async def main(clock):
        server = _OneAtATime(0.001, slow=50, stall_s=1.0)
        timings = await open_loop(arrivals_ns(CONSTANT), server, 1_000, pace_in_loop, clock)
        return summarise(CONSTANT, 0, timings)

    found = in_virtual_time(main)
    assert (found.intended, found.answered, found.errors) == (200, 200, {})
    slow = [1000 - 9 * j for j in range(111)]
    everyone = np.sort([*slow, *[1] * 89])
    # Nearest rank of 200: the 100th, 180th, 198th and 200th smallest.
    expected = [everyone[rank - 1] for rank in (100, 180, 198, 200)]
    assert expected == [100, 820, 982, 1000]
    latency = found.latency
    assert [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms] == pytest.approx(expected)
    # Within 50 ms: the 89 that felt nothing and j = 106..110 (46, 37, 28, 19, 10 ms).
    assert found.within_target == pytest.approx((89 + 5) / 200)
    assert found.lag.max_ms == 0
    assert found.is_trusted


def test_a_slow_server_does_not_slow_the_schedule():
    async def main(clock):
        server = _OneAtATime(0.5)  # two answers a second to a hundred requests a second
        return await open_loop(arrivals_ns(CONSTANT), server, 1_000, pace_in_loop, clock)

    timings = in_virtual_time(main)
    np.testing.assert_array_equal(timings.sent_ns, np.arange(200) * 10 * MS)
    assert timings.done_ns[-1] == 100_000 * MS  # 200 x 0.5 s


def test_requests_beyond_those_that_may_wait_are_counted_as_not_sent():
    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), _OneAtATime(0.1), 5, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    # Five may wait and one place comes free each 100 ms: at 100, 200, ... 1,900 ms, the last before the last
    # request is due at 1,990. So 5 + 19 are sent, all the others find five waiting.
    assert found.answered == 24
    assert found.errors == {NOT_SENT: 176}


def test_a_failed_request_is_counted_by_its_kind_and_is_in_no_percentile():
    class Failing(_OneAtATime):
        async def ask(self, k):
            if k % 4 == 0:
                raise OSError("broken")
            return await super().ask(k)

    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), Failing(0.001), 100, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    assert found.errors == {"OSError": 50}
    assert found.latency.n == found.answered == 150
    assert found.within_target == 0.75


def test_answers_are_told_apart_by_tier_and_note():
    async def main(clock):
        return await open_loop(arrivals_ns(CONSTANT), _OneAtATime(0.001), 100, pace_in_loop, clock)

    found = summarise(CONSTANT, 0, in_virtual_time(main))
    assert [(t.tier, t.share) for t in found.tiers] == [("tier_3", 0.5), ("tier_1", 0.5)]
    assert found.notes == {"cached": 100}


def test_arrivals_are_the_same_for_the_same_seed_and_keep_the_rate():
    config = CONSTANT.replace(arrivals="poisson", duration_s=20, rate_per_s=200)
    found = arrivals_ns(config)
    np.testing.assert_array_equal(found, arrivals_ns(config))
    assert not np.array_equal(found, arrivals_ns(config.replace(seed=1)))
    assert np.all(np.diff(found) >= 0)
    assert found[-1] < 20e9
    # 4,000 meant; five standard deviations of a Poisson count are 5 x sqrt(4,000) = 316. The gaps of an
    # exponential have a deviation equal to their mean.
    assert abs(len(found) - 4_000) < 316
    gaps = np.diff(found)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.1)
