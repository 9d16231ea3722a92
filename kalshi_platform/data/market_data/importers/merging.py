"""Pieces of one market, from whatever files, to one market.

The richest provenance makes the book; of poorer ones the prints are joined into it (``joining.py``) and the
changes of the trading state, their other rows are counted and left out. Pieces of one provenance follow each
other in time. Pieces with whole books get a GAP between them, because nobody knows of the time between; where
two of them overlap (two recorders) the longer one is kept, and of the other one its prints. Quotes and prints
are united (``uniting.py``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.market_data.gaps import gap_at
from kalshi_platform.data.market_data.importers.joining import PrintDelays, end_book, join
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.prints import (
    ALONE,
    NO_ID,
    Prints,
    are_fills,
    id_codes,
    pair,
    prints_of,
)
from kalshi_platform.data.market_data.importers.types import RICHEST_FIRST, JoinedPrints
from kalshi_platform.data.market_data.importers.uniting import (
    Overlaps,
    PrintFile,
    files_that_overlap,
    unite_prints,
    unite_quotes,
)
from kalshi_platform.data.market_data.schema import STATUS, TRADE, MarketRows, concat, take
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import Provenance


class Merged(NamedTuple):
    """Rows of one market from all of its pieces."""

    rows: MarketRows
    provenance: Provenance
    source: str  # names of the files, joined with "+"
    joined: JoinedPrints | None


class _Member(NamedTuple):
    """A piece and its prints, the ids of which are numbers that are equal across the market's pieces."""

    piece: Piece
    prints: Prints

    @property
    def file(self) -> PrintFile:
        """The prints with the path of their file."""
        return PrintFile(self.piece.origin.source, self.prints)


class _Book(NamedTuple):
    """Rows that make the book and the ids of their prints; the pieces that they came from, and the others."""

    rows: MarketRows
    ids: np.ndarray
    used: list[_Member]
    left_out: list[_Member]


def after_door(piece: Piece, rows: MarketRows) -> Piece:
    """``piece`` with the ``rows`` that passed the door; prints keep their ids where the door drops others."""
    ids = piece.trade_ids
    if ids is not None and int((rows.kind == TRADE).sum()) != len(ids):
        n = int((piece.rows.kind == TRADE).sum())
        before = prints_of(piece.rows, np.full(n, NO_ID))
        kept = prints_of(rows, np.full(int((rows.kind == TRADE).sum()), NO_ID))
        at = pair(before.key, before.rows.recv_ns, kept.key, kept.rows.recv_ns, 0)
        ids = ids.take(np.maximum(at, 0)) if (at != ALONE).all() else None
    return replace(piece, rows=rows, trade_ids=ids)


def overlaps_of(markets: Iterable[Sequence[Piece]]) -> Overlaps:
    """Pairs of files of trades that share more than an instant of the ``markets``, those of one event."""
    files = ([piece for piece in pieces if not piece.received] for pieces in markets)
    return files_that_overlap(
        [told.file for told in _members(several)] for several in files if len(several) > 1
    )


def merge(pieces: list[Piece], delays: PrintDelays, overlaps: Overlaps, counters: Counter[str]) -> Merged:
    """Market of all ``pieces``, which passed the door.

    ``delays`` say how late a joined print is received, ``overlaps`` which files share trades. DataError where
    one source is simulated and another is not: they cannot tell of one market.
    """
    _refuse_simulated_beside_real(pieces)
    if len(pieces) == 1:
        return Merged(pieces[0].rows, pieces[0].provenance, pieces[0].source, None)
    best = min((piece.provenance for piece in pieces), key=RICHEST_FIRST.index)
    own, beside = _divided(pieces, best)
    book = _BOOKS[best](own, overlaps, counters)
    states = [_states(told, counters) for told in beside if told.piece.provenance != best]
    delay = max((delays.of(told.piece.origin.source) for told in book.used), key=lambda d: d.ns)
    rows, ids, used = _in_order([book.rows, *states]), book.ids, list(book.used)
    joined: list[JoinedPrints] = []
    for received in (True, False):  # prints with a receive time of their own count before others
        group = [t for t in (*book.left_out, *beside) if t.piece.received == received and len(t.prints)]
        if group:
            united = unite_prints([told.file for told in group], overlaps, counters)
            rows, ids, more = join(rows, ids, united, received, delay, best == "trade_implied", counters)
            used += group if more else []
            joined += [more] if more else []
    if best != "trade_implied":
        rows = end_book(rows, int(book.rows.recv_ns[-1]), counters)
    return Merged(rows, best, "+".join(dict.fromkeys(t.piece.source for t in used)), _sum(joined))


