"""Banks: segments never span a gap, outcomes lie apart, nothing can be written."""

import pytest
from made.replay_bank import bank_of, book, market, random_bank, rows_of

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, PriceBand
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import (
    UNSETTLED,
    BankMarket,
    MarketInfo,
)
from kalshi_platform.simulation.replay.terms import MAX_BANDS, NO_CLOSE


def rows_valid(*valid):
    return rows_of(*[book(k, ((4_000, 1),), ((5_000, 1),), valid=v) for k, v in enumerate(valid)])


def test_segments_ages_and_markets_line_up():
    bank = bank_of(market(rows_valid(1, 1, 0, 1, 1, 1), "A"), market(rows_valid(0, 1, 1), "B"))
    segments = bank.arrays.segments
    assert segments[["start", "stop", "market"]].tolist() == [(0, 2, 0), (3, 6, 0), (7, 9, 1)]
    assert bank.arrays.age.tolist() == [0, 1, -1, 0, 1, 2, -1, 0, 1]
    assert bank.n_rows == 9


@pytest.mark.parametrize(
    ("valid", "settles"),
    [
        ((1, 1, 1), [1]),
        ((1, 1, 0, 1, 1), [0, 1]),  # trading went on after the first segment
        ((1, 1, 0, 0), [1]),  # the market closed: its last rows cannot be traded
        ((1, 1, 0, 1), [0]),  # one more row was tradable, though it is no segment
    ],
)
def test_only_the_last_tradable_segment_settles(valid, settles):
    bank = bank_of(market(rows_valid(*valid), settlement_e4=10_000))
    assert bank.arrays.segments["settles"].tolist() == settles


def test_an_unknown_outcome_never_settles():
    bank = bank_of(market(rows_valid(1, 1), settlement_e4=UNSETTLED))
    assert bank.arrays.segments["settles"].tolist() == [0]


def test_markets_carry_their_fees_close_and_grid():
    bands = (
        PriceBand(start_e4=0, end_e4=1_000, step_e4=10),
        PriceBand(start_e4=1_000, end_e4=10_000, step_e4=100),
    )
    fees = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier_e6": 500_000}
    a = market(rows_valid(1, 1), "A", price_ranges=bands, close_ns=77, **fees)
    b = market(rows_valid(1, 1), "B", provenance="quotes")
    arrays = bank_of(a, b).arrays
    first, second = arrays.markets
    assert (first.source, first.close_ns, second.source, second.close_ns) == (0, 77, 1, NO_CLOSE)
    first, second = (arrays.terms[record.terms_at] for record in (first, second))
    assert (first.taker_rate_e6, first.maker_rate_e6, first.close_ns) == (35_000, 8_750, 77)
    assert first.bands_e4[:3].tolist() == [[0, 1_000, 10], [1_000, 10_000, 100], [0, 0, 0]]
    assert (second.taker_rate_e6, second.maker_rate_e6, second.close_ns) == (70_000, 0, NO_CLOSE)


def test_orders_are_refused_from_the_first_end_that_comes():
    far = rows_valid(1, 1, 0, 1, 1)
    gap_ns, last_ns = int(far.recv_ns[2]), int(far.recv_ns[4])
    segments = bank_of(market(far, close_ns=last_ns + 9), market(far, "B")).arrays.segments
    # after the last row nobody knows the book; its close is the news, and without one the recording's end
    assert segments["end_ns"].tolist() == [gap_ns, last_ns + 1, gap_ns, last_ns + 1]
    assert segments["news_ns"].tolist() == [gap_ns, last_ns + 9, gap_ns, last_ns]
    told = MarketHistory(
        known=(KnownFacts(close_ns=last_ns + 9, price_ranges=WHOLE_CENTS),), close_ns=last_ns - 5
    )
    info = MarketInfo(MarketSpec(ticker="M", event="E"), "recorded", 0.0, told)
    segments = bank_of(BankMarket(info, far)).arrays.segments
    assert (
        segments["end_ns"].tolist() == segments["news_ns"].tolist() == [gap_ns, last_ns - 5]
    )  # the true end, though nobody knew of it


def test_events_are_numbered_by_first_appearance():
    names = [("A", "E2"), ("B", "E1"), ("C", "E2")]
    bank = bank_of(*[market(rows_valid(1, 1), ticker, event) for ticker, event in names])
    assert bank.segment_events.tolist() == [0, 1, 0]


def test_nothing_to_step_over_is_refused():
    with pytest.raises(DataError, match="1 markets has two consecutive valid rows"):
        bank_of(market(rows_valid(1, 0, 1)))


def test_more_bands_than_fit_are_refused_by_name():
    bands = tuple(
        PriceBand(start_e4=1_000 * k, end_e4=1_000 * (k + 1), step_e4=100) for k in range(MAX_BANDS + 1)
    )
    with pytest.raises(DataError, match="M has 9 price bands"):
        bank_of(market(rows_valid(1, 1), price_ranges=bands))


def test_no_array_of_a_bank_can_be_written():
    for array in random_bank(1).arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_only_the_chosen_columns_are_kept():
    rows = rows_valid(1, 1)
    rows.features[:] = [[1, 2], [3, 4]]
    bank = build_bank([market(rows)], ("second",), (1,), (0,))
    assert bank.arrays.features.tolist() == [[2], [4]]
    assert bank.arrays.temporal.tolist() == [[1], [3]]
    assert bank.feature_names == ("second",)
