"""Tiers and notes have one name each, on the wire as in metrics."""

from typing import get_args

from kalshi_platform.serving.inference.batch import (
    NOTE_NAMES,
    NOTES_OF,
    TIER_NAMES,
    Note,
    NoteName,
    Tier,
    TierName,
)


def test_every_tier_and_note_has_the_name_the_schema_allows():
    assert TIER_NAMES == {0: "none", 4: "rules", 1: "mlp", 2: "lstm", 3: "full"}
    assert set(TIER_NAMES.values()) == set(get_args(TierName))
    assert len(TIER_NAMES) == len(Tier)
    assert NOTE_NAMES == {1: "cached", 2: "deadline", 4: "fallback"}
    assert tuple(NOTE_NAMES.values()) == get_args(NoteName)


def test_a_sum_of_bits_names_its_notes():
    assert NOTES_OF[0] == []
    assert NOTES_OF[Note.CACHED | Note.FALLBACK] == ["cached", "fallback"]
    assert NOTES_OF[7] == ["cached", "deadline", "fallback"]
