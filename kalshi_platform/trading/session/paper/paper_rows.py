"""Rows that a paper account has not forgotten, and the terms of its markets, as kernels take them.

Owns       one buffer of rows and one of terms: slot s owns places s * room to (s + 1) * room - 1.
Places     slots name rows and terms by their places. A method that moves them returns by how much (S,), and
           the account shifts its slots and every state of them that it keeps.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from kalshi_platform.data.features.bursts import BURST_NS
from kalshi_platform.data.features.rows import INVALID, Rows
from kalshi_platform.domain.fee_schedule import FeeStep, terms_today
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.domain.units import NO_TIME
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_BURST_END,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    BankArrays,
    market_record,
)
from kalshi_platform.simulation.replay.terms import TERMS_DTYPE, terms_record
from kalshi_platform.trading.session.paper.paper_kernel import keep_row
from kalshi_platform.trading.session.paper.paper_records import Burst

#: Rows of a slot, and terms of its market, for which there is room at first.
_ROWS, _TERMS = 64, 16
#: Fields of a slot that name rows, and those that name terms.
ROW_PLACES: Final = ("cursor", "stop")
TERMS_PLACES: Final = ("terms_at", "terms")


class PaperRows:
    """Rows and terms of S slots."""

    def __init__(self, n_slots: int) -> None:
        s = self._n_slots = n_slots
        self.room, self.terms_room = _ROWS, _TERMS
        self.rows, self.lost = np.zeros(s * _ROWS, ROW_DTYPE), np.zeros(s * _ROWS, np.uint8)
        self._terms, self._markets = np.zeros(s * _TERMS, TERMS_DTYPE), np.zeros(s, MARKET_DTYPE)
        self.n_rows, self._n_gone = [0] * s, [0] * s  # of each slot: in use, and forgotten
        self._n_terms, self._latest_terms = [0] * s, [b""] * s
        self._first_terms = [0] * s  # place of the terms that rows name from now on
        self._bursts = [Burst(0, NO_TIME, False)] * s
        self._make_bank()

    def empty(self, s: int) -> None:
        """Forget the rows and the terms of slot ``s``."""
        self.n_rows[s] = self._n_gone[s] = self._n_terms[s] = 0
        self._latest_terms[s] = b""
        self._bursts[s] = Burst(0, NO_TIME, False)

    def name_market(self, s: int) -> None:
        """Let slot ``s`` have a market."""
        self._markets[s] = market_record("recorded", s)

    # Rows

    @property
    def n_seen(self) -> tuple[int, ...]:
        """Rows of each slot so far, forgotten ones too."""
        return tuple(n + gone for n, gone in zip(self.n_rows, self._n_gone, strict=True))

    def end(self, s: int, n_seen: int | None = None) -> int:
        """Place behind the newest row of slot ``s``, or behind the first ``n_seen`` rows that it ever had."""
        n = self.n_rows[s] if n_seen is None else n_seen - self._n_gone[s]
        return s * self.room + n

    def is_full(self, s: int) -> bool:
        """True where slot ``s`` has no room for one row more."""
        return self.n_rows[s] == self.room

    def joins_burst(self, s: int, row: Rows, exch_ns: int) -> bool:
        """Take note of a coming row; True where it goes on with the burst of the row before, which is not
        that burst's last one then."""
        recv_ns, is_valid = int(row.recv_ns[0]), bool(row.valid[0] != INVALID)
        if self.n_rows[s] and self._goes_on(s, recv_ns, exch_ns, is_valid):
            self.rows[self.end(s) - 1]["state"] &= ~np.uint8(ROW_BURST_END)
            return True
        self._bursts[s] = Burst(recv_ns, exch_ns, is_valid)
        return False

    def _goes_on(self, s: int, recv_ns: int, exch_ns: int, is_valid: bool) -> bool:
        """True where a message belongs to the slot's present burst; as ``bursts.mark_burst_ends``."""
        first = self._bursts[s]
        if NO_TIME not in (first.exch_ns, exch_ns):
            joins = exch_ns == first.exch_ns
        else:
            joins = recv_ns - first.recv_ns <= BURST_NS
        return joins and is_valid and first.valid

    def keep(self, s: int, row: Rows, slots: np.ndarray) -> None:
        """Take ``row`` (length 1) as the newest one of slot ``s``."""
        keep_row(row, self.rows, self.lost, slots, s, self.end(s), self._first_terms[s])
        self.n_rows[s] += 1

    def forget_before(self, places: Sequence[int]) -> np.ndarray | None:
        """Forget the rows of each slot before ``places`` (S,); returns how places move, None: not at all."""
        gone = [max(place - s * self.room, 0) for s, place in enumerate(places)]
        if not any(gone):
            return None
        for s, n in enumerate(gone):
            begin, left = s * self.room, self.n_rows[s] - n
            for kept in (self.rows, self.lost):
                kept[begin : begin + left] = kept[begin + n : begin + n + left].copy()
            self.n_rows[s] = left
            self._n_gone[s] += n
        return -np.array(gone)

    def double(self) -> np.ndarray:
        """Double the room for rows; returns how places move."""
        old, self.room = self.room, 2 * self.room
        self.rows, self.lost = (
            _spread(kept, self._n_slots, old, self.room) for kept in (self.rows, self.lost)
        )
        self._make_bank()
        return np.arange(self._n_slots) * (self.room - old)

    # Terms

    def learn(
        self, s: int, ticker: str, known: KnownFacts, fees: Sequence[FeeStep], at_ns: int
    ) -> np.ndarray | None:
        """Let facts and fees hold for the rows of slot ``s`` from here on; DataError for too many bands.

        Returns how the places of terms move, None: not at all.
        """
        steps = [step for step in fees if step.from_ns > at_ns]
        first = max(
            (step for step in fees if step.from_ns <= at_ns), key=lambda x: x.from_ns, default=fees[0]
        )
        today = terms_today(tuple(fees))
        chain = [terms_record(ticker, known, step.terms, today) for step in (first, *steps)]
        told = b"".join(record.tobytes() for record in chain) + repr([x.from_ns for x in steps]).encode()
        if told == self._latest_terms[s]:
            return None
        self._latest_terms[s] = told
        moved = self._make_terms_room(self._n_terms[s] + len(chain))
        at, begin = self._n_terms[s], s * self.terms_room
        for k, record in enumerate(chain):
            if k + 1 < len(chain):
                record["until_ns"], record["after"] = steps[k].from_ns, at + k + 1
            self._terms[begin + at + k] = record
        self._first_terms[s] = at
        self._n_terms[s] += len(chain)
        return moved

    def _make_terms_room(self, n: int) -> np.ndarray | None:
        """Make room for ``n`` terms of one slot; returns how places move, None: not at all."""
        old = self.terms_room
        while n > self.terms_room:
            self.terms_room *= 2
        if self.terms_room == old:
            return None
        self._terms = _spread(self._terms, self._n_slots, old, self.terms_room)
        self._make_bank()
        return np.arange(self._n_slots) * (self.terms_room - old)

    def _make_bank(self) -> None:
        """Put the present arrays together as kernels take them."""
        none = np.zeros((0, 0), np.float32)
        self.bank = BankArrays(
            rows=self.rows, features=none, temporal=none, age=np.zeros(0, np.int32),
            segments=np.zeros(0, SEGMENT_DTYPE), markets=self._markets, terms=self._terms,
        )  # fmt: skip


def _spread(kept: np.ndarray, n_slots: int, old: int, room: int) -> np.ndarray:
    """Copy of a buffer in which each slot has ``room`` places in place of ``old``."""
    wide = np.zeros(n_slots * room, kept.dtype)
    for s in range(n_slots):
        wide[s * room : s * room + old] = kept[s * old : (s + 1) * old]
    return wide
