"""An import job to its validated events."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from kalshi_platform.data.market_data.decode import MarketFacts
from kalshi_platform.data.market_data.importers.captures import import_captures
from kalshi_platform.data.market_data.importers.level2 import import_level2
from kalshi_platform.data.market_data.importers.pieces import Piece, merge
from kalshi_platform.data.market_data.importers.quotes import import_quotes
from kalshi_platform.data.market_data.importers.trades import import_trades
from kalshi_platform.data.market_data.importers.types import (
    DataKind,
    ImportedEvent,
    ImportedMarket,
    ImportJob,
    Part,
)
from kalshi_platform.data.market_data.market_meta import MarketRecord, coarsest_grid, unknown_market
from kalshi_platform.data.market_data.schema import DELTA, FLAG_START, NO, QUOTE, SNAPSHOT, TRADE
from kalshi_platform.data.market_data.validate import OnNegative, validate
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import Settlement
from kalshi_platform.domain.units import DOLLAR_E4

_IMPORTERS: dict[DataKind, Callable[[Part, Counter[str]], list[Piece]]] = {
    "level2": import_level2,
    "quotes": import_quotes,
    "trades": import_trades,
}


def run_job(job: ImportJob, on_negative: OnNegative = "refuse") -> Iterator[ImportedEvent]:
    """Read, convert and validate the events of ``job``, one ImportedEvent each, in ``job.events`` order.

    Raises DataError naming file, market, row and value; events already yielded stay valid, the caller
    decides whether to keep them.
    """
    of_job: Counter[str] = Counter()
    pieces: dict[str, list[Piece]] = defaultdict(list)
    captures = [part for part in job.parts if part.kind == "capture"]
    found = import_captures(captures, job.use_yes_price, of_job) if captures else []
    for part in job.parts:
        if part.kind != "capture":
            found.extend(_IMPORTERS[part.kind](part, of_job))
    for piece in found:
        pieces[piece.ticker].append(piece)
    tickers: dict[str, list[str]] = defaultdict(list)
    for ticker in sorted(pieces):
        if ticker not in job.event_of:
            raise DataError(
                f"{pieces[ticker][0].origin.source}: market {ticker} was not there when the file was "
                "indexed; import a file after its recording has ended"
            )
        tickers[job.event_of[ticker]].append(ticker)
    for event in job.events:
        counters, of_job = of_job, Counter()
        markets = []
        for ticker in tickers[event]:
            record = job.markets.get(ticker) or unknown_market(ticker)
            market = _market(record, pieces.pop(ticker), on_negative, counters)
            if market is None:
                counters["markets_without_usable_rows"] += 1
            else:
                markets.append(market)
        yield ImportedEvent(event, markets, +counters)


def _market(
    record: MarketRecord, pieces: list[Piece], on_negative: OnNegative, counters: Counter[str]
) -> ImportedMarket | None:
    record = _with_grid(_with_facts(record, pieces), pieces, counters)
    checked: list[Piece] = []
    for piece in pieces:
        rows, counted = validate(piece.rows, record.spec, piece.origin, on_negative)
        counters.update(counted)
        if len(rows.kind):
            checked.append(Piece(piece.ticker, piece.provenance, rows, piece.origin, piece.source))
    if not checked:
        return None
    rows, provenance, source = merge(checked, counters)
    counters[f"rows:{provenance}"] += len(rows.kind)
    return ImportedMarket(record.spec, record.settlement, provenance, rows, source)


def _with_facts(record: MarketRecord, pieces: list[Piece]) -> MarketRecord:
    """The record completed by what lifecycle frames said; the metadata wins where it speaks."""
    spec, settlement, declared = record.spec, record.settlement, record.grid_declared
    for facts in (p.facts for p in pieces if p.facts is not None):
        known = _known(facts, with_grid=not declared)
        spec = spec.replace(
            **{k: v for k, v in known.items() if k == "price_ranges" or getattr(spec, k) is None}
        )
        declared = declared or facts.price_ranges is not None
        if settlement is None and facts.settlement_e4 is not None:
            settlement = Settlement(
                ticker=spec.ticker, value_e4=facts.settlement_e4, determined_ns=facts.determined_ns
            )
    return MarketRecord(spec, settlement, declared)


def _known(facts: MarketFacts, with_grid: bool) -> dict[str, object]:
    known: dict[str, object] = {"open_ns": facts.open_ns, "close_ns": facts.close_ns}
    if with_grid:
        known["price_ranges"] = facts.price_ranges
    return {name: value for name, value in known.items() if value is not None}


def _with_grid(record: MarketRecord, pieces: list[Piece], counters: Counter[str]) -> MarketRecord:
    """The record with the coarsest grid that holds the prices, where no source declares one."""
    if record.grid_declared:
        return record
    bands = coarsest_grid(np.concatenate([_yes_prices(piece) for piece in pieces]))
    if bands == record.spec.price_ranges:
        return record
    counters["grid_inferred"] += 1
    return MarketRecord(record.spec.replace(price_ranges=bands), record.settlement, grid_declared=False)


def _yes_prices(piece: Piece) -> np.ndarray:
    """Prices of the piece on the YES scale, those within 0..10_000."""
    rows = piece.rows
    priced = np.isin(rows.kind, (SNAPSHOT, DELTA, TRADE, QUOTE)) & ((rows.flags & FLAG_START) == 0)
    price = np.where((rows.side == NO) & (rows.kind != TRADE), DOLLAR_E4 - rows.price_e4, rows.price_e4)
    found: np.ndarray = price[priced & (rows.price_e4 >= 0) & (rows.price_e4 <= DOLLAR_E4)]
    return found
