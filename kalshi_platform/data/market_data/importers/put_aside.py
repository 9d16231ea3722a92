"""Messages and markets that an import puts aside: the bounds, the counters and the words.

Counted    ``rows_refused:<rule>`` rows of messages put aside, ``markets_put_aside`` markets without any trust
Named      the first of them, in ``ImportedEvent.notes``, with file, line or row, value and remedy
"""

from collections import Counter
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.door import Refusal
from kalshi_platform.data.market_data.faults import RULE_NAMES
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.schema import FLAG_LAST
from kalshi_platform.domain.errors import DataError

#: A market is put aside whole where more than this share of its messages break a rule, and at least so many.
MAX_REFUSED_SHARE: Final = 0.1
MIN_REFUSED: Final = 3
#: Notes about one market.
_NOTES_A_MARKET: Final = 3


def put_aside(piece: Piece, refusals: list[Refusal], counters: Counter[str], notes: list[str]) -> bool:
    """Count and name ``refusals`` of one market; True where so many leave no trust in the rest."""
    for refusal in refusals:
        counters[f"rows_refused:{RULE_NAMES[refusal.rule]}"] += refusal.n_rows
    n_messages = int(np.count_nonzero(piece.rows.flags & FLAG_LAST))
    if len(refusals) >= MIN_REFUSED and len(refusals) > MAX_REFUSED_SHARE * n_messages:
        counters["markets_put_aside"] += 1
        notes.append(
            f"market {piece.ticker} is put aside: {len(refusals)} of {n_messages} messages break a rule, the "
            f"first: {refusals[0].words}"
        )
        return True
    notes += [f"put aside: {refusal.words}" for refusal in refusals[:_NOTES_A_MARKET]]
    if len(refusals) > _NOTES_A_MARKET:
        notes.append(f"put aside: {len(refusals) - _NOTES_A_MARKET} more messages of market {piece.ticker}")
    return False


def refuse_unsorted(pieces: list[Piece]) -> None:
    """Raise the DataError for a source whose rows are in no order of time within their markets.

    A row is late where a row above it in its market has a later time. A few late rows are put aside.
    """
    rows, late, first = Counter[str](), Counter[str](), dict[str, str]()
    for piece in pieces:
        recv_ns, source = piece.rows.recv_ns, piece.origin.source
        latest = np.maximum.accumulate(recv_ns)
        found = np.flatnonzero(recv_ns < latest)
        rows[source] += recv_ns.size
        late[source] += found.size
        if found.size and source not in first:
            at = int(found[0])
            numbers = piece.origin.numbers
            number = numbers if isinstance(numbers, int) else numbers[at]
            first[source] = (
                f"{piece.origin.unit} {number}, market {piece.ticker}: recv_ns {recv_ns[at]} is "
                f"{latest[at] - recv_ns[at]} ns before a row above it"
            )
    for source, n in late.items():
        if n >= MIN_REFUSED and n > MAX_REFUSED_SHARE * rows[source]:
            raise DataError(
                f"{source}: {first[source]}, as {n} of {rows[source]} rows are; time must never go backwards "
                "within a market: sort the file by time"
            )
