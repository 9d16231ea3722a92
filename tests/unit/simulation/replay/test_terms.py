"""Terms of trade for each row: the facts and the fees that held at it."""

import numpy as np
import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_schedule import FeeStep, FeeTerms
from kalshi_platform.domain.fees import CENTICENT, MICRO
from kalshi_platform.domain.market import WHOLE_CENTS, PriceBand
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory
from kalshi_platform.simulation.replay import terms as terms_of_trade
from kalshi_platform.simulation.replay.state import allocate
from kalshi_platform.simulation.replay.terms import NO_CLOSE, terms_of_rows, terms_place

TENTHS = (PriceBand(start_e4=0, end_e4=10_000, step_e4=10),)
KNOWN = (
    KnownFacts(price_ranges=WHOLE_CENTS),
    KnownFacts(known_ns=3, close_ns=9, price_ranges=WHOLE_CENTS),
    KnownFacts(known_ns=5, close_ns=9, price_ranges=TENTHS),
)
HISTORY = MarketHistory(known=KNOWN)


def test_rows_stand_at_the_terms_of_their_step_and_unused_steps_are_left_out() -> None:
    terms, place = terms_of_rows("M", HISTORY, np.array([0, 0, 2], "u2"), np.array([1, 2, 6]))
    assert place.tolist() == [0, 0, 1]
    assert terms["close_ns"].tolist() == [NO_CLOSE, 9]
    assert terms["bands_e4"][:, 0, 2].tolist() == [100, 10]


def test_a_step_beyond_the_history_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"M: rows point at facts 3, its history has 3"):
        terms_of_rows("M", HISTORY, np.array([3], "u2"), np.array([1]))


def test_a_fill_pays_the_fees_in_force_at_its_row_and_those_of_today_where_asked() -> None:
    half = FeeTerms(fee_multiplier_e6=500_000, rounding="centicent")
    maker = FeeTerms(fee_type="quadratic_with_maker_fees")
    fees = (FeeStep(from_ns=0, terms=half), FeeStep(from_ns=4, terms=maker))
    history = HISTORY.replace(fees=fees)
    terms, place = terms_of_rows("M", history, np.array([0, 1, 1, 1], "u2"), np.array([1, 3, 4, 5]))
    # the close was told between the first two rows, the fee before the third
    assert place.tolist() == [0, 2, 3, 3]
    assert terms["taker_rate_e6"].tolist() == [35_000, 70_000, 35_000, 70_000]
    assert terms["maker_rate_e6"].tolist() == [0, 17_500, 0, 17_500]
    assert terms["rounding"].tolist() == [CENTICENT, MICRO, CENTICENT, MICRO]
    assert set(terms["today_taker_rate_e6"].tolist()) == {70_000}
    assert set(terms["today_maker_rate_e6"].tolist()) == {17_500}


@pytest.mark.parametrize("of", [terms_place, terms_place.py_func])
def test_between_two_rows_the_fees_of_the_time_hold(of) -> None:
    rates = (1_000_000, 500_000, 0)
    fees = tuple(
        FeeStep(from_ns=10 * k, terms=FeeTerms(fee_multiplier_e6=rate)) for k, rate in enumerate(rates)
    )
    terms, place = terms_of_rows("M", HISTORY.replace(fees=fees), np.array([0, 2], "u2"), np.array([3, 15]))
    slots, all_terms = allocate(1, 2)[1], terms.view(np.recarray)
    slots.terms[0] = place
    paid = [int(all_terms[of(all_terms, slots[0, 0], t)].taker_rate_e6) for t in (3, 9, 10, 19, 20, 99)]
    assert paid == [70_000, 70_000, 35_000, 35_000, 0, 0]
    later = [all_terms[of(all_terms, slots[0, 1], t)] for t in (15, 20)]
    assert [(int(t.taker_rate_e6), int(t.bands_e4[0, 2])) for t in later] == [(35_000, 10), (0, 10)]


def test_more_terms_than_rows_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms_of_trade, "MAX_TERMS", 1)
    with pytest.raises(DataError, match="M: its facts and fees change 2 times"):
        terms_of_rows("M", HISTORY, np.array([0, 1], "u2"), np.array([1, 3]))
