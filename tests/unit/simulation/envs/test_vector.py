"""Many environments at once: seeds, restarts, records, exact resume, what callers may not do."""

import numpy as np
import pytest
from made.replay_bank import Script, bank_of, book, market, play, random_bank, rows_of, same, training_env
from numpy.lib.recfunctions import repack_fields

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import (
    FixedEpisodes,
    RandomEpisodes,
    event_episodes,
    market_episodes,
)
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.observation import portfolio_column

ASK = ((5_000, 100_000),)


@pytest.mark.parametrize("mode", ["concurrent", "shifted"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(mode):
    bank = random_bank(5)
    first, again = (play(training_env(bank, seed=3, mode=mode), 80) for _ in range(2))
    assert same(first, again)
    assert not same(first, play(training_env(bank, seed=4, mode=mode), 80))


@pytest.mark.parametrize("style", ["taker", "maker"])
def test_a_saved_state_continues_to_the_bit(style):
    bank = random_bank(6, gap_share=0.02)

    def fresh():
        episodes = RandomEpisodes(bank, EpisodeConfig(min_steps=5, max_steps=30), CurriculumConfig(), 1)
        config = EnvConfig(n_slots=2, order_style=style, latency_ms=500)
        return ReplayVectorEnv(bank, episodes, config, 3), episodes

    def run(env, flat, rows, steps, seed):
        rng = np.random.default_rng(seed)
        out = np.zeros(3, np.float32), np.zeros(3, bool), np.zeros(3, bool)
        seen = []
        for _ in range(steps):
            mask = env.layout.action_mask(flat)
            env.step((rng.random(mask.shape) * mask).argmax(2).astype(np.int8), flat, rows, *out)
            seen.append(b"".join(x.tobytes() for x in (flat, rows, *out)))
        return seen

    env, episodes = fresh()
    flat, rows = env.buffers()
    env.reset(flat, rows)
    run(env, flat, rows, 37, 0)
    env.drain_episodes()
    state, source_state = env.get_state(), episodes.get_state()
    expected = run(env, flat, rows, 90, 1)
    expected_records = env.drain_episodes()
    assert expected_records.episode.size > 5

    other, other_episodes = fresh()
    stored = {name: repack_fields(state[name]) for name in ("envs", "slots")}  # as checkpoints hold them
    other.set_state(state | stored)
    other_episodes.set_state(source_state)
    flat, rows = other.buffers()
    other.observe(flat, rows)
    assert run(other, flat, rows, 90, 1) == expected
    assert same(other.drain_episodes(), expected_records)


def test_a_state_of_another_shape_is_refused():
    bank = random_bank(6)
    state = training_env(bank, n_envs=1).get_state()
    with pytest.raises(ContractError, match=r"\(1, 3\) environments and slots, this has \(4, 3\)"):
        training_env(bank).set_state(state)


def test_a_finished_environment_restarts_in_the_same_step():
    three = rows_of(*[book(k, (), ASK) for k in range(3)])
    bank = bank_of(market(three, "A"), market(three, "B"))
    episodes = FixedEpisodes(market_episodes(bank, 1))
    env = ReplayVectorEnv(bank, episodes, EnvConfig(n_slots=1, latency_ms=0), 1)
    flat, rows = env.buffers()
    out = np.zeros(1, np.float32), np.zeros(1, bool), np.zeros(1, bool)
    env.reset(flat, rows)
    env.step(np.array([[BUY_YES]], np.int8), flat, rows, *out)
    held = flat.copy()
    env.step(np.array([[HOLD]], np.int8), flat, rows, *out)
    assert out[2].tolist() == [True]
    assert env.final_rows.tolist() == [[2]]  # where the first episode ended
    position = portfolio_column("position", env.layout, env.final_flat)
    assert position.tolist() == portfolio_column("position", env.layout, held).tolist() == [[np.float32(0.2)]]
    assert rows.tolist() == [[3]]  # where the second begins, with nothing held
    assert portfolio_column("position", env.layout, flat).tolist() == [[0.0]]
    assert env.equity_e6.tolist() == [200_000_000]
    assert env.episode.tolist() == [1]
    assert not env.done


def test_environments_without_an_episode_stand_still():
    bank = random_bank(2, n_events=2, per_event=1)
    env = ReplayVectorEnv(bank, FixedEpisodes(market_episodes(bank, 1)), EnvConfig(n_slots=1), 5)
    flat, rows, reward, terminated, truncated = play(env, 70)
    assert env.done
    assert (rows[:, 2:] == -1).all()
    assert (flat[:, 2:, : env.layout.portfolio_at] == 0).all()
    assert (reward[:, 2:] == 0).all()
    assert (terminated | truncated).sum(0).tolist() == [1, 1, 0, 0, 0]
    assert env.drain_episodes().episode.tolist() == [0, 1]


def test_an_episode_returns_the_sum_of_its_rewards():
    bank = random_bank(9)
    env = training_env(bank, n_envs=1, holding_cost_per_day=1.0)
    _, _, reward, terminated, truncated = play(env, 120)
    ends = np.flatnonzero((terminated | truncated)[:, 0])
    sums = [part.sum() for part in np.split(reward[1:, 0].astype(np.float64), ends)[:-1]]
    records = env.drain_episodes()
    _, first = np.unique(records.episode, return_index=True)
    assert sums == pytest.approx(records.episode_return[first], abs=1e-4)


def test_holding_costs_what_time_and_exposure_say():
    bank = bank_of(market(rows_of(*[book(43_200 * k, (), ASK) for k in range(4)])))
    free, dear = (Script(bank, holding_cost_per_day=cost) for cost in (0.0, 0.01))
    for s in (free, dear):
        s.run(BUY_YES, HOLD)
    # 10 YES marked at the ask of 0.50 while no one bids: 5 of 200 dollars for half a day at 0.01
    assert free.rewards[1] - dear.rewards[1] == pytest.approx(100 * 0.01 * 5 / 200 * 0.5, rel=1e-5)


def test_step_before_reset_wrong_shapes_and_numbers_that_are_no_integers_are_refused():
    env = training_env(random_bank(1))
    flat, rows = env.buffers()
    out = np.zeros(4, np.float32), np.zeros(4, bool), np.zeros(4, bool)
    with pytest.raises(ContractError, match="before reset"):
        env.step(np.zeros((4, 3), np.int8), flat, rows, *out)
    env.reset(flat, rows)
    with pytest.raises(ContractError, match=r"shape \(4, 2\); expected \(4, 3\)"):
        env.step(np.zeros((4, 2), np.int8), flat, rows, *out)
    for wrong in (np.zeros((4, 3)), np.full((4, 3), np.nan, np.float32), np.zeros((4, 3), bool)):
        with pytest.raises(ContractError, match=r"actions are .*: give integers 0\.\.4"):
            env.step(wrong, flat, rows, *out)
    with pytest.raises(ContractError, match="n_envs=0"):
        training_env(random_bank(1), n_envs=0)


def test_markets_of_one_event_are_played_together():
    bank = random_bank(4, n_events=2, per_event=3)
    env = ReplayVectorEnv(bank, FixedEpisodes(event_episodes(bank, 2)), EnvConfig(n_slots=2), 2)
    play(env, 400)
    records = env.drain_episodes()
    assert sorted(zip(records.episode.tolist(), records.market.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 2), (2, 3), (2, 4), (3, 5),
    ]  # fmt: skip


def test_a_state_with_the_fields_of_another_version_is_refused_by_name():
    env = training_env(random_bank(3))
    env.reset(*env.buffers())
    saved = env.get_state()
    fewer = [name for name in saved["envs"].dtype.names if name != "elapsed_ns"]
    saved["envs"] = saved["envs"][fewer].copy()
    with pytest.raises(ContractError, match="other fields than the environments of this version"):
        env.set_state(saved)
