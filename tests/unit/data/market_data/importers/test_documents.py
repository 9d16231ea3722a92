"""Data are found wherever they lie in a document."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made.foreign_files import T0_S, M, candle, document, lines, rest_trade, text

from kalshi_platform.data.market_data.importers import documents
from kalshi_platform.data.market_data.importers.documents import (
    holdings,
    quote_table,
    read_documents,
    record_table,
)
from kalshi_platform.data.market_data.importers.rest_quotes import QuoteRecord
from kalshi_platform.domain.errors import DataError


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ({"trades": [rest_trade(0, 43, "1.00", "no")]}, ("records",)),
        ({"a": {"b": [{M: {"candlesticks": [candle(T0_S, "0.1", "0.2")]}}]}}, ("candlesticks",)),
        ({"ticker": M, "orderbook_fp": {}}, ("order books",)),
        ({"by_series": {"KX": [{"event_ticker": "E", "markets": [{"ticker": M}]}]}}, ("markets",)),
        ({"ticker": M, "event_ticker": "E", "yes_bid": 1}, ("markets",)),
        ({**rest_trade(0, 43, "1.00", "no"), "event_ticker": "E"}, ("records",)),
        ({"market_ticker": M, "event_ticker": "E"}, ("records",)),
        ({"series": [{"ticker": "KX", "fee_type": "quadratic", "country": "US", "contract_url": "x"}]}, ()),
        ({"note": "nothing", "n": [1, 2]}, ()),
    ],
)
def test_a_walk_tells_what_a_document_holds(content: Any, kinds: tuple[str, ...]) -> None:
    assert holdings([content]).kinds == kinds


def test_json_lines_and_documents_are_read_with_exact_numbers(tmp_path: Path) -> None:
    assert str(read_documents(text(tmp_path / "a", '{"p": 0.10}'))[0]["p"]) == "0.10"
    assert read_documents(lines(tmp_path / "b", [{"p": 1}, {"p": 2}])) == [{"p": 1}, {"p": 2}]
    assert read_documents(document(tmp_path / "c", [{"p": 1}], indent=2)) == [[{"p": 1}]]
    with pytest.raises(DataError, match="line 2 is not JSON"):
        read_documents(text(tmp_path / "d", '{"p": 1}\n{"p": \n'))
    with pytest.raises(DataError, match="d2: is not JSON"):
        read_documents(text(tmp_path / "d2", '{"p": \n'))


def test_records_become_columns_of_numbers_booleans_or_texts() -> None:
    table = record_table(
        [{"n": 1, "f": True, "t": "x"}, {"n": None, "f": None, "t": 2, "more": [1]}], Path("m.json")
    )
    assert table.to_pylist() == [
        {"n": 1, "f": True, "t": "x", "more": None},
        {"n": None, "f": None, "t": "2", "more": "[1]"},
    ]


def test_a_number_that_no_column_holds_is_refused_by_market_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    quotes = [QuoteRecord("E-A", 1, 4_000, 4_100, None, 1), QuoteRecord("E-A", 2, 4_000, 4_100, 2**63, 1)]
    words = r"a\.json: 'E-A' has yes_bid_size_e2 = 9223372036854775808, beyond"
    asked = holdings([{"ticker": M, "orderbook_fp": {}}])
    monkeypatch.setattr(documents, "_book_quotes", lambda found, path: quotes)
    with pytest.raises(DataError, match=words):
        quote_table(asked, path, Counter())
