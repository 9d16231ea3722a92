"""Which episodes are drawn: consecutive, alive together or shifted, never two clocks in one event."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.replay_bank import bank_of, book, market, random_bank, rows_of

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.envs.config import EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.episodes import (
    FixedEpisodes,
    RandomEpisodes,
    empty_table,
    event_episodes,
    longest_segments,
    market_episodes,
    require_inside_segments,
)


def line(n, start_s=0.0, valid=None):
    valid = [1] * n if valid is None else valid
    return rows_of(*[book(start_s + k, ((4_000, 1),), ((5_000, 1),), valid=v) for k, v in enumerate(valid)])


def source(bank, mode="concurrent", seed=0, worker=0, **steps):
    return RandomEpisodes(bank, EpisodeConfig(mode=mode, **steps), CurriculumConfig(), seed, worker)


def parts(table):
    """(episode, segment, start, shift) of every used slot."""
    e, s = np.nonzero(table.segment >= 0)
    return zip(e, table.segment[e, s], table.start[e, s], table.shift_ns[e, s], strict=True)


@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["concurrent", "shifted"]))
@settings(max_examples=30)
def test_every_episode_lies_inside_segments_and_starts_on_its_clock(seed, mode):
    bank = random_bank(seed, gap_share=0.05)
    table = source(bank, mode, seed, min_steps=5, max_steps=20).draw(40, 4)
    require_inside_segments(bank, table)
    assert ((table.max_steps >= 5) & (table.max_steps <= 20)).all()
    recv_ns, segments = bank.arrays.rows["recv_ns"], bank.arrays.segments
    for e, g, start, shift_ns in parts(table):
        at = recv_ns[start] - shift_ns
        if mode == "shifted":
            assert at == table.begin_ns[e]
        else:  # the last message at or before the beginning, with one still to come
            assert shift_ns == 0
            last_ns = recv_ns[segments["stop"][g] - 1]
            assert at <= table.begin_ns[e] <= last_ns
            # The slot that an episode begins with may have further rows at that very time.
            assert table.begin_ns[e] < last_ns or start == table.start[e, 0]
            if start + 1 < segments["stop"][g] and start != table.start[e, 0]:
                assert recv_ns[start + 1] > table.begin_ns[e]
    for row in table.segment:
        used = row[row >= 0]
        assert np.unique(segments["market"][used]).size == used.size
        if mode == "shifted":  # clocks differ, so no market may show another's future
            assert np.unique(bank.segment_events[used]).size == used.size


def test_an_episode_has_room_for_its_least_length():
    table = source(bank_of(market(line(1_000))), min_steps=300, max_steps=400).draw(500, 1)
    assert table.start.max() < 1_000 - 300
    assert table.start.max() > 650  # and the whole of that room is used
    assert table.start.min() < 50


def test_a_market_shorter_than_an_episode_is_played_whole():
    table = source(bank_of(market(line(100)))).draw(20, 1)
    assert (table.start == 0).all()


def test_the_defaults_are_the_briefs():
    config = EpisodeConfig()
    assert (config.min_steps, config.max_steps) == (500, 2_000)
    with pytest.raises(ValueError, match="max_steps=5 is below min_steps=9"):
        EpisodeConfig(min_steps=9, max_steps=5)


def test_siblings_of_the_event_come_first():
    siblings = [market(line(50), f"A{k}", "A") for k in range(3)]
    strangers = [market(line(50), f"B{k}", f"B{k}") for k in range(6)]
    bank = bank_of(*strangers[:3], *siblings, *strangers[3:])
    table = source(bank, min_steps=1, max_steps=9).draw(400, 4)
    events = bank.segment_events
    full = 0
    for row in table.segment:
        used = row[row >= 0]
        own = (events[used] == events[used[0]]).tolist()
        assert own == sorted(own, reverse=True)
        if events[used[0]] == events[3] and used.size == 4:
            assert own == [True, True, True, False]
            full += 1
    assert full > 5


def test_only_markets_alive_at_the_time_join():
    bank = bank_of(market(line(100), "A"), market(line(100, 50.0), "B"), market(line(100, 500.0), "C"))
    seen = {
        tuple(sorted(row[row >= 0].tolist()))
        for row in source(bank, min_steps=1, max_steps=9).draw(300, 3).segment
    }
    assert seen == {(0,), (1,), (2,), (0, 1)}


def test_an_event_counts_once_however_many_markets_and_gaps_it_has():
    torn = [1, 1, 0] * 30 + [1] * 60
    bank = bank_of(
        *[market(line(50), f"A{k}", "A") for k in range(9)], market(line(150, 1e4, torn), "B", "B"),
    )  # fmt: skip
    table = source(bank, "shifted", min_steps=1, max_steps=2).draw(2_000, 1)
    anchors = table.segment[:, 0]
    of_b = bank.arrays.segments["market"][anchors] == 9
    assert of_b.mean() == pytest.approx(0.5, abs=0.05)
    longest = anchors[of_b] == bank.arrays.segments.size - 1
    assert longest.mean() == pytest.approx(
        60 / 120, abs=0.05
    )  # 30 torn pieces of two rows hold the other half


def test_workers_and_seeds_draw_apart_and_repeatably():
    bank = random_bank(3)
    draws = [source(bank, seed=s, worker=w).draw(50, 3).start for s, w in ((1, 0), (1, 0), (1, 1), (2, 0))]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()
    assert (draws[0] != draws[3]).any()


def test_a_saved_source_continues_to_the_bit():
    bank = random_bank(3)
    curriculum = CurriculumConfig(name="difficulty", scale=0.001)

    def fresh():
        return RandomEpisodes(bank, EpisodeConfig(), curriculum, 7)

    first = fresh()
    first.draw(33, 3)
    first.advance(15)
    state = first.get_state()
    second = fresh()
    second.set_state(state)
    assert second.stage == first.stage
    assert second.stage.min_markets == 3
    for one, two in zip(first.draw(20, 3), second.draw(20, 3), strict=True):
        assert (one == two).all()


def test_a_fixed_list_is_played_once_and_in_order():
    table = empty_table(5, 2)
    fixed = FixedEpisodes(table)
    assert fixed.n_episodes == 5
    assert [fixed.draw(2, 2).number.tolist() for _ in range(4)] == [[0, 1], [2, 3], [4], []]


def test_evaluation_plays_every_segment_or_fair_windows_of_every_market():
    bank = bank_of(market(line(30, valid=[1] * 9 + [0] + [1] * 20), "A"), market(line(50), "B"))
    whole = market_episodes(bank, 3)
    assert whole.segment.tolist() == [[0, -1, -1], [1, -1, -1], [2, -1, -1]]
    assert whole.start[:, 0].tolist() == [0, 10, 30]
    assert (whole.begin_ns == bank.arrays.rows["recv_ns"][whole.start[:, 0]]).all()
    windows = market_episodes(bank, 1, max_steps=10, per_market=4, seed=2)
    require_inside_segments(bank, windows)
    assert windows.segment[:, 0].tolist() == [1] * 4 + [2] * 4  # the longest segment of each market
    assert (windows.start[:, 0] + 10 <= bank.arrays.segments["stop"][windows.segment[:, 0]]).all()
    assert np.unique(windows.start[:, 0]).size > 4
    assert longest_segments(bank).tolist() == [1, 2]


def test_evaluation_plays_the_markets_of_an_event_together():
    bank = bank_of(*[market(line(9), f"A{k}", "A") for k in range(3)], market(line(9, 99.0), "B0", "B"))
    table = event_episodes(bank, 2)
    assert table.segment.tolist() == [[0, 1], [2, -1], [3, -1]]


@pytest.mark.parametrize(
    ("segment", "start", "message"),
    [(-1, 0, "episode 0 holds no market"), (7, 0, "segment 7 does not exist; there are 1"), (0, 8, "row 8")],
)
def test_episodes_that_cannot_be_played_are_refused(segment, start, message):
    table = empty_table(1, 1)
    table.segment[0, 0], table.start[0, 0] = segment, start
    with pytest.raises(ContractError, match=message):
        require_inside_segments(bank_of(market(line(9))), table)
