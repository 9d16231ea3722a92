"""What a market shows: whole numbers, or a refusal that names the field."""

import math

import pytest
from made.execution import view
from made.plain_account import HandClock

from kalshi_platform.domain.errors import ContractError


@pytest.mark.parametrize("name", ["exchange_index", "book_ns", "model_ns", "taker_rate_e6", "maker_rate_e6"])
@pytest.mark.parametrize("value", [None, math.nan, 1.0, "1", -1, True])
def test_a_number_that_is_none_is_refused_by_name(name, value):
    with pytest.raises(ContractError, match=name):
        view(HandClock(), **{name: value})


@pytest.mark.parametrize("value", [math.nan, 0.42, 0, 10_000, "0.42"])
def test_a_price_that_is_none_is_refused_and_an_empty_side_is_not(value):
    with pytest.raises(ContractError, match="bid_e4"):
        view(HandClock(), bid_e4=value)
    assert view(HandClock(), bid_e4=None, ask_e4=None).bid_e4 is None
