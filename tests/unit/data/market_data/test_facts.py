"""Facts of lifecycle frames: they never change afterwards, and two sources of them become one."""

from dataclasses import FrozenInstanceError

import pytest

from kalshi_platform.data.market_data.facts import MarketFacts


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        MarketFacts().open_ns = 5  # type: ignore[misc]


def test_only_what_is_new_in_a_telling_changes_what_is_known() -> None:
    known = MarketFacts(open_ns=1, close_ns=7)
    before, later = MarketFacts(close_ns=9), MarketFacts(close_ns=9, determined_ns=4)
    assert known.updated(later, since=before) == MarketFacts(open_ns=1, close_ns=7, determined_ns=4)
