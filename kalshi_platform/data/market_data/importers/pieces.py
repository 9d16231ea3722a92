"""Converted rows of one market from one source, before the door, and how sources become one market."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.gaps import gap_at
from kalshi_platform.data.market_data.importers.parquet import PartRows
from kalshi_platform.data.market_data.importers.types import RICHEST_FIRST
from kalshi_platform.data.market_data.schema import MarketRows, concat, take
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import Provenance

#: Between two of their pieces messages may have come that nobody kept.
_LEVEL_BY_LEVEL: Final = ("recorded", "simulated")


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one market from one source."""

    ticker: str
    provenance: Provenance
    rows: MarketRows
    origin: Origin
    source: str  # name of the file
    told: tuple[Told, ...] = ()  # by lifecycle frames between the rows, in their order
    is_held: bool = False  # from the dataset that grows: its rows passed the door when they came

    @property
    def facts(self) -> MarketFacts | None:
        """Facts that lifecycle frames had told in the end; None where they told nothing."""
        return self.told[-1].facts if self.told else None

    @property
    def span_ns(self) -> tuple[int, int]:
        """Times of the first and the last row."""
        return int(self.rows.recv_ns[0]), int(self.rows.recv_ns[-1])


def split_by_market(part: PartRows, rows: MarketRows, at: np.ndarray, provenance: Provenance) -> list[Piece]:
    """One piece a market; ``at`` (n,) is the position in ``part`` that each row came from."""
    numbers = part.numbers[at]
    cuts = np.searchsorted(part.market_of(at), np.arange(len(part.tickers) + 1))
    return [
        Piece(
            ticker, provenance, take(rows, slice(lo, hi)),
            Origin(str(part.path), "row", numbers[lo:hi]), part.path.name,
        )
        for ticker, lo, hi in zip(part.tickers, cuts[:-1], cuts[1:], strict=True)
        if hi > lo
    ]  # fmt: skip


def merge(pieces: list[Piece], counters: Counter[str]) -> tuple[MarketRows, Provenance, str]:
    """Rows, provenance and sources of one market whose pieces passed the door.

    Provenances are never mixed: the richest one is kept, the rows of the others are counted. Pieces of one
    provenance follow each other in time; pieces with whole books get a GAP between them, because nobody
    knows of the time between. Where two pieces overlap, the longer one is kept and the other one's rows are
    counted. DataError where one source is simulated and another is not: they cannot tell of one market.
    """
    _refuse_simulated_beside_real(pieces)
    best = min(pieces, key=lambda p: RICHEST_FIRST.index(p.provenance)).provenance
    for piece in pieces:
        if piece.provenance != best:
            counters[f"rows_of_poorer_source:{piece.provenance}"] += len(piece.rows.kind)
    kept: list[Piece] = []
    alike = [p for p in pieces if p.provenance == best]
    for piece in sorted(alike, key=lambda p: (-len(p.rows.kind), p.span_ns, p.source)):
        if any(piece.span_ns[0] <= k.span_ns[1] and k.span_ns[0] <= piece.span_ns[1] for k in kept):
            counters["rows_of_overlapping_source"] += len(piece.rows.kind)
        else:
            kept.append(piece)
    kept.sort(key=lambda p: p.span_ns)
    parts: list[MarketRows] = []
    for piece in kept:
        if parts and best in _LEVEL_BY_LEVEL:
            counters["gaps_between_sources"] += 1
            parts.append(gap_at(piece.span_ns[0]))
        parts.append(piece.rows)
    rows = parts[0] if len(parts) == 1 else concat(parts)
    return rows, best, "+".join(dict.fromkeys(p.source for p in kept))


def _refuse_simulated_beside_real(pieces: list[Piece]) -> None:
    """Raise a DataError where some of the pieces are simulated and some are not."""
    simulated = {p.source for p in pieces if p.provenance == "simulated"}
    real = {p.source for p in pieces if p.provenance != "simulated"}
    if simulated and real:
        raise DataError(
            f"market {pieces[0].ticker} is simulated in {min(simulated)} and real in {min(real)}; "
            "import one of the two files"
        )
