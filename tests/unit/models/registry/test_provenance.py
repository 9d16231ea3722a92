"""Counts of the data behind a model, and the standing that follows from them."""

import pytest

from kalshi_platform.models.registry.provenance import (
    DataCount,
    count_data,
    counts_words,
    real_blocks,
    standing_of,
)


def counts(**blocks):
    return {name: DataCount(events=n, blocks=n) for name, n in blocks.items()}


def test_markets_of_one_event_and_events_of_one_block_count_once():
    found = count_data(
        [
            ("recorded", "RAIN-1", "weather 1"),
            ("recorded", "RAIN-1", "weather 1"),
            ("recorded", "SNOW-1", "weather 1"),
            ("quotes", "GAME-1", None),
            ("simulated", "SIM-1", None),
        ]
    )
    assert found["recorded"] == DataCount(events=2, blocks=1)
    assert found["quotes"] == found["simulated"] == DataCount(events=1, blocks=1)
    assert real_blocks(found) == 2  # quotes count, simulated ones do not


@pytest.mark.parametrize(
    ("judged_on", "standing"),
    [
        (None, "unknown"),
        ({}, "unknown"),
        (counts(simulated=300), "simulated"),
        (counts(simulated=300, recorded=9), "simulated"),  # nine of ten blocks
        (counts(simulated=300, recorded=6, quotes=3, trade_implied=1), "real"),
        (counts(recorded=2), "real"),  # few, and nothing simulated beside them
    ],
)
def test_only_real_blocks_make_a_model_real_and_nobody_counting_does_not(judged_on, standing):
    assert standing_of(judged_on) == standing


def test_counts_are_said_in_words_and_unknown_is_said():
    assert counts_words(counts(recorded=1_200)) == "1,200 events in 1,200 blocks recorded"
    assert counts_words(None) == "unknown"


def test_one_event_is_not_one_events():
    counts = {"simulated": DataCount(events=1, blocks=1), "recorded": DataCount(events=1_200, blocks=3)}
    assert counts_words(counts) == "1 event in 1 block simulated, 1,200 events in 3 blocks recorded"
