"""Halves of events and the episodes played on them."""

import pytest
from made.bank import made_bank

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.distillation.config import JudgeConfig
from kalshi_platform.serving.distillation.halves import episodes_of, halves
from kalshi_platform.simulation.envs.config import EnvConfig


def test_halves_depend_on_the_names_alone_and_share_nothing():
    events = [f"E{k}" for k in range(11)]
    first, second = halves(events)
    assert first | second == set(events)
    assert not first & second
    assert (len(first), len(second)) == (6, 5)
    assert halves(reversed(events + events)) == (first, second)


def test_one_event_cannot_be_halved():
    with pytest.raises(DataError, match="1 validation events cannot be halved"):
        halves(["E0"])


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
