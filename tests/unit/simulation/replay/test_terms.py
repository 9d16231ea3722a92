"""Terms of trade for each row: the facts that held at it."""

import numpy as np
import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.simulation.replay.terms import NO_CLOSE, terms_of_rows

SPEC = MarketSpec(ticker="M", event="E")
TENTHS = (PriceBand(start_e4=0, end_e4=10_000, step_e4=10),)
KNOWN = (
    KnownFacts(price_ranges=WHOLE_CENTS),
    KnownFacts(known_ns=3, close_ns=9, price_ranges=WHOLE_CENTS),
    KnownFacts(known_ns=5, close_ns=9, price_ranges=TENTHS),
)


def test_rows_stand_at_the_terms_of_their_step_and_unused_steps_are_left_out() -> None:
    terms, place = terms_of_rows(SPEC, KNOWN, np.array([0, 0, 2], "u2"), np.array([1, 2, 6]))
    assert place.tolist() == [0, 0, 1]
    assert terms["close_ns"].tolist() == [NO_CLOSE, 9]
    assert terms["bands_e4"][:, 0, 2].tolist() == [100, 10]


def test_a_step_beyond_the_history_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"M: rows point at facts 3, its history has 3"):
        terms_of_rows(SPEC, KNOWN, np.array([3], "u2"), np.array([1]))
