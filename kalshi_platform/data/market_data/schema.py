"""The row format: one row a change, the same everywhere from importer to kernel.

A message (sent by the exchange at once) is one or more consecutive rows of one market with one
``recv_ns``; its last row carries FLAG_LAST, and only there does the book mean anything.

kind      rows of a message
SNAPSHOT  one row FLAG_START (side NO_SIDE, price NO_PRICE, qty 0: the book is emptied and valid again),
          then one row a price level: side, own-side bid price, size
DELTA     side, own-side bid price, signed change of the size there; FLAG_FILL if a trade caused it
TRADE     side = outcome that the taker bought, price on the YES scale, size; FLAG_BLOCK: it never touched the
          book; FLAG_JOINED: it comes from another file than the book, and implies no book
QUOTE     side, best own-side bid price (NO_PRICE: side empty), its size (UNKNOWN_QTY if not recorded);
          only the top of the book is known
GAP       messages were lost here: the book is invalid until its next SNAPSHOT; qty = messages missing,
          UNKNOWN_QTY if uncountable
STATUS    trading state changed; qty is one of STATUS_*
TICKER    top of book as the ticker channel tells it, one row a side: side, best own-side bid price
          (NO_PRICE: side empty). The door holds the book against it and drops it
FACTS     facts of the market became known; qty counts them: a place in the market's ``MarketHistory.known``

A NO bid at q is a YES ask at 1 - q. Times are ns UTC, prices 1e-4 dollar, sizes 1e-2 contract.
"""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from kalshi_platform.domain.units import NO_TIME

SCHEMA_VERSION: Final = 1
#: Key of the version in the files' own metadata: a name on disk, whatever this module is called.
VERSION_KEY: Final = "kalshi_platform.events"

SNAPSHOT, DELTA, TRADE, QUOTE, GAP, STATUS, TICKER, FACTS = range(8)
KIND_NAMES: Final = ("snapshot", "delta", "trade", "quote", "gap", "status", "ticker", "facts")

YES, NO = 0, 1
NO_SIDE: Final = 255

FLAG_START: Final = 1
FLAG_LAST: Final = 2
FLAG_FILL: Final = 4
FLAG_BLOCK: Final = 8
FLAG_JOINED: Final = 16

STATUS_ACTIVE, STATUS_PAUSED, STATUS_CLOSED, STATUS_DETERMINED, STATUS_SETTLED = range(1, 6)

#: sid and seq where the source has none.
NO_SEQ: Final = -1


class MarketRows(NamedTuple):
    """Rows of one market as columns, ordered by ``recv_ns``; every array has the same length."""

    recv_ns: np.ndarray  # i8, our clock; the only one replay orders by
    exch_ns: np.ndarray  # i8, the exchange's clock; NO_TIME where unknown
    sid: np.ndarray  # i4
    seq: np.ndarray  # i8, counted per sid
    kind: np.ndarray  # u1
    side: np.ndarray  # u1
    price_e4: np.ndarray  # i4
    qty_e2: np.ndarray  # i8
    flags: np.ndarray  # u1


#: Types of the columns, in their order.
DTYPES: Final = tuple(np.dtype(code) for code in ("i8", "i8", "i4", "i8", "u1", "u1", "i4", "i8", "u1"))

ARROW_SCHEMA: Final = pa.schema(
    [
        pa.field(name, pa.from_numpy_dtype(dtype), nullable=False)
        for name, dtype in zip(MarketRows._fields, DTYPES, strict=True)
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION)},
)


def empty(n: int) -> MarketRows:
    """Zeroed rows, ``n`` of them, with ``exch_ns``, ``sid`` and ``seq`` marked absent."""
    rows = MarketRows(*(np.zeros(n, dtype) for dtype in DTYPES))
    rows.exch_ns[:] = NO_TIME
    rows.sid[:] = NO_SEQ
    rows.seq[:] = NO_SEQ
    return rows


def concat(parts: list[MarketRows]) -> MarketRows:
    """Parts joined in order."""
    if not parts:
        return empty(0)
    return MarketRows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def take(rows: MarketRows, index: np.ndarray | slice) -> MarketRows:
    """Rows picked by ``index`` (integer array, boolean mask or slice)."""
    return MarketRows(*(column[index] for column in rows))


def to_arrow(rows: MarketRows) -> pa.Table:
    """Columns as an Arrow table with the versioned schema; no copy."""
    return pa.Table.from_arrays([pa.array(column) for column in rows], schema=ARROW_SCHEMA)


def from_arrow(table: pa.Table) -> MarketRows:
    """Columns of a table written by :func:`to_arrow`."""
    return MarketRows(*(table.column(name).to_numpy() for name in MarketRows._fields))
