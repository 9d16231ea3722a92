"""Records of a paper account: orders as sent, what was done since its safe state, that state itself."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np


class Acted(NamedTuple):
    """Actions (S,) i1 that were asked for at the time of the account, and slots whose order stayed here."""

    actions: np.ndarray
    unsent: tuple[int, ...] = ()


class Advanced(NamedTuple):
    """The account was brought to ``now_ns`` over the first ``n_rows`` rows that each slot ever had."""

    now_ns: int
    n_rows: tuple[int, ...]


#: Entry of a log (paper_log.py).
Done: TypeAlias = Acted | Advanced


class AccountState(NamedTuple):
    """Everything that decides the future of the account, apart from rows.

    Records are kept as their bytes: numpy copies a record field by field, a hundred times as long.
    """

    envs: bytes
    slots: bytes
    numbers: bytes
    next_numbers: bytes
    n_fills: int
    n_forbidden: int
    n_orders: int
    unsure: bytes
    met: bytes

    def shifted(self, dtype: np.dtype[Any], names: tuple[str, ...], shift: np.ndarray) -> "AccountState":
        """Return the state whose slots, of ``dtype``, have ``shift`` (S,) added to the fields ``names``."""
        slots = np.frombuffer(bytearray(self.slots), dtype)
        for name in names:
            slots[name] += shift
        return self._replace(slots=slots.tobytes())


class PaperOrder(NamedTuple):
    """One order as it was sent."""

    s: int  # slot
    number: int  # in its slot, from 1
    sent_ns: int
    arrival_ns: int
    action: int
    price_e4: int  # limit on the YES scale
    qty_e2: int


class Burst(NamedTuple):
    """First row of a slot's present burst."""

    recv_ns: int
    exch_ns: int
    valid: bool
