"""The Gymnasium view keeps Gymnasium's contract in every mode, and hands out copies."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from made.replay_bank import bank_of, book, market, random_bank, rows_of

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.domain.actions import BUY_YES, HOLD, SELL_YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, market_episodes
from kalshi_platform.simulation.envs.gym_env import ReplayEnv
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate

SHORT = EpisodeConfig(min_steps=5, max_steps=20)


def play_to_end(env, rng):
    """Random available actions until the episode ends; (steps, sum of rewards)."""
    observation, _ = env.reset()
    steps, total, over = 0, 0.0, False
    while not over:
        mask = observation["action_mask"]
        action = (rng.random(mask.shape) * mask).argmax(1)
        observation, reward, terminated, truncated, _ = env.step(action)
        assert env.observation_space.contains(observation)
        over, steps, total = terminated or truncated, steps + 1, total + reward
    return steps, total


@pytest.mark.parametrize("style", ["taker", "maker"])
@pytest.mark.parametrize("mode", ["concurrent", "shifted"])
@pytest.mark.parametrize("provenance", ["recorded", "quotes", "trade_implied"])
def test_every_environment_keeps_the_contract(style, mode, provenance, rng):
    env = ReplayEnv(
        random_bank(5, provenance=provenance),
        EnvConfig(n_slots=3, order_style=style),
        EpisodeConfig(mode=mode, min_steps=5, max_steps=20),
        window=4,
        hold_masked=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # check_env advises on symmetric and normalised spaces
        check_env(env, skip_render_check=True)
    for _ in range(3):
        steps, total = play_to_end(env, rng)
        assert 1 <= steps <= 20
        assert np.isfinite(total)


def test_a_seed_names_a_sequence_of_episodes():
    env = ReplayEnv(random_bank(5), EnvConfig(n_slots=2), SHORT)
    first = [env.reset(seed=3)[0], env.reset()[0]]
    again = [env.reset(seed=3)[0], env.reset()[0]]
    for one, two in zip(first, again, strict=True):
        for name, block in one.items():
            assert (block == two[name]).all()
    assert any((first[0][name] != first[1][name]).any() for name in first[0])


def test_observations_are_copies():
    env = ReplayEnv(random_bank(5), EnvConfig(n_slots=2), SHORT, window=3)
    before, _ = env.reset(seed=0)
    kept = {name: block.copy() for name, block in before.items()}
    env.step(np.zeros(2, np.int64))
    for name, block in before.items():
        assert (block == kept[name]).all()


def test_the_window_ends_at_the_present_row_and_is_padded_on_the_left():
    bank = bank_of(market(rows_of(*[book(k, ((4_000, 1),), ((5_000, 1),)) for k in range(5)])))
    env = ReplayEnv(bank, EnvConfig(n_slots=1), window=3, source=FixedEpisodes(market_episodes(bank, 1)))
    observation, _ = env.reset()
    assert observation["history"][0, :, 0].tolist() == pytest.approx([0.0, 0.0, 0.4])
    for _ in range(2):
        observation = env.step(np.zeros(1, np.int64))[0]
    assert observation["history"][0, :, 0].tolist() == pytest.approx([0.4, 0.4, 0.4])


def test_a_masked_action_raises_unless_it_counts_as_holding():
    bank = random_bank(5)
    strict, lenient = (ReplayEnv(bank, EnvConfig(n_slots=1), SHORT, hold_masked=h) for h in (False, True))
    strict.reset(seed=0)
    with pytest.raises(ContractError, match="its mask forbids"):
        strict.step(np.array([SELL_YES]))
    lenient.reset(seed=0)
    lenient.step(np.array([SELL_YES]))
    assert lenient.vector.slots["action_counts"][0, 0].tolist() == [1, 0, 0, 0, 0]


def test_a_given_list_is_played_without_skipping_any_episode(rng):
    bank = random_bank(5, n_events=3, per_event=1)
    env = ReplayEnv(bank, EnvConfig(n_slots=1), source=FixedEpisodes(market_episodes(bank, 1)))
    for _ in range(3):
        play_to_end(env, rng)
    assert env.vector.drain_episodes().episode.tolist() == [0, 1, 2]
    with pytest.raises(ContractError, match="no episode is left"):
        env.reset()


def test_stepping_past_the_end_is_refused(rng):
    env = ReplayEnv(random_bank(5), EnvConfig(n_slots=1), SHORT)
    with pytest.raises(ContractError, match="call reset"):
        env.step(np.array([HOLD]))
    play_to_end(env, rng)
    with pytest.raises(ContractError, match="call reset"):
        env.step(np.array([HOLD]))


def test_the_final_observation_is_of_the_episode_that_ended():
    bank = bank_of(market(rows_of(*[book(k, (), ((5_000, 99_999),)) for k in range(3)])))
    table = market_episodes(bank, 1)
    env = ReplayEnv(bank, EnvConfig(n_slots=1, latency_ms=0), source=FixedEpisodes(table))
    env.reset()
    env.step(np.array([BUY_YES]))
    observation, _, terminated, truncated, _ = env.step(np.array([HOLD]))
    assert (terminated, truncated) == (False, True)
    assert observation["portfolio"][0, 0] == pytest.approx(0.2)  # 10 of at most 50 contracts
    assert observation["slot_mask"].tolist() == [1.0]


@pytest.mark.parametrize("hold_masked", [False, True])
@pytest.mark.parametrize(
    "action",
    [
        [0.0, 0.0],
        [0.5, 0],
        [np.nan, 0],
        [True, False],
        ["0", "0"],
        [0],
        [0, 0, 0],
        [-1, 0],
        [0, 5],
        [[0], [0, 0]],
    ],
)
def test_anything_but_whole_numbers_of_actions_is_refused(action, hold_masked):
    env = ReplayEnv(random_bank(5), EnvConfig(n_slots=2), SHORT, hold_masked=hold_masked)
    env.reset()
    with pytest.raises(ContractError, match=r"2 whole numbers 0\.\.4"):
        env.step(action)


def test_the_masks_for_other_learners_are_those_of_the_observation():
    env = ReplayEnv(random_bank(5), EnvConfig(n_slots=2), SHORT)
    observation, _ = env.reset(seed=1)
    for _ in range(4):
        masks = env.action_masks()
        assert (masks.dtype, masks.shape) == (np.dtype(bool), (10,))
        present = np.repeat(observation["slot_mask"] > 0, 5)
        assert (masks == (observation["action_mask"].reshape(-1) > 0))[present].all()
        observation, *_ = env.step(np.zeros(2, np.int64))


def test_gymnasium_makes_it_by_its_name_and_the_test_split_stays_shut(tmp_path):
    simulate(SimConfig(n_events=4, messages_per_market=200, seed=1), tmp_path / "r")
    build_dataset([tmp_path / "r"], str(tmp_path / "d"), BuildConfig(workers=0))
    env = gymnasium.make("kalshi_platform/Replay-v1", dataset=str(tmp_path / "d"), n_slots=1, max_steps=600)
    assert env.unwrapped.vector.n_slots == 1
    assert env.reset(seed=1)[0]["market"].shape[0] == 1
    with pytest.raises(ContractError, match="--final"):
        gymnasium.make("kalshi_platform/Replay-v1", dataset=str(tmp_path / "d"), split="test")
    with pytest.raises(ContractError, match="slots"):
        gymnasium.make("kalshi_platform/Replay-v1", dataset=str(tmp_path / "d"), slots=1)