def _divided(pieces: list[Piece], best: Provenance) -> tuple[list[_Member], list[_Member]]:
    """Pieces that make the book, and those whose prints are joined into it.

    Prints alone make a book too. If some of them have a receive time, the others are joined into those.
    """
    told = _members(pieces)
    only_received = best == "trade_implied" and any(piece.received for piece in pieces)
    is_own = [p.provenance == best and (p.received or not only_received) for p in pieces]
    return [t for t, own in zip(told, is_own, strict=True) if own], [
        t for t, own in zip(told, is_own, strict=True) if not own
    ]


def _states(told: _Member, counters: Counter[str]) -> MarketRows:
    """Changes of the trading state that a poorer source tells; all but its prints and these are left out."""
    rows = told.piece.rows
    states = take(rows, rows.kind == STATUS if told.piece.received else slice(0, 0))
    unused = len(rows.kind) - len(told.prints) - len(states.kind)
    counters[f"rows_of_poorer_source:{told.piece.provenance}"] += unused
    counters["states_joined"] += len(states.kind)
    return states


def _in_order(parts: list[MarketRows]) -> MarketRows:
    """Rows of all ``parts`` in order of receive time, those of an earlier part first."""
    parts = [part for part in parts if len(part.kind)]
    if len(parts) == 1:
        return parts[0]
    rows = concat(parts)
    return take(rows, np.argsort(rows.recv_ns, kind="stable"))


def _members(pieces: Sequence[Piece]) -> list[_Member]:
    """Pieces of one market with their prints."""
    counts = [int((piece.rows.kind == TRADE).sum()) for piece in pieces]
    codes = id_codes([piece.trade_ids for piece in pieces], counts)
    return [_Member(p, prints_of(p.rows, ids)) for p, ids in zip(pieces, codes, strict=True)]


def _in_time(pieces: list[_Member]) -> list[_Member]:
    """Pieces in the order of their first and last times."""
    return sorted(pieces, key=lambda told: told.piece.span_ns)


def _quotes(pieces: list[_Member], overlaps: Overlaps, counters: Counter[str]) -> _Book:
    """Book of quote files."""
    parts, is_used = unite_quotes([told.piece.rows for told in pieces], counters)
    used = [told for told, yes in zip(pieces, is_used, strict=True) if yes]
    return _Book(concat(parts), np.zeros(0, np.int64), _in_time(used), [])


def _implied(pieces: list[_Member], overlaps: Overlaps, counters: Counter[str]) -> _Book:
    """Book of prints: every trade once, with the changes of state that captures told beside them."""
    if len(pieces) == 1:
        return _Book(pieces[0].piece.rows, pieces[0].prints.ids, pieces, [])
    united = unite_prints([told.file for told in pieces if len(told.prints)], overlaps, counters)
    states = [take(told.piece.rows, told.piece.rows.kind != TRADE) for told in pieces]
    return _Book(_in_order([*states, united.rows]), united.ids, _in_time(pieces), [])


def _levels(pieces: list[_Member], overlaps: Overlaps, counters: Counter[str]) -> _Book:
    """Book of recordings with every price level: one after the other, a GAP between; the longer of two."""
    kept: list[_Member] = []
    left_out: list[_Member] = []
    for told in sorted(pieces, key=lambda t: (-len(t.piece.rows.kind), t.piece.span_ns, t.piece.source)):
        (begin, end), spans = told.piece.span_ns, [k.piece.span_ns for k in kept]
        if any(begin < k_end and k_begin < end for k_begin, k_end in spans):
            counters["rows_of_overlapping_source"] += len(told.piece.rows.kind)
            left_out.append(_Member(told.piece, told.prints.pick(~are_fills(told.piece.rows))))
        else:
            kept.append(told)
    kept = _in_time(kept)
    parts: list[MarketRows] = [kept[0].piece.rows]
    for told in kept[1:]:
        counters["gaps_between_sources"] += 1
        parts += [gap_at(told.piece.span_ns[0]), told.piece.rows]
    return _Book(concat(parts), np.concatenate([t.prints.ids for t in kept]), kept, left_out)


_BOOKS: Final[dict[Provenance, Callable[[list[_Member], Overlaps, Counter[str]], _Book]]] = {
    "recorded": _levels,
    "simulated": _levels,
    "quotes": _quotes,
    "trade_implied": _implied,
}


def _sum(joined: list[JoinedPrints]) -> JoinedPrints | None:
    """All prints joined, with the longest delay; None where there are none."""
    if not joined:
        return None
    return JoinedPrints(
        sum(j.prints for j in joined), max(j.delay_ns for j in joined), all(j.measured for j in joined)
    )


def _refuse_simulated_beside_real(pieces: list[Piece]) -> None:
    """Raise a DataError where some of the pieces are simulated and some are not."""
    simulated = {p.source for p in pieces if p.provenance == "simulated"}
    real = {p.source for p in pieces if p.provenance != "simulated"}
    if simulated and real:
        raise DataError(
            f"market {pieces[0].ticker} is simulated in {min(simulated)} and real in {min(real)}; "
            "import one of the two files"
        )
