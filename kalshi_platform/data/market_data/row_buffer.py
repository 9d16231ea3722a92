"""Rows of one market, collected one by one: flat int64 storage, no object a row."""

from array import array
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.facts import BookConnection, MarketFacts, Told
from kalshi_platform.data.market_data.gaps import GAP_CELLS
from kalshi_platform.data.market_data.schema import (
    DTYPES,
    FACTS,
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SEQ,
    NO_SIDE,
    SNAPSHOT,
    STATUS,
    TICKER,
    YES,
    MarketRows,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE, NO_TIME

_WIDTH: Final = len(MarketRows._fields) + 1  # the columns of MarketRows and the line the row came from

Levels = list[tuple[int, int]]
"""(own-side bid price, size) of one side of a snapshot."""


class RowBuffer:
    """Rows of one market, the facts told between them and who carried its book, in order of arrival."""

    def __init__(self) -> None:
        self._cells = array("q")
        self.told: list[Told] = []
        self.trade_ids: list[str | None] = []  # one a TRADE row, in order; None: the frame told none
        self.carried: list[tuple[int, BookConnection]] = []  # from which row on which connection
        self._n_told = 0  # ever, also before clear()
        self._has_begun = False
        self._waiting: tuple[int, MarketFacts] | None = None  # told before the first row

    def __len__(self) -> int:
        return len(self._cells) // _WIDTH

    @property
    def last_ns(self) -> int:
        """Receive time of the last row; 0 where none is held."""
        return self._cells[-_WIDTH] if self._cells else 0

    def add(
        self, recv_ns: int, exch_ns: int, sid: int, seq: int,
        kind: int, side: int, price_e4: int, qty_e2: int, flags: int, line: int,
    ) -> None:  # fmt: skip
        """Append one row; DataError, and nothing appended, where a number needs more than 64 bits."""
        if not self._has_begun:
            self._begin(recv_ns, line)
        try:
            self._cells.extend((recv_ns, exch_ns, sid, seq, kind, side, price_e4, qty_e2, flags, line))
        except OverflowError:
            del self._cells[len(self._cells) // _WIDTH * _WIDTH :]
            raise DataError(
                f"a number of the frame does not fit into 64 bits: recv_ns {recv_ns}, exch_ns {exch_ns}, "
                f"seq {seq}, size {qty_e2}"
            ) from None

    def add_snapshot(self, recv_ns: int, sid: int, seq: int, yes: Levels, no: Levels, line: int) -> None:
        """Append a whole book as one message, or nothing (DataError); either side may be empty."""
        if not self._has_begun:
            self._begin(recv_ns, line)
        left = len(yes) + len(no)
        start, begin = FLAG_START | (FLAG_LAST if left == 0 else 0), len(self._cells)
        try:
            self.add(recv_ns, NO_TIME, sid, seq, SNAPSHOT, NO_SIDE, NO_PRICE, 0, start, line)
            for side, levels in ((YES, yes), (NO, no)):
                for price_e4, qty_e2 in levels:
                    left -= 1
                    flags = FLAG_LAST if left == 0 else 0
                    self.add(recv_ns, NO_TIME, sid, seq, SNAPSHOT, side, price_e4, qty_e2, flags, line)
        except DataError:
            del self._cells[begin:]
            raise

    def add_gap(self, recv_ns: int, sid: int, seq: int, missing: int, line: int) -> None:
        """Append a GAP of ``missing`` messages, UNKNOWN_QTY where uncountable."""
        self.add(recv_ns, NO_TIME, sid, seq, *GAP_CELLS, missing, FLAG_LAST, line)

    def add_status(self, recv_ns: int, exch_ns: int, sid: int, seq: int, status: int, line: int) -> None:
        """Append a change of the trading state (STATUS_*)."""
        self.add(recv_ns, exch_ns, sid, seq, STATUS, NO_SIDE, NO_PRICE, status, FLAG_LAST, line)

    def add_ticker(
        self, recv_ns: int, exch_ns: int, sid: int, seq: int,
        yes: tuple[int, int], no: tuple[int, int], line: int,
    ) -> None:  # fmt: skip
        """Append the top of the book that a ticker tells: (own-side price, size) of either side."""
        self.add(recv_ns, exch_ns, sid, seq, TICKER, YES, *yes, 0, line)
        self.add(recv_ns, exch_ns, sid, seq, TICKER, NO, *no, FLAG_LAST, line)

    def carried_by(self, connection: BookConnection) -> None:
        """Note that the book of the next row on comes by ``connection``."""
        if not self.carried or self.carried[-1][1] != connection:
            self.carried.append((len(self), connection))

    def tell(self, recv_ns: int, facts: MarketFacts, line: int) -> None:
        """Append a FACTS row: ``facts`` are known from it on.

        Facts of a market without any row wait for its first: a lifecycle channel tells of every market there
        is, and most of them are not recorded.
        """
        if not self._has_begun:
            self._waiting = (recv_ns, facts)
            return
        self._n_told += 1
        self.told.append(Told(len(self), recv_ns, facts))
        self._cells.extend((
            recv_ns, NO_TIME, NO_SEQ, NO_SEQ, FACTS, NO_SIDE, NO_PRICE, self._n_told, FLAG_LAST, line
        ))  # fmt: skip

    def _begin(self, recv_ns: int, line: int) -> None:
        """Tell, before the first row, the facts that wait for it."""
        self._has_begun = True
        if self._waiting is not None:
            told_ns, facts = self._waiting
            self._waiting = None
            self.tell(recv_ns, facts, line)
            self.told[-1] = self.told[-1]._replace(recv_ns=told_ns)

    def clear(self) -> None:
        """Forget the rows collected so far, their trade ids and the facts told between them."""
        del self._cells[:]
        self.told.clear()
        self.trade_ids.clear()
        self.carried.clear()

    def rows(self) -> tuple[MarketRows, np.ndarray]:
        """(rows collected so far, (n,) i8 line each row came from)."""
        table = np.array(self._cells, "i8").reshape(-1, _WIDTH)
        if len(table) == 1:  # a live message: its own numbers are columns already where they are wide
            cells = table[0]
            rows = MarketRows(
                cells[0:1], cells[1:2], cells[2:3].astype("i4"), cells[3:4], cells[4:5].astype("u1"),
                cells[5:6].astype("u1"), cells[6:7].astype("i4"), cells[7:8], cells[8:9].astype("u1"),
            )  # fmt: skip
        else:
            rows = MarketRows(*(table[:, i].astype(dtype) for i, dtype in enumerate(DTYPES)))
        return rows, table[:, -1].copy()
