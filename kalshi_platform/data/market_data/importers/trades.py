"""Trade Parquet: every row is a print; the book that prints imply is made later, nothing is invented here.

Rows without a trade id are all kept: equal rows are prints of one order against several resting ones,
and with them the counts add up to the exchange's own volume. Rows with the trade id of an earlier row of
their market are dropped; an empty text is no id.

Trades in files of other people need not lie in order of time: they are put into it (``order.py``). Prints of
one taker at one instant are put into the order in which an order walks the book (best price first). Files
hold such prints in any order, and the last print says where the book stands afterwards.
"""

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.market_data.importers.order import in_order_of_time
from kalshi_platform.data.market_data.importers.parquet import PartRows, is_foreign, read_part
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
    trade_ids = _ids(source)
    at = np.arange(len(source)) if trade_ids is None else _first_of_each_id(source, trade_ids, counters)
    edge = is_at_edge(price_e4[at])
    counters["prints_outside_0_1"] += int(edge.sum())
    at = at[~edge]
    if is_foreign(source.path):
        order = in_order_of_time(source.market_of(at), recv_ns[at])
        counters["trades_put_in_order_of_time"] += int((order != np.arange(len(at))).sum())
        at = at[order]
    walk = walk_order(source.market_of(at), recv_ns[at], taker[at], price_e4[at])
    counters["prints_put_in_walk_order"] += int((np.diff(walk) < 0).sum())
    at = at[walk]
    rows = empty(len(at))
    rows.kind[:] = TRADE
    rows.recv_ns[:] = rows.exch_ns[:] = recv_ns[at]  # the only clock recorded is the exchange's
    rows.side[:], rows.price_e4[:] = taker[at], price_e4[at]
    rows.qty_e2[:] = source.ints("count_e2")[at]
    rows.flags[:] = FLAG_LAST
    if "is_block_trade" in source:
        rows.flags[source.bools("is_block_trade")[at]] |= FLAG_BLOCK
    ids = None if trade_ids is None else trade_ids.take(pa.array(at))
    return split_by_market(source, rows, at, PROVENANCE["trades"], ids, received=False)


def _ids(source: PartRows) -> pa.Array | None:
    """Trade ids (n,) as text, null for an empty one; None where the file has no such column."""
    if "trade_id" not in source:
        return None
    ids = source.strings("trade_id")
    return pc.if_else(pc.equal(ids, ""), pa.scalar(None, ids.type), ids)


def _first_of_each_id(source: PartRows, trade_ids: pa.Array, counters: Counter[str]) -> np.ndarray:
    """Positions to keep: the first row of every trade id of a market, and every row without one."""
    codes = pc.fill_null(trade_ids.dictionary_encode().indices.cast(pa.int64()), -1)
    ids = codes.to_numpy(zero_copy_only=False)
    keep = ids < 0
    of_market = source.market_of(np.arange(len(source))) * (ids.max(initial=0) + 1) + ids
    named = np.flatnonzero(~keep)
    keep[named[np.unique(of_market[named], return_index=True)[1]]] = True
    counters["repeated_trades"] += int((~keep).sum())
    return np.flatnonzero(keep)
