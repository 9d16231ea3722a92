"""Facts of lifecycle frames: they fill what a specification does not say, and never change afterwards."""

from dataclasses import FrozenInstanceError

import pytest
from made.market_rows import SPEC

from kalshi_platform.data.market_data.facts import MarketFacts, with_times


def test_times_are_taken_where_the_specification_has_none() -> None:
    spec = with_times(SPEC.replace(open_ns=3), MarketFacts(open_ns=5, close_ns=9))
    assert (spec.open_ns, spec.close_ns) == (3, 9)


@pytest.mark.parametrize("facts", [MarketFacts(), MarketFacts(open_ns=5)])
def test_a_specification_that_learns_nothing_stays_the_same_object(facts: MarketFacts) -> None:
    spec = SPEC.replace(open_ns=3)
    assert with_times(spec, facts) is spec


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        MarketFacts().open_ns = 5  # type: ignore[misc]
