"""Intents: whole numbers in their units, or nothing."""

import math

import numpy as np
import pytest
from made.execution import ASK, BID, A

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.execution.orders.intents import Intent, whole


@pytest.mark.parametrize("value", [math.nan, math.inf, None, 42.0, "4200", True, np.int64(42), 0, -1, 10_000])
def test_a_price_that_is_no_whole_number_between_nothing_and_a_dollar_is_refused(value):
    with pytest.raises(ContractError, match="price_e4"):
        Intent(A, BID, value, 100, 0)


@pytest.mark.parametrize("value", [math.nan, None, 1.5, 0, -100, 10**13, False])
def test_a_size_that_is_no_whole_number_above_nothing_is_refused(value):
    with pytest.raises(ContractError, match="qty_e2"):
        Intent(A, BID, 4_200, value, 0)


def test_a_side_that_is_a_mere_word_is_refused():
    with pytest.raises(ContractError, match=r"BookSide\.BID"):
        Intent(A, "bid", 4_200, 100, 0)  # type: ignore[arg-type]


def test_an_ask_costs_one_less_its_price():
    # 3 contracts of NO at 1 - 0.42 = 0.58: 1.74 dollar
    assert Intent(A, ASK, 4_200, 300, 0).cost_e6 == 1_740_000
    assert Intent(A, BID, 4_200, 300, 0).cost_e6 == 1_260_000


def test_a_refusal_names_the_unit():
    with pytest.raises(ContractError, match=r"4200 for a price_e4 of \$0\.42"):
        whole("price_e4", 0.42, 1, 9_999)
