"""Queues and depth: priority in price and time, and the place in the queue after a change."""

import pytest
from made.core_exchange import open_exchange, told

from kalshi_platform.simulation.matching import book


def test_the_best_price_is_filled_first_and_at_one_price_the_oldest_order():
    x = open_exchange()
    worse = x.submit(0, 0, "ask", 5_200, 100).order_id
    first = x.submit(0, 0, "ask", 5_100, 100).order_id
    second = x.submit(1, 0, "ask", 5_100, 100).order_id
    x.read_tape()
    assert x.submit(2, 0, "bid", 5_500, 250).filled_e2 == 250
    fills = [row for row in x.read_tape() if row["maker_id"] >= 0]
    assert [(int(r["maker_id"]), int(r["price_e4"]), int(r["qty_e2"])) for r in fills] == [
        (first, 5_100, 100), (second, 5_100, 100), (worse, 5_200, 50),
    ]  # fmt: skip
    assert x.levels(0, "ask").tolist() == [[5_200, 50]]


def test_a_bid_and_an_ask_at_one_price_are_one_own_price_apart_from_the_dollar():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_300, 100)
    x.submit(1, 0, "ask", 4_400, 100)
    assert x.levels(0, "bid").tolist() == [[4_300, 100]]
    assert x.levels(0, "ask").tolist() == [[4_400, 100]]
    # the ask pays 10,000 - 4,400 = 5,600 for its NO
    assert int(x.core.depth[0, 1, 5_600]) == 100
    assert int(x.core.best[0].sum()) == 4_300 + 5_600


def test_the_book_tells_one_change_a_price_for_all_fills_there():
    x = open_exchange()
    for _ in range(3):
        x.submit(0, 0, "ask", 5_000, 100)
    x.read_tape()
    x.submit(1, 0, "bid", 5_000, 300)
    assert [row[0] for row in told(x)] == ["ACK", "FILL", "FILL", "FILL", "DELTA"]


@pytest.mark.parametrize("word", [1, 2, 3, 0x80000000, 0x00010000, 0xFFFFFFFF, 5])
def test_the_highest_bit_of_a_word(word):
    assert book.highest_bit.py_func(word) == word.bit_length() - 1


def test_contracts_ahead_are_those_that_are_filled_before():
    x = open_exchange()
    x.submit(0, 0, "bid", 4_000, 150)
    mine = x.submit(1, 0, "bid", 4_000, 100).order_id
    x.submit(0, 0, "bid", 4_100, 900)
    assert x.order(mine)["ahead_e2"] == 150
    x.submit(2, 0, "ask", 4_000, 950)  # takes 900 at 41 cents, then 50 of the first at 40
    assert x.order(mine)["ahead_e2"] == 100
