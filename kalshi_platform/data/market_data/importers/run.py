"""An import job to its events: read, convert, pass the door, merge.

No odd message stops a build. A message that breaks a rule is put aside, as a live session would refuse it
(``door.py``); a market most of whose messages are odd is put aside whole. Both are counted and the first are
named in ``ImportedEvent.notes``. A file whose rows are in no order of time is refused.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import gcd

import numpy as np

from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.facts import Told
from kalshi_platform.data.market_data.fee_meta import with_frames
from kalshi_platform.data.market_data.gaps import facts_rows, gap_detection_of, put_in
from kalshi_platform.data.market_data.history import (
    history_of,
    joined_tellings,
    news_of,
    opening_terms,
    steps_of,
    told_fees,
)
from kalshi_platform.data.market_data.importers.captures import EventFees, import_captures
from kalshi_platform.data.market_data.importers.joining import PrintDelays
from kalshi_platform.data.market_data.importers.level2 import import_level2
from kalshi_platform.data.market_data.importers.merging import after_door, merge, overlaps_of
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.put_aside import put_aside, refuse_unsorted
from kalshi_platform.data.market_data.importers.quotes import import_quotes
from kalshi_platform.data.market_data.importers.trades import import_trades
from kalshi_platform.data.market_data.importers.types import (
    MAX_NOTES,
    DataKind,
    HeldEvent,
    ImportedEvent,
    ImportedMarket,
    ImportJob,
    Part,
)
from kalshi_platform.data.market_data.importers.uniting import Overlaps
from kalshi_platform.data.market_data.market_meta import MarketRecord, grid_table, unknown_market
from kalshi_platform.data.market_data.schema import (
    FACTS,
    QUOTE,
    SNAPSHOT,
    TRADE,
    MarketRows,
    concat,
    empty,
    take,
)
from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable
from kalshi_platform.domain.market import Settlement
from kalshi_platform.domain.units import NO_PRICE

_IMPORTERS: dict[DataKind, Callable[[Part, Counter[str]], list[Piece]]] = {
    "level2": import_level2,
    "quotes": import_quotes,
    "trades": import_trades,
}
#: Rows that show something of a market; without any the market is left out.
_USABLE = (SNAPSHOT, TRADE, QUOTE)


def run_job(
    job: ImportJob, read_held: Callable[[HeldEvent], list[Piece]] | None = None
) -> Iterator[ImportedEvent]:
    """Import the events of ``job``, one ImportedEvent each, in ``job.events`` order.

    ``read_held`` gives the rows that the dataset holds of an event of ``job.held``; they join the new ones.
    DataError names file, market, row and value. Events already yielded stay valid; the caller decides
    whether to keep them.
    """
    of_job: Counter[str] = Counter()
    job_notes: list[str] = []
    pieces: dict[str, list[Piece]] = defaultdict(list)
    captures = [part for part in job.parts if part.kind == "capture"]
    held = {event.event: event for event in job.held}
    kept = {market.ticker for event in job.held for market in event.markets}
    event_fees: EventFees = {}
    found = (
        import_captures(captures, job.use_yes_price, of_job, job_notes, event_fees, kept) if captures else []
    )
    fees = with_frames(job.fees, event_fees, of_job)
    for part in job.parts:
        if part.kind != "capture":
            found.extend(_IMPORTERS[part.kind](part, of_job))
    refuse_unsorted(found)
    for piece in found:
        pieces[piece.ticker].append(piece)
    delays = PrintDelays(found)
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
        notes, job_notes = job_notes, []
        if event in held and read_held is not None:
            earlier = read_held(held[event])
            delays.know(earlier)
            for piece in earlier:
                pieces[piece.ticker].append(piece)
            tickers[event] = sorted({*tickers[event], *(m.ticker for m in held[event].markets)})
        overlaps = overlaps_of(pieces[ticker] for ticker in tickers[event])
        for ticker in tickers[event]:
            record = job.markets.get(ticker) or unknown_market(ticker)
            market = _market(record, pieces.pop(ticker), fees, delays, overlaps, counters, notes)
            if market is None:
                counters["markets_without_usable_rows"] += 1
            else:
                markets.append(market)
        yield ImportedEvent(event, markets, +counters, tuple(map(bounded_message, notes[:MAX_NOTES])))


def _market(
    record: MarketRecord,
    pieces: list[Piece],
    fee_table: FeeTable,
    delays: PrintDelays,
    overlaps: Overlaps,
    counters: Counter[str],
    notes: list[str],
) -> ImportedMarket | None:
    """Market whose rows passed the door, from all of its pieces; None where no row passes."""
    _refuse_another_outcome(record, pieces)
    of_pieces = [piece.told for piece in pieces]
    news = news_of(record, of_pieces)
    told, numbers = joined_tellings([*of_pieces, news])
    pieces = [_numbered(piece, own) for piece, own in zip(pieces, numbers, strict=False)]
    settlement = record.settlement or _told_settlement(record.spec.ticker, pieces)
    # Metadata that tell the last grid after another one are hindsight: prices show the grid before them.
    grids = [t.facts.price_ranges for t in told if t.facts.price_ranges is not None]
    hindsight = len(set(grids)) > 1 and grids[-1] == record.spec.price_ranges
    doors = [Door(record.spec, record.grid_declared and not hindsight) for _ in pieces]
    checked: list[Piece] = []
    for piece, door in zip(pieces, doors, strict=True):
        if piece.is_held:
            for telling in piece.told:
                door.take_facts(telling.facts)
            checked.append(piece)
            continue
        rows = _admit(door, piece, _tellings(piece, pieces, news), counters, notes)
        if np.isin(rows.kind, _USABLE).any():
            checked.append(after_door(piece, rows))
    inferred = [door.inferred for door in doors if door.inferred is not None]
    counters["grid_inferred"] += int(bool(inferred))
    if not checked:
        return None
    rows, provenance, source, joined = merge(checked, delays, overlaps, counters)
    counters[f"rows:{provenance}"] += len(rows.kind)
    spec = max((door.spec for door in doors), key=lambda s: int(grid_table(s.price_ranges).sum()))
    tick_e4 = gcd(*(door.tick_e4 for door in doors), *(_spacing(p.rows) for p in checked if p.is_held))
    rows = _with_all_facts(rows, told)
    if inferred:
        bands = max(inferred, key=lambda b: int(grid_table(b).sum()))
        record = replace(record, spec=record.spec.replace(price_ranges=bands))
    is_counted = any(piece.is_held for piece in pieces)  # when the market's first rows came
    tally = Counter[str]() if is_counted else counters
    fees_told = told_fees(record, fee_table)
    fees = steps_of(record.spec, fees_told)
    opening = opening_terms(fees, spec, int(rows.recv_ns[0]))
    tally[f"fees:{opening.source}"] += 1
    spec = spec.replace(fee_type=opening.fee_type, fee_multiplier_e6=opening.fee_multiplier_e6)
    history = history_of(record, told, tally, fees).replace(fees_told=fees_told)
    detection = gap_detection_of(rows)
    tally["markets_without_gap_detection"] += detection == "none"
    declared = any(door.is_declared for door in doors)
    return ImportedMarket(
        spec, settlement, history, provenance, rows, source, tick_e4, joined, detection, declared
    )


def _numbered(piece: Piece, numbers: list[int]) -> Piece:
    """``piece`` whose FACTS rows count the tellings of all pieces."""
    if not numbers or numbers == list(range(1, len(numbers) + 1)):
        return piece
    qty_e2 = piece.rows.qty_e2.copy()
    qty_e2[[telling.row for telling in piece.told]] = numbers
    return replace(piece, rows=piece.rows._replace(qty_e2=qty_e2))


def _with_all_facts(rows: MarketRows, told: list[Told]) -> MarketRows:
    """``rows`` with a FACTS row for each telling of a source whose own rows were left out.

    Facts that a frame told before the market's first row wait for that row. An answer in between is newer:
    it follows them.
    """
    is_facts = rows.kind == FACTS
    there = dict(zip(rows.qty_e2[is_facts].tolist(), rows.recv_ns[is_facts].tolist(), strict=True))
    missing, last_ns = [], 0
    for number, telling in enumerate(told, start=1):
        last_ns = max(last_ns, there.get(number, telling.recv_ns))
        if number not in there and last_ns <= rows.recv_ns[-1]:
            missing.append((number, last_ns))
    if not missing:
        return rows
    return put_in(rows, facts_rows(*zip(*missing, strict=True)))


def _spacing(rows: MarketRows) -> int:
    """Greatest step that divides every price of ``rows``, 1e-4 dollar; 0 where they have none."""
    return int(np.gcd.reduce(np.unique(rows.price_e4[rows.price_e4 != NO_PRICE]), initial=0))


def _refuse_another_outcome(record: MarketRecord, pieces: list[Piece]) -> None:
    """Raise a DataError where a new frame tells another outcome than the dataset that grows."""
    held = next((p for p in pieces if p.is_held), None)
    known = record.settlement
    if held is None or known is None:
        return
    for piece in pieces:
        told = piece.facts.settlement_e4 if piece.facts is not None else None
        if told is not None and told != known.value_e4:
            raise DataError(
                f"{piece.origin.source}: market {piece.ticker} settled at {told}, {held.origin.source} says "
                f"{known.value_e4} (1e-4 dollar); leave the file out, or build all recordings again"
            )


def _told_settlement(ticker: str, pieces: list[Piece]) -> Settlement | None:
    """Outcome that lifecycle frames told; None where they told none."""
    for facts in (p.facts for p in pieces if p.facts is not None):
        if facts.settlement_e4 is not None:
            return Settlement(ticker=ticker, value_e4=facts.settlement_e4, determined_ns=facts.determined_ns)
    return None


def _tellings(piece: Piece, pieces: list[Piece], news: list[Told]) -> list[Told]:
    """Grids that frames and ``news`` told of the market, at most one for a row of ``piece``, in order.

    A grid that another source of the market told is known from the time of its frame on. The last grid told
    before a row holds for the row.
    """
    told = []
    for source, own in [(other.told, other is piece) for other in pieces] + [(tuple(news), False)]:
        for row, recv_ns, facts in source:
            if facts.price_ranges is not None:
                at = row if own else int(np.searchsorted(piece.rows.recv_ns, recv_ns))
                told.append(Told(at, recv_ns, facts))
    told.sort(key=lambda telling: (telling.row, telling.recv_ns))
    return list({telling.row: telling for telling in told}.values())


def _admit(
    door: Door, piece: Piece, tellings: list[Told], counters: Counter[str], notes: list[str]
) -> MarketRows:
    """Rows of ``piece`` that pass ``door``, which hears every telling at its row."""
    cuts = [0, *(telling.row for telling in tellings), len(piece.rows.kind)]
    parts, refusals = [], []
    for i, (begin, end) in enumerate(pairwise(cuts)):
        if end > begin:
            stretch = slice(begin, end)
            part = take(piece.rows, stretch), piece.origin.part(stretch)
            passed, refused = door.admit_recording(*part, counters)
            parts.append(passed)
            refusals += refused
        if i < len(tellings):
            before = door.spec.price_ranges
            door.take_facts(tellings[i].facts)
            counters["grid_changed"] += int(begin > 0 or end > begin) * int(door.spec.price_ranges != before)
    if put_aside(piece, refusals, counters, notes):
        return empty(0)
    return parts[0] if len(parts) == 1 else concat(parts)
