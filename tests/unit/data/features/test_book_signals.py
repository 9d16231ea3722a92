"""Signals computed again from stored rows are the feature table's own columns."""

import numpy as np
import pytest
from made.random_streams import RandomStream

from kalshi_platform.data.features.book_signals import N_PAST, write_imbalances, write_spread_signals
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import find_segments
from kalshi_platform.data.features.spec import SPEC
from kalshi_platform.domain.market import MarketSpec

LEAN, RATIO, VELOCITY = (
    next(k for k, f in enumerate(SPEC) if f.name == name)
    for name in ("yes_imbalance", "spread_ratio", "mid_velocity")
)


@pytest.mark.parametrize("form", ["compiled", "plain"])
@pytest.mark.parametrize("seed", range(5))
def test_the_signals_are_those_of_the_feature_table(seed, form):
    imbalances, spreads = (
        each if form == "compiled" else each.py_func for each in (write_imbalances, write_spread_signals)
    )
    stream = RandomStream(np.random.default_rng([seed, 11]), "levels", fine=False)
    messages, told = stream.write(100), stream.history(MarketSpec(ticker="M", event="E"))
    rows = build_rows(messages, MarketSpec(ticker="M", event="E"), tick_e4=10, known=told.known)
    n = rows.recv_ns.size
    lean, ratio, move = np.empty(n), np.zeros(n, np.float32), np.zeros(n, np.float32)
    imbalances(rows.bid_qty_e2, rows.ask_qty_e2, lean)
    np.testing.assert_array_equal(lean.astype(np.float32), rows.features[:, LEAN])
    played = 0
    for start, stop in zip(*find_segments(rows.valid), strict=True):
        best = (rows.bid_px_e4[:, 0], rows.ask_px_e4[:, 0])
        spreads(rows.recv_ns, *best, int(start), int(stop), np.zeros(N_PAST), ratio, move)
        here = slice(start, stop)
        np.testing.assert_array_equal(ratio[here], rows.features[here, RATIO])
        velocity = move[here] / (np.abs(move[here]) + 0.05)
        np.testing.assert_allclose(velocity, rows.features[here, VELOCITY], rtol=1e-4, atol=1e-6)
        played += stop - start
    assert played > 30
