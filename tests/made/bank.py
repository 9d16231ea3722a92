"""A bank of made markets for tests of training: seeded random walks, full depth, some settled, some not."""

import numpy as np

from kalshi_platform.data.features.rows import LEVELS, Rows, empty
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import UNSETTLED, Bank, BankMarket, MarketInfo

N_FEATURES = 28
TEMPORAL = range(12, 28)
START_NS = 1_700_000_000 * NS_PER_SECOND


def made_rows(n_rows: int, rng: np.random.Generator) -> Rows:
    """A walk in whole cents with five levels a side; features are noise but for the mid in the first."""
    rows = empty(n_rows, N_FEATURES)
    mid_e4 = np.clip(50 + np.cumsum(rng.integers(-1, 2, n_rows)), 10, 90) * 100
    depth_e4 = 100 * np.arange(LEVELS)
    rows.recv_ns[:] = START_NS + np.cumsum(rng.integers(1, NS_PER_SECOND, n_rows))
    rows.valid[:] = 1
    rows.print_px_e4[:] = -1
    rows.bid_px_e4[:] = mid_e4[:, None] - 100 - depth_e4
    rows.ask_px_e4[:] = mid_e4[:, None] + 100 + depth_e4
    rows.bid_qty_e2[:] = rows.ask_qty_e2[:] = 100_000
    rows.features[:] = rng.uniform(-1, 1, rows.features.shape)
    rows.features[:, 0] = mid_e4 / 10_000
    return rows


def made_bank(n_events: int = 4, per_event: int = 3, n_rows: int = 300, seed: int = 0) -> Bank:
    """``n_events`` x ``per_event`` markets that run at the same time; every second event settles."""
    rng = np.random.default_rng([seed, n_events, per_event])
    markets = []
    for e in range(n_events):
        for k in range(per_event):
            spec = MarketSpec(ticker=f"M{e}-{k}", event=f"E{e}")
            outcome = UNSETTLED if e % 2 else int(rng.integers(0, 2)) * 10_000
            markets.append(BankMarket(MarketInfo(spec, "simulated", 0.05), made_rows(n_rows, rng), outcome))
    names = tuple(f"f{i:02d}" for i in range(N_FEATURES))
    return build_bank(markets, names, range(N_FEATURES), TEMPORAL)
