"""Faults: what is refused with which message, and in which order the rules are looked for."""

import numpy as np
import pytest
from made.market_rows import SPEC, MadeMarket, bands

from kalshi_platform.data.market_data.faults import MAX_QTY_E2, NO_SIZE, Fault, Origin, refuse
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, NO_SIDE, QUOTE, STATUS, TRADE, YES
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import UNKNOWN_QTY


@pytest.mark.parametrize(
    ("market", "message"),
    [
        (MadeMarket().add(TRADE, YES, 10_100, 1), "price outside 0..10000 .*: 10100"),
        (MadeMarket().add(TRADE, YES, -2, 1), "price outside 0..10000 .*: -2"),
        (MadeMarket().add(TRADE, YES, 4_250, 1), r"price off the market's grid \(0..10000 step 100\): 4250"),
        (MadeMarket().snapshot([(4_200, 5), (4_305, 5)]), "price off the market's grid .*: 4305"),
        (MadeMarket().add(QUOTE, NO, 5_555, UNKNOWN_QTY), "price off the market's grid .*: 5555"),
        (MadeMarket().add(TRADE, NO_SIDE, 4_200, 1), "has no side"),
        (MadeMarket().add(TRADE, YES, 4_200, 0), "size that is not above zero .*: 0"),
        (MadeMarket().snapshot([(4_200, -5)]), "size that is not above zero .*: -5"),
        (MadeMarket().add(QUOTE, YES, 4_200, -7), "negative size .*: -7"),
        (MadeMarket().add(TRADE, YES, 4_200, MAX_QTY_E2 + 1), "size beyond"),
        (MadeMarket().add(9, YES, 4_200, 1), "kind 9.* unknown kind"),
        (MadeMarket().add(STATUS, NO_SIDE, -1, 77), "unknown status; .*: 77"),
        (MadeMarket().add(TRADE, YES, 4_200, 1, flags=0), "ends the file inside a message"),
        (MadeMarket().snapshot([(4_200, 5), (4_200, 6)]), "repeats price 4200 within one snapshot"),
        (MadeMarket().add(TRADE, YES, 4_200, 1, flags=0).delta(YES, 4_200, 1), "another recv_ns"),
    ],
)
def test_impossible_rows_are_refused_with_file_line_market_and_value(
    market: MadeMarket, message: str
) -> None:
    with pytest.raises(DataError, match=rf"f\.jsonl: line 10\d, market M-1: .*{message}"):
        market.admit()


def test_time_going_backwards_is_refused() -> None:
    market = MadeMarket().add(TRADE, YES, 4_200, 1)
    market.at = -5
    with pytest.raises(DataError, match=r"line 96, market M-1: trade is 5 ns before the one above it"):
        market.add(TRADE, YES, 4_200, 1).admit()


def test_equal_times_are_in_order() -> None:
    market = MadeMarket().add(TRADE, YES, 4_200, 1)
    market.at = 0
    rows, _ = market.add(TRADE, YES, 4_300, 1).admit()
    assert rows.price_e4.tolist() == [4_200, 4_300]


def test_a_no_price_is_held_against_the_yes_grid() -> None:
    # whole cents above 10 cents, tenths below: a NO bid at 9_990 is a YES ask at 10 and legal; 5_010 is not
    spec = SPEC.replace(price_ranges=bands(0, 10, 1_000, 100, 10_000))
    MadeMarket().snapshot([(10, 5)], [(9_990, 5)]).admit(spec)
    with pytest.raises(DataError, match="5010"):
        MadeMarket().snapshot([], [(5_010, 5)]).admit(spec)
    with pytest.raises(DataError, match="9990"):
        MadeMarket().snapshot([(9_990, 5)]).admit(spec)


def test_the_first_message_that_breaks_a_rule_is_told_with_how_many_of_its_rows_do() -> None:
    market = MadeMarket().add(TRADE, YES, 4_200, 5).snapshot([(4_250, 5), (4_300, 0), (4_350, 5)])
    with pytest.raises(DataError, match=r"line 102.*grid .*: 4250 \(1 more like it\)"):
        market.add(TRADE, YES, 4_200, 0).admit()


def test_time_is_looked_at_before_any_value_of_a_message() -> None:
    market = MadeMarket().add(TRADE, YES, 4_200, 1)
    market.at = -5
    with pytest.raises(DataError, match="before the one above it"):
        market.add(TRADE, YES, 4_250, 0).admit()


@pytest.mark.parametrize(("numbers", "named"), [(np.array([7, 8]), 8), (3, 3), (np.array([7]), r"\?")])
def test_an_origin_numbers_its_rows_one_by_one_or_all_alike(numbers: np.ndarray | int, named: object) -> None:
    rows = MadeMarket().add(TRADE, YES, 4_200, 1).add(TRADE, YES, 4_200, 0, FLAG_LAST).rows()
    with pytest.raises(DataError, match=rf"f: row {named}, market M-1: trade, seq 2 has a size"):
        refuse(rows, SPEC, Origin("f", "row", numbers), Fault(NO_SIZE, 1, 1, 0))


def test_an_origin_can_be_cut_like_its_rows() -> None:
    assert Origin("f", "row", np.array([7, 8, 9])).part(slice(1, 3)).numbers.tolist() == [8, 9]
    assert Origin("f", "frame", 7).part(slice(1, 3)).numbers == 7
