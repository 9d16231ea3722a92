"""Latency of two legs, constant or drawn: when an order meets the book, and that nothing is seen early."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.replay_bank import DEEP, Script, bank_of, book, market, play, random_bank, rows_of, training_env

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.sending import delay_ns
from kalshi_platform.simulation.replay.state import allocate

MS = 1_000_000


def delays(n, sigma=0.5, episode=0, market_at=0, seed=0, **legs):
    """The first n delays of decisions a second apart."""
    config = EnvConfig(latency_sigma=sigma, **legs)
    sending = config.sending._replace(seed=seed)
    envs, slots = allocate(1, 1)
    envs[0].episode, slots[0, 0].market = episode, market_at
    start = 1_700_000_000_000_000_000
    return np.array(
        [delay_ns(envs[0], slots[0, 0], start + k * 10**9, config.execution, sending) for k in range(n)]
    )


def test_two_constant_legs_add_up():
    assert set(delays(5, 0.0, latency_ms=50, feed_latency_ms=20).tolist()) == {70 * MS}


def test_each_drawn_leg_is_log_normal_around_its_median():
    for legs in ({"latency_ms": 50}, {"latency_ms": 0, "feed_latency_ms": 50}):
        logs = np.log(delays(20_000, 0.5, **legs) / (50 * MS))
        # standard errors: mean sigma / sqrt(n), variance sigma^2 sqrt(2 / n)
        assert abs(logs.mean()) < 4 * 0.5 / np.sqrt(20_000)
        assert abs(logs.var() - 0.25) < 4 * 0.25 * np.sqrt(2 / 20_000)
        # p99 of the description: exp(2.33 x 0.5) = 3.2 times the median
        assert 3.2 * 0.93 < np.exp(np.quantile(logs, 0.99)) < 3.2 * 1.07


def test_the_legs_are_drawn_apart():
    order, feed = delays(4_000, latency_ms=50), delays(4_000, latency_ms=0, feed_latency_ms=50)
    both = delays(4_000, latency_ms=50, feed_latency_ms=50)
    assert (np.abs(both - order - feed) <= 1_000).all()  # each is rounded to a microsecond
    assert abs(np.corrcoef(np.log(order), np.log(feed))[0, 1]) < 4 / np.sqrt(4_000)


@pytest.mark.parametrize("other", [{"seed": 1}, {"episode": 1}, {"market_at": 1}])
def test_another_seed_episode_or_market_draws_others(other):
    one, two = delays(2_000), delays(2_000, **other)
    assert abs(np.corrcoef(np.log(one), np.log(two))[0, 1]) < 4 / np.sqrt(2_000)
    np.testing.assert_array_equal(one, delays(2_000))


@given(
    st.integers(0, 2**62), st.integers(0, 10**6), st.floats(0, 2), st.integers(0, 2_000), st.integers(0, 500)
)
@settings(max_examples=60)
def test_plain_python_draws_the_same_and_no_delay_is_negative(now, episode, sigma, order_ms, feed_ms):
    config = EnvConfig(latency_sigma=sigma, latency_ms=order_ms, feed_latency_ms=feed_ms)
    envs, slots = allocate(1, 1)
    envs[0].episode, slots[0, 0].market = episode, 7
    found, plain = (
        f(envs[0], slots[0, 0], now, config.execution, config.sending) for f in (delay_ns, delay_ns.py_func)
    )
    assert found == plain >= 0


def test_an_order_meets_the_book_of_feed_and_order_leg_after_the_decision():
    # the ask is taken away 60 ms after the decision: 50 ms of order leg alone still get it
    books = [book(0, ((4_000, DEEP),), ((5_000, DEEP),)), book(0.06, ((4_000, DEEP),), ((6_000, DEEP),))]
    for feed_ms, due in ((0, 1_000), (20, 0)):
        s = Script(
            bank_of(market(rows_of(*books, book(9, *books[1][1:3])))), latency_ms=50, feed_latency_ms=feed_ms,
            max_slippage_e4=0,
        )  # fmt: skip
        s.run(BUY_YES, HOLD)
        assert s.records().traded_e2[0] == due


def test_the_constant_latency_of_before_is_the_default_to_the_bit():
    bank = random_bank(1)
    for style in ("taker", "maker"):
        one, other = (
            play(training_env(bank, 3, order_style=style, latency_ms=40, **extra), 60)
            for extra in ({}, {"feed_latency_ms": 0, "latency_sigma": 0.0})
        )
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    split = (play(training_env(bank, 3, latency_ms=ms, feed_latency_ms=70 - ms), 60) for ms in (70, 40))
    for a, b in zip(*split, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_episode_has_the_same_latencies_in_any_environment():
    bank, records = random_bank(2), []
    for n_envs in (1, 3):
        env = ReplayVectorEnv(
            bank,
            FixedEpisodes(market_episodes(bank, 1)),
            EnvConfig(n_slots=1, latency_sigma=1.0),
            n_envs,
            seed=5,
        )
        flat, rows = env.buffers()
        out = np.zeros(n_envs, np.float32), np.zeros(n_envs, bool), np.zeros(n_envs, bool)
        env.reset(flat, rows)
        while not env.done:
            mask = env.layout.action_mask(flat)
            env.step((4 - mask[..., ::-1].argmax(-1)).astype(np.int8), flat, rows, *out)
        found = env.drain_episodes()
        records.append(sorted(zip(found.episode, found.pnl_e6, found.n_fills, strict=True)))
    assert records[0] == records[1]
    assert sum(r[2] for r in records[0]) > 20


def test_an_impossible_spread_is_refused_with_its_range():
    with pytest.raises(ContractError, match=r"latency_sigma = 3.*2"):
        EnvConfig.parse({"latency_sigma": 3.0})
