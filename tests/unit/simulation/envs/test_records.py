"""Records of finished episodes: every slot once, joined in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made.replay_bank import play, random_bank, same, training_env

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.simulation.envs.records import EpisodeRecords, allocate_records, join_records


def test_records_hold_every_slot_of_every_finished_episode_once():
    bank = random_bank(8)
    env = training_env(bank, n_envs=7)
    _, _, _, terminated, truncated = play(env, 400)  # more than the buffer of records holds at once
    records = env.drain_episodes()
    ended = (terminated | truncated).sum()
    assert np.unique(records.episode).size == ended
    assert np.unique(np.stack([records.episode, records.slot]), axis=1).shape[1] == records.slot.size
    assert (records.action_counts.sum(1) <= records.n_steps).all()
    assert (records.n_orders == records.action_counts[:, 1:].sum(1)).all()  # every available order is sent
    assert (records.end_ns >= records.start_ns).all()
    assert records.n_fills.sum() > 100
    assert env.drain_episodes().episode.size == 0
    assert same(join_records([records, join_records([])]), records)
    assert isinstance(records, EpisodeRecords)


@given(st.lists(st.integers(0, 5), max_size=4))
def test_joined_records_are_the_entries_of_all_parts_in_order(sizes):
    parts = [allocate_records(n) for n in sizes]
    for number, part in enumerate(parts):
        part.episode[:] = number
        part.action_counts[:] = number
    joined = join_records(parts)
    assert joined.episode.tolist() == [number for number, n in enumerate(sizes) for _ in range(n)]
    assert joined.action_counts.shape == (sum(sizes), N_ACTIONS)
    for name, column, blank in zip(EpisodeRecords._fields, joined, allocate_records(1), strict=True):
        assert column.dtype == blank.dtype, name
