"""A book to look at from Python: methods over the ladder kernels, status codes turned into messages."""

import numpy as np

from kalshi_platform.data.book import ladder
from kalshi_platform.data.market_data.price_levels import finer_levels
from kalshi_platform.data.market_data.schema import KIND_NAMES, NO, YES, MarketRows
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE


def refusal(rows: MarketRows, row: int, status: int, book: ladder.BookState, ticker: str) -> DataError:
    """Error that explains why a kernel refused row ``row`` of ``rows`` with ``status``."""
    kind, side = int(rows.kind[row]), int(rows.side[row])
    price_e4, qty_e2 = int(rows.price_e4[row]), int(rows.qty_e2[row])
    tick_e4 = int(book.marks[ladder.TICK_E4])
    what = KIND_NAMES[kind] if kind < len(KIND_NAMES) else f"kind {kind}"
    where = f"{ticker}: row {row} ({what}, seq {int(rows.seq[row])}, recv_ns {int(rows.recv_ns[row])})"
    if status == ladder.NEGATIVE_LEVEL:
        held = int(book.depth[side, price_e4 // tick_e4])
        return DataError(
            f"{where} changes a level holding {held} by {qty_e2} (side {side}, price_e4 {price_e4}; size in "
            "1e-2 contract); a delta was lost before it: rebuild this market from its next snapshot"
        )
    if status == ladder.OFF_LADDER:
        return DataError(
            f"{where} has side {side}, price_e4 {price_e4}: sides are {YES} and {NO}, prices 0..{DOLLAR_E4} "
            f"in steps of {tick_e4}; if the market's tick became finer, regrid the book first"
        )
    return DataError(f"{where}: kinds are 0..{len(KIND_NAMES) - 1}; was the file written by a newer schema?")


def regridded(book: ladder.BookState, tick_e4: int) -> ladder.BookState:
    """The same book on a ladder of ``tick_e4``; ContractError where the old ladder does not fit into it."""
    old_tick_e4 = int(book.marks[ladder.TICK_E4])
    if old_tick_e4 % tick_e4:
        raise ContractError(
            f"tick_e4 {tick_e4} does not divide the book's tick_e4 {old_tick_e4}: a ladder that holds orders "
            "can only become finer; rebuild from the next snapshot"
        )
    step = old_tick_e4 // tick_e4
    finer = ladder.BookState(finer_levels(book.depth, old_tick_e4, tick_e4), book.marks.copy())
    finer.marks[ladder.TICK_E4] = tick_e4
    for side in (YES, NO):
        best = book.marks[ladder.BEST + side]
        finer.marks[ladder.BEST + side] = best * step if best >= 0 else ladder.EMPTY
    return finer


class OrderBook:
    """Level-2 book of one market; prices 1e-4 dollar, sizes 1e-2 contract."""

    def __init__(self, spec: MarketSpec) -> None:
        self.ticker = spec.ticker
        self.state = ladder.new_book(spec.tick_e4)

    def apply(self, rows: MarketRows) -> None:
        """Apply rows in order.

        DataError names the first row that cannot be applied, the rows before it stay applied.
        """
        n, status = ladder.apply_rows(
            *self.state, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags
        )
        if status != ladder.OK:
            raise refusal(rows, n, status, self.state, self.ticker)

    def regrid(self, tick_e4: int) -> None:
        """Move the book to a finer ladder, same content: the market's tick changed while it trades."""
        self.state = regridded(self.state, tick_e4)

    @property
    def valid(self) -> bool:
        """True where the book is what the exchange shows.

        A snapshot, quotes or a print came, and no gap since.
        """
        return bool(self.state.marks[ladder.VALID])

    @property
    def tradable(self) -> bool:
        """True where the book is valid and the market is active."""
        return bool(ladder.is_tradable(self.state.marks))

    def best_bid(self) -> int:
        """Best YES bid, 1e-4 dollar; NO_PRICE where there is none."""
        return int(ladder.best_price_e4(self.state.marks, YES))

    def best_ask(self) -> int:
        """Best YES ask, 1e-4 dollar: 1 - the best NO bid; NO_PRICE where there is none."""
        no_bid = int(ladder.best_price_e4(self.state.marks, NO))
        return NO_PRICE if no_bid == NO_PRICE else DOLLAR_E4 - no_bid

    def levels(self, side: int, k: int) -> list[tuple[int, int]]:
        """Up to ``k`` best (own-side bid price, size) of ``side``, best first."""
        px, qty = np.empty((1, k), np.int64), np.empty((1, k), np.int64)
        ladder.best_levels(*self.state, side, px, qty, 0)
        return [(int(p), int(q)) for p, q in zip(px[0], qty[0], strict=True) if p != NO_PRICE]

    def size_of_best(self, side: int, n_levels: int) -> int:
        """Total size of the best ``n_levels`` of ``side``; UNKNOWN_QTY where sizes were not recorded."""
        return int(ladder.size_of_best(*self.state, side, n_levels))
