"""The two curricula: when a stage begins, how many markets it plays, which ones it draws."""

import pytest
from made.replay_bank import bank_of, book, market, rows_of

from kalshi_platform.data.market_data.schema import YES
from kalshi_platform.simulation.envs.config import EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import (
    CurriculumConfig,
    pool_segments,
    stage_at,
    traded_e2,
    volume_note,
)
from kalshi_platform.simulation.envs.episodes import RandomEpisodes


def bank_with(*volatilities, n_rows=None):
    n_rows = n_rows or [9] * len(volatilities)
    markets = []
    for i, (v, n) in enumerate(zip(volatilities, n_rows, strict=True)):
        rows = rows_of(*[book(k, ((4_000, 1),), ((5_000, 1),)) for k in range(n)])
        markets.append(market(rows, f"M{i}", f"E{i}", volatility=v))
    return bank_of(*markets)


@pytest.mark.parametrize(
    ("name", "episodes", "markets", "pool"),
    [
        # phases: episodes 1-10,000; 10,001-30,000; from 30,001
        ("phases", 0, (1, 2), "stable_active"),
        ("phases", 9_999, (1, 2), "stable_active"),
        ("phases", 10_000, (3, 5), "top_active"),
        ("phases", 29_999, (3, 5), "top_active"),
        ("phases", 30_000, (5, 5), "all"),
        # difficulty = episodes / 50,000: below 0.2, below 0.5, from there
        ("difficulty", 9_999, (2, 2), "stable"),
        ("difficulty", 10_000, (3, 3), "stable_moderate"),
        ("difficulty", 24_999, (3, 3), "stable_moderate"),
        ("difficulty", 25_000, (5, 5), "all"),
        ("difficulty", 10**7, (5, 5), "all"),
        ("none", 0, (1, 64), "all"),
    ],
)
def test_stages_begin_where_the_brief_says(name, episodes, markets, pool):
    stage = stage_at(CurriculumConfig(name=name), episodes)
    assert ((stage.min_markets, stage.max_markets), stage.pool) == (markets, pool)


def test_scale_shortens_the_schedule():
    config = CurriculumConfig(name="phases", scale=0.01)
    assert [stage_at(config, n).min_markets for n in (99, 100, 299, 300)] == [1, 3, 3, 5]


def pool(bank, name, episodes):
    return pool_segments(bank, stage_at(CurriculumConfig(name=name), episodes)).tolist()


def test_pools_follow_volatility():
    bank = bank_with(0.05, 0.0999, 0.1, 0.2999, 0.3, 0.5)
    assert pool(bank, "difficulty", 0) == [0, 1]
    assert pool(bank, "difficulty", 10_000) == [0, 1, 2, 3]
    assert pool(bank, "difficulty", 25_000) == [0, 1, 2, 3, 4, 5]


def test_the_second_phase_draws_from_the_hundred_busiest_markets():
    n_rows = [5] * 20 + [9] * 100
    bank = bank_with(*[0.05] * 120, n_rows=n_rows)
    assert pool(bank, "phases", 10_000) == list(range(20, 120))
    assert pool(bank, "phases", 0) == list(range(20, 120))
    assert pool(bank, "phases", 30_000) == list(range(120))


def busy(*contracts_e2, n_rows):
    """Markets that trade the contracts named, in hundredths, over ``n_rows`` messages each."""
    markets = []
    for i, (qty, n) in enumerate(zip(contracts_e2, n_rows, strict=True)):
        trade = (YES, 5_000, qty) if qty else None
        rows = rows_of(*[book(k, ((4_000, 1),), ((5_000, 1),), trade if k == 1 else None) for k in range(n)])
        markets.append(market(rows, f"M{i}", f"E{i}", volatility=0.05))
    return bank_of(*markets)


def test_active_is_counted_in_contracts_not_in_messages():
    # 100 markets of few messages trade 3 contracts each; 20 of many messages trade half a contract.
    bank = busy(*[50] * 20, *[300] * 100, n_rows=[40] * 20 + [4] * 100)
    assert traded_e2(bank).tolist() == [50] * 20 + [300] * 100
    assert pool(bank, "phases", 10_000) == list(range(20, 120))


def test_markets_without_a_recorded_trade_rank_last_and_are_counted():
    bank = busy(*[0] * 20, *[1] * 100, n_rows=[40] * 20 + [4] * 100)
    assert pool(bank, "phases", 10_000) == list(range(20, 120))
    note = volume_note(bank, CurriculumConfig(name="phases"))
    assert note.startswith("curriculum: 20 of 120 markets hold no trade")
    assert volume_note(bank, CurriculumConfig(name="difficulty")) == ""
    assert volume_note(busy(1, 2, n_rows=[4, 4]), CurriculumConfig(name="phases")) == ""
    none = volume_note(busy(0, 0, n_rows=[4, 4]), CurriculumConfig(name="phases"))
    assert "active is counted in messages" in none


def test_an_empty_pool_gives_way_to_the_next_wider_one():
    assert pool(bank_with(0.2, 0.4), "difficulty", 0) == [0]
    assert pool(bank_with(0.4, 0.5), "difficulty", 0) == [0, 1]


def test_episodes_follow_the_stage_they_are_drawn_in():
    bank = bank_with(0.05, 0.05, 0.2, 0.2, 0.4, 0.4)
    source = RandomEpisodes(
        bank, EpisodeConfig(mode="shifted", min_steps=1, max_steps=2), CurriculumConfig(name="difficulty"), 0
    )
    for done, n_markets, last in ((0, 2, 1), (10_000, 3, 3), (25_000, 5, 5)):
        source.advance(done)
        table = source.draw(200, 5)
        assert ((table.segment >= 0).sum(1) == n_markets).all()
        assert table.segment.max() == last
