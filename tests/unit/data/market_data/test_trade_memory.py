"""Trades are known again by their id, up to a bound."""

import pytest

from kalshi_platform.data.market_data.trade_memory import TradeMemory
from kalshi_platform.domain.errors import DataError


def test_trades_are_remembered_up_to_the_bound() -> None:
    memory = TradeMemory(limit=2)
    # after c only b and c are known: b repeats, a does not
    assert [memory.knows("M", name) for name in "abcba"] == [False, False, False, True, False]


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(DataError, match="trade_id of 65 characters"):
        TradeMemory().knows("M", "x" * 65)


def test_one_id_in_two_markets_is_two_trades() -> None:
    memory = TradeMemory()
    assert [memory.knows(market, "7") for market in ("A", "B", "A")] == [False, False, True]
