"""Level-2 Parquet: snapshots (a marker row, then a row a price level) and signed deltas, with fills marked.

A trade caused a delta marked ``is_fill``, which becomes a TRADE row and the DELTA (FLAG_FILL) in one
message. The taker took the other side than the one that rested. A marked delta that adds to its price level
cannot have been a print: it stays a plain delta and is counted.

A change of ``session`` is a restart of the recorder; a hole in ``seq`` (where recorded) means lost messages.
Either puts a GAP before the next row of the market. A GAP stands in place of snapshot levels without their
marker row, too: nobody knows which snapshot they were of.
"""

from collections import Counter
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.gaps import GAP_CELLS, NOTHING_MISSING, put_before
from kalshi_platform.data.market_data.importers.parquet import PartRows, read_part
from kalshi_platform.data.market_data.importers.pieces import Piece, split_by_market
from kalshi_platform.data.market_data.importers.trades import SIDES
from kalshi_platform.data.market_data.importers.types import PROVENANCE, Part, SeqGap
from kalshi_platform.data.market_data.price_levels import is_at_edge
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    NO_SEQ,
    NO_SIDE,
    SNAPSHOT,
    MarketRows,
    empty,
)
from kalshi_platform.domain.market import Provenance
from kalshi_platform.domain.units import NO_PRICE, NS_PER_MS, UNKNOWN_QTY

_TYPES: Final = {"snapshot": SNAPSHOT, "delta": DELTA}


class _Source(NamedTuple):
    """Columns of a part without price levels of size zero; every array (n,)."""

    at: np.ndarray  # position in the part
    recv_ns: np.ndarray
    exch_ns: np.ndarray
    sid: np.ndarray
    seq: np.ndarray
    session: np.ndarray
    kind: np.ndarray
    start: np.ndarray  # bool: the marker row of a snapshot
    side: np.ndarray
    price_e4: np.ndarray
    qty_e2: np.ndarray
    fill: np.ndarray  # bool
    taker: np.ndarray  # NO_SIDE where not recorded


def import_level2(part: Part, counters: Counter[str]) -> list[Piece]:
    """Pieces of every market of the part: SNAPSHOT, DELTA, TRADE and GAP rows."""
    source = read_part(part)
    cells = _read(source, counters)
    if not len(cells.at):
        return []
    missing = _missing_before(source, cells, part.seq_gaps)
    rows, at = put_before(_rows(cells, _message_ends(cells)), missing, cells.taker)
    provenance: Provenance = "simulated" if part.simulated else PROVENANCE["level2"]
    return split_by_market(source, rows, cells.at[at], provenance)


def _read(source: PartRows, counters: Counter[str]) -> _Source:
    """Columns of the part, checked; repeated deltas and price levels of size zero are left out."""
    n = len(source)
    kind = source.codes("type", _TYPES)
    start = source.bools("snap_start") & (kind == SNAPSHOT)
    side = source.codes("side", SIDES, null=NO_SIDE)
    price_e4, qty_e2 = source.ints("price_e4", null=NO_PRICE), source.ints("size_e2", null=0)
    bare = ~start & ((side == NO_SIDE) | (price_e4 == NO_PRICE))  # the door refuses it
    fill = source.bools("is_fill") & (kind == DELTA) & ~bare if "is_fill" in source else np.zeros(n, np.bool_)
    grown = fill & (qty_e2 >= 0)
    counters["fills_that_add"] += int(grown.sum())
    named = "taker_side" in source
    taker = source.codes("taker_side", SIDES, null=NO_SIDE) if named else np.full(n, NO_SIDE)

    def optional(name: str) -> np.ndarray:
        """Column ``name``, NO_SEQ where the file does not have it."""
        return source.ints(name, null=NO_SEQ) if name in source else np.full(n, NO_SEQ)

    cells = _Source(
        at=np.arange(n),
        recv_ns=source.time_ns("level2", counters),
        exch_ns=source.exchange_ns("exch_ts_ms", NS_PER_MS, counters),
        sid=optional("sid"), seq=optional("seq"), session=optional("session"),
        kind=kind, start=start, side=np.where(start, NO_SIDE, side),
        price_e4=np.where(start, NO_PRICE, price_e4), qty_e2=np.where(start, 0, qty_e2),
        fill=fill & ~grown,
        taker=taker,
    )  # fmt: skip
    edge = ~start & is_at_edge(price_e4)
    counters["levels_outside_0_1"] += int(edge.sum())
    keep = ((kind != SNAPSHOT) | start | (qty_e2 != 0)) & ~_repeated(source, cells, counters)
    keep &= ~edge
    cells = cells if keep.all() else _Source(*(column[keep] for column in cells))
    return _without_orphans(source, cells, counters)


