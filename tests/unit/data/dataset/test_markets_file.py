"""The markets file, read market by market and column by column."""

import pytest
from made.many_markets import write_many
from made.stored import BARE, SPEC, stored

from kalshi_platform.data.dataset.markets_file import ROWS_A_GROUP, MarketsFile, encode_markets
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.market import MarketSpec


def test_markets_of_any_row_group_are_found_by_place():
    n = ROWS_A_GROUP + 5
    markets = [stored(MarketSpec(ticker=f"T{number}", event="E", close_ns=number)) for number in range(n)]
    file = MarketsFile(encode_markets(iter(markets)), "x")
    assert len(file) == n
    assert [file[at] for at in (0, ROWS_A_GROUP - 1, ROWS_A_GROUP, -1)] == [
        markets[at] for at in (0, ROWS_A_GROUP - 1, ROWS_A_GROUP, -1)
    ]
    assert list(file) == markets
    assert file.column("close_ns").to_pylist() == list(range(n))
    with pytest.raises(IndexError):
        file[n]


def test_facts_by_ticker_are_a_mapping(tmp_path):
    manifest = write_many(tmp_path, 12)
    dataset = Dataset.open(tmp_path)
    specs, settlements = dataset.specs(), dataset.settlements()
    tickers = [m.ticker for m in manifest.markets]
    assert (len(specs), list(specs)) == (12, tickers)
    assert specs == {ticker: specs[ticker] for ticker in tickers}
    assert list(settlements) == [m.ticker for m in manifest.markets if m.settled]
    assert tickers[0] not in settlements
    assert settlements.get(tickers[0]) is None
    with pytest.raises(KeyError):
        specs["NO"]
    assert 7 not in specs


def test_a_file_of_no_markets_is_read():
    assert list(MarketsFile(encode_markets([]), "x")) == []
    assert [m.spec for m in MarketsFile(encode_markets([stored(SPEC), stored(BARE)]), "x")] == [SPEC, BARE]
