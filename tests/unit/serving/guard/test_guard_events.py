"""Events of one replica: bounded, told once, never repeated in a row."""

import itertools
import logging

import pytest

from kalshi_platform.serving.guard.guard_events import EventKind, GuardEvents
from kalshi_platform.serving.inference.ready import ModelKey

A, B = ModelKey("tiny-1", None), ModelKey("tiny-2", "t" * 12)


def events(kept=10, listener=lambda event: None):
    return GuardEvents(kept, itertools.count(5).__next__, listener)


def test_an_event_holds_time_model_tiers_and_words():
    found = events()
    found.add(EventKind.SWAPPED, B, "in place of tiny-1")
    (event,) = found.all
    assert (event.at_ns, event.kind, event.model, event.tiers) == (5, "swapped", "tiny-2", "t" * 12)
    assert event.words == "in place of tiny-1"


@pytest.mark.parametrize(
    ("second", "n"),
    [
        ((EventKind.REFUSED, A, "slow"), 1),
        ((EventKind.REFUSED, A, "slower"), 2),
        ((EventKind.REFUSED, B, "slow"), 2),
        ((EventKind.UNREACHABLE, A, "slow"), 2),
    ],
)
def test_an_event_that_only_repeats_the_latest_is_neither_kept_nor_told(second, n, caplog):
    told = []
    found = events(listener=told.append)
    with caplog.at_level(logging.WARNING):
        found.add(EventKind.REFUSED, A, "slow")
        found.add(*second)
    assert len(found.all) == len(told) == len(caplog.records) == n


def test_what_happened_before_the_latest_may_happen_again():
    found = events()
    for words in ("slow", "broken", "slow"):
        found.add(EventKind.REFUSED, A, words)
    assert [event.words for event in found.all] == ["slow", "broken", "slow"]


def test_the_oldest_events_leave():
    found = events(kept=2)
    for k in range(5):
        found.add(EventKind.REFUSED, A, str(k))
    assert [event.words for event in found.all] == ["3", "4"]