def _without_orphans(source: PartRows, cells: _Source, counters: Counter[str]) -> _Source:
    """``cells`` with one GAP in place of the levels of a snapshot whose marker row is not there."""
    level = (cells.kind == SNAPSHOT) & ~cells.start
    market = source.market_of(cells.at)
    before = np.maximum.accumulate(np.where(level, -1, np.arange(level.size)))  # last row that is no level
    orphan = level & ((before < 0) | ~cells.start[before] | (market[before] != market))
    if not orphan.any():
        return cells
    counters["snapshot_levels_without_marker"] += int(orphan.sum())
    first = orphan.copy()
    first[1:] &= ~orphan[:-1] | (np.diff(market) != 0)
    cells.kind[first], cells.side[first], cells.price_e4[first] = GAP_CELLS
    cells.qty_e2[first] = UNKNOWN_QTY
    return _Source(*(column[first | ~orphan] for column in cells))


def _repeated(source: PartRows, cells: _Source, counters: Counter[str]) -> np.ndarray:
    """Mask (n,) of deltas whose number their stream has passed already.

    Such a delta, applied twice, would spoil the book.
    """
    repeated = np.zeros(len(cells.at), np.bool_)
    same = np.diff(source.market_of(cells.at)) == 0
    for column in (cells.session, cells.sid):
        same &= np.diff(column) == 0
    numbered = (cells.kind[1:] == DELTA) & (cells.seq[1:] != NO_SEQ)
    repeated[1:] = same & numbered & (np.diff(cells.seq) <= 0)
    counters["repeated_deltas"] += int(repeated.sum())
    return repeated


def _message_ends(cells: _Source) -> np.ndarray:
    """Mask (n,) of rows that end their message: no further price level of their snapshot follows."""
    level = (cells.kind == SNAPSHOT) & ~cells.start
    return ~np.append(level[1:], False)


def _missing_before(source: PartRows, cells: _Source, gaps: tuple[SeqGap, ...]) -> np.ndarray:
    """Messages missing before each row, (n,) i8.

    UNKNOWN_QTY where nobody can count them, NOTHING_MISSING where none is.
    """
    n = len(cells.at)
    missing = np.full(n, NOTHING_MISSING)
    market = source.market_of(cells.at)
    restarted = np.flatnonzero((np.diff(cells.session) != 0) & (np.diff(market) == 0)) + 1
    missing[restarted] = UNKNOWN_QTY
    for gap in gaps:
        of_stream = (cells.session == gap.session if "session" in source else True) & (cells.sid == gap.sid)
        late = np.flatnonzero(of_stream & (cells.seq >= gap.next_seq))
        first_late = late[np.diff(market[late], prepend=-1) != 0]
        had_book = np.isin(market[first_late], market[np.flatnonzero(of_stream & (cells.seq < gap.next_seq))])
        missing[first_late[had_book]] = gap.missing
    return missing


def _rows(cells: _Source, ends: np.ndarray) -> MarketRows:
    """Snapshot and delta rows, one a cell; fills are marked FLAG_FILL."""
    rows = empty(len(cells.at))
    for name in ("recv_ns", "exch_ns", "sid", "seq", "kind", "side", "price_e4", "qty_e2"):
        getattr(rows, name)[:] = getattr(cells, name)
    rows.flags[:] = np.where(ends, FLAG_LAST, 0) | np.where(cells.start, FLAG_START, 0)
    rows.flags[cells.fill] |= FLAG_FILL
    return rows
