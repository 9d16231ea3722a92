"""JSON of other people, a document or one object a line, to tables: what it holds is found wherever it lies.

Answers of the exchange are often kept inside an object of one's own (by ticker, with a note, with the time of
the poll). A walk over the whole document finds candlesticks, order books and flat records (trades, quotes);
``market_meta.py`` reads markets from it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from kalshi_platform.data.market_data.capture import read_lines
from kalshi_platform.data.market_data.importers.rest_quotes import (
    QuoteRecord,
    book_quote,
    candle_quote,
    is_book,
)
from kalshi_platform.data.market_data.importers.types import UnknownSchemaError
from kalshi_platform.data.market_data.moments import RECEIVE_NAMES, received_ns
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError

_TICKER_NAMES: Final = ("market_ticker", "ticker", "ticker_name", "market")
_VALUE_NAMES: Final = re.compile(
    r"(?:(?:best_)?(?:yes_|no_)?(?:price|bid|ask)|count|contracts_traded|quantity|size|qty|delta)"
    r"(?:_(?:e4|e2|fp|dollars|cents|close))*"
)
_TRADE_NAMES: Final = frozenset({"trade_id", "yes_price", "yes_price_dollars", "yes_price_e4"})
_TICKER_TEXT: Final = re.compile(r"[A-Z0-9]+-[A-Z0-9._-]+")
_OF_URL: Final = re.compile(r"/markets/([A-Za-z0-9._-]+)/(?:orderbook|candlesticks)")
_ANSWER_NAMES: Final = ("response_body", "response", "body")
#: House columns of a quote table made here.
_QUOTE_TYPES: Final = pa.schema([
    ("market_ticker", pa.string()), ("recv_ns", pa.int64()), ("yes_bid_e4", pa.int64()),
    ("yes_ask_e4", pa.int64()), ("yes_bid_size_e2", pa.int64()), ("yes_ask_size_e2", pa.int64()),
])  # fmt: skip


#: Largest number of a column.
_MOST: Final = 2**63 - 1


class _Around(NamedTuple):
    """Known of a node from the objects around it."""

    ticker: str | None = None
    at_ns: int | None = None
    url: str = ""


@dataclass
class Holdings:
    """Nodes found in a file, by what they are."""

    candles: list[tuple[str | None, Mapping[str, Any]]] = field(default_factory=list)
    books: list[tuple[_Around, Mapping[str, Any]]] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    markets: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of nodes that were found."""
        found = {
            "candlesticks": self.candles, "order books": self.books, "records": self.records,
            "markets": self.markets,
        }  # fmt: skip
        return tuple(name for name, nodes in found.items() if nodes)

    @property
    def is_data(self) -> bool:
        """True where there are rows of markets, not only facts about them."""
        return bool(self.candles or self.books or self.records)


def read_documents(path: Path) -> list[Any]:
    """Parsed objects of a JSON file: the one document, or each line of JSON lines; DataError if damaged.

    Numbers with a point are read as ``Decimal``, digit by digit as the text has them.
    """
    lines = [(number, line) for number, line in read_lines(path) if line.strip()]
    try:
        return [_parsed(b"\n".join(line for _, line in lines))]
    except (ValueError, RecursionError) as err:
        whole = err
    documents = []
    for number, line in lines:
        try:
            documents.append(_parsed(line))
        except (ValueError, RecursionError) as err:
            if not documents:
                raise DataError(f"{path}: is not JSON ({whole}); copy the file again") from None
            raise DataError(f"{path}: line {number} is not JSON ({err}); remove it") from None
    return documents


def _parsed(text: bytes | str) -> Any:
    """JSON value of a text, with exact numbers."""
    return json.loads(text, parse_float=Decimal)


def holdings(documents: list[Any]) -> Holdings:
    """Everything of use in the parsed objects of a file."""
    found = Holdings()
    for document in documents:
        _walk(document, _Around(), found)
    return found


def _walk(node: Any, around: _Around, found: Holdings) -> None:
    """Note what ``node`` is, or look into it."""
    if isinstance(node, list):
        for entry in node:
            _walk(entry, around, found)
    elif isinstance(node, dict):
        around = _seen_from(node, around)
        if isinstance(node.get("candlesticks"), list):
            found.candles += [(around.ticker, c) for c in node["candlesticks"] if isinstance(c, dict)]
        elif "end_period_ts" in node and "yes_bid" in node:
            found.candles.append((around.ticker, node))
        elif is_book(node):
            found.books.append((around, node))
        elif _is_market(node):
            found.markets += 1
        elif _is_record(node):
            found.records.append(node)
        else:
            for name, value in node.items():
                inside = around._replace(ticker=name) if _TICKER_TEXT.fullmatch(name) else around
                _walk(_answer(name, value), inside, found)


