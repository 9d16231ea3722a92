"""Halves of events and the episodes played on them."""

import pytest
from made.bank import made_bank
from made.evaluation_bank import bank_of, in_block, market

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.distillation.config import JudgeConfig
from kalshi_platform.serving.distillation.halves import episodes_of, halves
from kalshi_platform.simulation.envs.config import EnvConfig


def test_the_halves_share_no_block_and_hold_every_event():
    shape = [(f"E{k}", f"d{k // 3}") for k in range(12)]
    bank = bank_of(*(in_block(market(f"M{e}", e, [5_000] * 4), block) for e, block in shape))
    first, second = halves(bank)
    assert first | second == {event for event, _ in shape}
    block_of = dict(shape)
    assert not {block_of[e] for e in first} & {block_of[e] for e in second}
    assert (len(first), len(second)) == (6, 6)


def test_one_block_cannot_be_halved_though_it_holds_two_events():
    bank = bank_of(*(in_block(market(f"M{e}", e, [5_000] * 4), "d") for e in ("E0", "E1")))
    with pytest.raises(DataError, match="1 independent blocks of validation events cannot be halved"):
        halves(bank)


ENV = EnvConfig(n_slots=3, latency_ms=0)


@pytest.fixture(scope="module")
def bank():
    return made_bank()


@pytest.mark.parametrize("schedule", ["events", "markets", "windows"])
def test_only_the_named_events_are_played_and_no_longer_than_allowed(bank, schedule):
    config = JudgeConfig(schedule=schedule, max_steps=50)
    table = episodes_of(bank, {"E1", "E3"}, ENV.n_slots, config)
    segments = bank.arrays.segments
    markets = segments["market"][table.segment[table.segment >= 0]]
    assert {bank.markets[m].event for m in markets} == {"E1", "E3"}
    assert markets.size == 6
    assert (table.max_steps <= 50).all()


def test_events_that_are_not_there_are_refused(bank):
    with pytest.raises(DataError, match="none of 1 events"):
        episodes_of(bank, {"E9"}, ENV.n_slots, JudgeConfig())
