"""Shards that answers of REST name, and no others."""

from kalshi_platform.trading.session.named_shards import shards_in


def test_shards_are_those_that_an_answer_names_and_no_others():
    markets = [
        {"ticker": "A", "exchange_index": 0}, {"ticker": "B", "exchange_index": 63}, {"ticker": "C"},
        {"ticker": "D", "exchange_index": None}, {"ticker": "E", "exchange_index": True},
        {"ticker": "F", "exchange_index": -1}, {"ticker": "G", "exchange_index": 64},
        {"ticker": "H", "exchange_index": "1"},
    ]  # fmt: skip
    assert shards_in("event", {"markets": markets}) == {"A": 0, "B": 63}
    assert shards_in("market", markets[1]) == {"B": 63}
    assert shards_in("series", {"ticker": "S", "exchange_index": 1}) == {}
    assert shards_in("event", {"markets": None}) == {}
