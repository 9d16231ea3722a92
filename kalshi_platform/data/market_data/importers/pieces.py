"""Converted rows of one market from one source, before the door (``merging.py`` makes one market of them)."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kalshi_platform.data.market_data.facts import MarketFacts, Told
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.importers.parquet import PartRows
from kalshi_platform.data.market_data.schema import MarketRows, take
from kalshi_platform.domain.market import Provenance


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one market from one source."""

    ticker: str
    provenance: Provenance
    rows: MarketRows
    origin: Origin
    source: str  # name of the file
    told: tuple[Told, ...] = ()  # by lifecycle frames between the rows, in their order
    trade_ids: pa.Array | None = None  # strings, one a TRADE row, null where unknown; None: all are
    received: bool = True  # recv_ns is a receive time; False: the exchange's time stands there
    is_held: bool = False  # from the dataset that grows: its rows passed the door when they came

    @property
    def facts(self) -> MarketFacts | None:
        """Facts that lifecycle frames had told in the end; None where they told nothing."""
        return self.told[-1].facts if self.told else None

    @property
    def span_ns(self) -> tuple[int, int]:
        """Times of the first and the last row."""
        return int(self.rows.recv_ns[0]), int(self.rows.recv_ns[-1])


def split_by_market(
    part: PartRows,
    rows: MarketRows,
    at: np.ndarray,
    provenance: Provenance,
    trade_ids: pa.Array | None = None,
    received: bool = True,
) -> list[Piece]:
    """One piece a market; ``at`` (n,) is the position in ``part`` that each row came from.

    ``trade_ids`` (n,) are there for rows that are all prints.
    """
    numbers = part.numbers[at]
    cuts = np.searchsorted(part.market_of(at), np.arange(len(part.tickers) + 1))
    return [
        Piece(
            ticker, provenance, take(rows, slice(lo, hi)),
            Origin(str(part.path), "row", numbers[lo:hi]), part.path.name,
            trade_ids=None if trade_ids is None else trade_ids[lo:hi], received=received,
        )
        for ticker, lo, hi in zip(part.tickers, cuts[:-1], cuts[1:], strict=True)
        if hi > lo
    ]  # fmt: skip
