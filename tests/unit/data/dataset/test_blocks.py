"""Blocks: as long as a life, not as long as the longest oddity, and never moved by what comes later."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.dataset.blocks import (
    LADDER_NS,
    Stratum,
    block_length,
    duration_words,
    stratum_of,
)
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND

MINUTE = 60 * NS_PER_SECOND
HOUR = 60 * MINUTE
DAY = NS_PER_DAY


def stratum(**changes):
    cuts = {
        "train_to_ns": 3 * DAY,
        "validation_from_ns": 4 * DAY,
        "validation_to_ns": 5 * DAY,
        "test_from_ns": 6 * DAY,
    }
    told = {
        "name": "weather",
        "factor": "weather",
        "provenances": ("quotes",),
        "block_ns": DAY,
        "embargo_ns": DAY,
    }
    return Stratum(**{**told, "first_ns": 0, "last_ns": 8 * DAY, **cuts, **changes})


def test_a_block_is_as_long_as_the_longest_life_rounded_up():
    assert block_length([15 * MINUTE, 3]) == (15 * MINUTE, 15 * MINUTE)
    assert block_length([38 * HOUR] * 500 + [45 * HOUR]) == (2 * DAY, 45 * HOUR)
    assert block_length([0]) == (15 * MINUTE, 0)
    assert block_length([400 * DAY]) == (2 * 364 * DAY, 400 * DAY)
    assert block_length([15 * MINUTE], at_least_ns=DAY) == (DAY, 15 * MINUTE)
    assert block_length([2 * DAY], at_least_ns=HOUR) == (2 * DAY, 2 * DAY)  # longer, never shorter


def test_a_market_of_a_year_beside_those_of_15_minutes_does_not_make_one_block():
    assert block_length([15 * MINUTE] * 100 + [364 * DAY]) == (15 * MINUTE, 15 * MINUTE)
    # Six of a hundred and six are no oddity: more than one in twenty.
    assert block_length([15 * MINUTE] * 100 + [364 * DAY] * 6) == (364 * DAY, 364 * DAY)
    # Twice as long is no oddity either.
    assert block_length([15 * MINUTE] * 100 + [30 * MINUTE])[0] == 30 * MINUTE


@given(st.lists(st.integers(0, 500 * DAY), min_size=1, max_size=60))
def test_all_lives_but_one_in_twenty_fit_into_a_block(lives):
    block_ns, longest_ns = block_length(lives)
    longer = sum(life > block_ns for life in lives)
    assert longer <= max(len(lives) // 20, 1 if len(lives) > 3 else 0)
    assert longest_ns <= block_ns
    assert block_ns in LADDER_NS or block_ns % (364 * DAY) == 0


def test_an_event_is_in_the_part_that_holds_its_whole_life():
    held = stratum()
    assert held.part_of(2 * DAY, 3 * DAY - 1) == "train"
    assert held.part_of(2 * DAY, 3 * DAY) is None
    assert held.part_of(4 * DAY - 1, 4 * DAY) is None
    assert held.part_of(4 * DAY, 5 * DAY - 1) == "validation"
    assert held.part_of(4 * DAY, 5 * DAY) is None
    assert held.part_of(6 * DAY, 900 * DAY) == "test"
    assert held.part_of(0, 900 * DAY) is None
    assert stratum(undivided="fewer_than_3_blocks").part_of(0, DAY) == "judge_only"
    alone = stratum(validation_to_ns=None, test_from_ns=None)
    assert alone.part_of(90 * DAY, 91 * DAY) == "validation"


def test_a_block_is_named_by_its_stratum_and_its_begin():
    assert stratum().block_of(DAY + 5) == "weather@1970-01-02T00:00Z"
    assert stratum(name="weather.2").block_of(DAY + 5) == "weather.2@1970-01-02T00:00Z"
    assert stratum_of("weather.2@1970-01-02T00:00Z") == "weather.2"


def test_near_is_nearer_than_a_block_and_an_embargo():
    held = stratum()
    assert held.near(10 * DAY - 1, 11 * DAY)
    assert not held.near(10 * DAY, 11 * DAY)
    assert held.near(10 * DAY, 11 * DAY, reach_ns=3 * DAY)


def test_durations_are_said_in_two_units():
    assert duration_words(15 * MINUTE) == "15m"
    assert duration_words(38 * HOUR + 59 * MINUTE) == "1d 14h"
    assert duration_words(1) == "1s"
    assert duration_words(0) == "0s"
