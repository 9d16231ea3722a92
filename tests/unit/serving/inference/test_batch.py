"""Tiers and notes have one name each, on the wire as in metrics."""

from typing import get_args

from kalshi_platform.serving.inference.batch import (
    NOTE_NAMES,
    NOTES_OF,
    TIER_NAMES,
    TIER_WORDS,
    Note,
    NoteName,
    Tier,
    TierName,
    present_name,
    tier_words,
)


def test_every_tier_and_note_has_the_name_the_schema_allows():
    assert TIER_NAMES == {0: "none", 4: "rules", 1: "tier_1", 2: "tier_2", 3: "tier_3"}
    assert {tier: tier.name.lower() for tier in Tier} == TIER_NAMES
    assert set(TIER_NAMES.values()) == set(get_args(TierName))
    assert len(TIER_NAMES) == len(Tier)
    assert NOTE_NAMES == {1: "cached", 2: "deadline", 4: "fallback"}
    assert tuple(NOTE_NAMES.values()) == get_args(NoteName)


def test_a_tier_is_said_in_text_as_the_documents_say_it():
    assert set(TIER_WORDS) == set(TIER_NAMES.values())
    assert tier_words("tier_3") == "tier 3 (the model itself)"
    assert tier_words("of_tomorrow") == "of_tomorrow"


def test_names_that_older_releases_gave_to_tiers_are_read():
    older = {"mlp": "tier_1", "lstm": "tier_2", "full": "tier_3", "tier1": "tier_1", "tier2": "tier_2"}
    assert {name: present_name(name) for name in older} == older
    assert [present_name(name) for name in (*TIER_WORDS, "tiny", 3, None)] == [*TIER_WORDS, "tiny", 3, None]


def test_a_sum_of_bits_names_its_notes():
    assert NOTES_OF[0] == []
    assert NOTES_OF[Note.CACHED | Note.FALLBACK] == ["cached", "fallback"]
    assert NOTES_OF[7] == ["cached", "deadline", "fallback"]
