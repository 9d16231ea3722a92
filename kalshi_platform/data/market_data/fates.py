"""Fates of rows at the door, and the one place that carries them out: rows dropped, GAPs put in, all counted.

A fate (u1) is one of KEPT..TICKER_REST. Plus one of the NOTES (``fate & NOTE != 0``) it says what stands
before the row: a GAP, or only a count. A GAP that is put in has the time, ``sid`` and ``seq`` of the row that
showed the loss; where that row's time goes backwards, the time of the row before it.
"""

from collections import Counter
from typing import Final

import numpy as np

from kalshi_platform.data.market_data.gaps import write_gaps
from kalshi_platform.data.market_data.schema import FLAG_LAST, MarketRows, take
from kalshi_platform.domain.units import NO_TIME

KEPT, BEFORE_SNAPSHOT, IN_GAP, BELOW_ZERO, QUOTE_IN_GAP, REFUSED = range(6)
TICKER_CHECKED, TICKER_UNCHECKED, TICKER_REST = range(6, 9)
#: Bits of a note; the notes of the contradictions are their numbers (``book_checks.py``) * NOTE_UNIT.
NOTE: Final = 0xF0
NOTE_UNIT: Final = 16
CROSSED_ENDS, PRINTS_END, TICKERS_END, CROSSING_OVER, MESSAGE_LOST = range(16, 96, 16)

_COUNTERS: Final = {
    BEFORE_SNAPSHOT: "deltas_before_snapshot",
    IN_GAP: "deltas_quarantined",
    BELOW_ZERO: "books_ended:level_below_zero",
    QUOTE_IN_GAP: "quotes_quarantined",
    TICKER_CHECKED: "tickers_checked",
    TICKER_UNCHECKED: "tickers_without_book",
}
_NOTES: Final = {
    CROSSED_ENDS: "books_ended:crossed",
    PRINTS_END: "books_ended:print_through",
    TICKERS_END: "books_ended:ticker_disagrees",
    CROSSING_OVER: "crossed_transient",
}
_STAYS: Final = (KEPT, BELOW_ZERO)
#: Fates without a note whose row is dropped, and nothing else happens.
_DROPS: Final = frozenset(range(1, 9)) - {BELOW_ZERO}
#: Rows up to which a live message is looked at one by one: numpy costs more for so few.
_FEW: Final = 4


def apply_fates(
    rows: MarketRows, fate: np.ndarray, before_ns: int, counters: Counter[str]
) -> tuple[MarketRows, np.ndarray]:
    """Rows that are left after ``fate`` (n,) u1, with GAPs, and the (m,) position each came from.

    ``rows`` stay as they are. ``before_ns`` is the time of the row before them. ``counters`` count every row
    that is dropped or becomes a GAP, and every note.
    """
    if fate.size <= _FEW and _DROPS.issuperset(few := fate.tolist()):
        counters.update(_COUNTERS[value] for value in few if value in _COUNTERS)
        return take(rows, slice(0)), np.zeros(0, np.int64)
    own, note = fate & ~np.uint8(NOTE), fate & np.uint8(NOTE)
    for values, names in ((own, _COUNTERS), (note, _NOTES)):
        for value, name in names.items():
            if count := int((values == value).sum()):
                counters[name] += count
    stays, gap_before = np.isin(own, _STAYS), (note != 0) & (note != CROSSING_OVER)
    source = np.repeat(np.arange(fate.size), stays.astype(np.int64) + gap_before)
    out = take(rows, source)
    first = np.flatnonzero(np.diff(source, prepend=-1) != 0)
    made = first[gap_before[source[first]]]
    is_gap = own[source] == BELOW_ZERO
    is_gap[made] = True
    write_gaps(out, is_gap)
    out.exch_ns[made] = NO_TIME
    np.maximum.accumulate(np.maximum(out.recv_ns, before_ns), out=out.recv_ns)
    # A print and the delta it caused are one message: where the delta goes, the print must end it.
    dropped = ~stays
    ends = np.flatnonzero(dropped[1:] & ~dropped[:-1])
    last = np.searchsorted(source, ends, side="right") - 1
    out.flags[last] |= FLAG_LAST
    return out, source
