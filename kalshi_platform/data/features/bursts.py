"""Bursts: rows of one market that the exchange made at one instant, told apart by their times.

Burst    a row belongs to the burst of the row before it while both are valid and its exchange time equals
         that of the burst's first row; where one of the two times is unknown, while it was received within
         BURST_NS of the first row.
Why      an order that changes several price levels, and the trades it makes, come as several messages. The
         book means something to a resting order only after the last of them.
Not      a fact that anyone had at the time: only the matching of a replay reads it, never a feature.
"""

from typing import Final

import numpy as np

from kalshi_platform.data.features.rows import INVALID
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NO_TIME, NS_PER_MS

#: Longest burst by receive time, where an exchange time is unknown.
BURST_NS: Final = 5 * NS_PER_MS


@kernel
def mark_burst_ends(
    recv_ns: np.ndarray, exch_ns: np.ndarray, valid: np.ndarray, burst_end: np.ndarray
) -> None:
    """Write 1 into ``burst_end`` (n,) u1 for the last row of every burst, else 0.

    recv_ns, exch_ns (n,) i8, exch_ns NO_TIME where unknown; valid (n,) u1 of ``Rows``.
    """
    first = 0
    for r in range(1, recv_ns.size):
        if exch_ns[first] != NO_TIME and exch_ns[r] != NO_TIME:
            joins = exch_ns[r] == exch_ns[first]
        else:
            joins = recv_ns[r] - recv_ns[first] <= BURST_NS
        if joins and valid[r] != INVALID and valid[first] != INVALID:
            burst_end[r - 1] = 0
        else:
            burst_end[r - 1] = 1
            first = r
    if recv_ns.size > 0:
        burst_end[recv_ns.size - 1] = 1