def _seen_from(node: Mapping[str, Any], around: _Around) -> _Around:
    """``around`` with the ticker, time and address that ``node`` adds."""
    ticker = next((node[n] for n in _TICKER_NAMES if isinstance(node.get(n), str)), None)
    url = node.get("url")
    if ticker is None and isinstance(url, str) and (match := _OF_URL.search(url)):
        ticker = match.group(1)
    at_ns = None
    if any(isinstance(node.get(name), str | int | Decimal) for name in RECEIVE_NAMES):
        try:
            at_ns = received_ns(node)
        except DataError:
            at_ns = None  # not every ``time`` is one; a book without a time is refused
    return _Around(ticker or around.ticker, around.at_ns if at_ns is None else at_ns)


def _answer(name: str, value: Any) -> Any:
    """``value``, parsed where it is the text of an answer."""
    if name in _ANSWER_NAMES and isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return _parsed(value)
        except ValueError:
            return value
    return value


def _is_market(node: Mapping[str, Any]) -> bool:
    """True for a market or event of a REST answer; a trade that names its event is none."""
    if "event_ticker" not in node or _TRADE_NAMES & node.keys():
        return False
    return "ticker" in node or isinstance(node.get("markets"), list)


def _is_record(node: Mapping[str, Any]) -> bool:
    """True for a flat object that names a market, and a price or size or its event."""
    named = any(isinstance(node.get(name), str) for name in _TICKER_NAMES)
    return named and any(
        (name == "event_ticker" or _VALUE_NAMES.fullmatch(name)) and not isinstance(value, dict)
        for name, value in node.items()
    )


def quote_table(found: Holdings, path: Path, counters: Counter[str]) -> pa.Table:
    """House quote table of the candlesticks or order books found, in order of time within each market."""
    quotes = list(_candle_quotes(found, path, counters) if found.candles else _book_quotes(found, path))
    quotes.sort(key=lambda q: (q.market_ticker, q.recv_ns))
    if not quotes:
        raise UnknownSchemaError(f"{path}: its candlesticks tell of trades only, without yes_bid and yes_ask")
    try:
        return pa.Table.from_pylist([q._asdict() for q in quotes], schema=_QUOTE_TYPES)
    except UnicodeEncodeError as err:
        raise _no_unicode(path, err) from None
    except OverflowError:
        raise _too_large(path, quotes) from None


def _too_large(path: Path, quotes: list[QuoteRecord]) -> DataError:
    """Error for the first number that no column holds."""
    for quote in quotes:
        for name, value in zip(quote._fields, quote, strict=True):
            if isinstance(value, int) and abs(value) > _MOST:
                words = f"{shown_value(quote.market_ticker)} has {name} = {shown_value(value)}"
                return DataError(f"{path}: {words}, beyond any price, size or time; correct it in the file")
    return DataError(f"{path}: a number is beyond any price, size or time; correct it in the file")


def _candle_quotes(found: Holdings, path: Path, counters: Counter[str]) -> Iterator[QuoteRecord]:
    """Quotes of the candlesticks."""
    for number, (ticker, candle) in enumerate(found.candles, start=1):
        where = f"{path}: candlestick {number}"
        if ticker is None:
            raise UnknownSchemaError(
                f'{where}: no ticker beside it; keep {{"ticker": ..., "candlesticks": [...]}}'
            )
        try:
            quote = candle_quote(ticker, candle)
        except DataError as err:
            raise DataError(f"{where} of {shown_value(ticker)}: {err}; correct or remove it") from None
        if quote is None:
            counters["candlesticks_without_quotes"] += 1
        else:
            yield quote


def _book_quotes(found: Holdings, path: Path) -> Iterator[QuoteRecord]:
    """Quotes of the polled order books."""
    for number, (around, node) in enumerate(found.books, start=1):
        where = f"{path}: order book {number}"
        if around.ticker is None or around.at_ns is None:
            lacks = "ticker" if around.ticker is None else "time of the poll"
            raise UnknownSchemaError(
                f"{where}: no {lacks} beside it; keep each answer as "
                '{"recv_ns": <ns since 1970>, "ticker": ..., "orderbook_fp": {...}}'
            )
        try:
            yield book_quote(around.ticker, around.at_ns, node)
        except DataError as err:
            raise DataError(f"{where} of {shown_value(around.ticker)}: {err}; correct or remove it") from None


def record_table(records: list[Mapping[str, Any]], path: Path) -> pa.Table:
    """Flat records of a file as a table: a column a name, of whole numbers, booleans or texts.

    DataError for a text that is no Unicode (half of a surrogate pair).
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    try:
        return pa.table({name: _column([record.get(name) for record in records]) for name in names})
    except UnicodeEncodeError as err:
        raise _no_unicode(path, err) from None


def _no_unicode(path: Path, err: UnicodeEncodeError) -> DataError:
    """Error for a text that JSON could write, and no file in UTF-8."""
    text = shown_value(err.object)
    return DataError(f"{path}: the text {text} holds half of a surrogate pair; correct it in the file")


def _column(values: list[Any]) -> pa.Array:
    """Column of one name's values; numbers with a fraction become their shortest decimal texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(v is None or abs(v) < 1 << 63 for v in values):
        return pa.array(values, pa.int64())
    texts = [None if v is None else v if isinstance(v, str) else str(v) for v in values]
    return pa.array(texts, pa.string())
