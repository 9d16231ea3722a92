"""Fates carried out: what is dropped, where a GAP stands, and which row each row came from."""

from collections import Counter

import numpy as np
from made.market_rows import MadeMarket

from kalshi_platform.data.market_data.fates import (
    CROSSED_ENDS,
    CROSSING_OVER,
    IN_GAP,
    KEPT,
    MESSAGE_LOST,
    REFUSED,
    apply_fates,
)  # fmt: skip
from kalshi_platform.data.market_data.schema import DELTA, FLAG_LAST, GAP, TRADE, YES
from kalshi_platform.domain.units import NO_TIME


def test_a_gap_stands_before_a_row_that_stays_and_in_place_of_one_that_goes() -> None:
    rows = MadeMarket().print(YES, 4_200).delta(YES, 4_200, 1).delta(YES, 4_300, 1).rows()
    counters: Counter[str] = Counter()
    fate = np.array([KEPT | CROSSED_ENDS, IN_GAP | MESSAGE_LOST, KEPT | CROSSING_OVER], np.uint8)
    out, source = apply_fates(rows, fate, 0, counters)
    assert (out.kind.tolist(), source.tolist()) == ([GAP, TRADE, GAP, DELTA], [0, 0, 1, 2])
    assert (out.flags == FLAG_LAST).all()
    assert (out.exch_ns[out.kind == GAP] == NO_TIME).all()
    assert counters == {"books_ended:crossed": 1, "deltas_quarantined": 1, "crossed_transient": 1}
    assert rows.kind.tolist() == [TRADE, DELTA, DELTA]


def test_a_gap_never_goes_back_in_time() -> None:
    market = MadeMarket()
    market.at = 4
    rows = market.delta(YES, 4_200, 1).rows()
    out, _ = apply_fates(rows, np.array([REFUSED | MESSAGE_LOST], np.uint8), 9, Counter())
    assert (out.kind.tolist(), out.recv_ns.tolist()) == ([GAP], [9])
