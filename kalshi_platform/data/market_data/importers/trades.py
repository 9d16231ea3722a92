"""Trade Parquet: every row is a print; the book that prints imply is made later, nothing is invented here.

Rows without a trade id are all kept: equal rows are prints of one order against several resting ones,
and with them the counts add up to the exchange's own volume. Rows with the trade id of an earlier row are
dropped.

Prints of one taker at one instant are put into the order in which an order walks the book (best price
first). Files hold such prints in any order, and the last print says where the book stands afterwards.
"""

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.data.market_data.importers.parquet import PartRows, read_part
from kalshi_platform.data.market_data.importers.pieces import Piece, split_by_market
from kalshi_platform.data.market_data.importers.types import PROVENANCE, Part
from kalshi_platform.data.market_data.importers.uniting import walk_order
from kalshi_platform.data.market_data.price_levels import is_at_edge
from kalshi_platform.data.market_data.schema import FLAG_BLOCK, FLAG_LAST, NO, TRADE, YES, empty

SIDES: Final = {"yes": YES, "no": NO}


def import_trades(part: Part, counters: Counter[str]) -> list[Piece]:
    """Pieces of every market of the part: TRADE rows, one message a print."""
    source = read_part(part)
    recv_ns = source.time_ns("trades", counters)
    taker = source.codes("taker_side", SIDES)
    price_e4 = source.ints("yes_price_e4")
    at = _first_of_each_id(source, counters)
    edge = is_at_edge(price_e4[at])
    counters["prints_outside_0_1"] += int(edge.sum())
    at = at[~edge]
    at = at[walk_order(source.market_of(at), recv_ns[at], taker[at], price_e4[at])]
    counters["prints_put_in_walk_order"] += int((np.diff(at) < 0).sum())
    rows = empty(len(at))
    rows.kind[:] = TRADE
    rows.recv_ns[:] = rows.exch_ns[:] = recv_ns[at]  # the only clock recorded is the exchange's
    rows.side[:], rows.price_e4[:] = taker[at], price_e4[at]
    rows.qty_e2[:] = source.ints("count_e2")[at]
    rows.flags[:] = FLAG_LAST
    if "is_block_trade" in source:
        rows.flags[source.bools("is_block_trade")[at]] |= FLAG_BLOCK
    ids = source.strings("trade_id").take(pa.array(at)) if "trade_id" in source else None
    return split_by_market(source, rows, at, PROVENANCE["trades"], ids, received=False)


def _first_of_each_id(source: PartRows, counters: Counter[str]) -> np.ndarray:
    """Positions to keep: the first row of every trade id, and every row without one."""
    if "trade_id" not in source:
        return np.arange(len(source))
    ids = source.distinct_codes("trade_id")
    keep = ids < 0
    keep[np.unique(ids, return_index=True)[1]] = True
    counters["repeated_trades"] += int((~keep).sum())
    return np.flatnonzero(keep)
