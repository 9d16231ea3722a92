"""Account at the start of a session: its worth by hand, the first price that counts, its note."""

import json

import pytest

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.session.opening_positions import (
    OpeningPosition,
    OpeningPositions,
    price_or_none,
)


def opened() -> OpeningPositions:
    """5.00 YES of A at 0.30, 2.00 NO of B where one YES is 0.90; they cost 1.00 and 0.50 $."""
    held = {"A": OpeningPosition(500, 3_000, 1_000_000, 7), "B": OpeningPosition(-200, 9_000, 500_000, 8)}
    return OpeningPositions(10_000_000, held)


def test_it_is_worth_cash_and_positions_at_the_journals_prices_until_a_book_comes():
    account = opened()
    # 10.00 + 5 x 0.30 + 2 x (1 - 0.90)
    assert (account.value_e6, account.capital_e6) == (1_700_000, 11_700_000)
    assert account.unseen == {"A", "B"}


def test_the_first_price_for_which_a_position_could_be_sold_counts_and_no_later_one():
    account = opened()
    account.see("A", None, 5_500)  # nobody buys YES
    assert account.held["A"].price_e4 == 3_000
    account.see("A", 4_000, 5_500)
    account.see("A", 9_000, 9_500)
    assert account.held["A"] == OpeningPosition(500, 4_000, 1_000_000, 7)
    account.see("B", 9_500, None)  # nobody sells YES: nobody buys NO
    assert account.held["B"].price_e4 == 9_000
    account.see("B", 9_400, 9_600)
    assert account.held["B"] == OpeningPosition(-200, 9_600, 500_000, 8)
    account.see("C", 4_000, 5_500)
    # 5 x 0.40 + 2 x (1 - 0.96)
    assert (account.value_e6, account.unseen) == (2_080_000, set())


def test_its_note_gives_it_again():
    detail = json.loads(json.dumps(opened().as_note()))
    again = OpeningPositions.of_note(detail)
    assert (again.cash_e6, again.held, again.unseen) == (10_000_000, opened().held, {"A", "B"})


@pytest.mark.parametrize(
    "damage",
    [
        {"cash_e6": None},
        {"cash_e6": True},
        {"positions": []},
        {"positions": {"A": {"position_e2": 1.5, "price_e4": 1, "cost_e6": 1, "opened_ns": 1}}},
        {"positions": {"A": {"position_e2": 1, "price_e4": 1}}},
        {"positions": {"A": "x" * 1_000}},
    ],
)
def test_a_damaged_note_is_refused(damage):
    with pytest.raises(DataError, match="cannot be read") as refused:
        OpeningPositions.of_note(opened().as_note() | damage)
    assert len(str(refused.value)) < 500


def test_a_price_at_an_edge_is_none():
    assert [price_or_none(price) for price in (-1, 0, 1, 9_999, 10_000)] == [None, None, 1, 9_999, None]
