"""Events a second with every group of row features on, one core.

feature_replay         against hftbacktest replaying the same events and computing no feature at all
feature_replay_python  against plain Python (``plain_features.py``) on a shorter piece: the 28 formulas of
                       groups orderbook and temporal, which are compared; ours still computes every group
Ours writes whole rows (book, five levels a side, prints, features), one repetition of the recorded days at
a time into the same memory; ``value_build_rows`` also allocates the rows of each, as a dataset build does.
"""

import json
from collections.abc import Callable, Iterator

import numpy as np
import plain_features
import replay_input

from kalshi_platform.data.features import kernel
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES, TEMPORAL
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import FLAG_LAST, MarketRows
from kalshi_platform.domain.market import MarketSpec

N_EVENTS = 2_000_000
N_PLAIN = 6_000
N_COMPARED = TEMPORAL.stop
CENTS = 100


def check_books(rows: Rows, recorded: MarketRows, bid_tick: np.ndarray, ask_tick: np.ndarray) -> None:
    """Check that best prices of the rows equal the peer's after the last event of each message."""
    last = np.flatnonzero(recorded.flags & FLAG_LAST)
    for ours, peer in ((rows.bid_px_e4[:, 0], bid_tick[last]), (rows.ask_px_e4[:, 0], ask_tick[last])):
        np.testing.assert_array_equal(ours, np.where((peer < 0) | (peer > CENTS), -1, peer * CENTS))


def specification(rows: MarketRows) -> MarketSpec:
    """Specification of a market of which all is known, so that no feature is spared.

    It closes 36 h after the last row.
    """
    first_ns, last_ns = int(rows.recv_ns[0]), int(rows.recv_ns[-1])
    known = {"open_ns": first_ns, "close_ns": last_ns + 36 * 3_600 * 10**9, "category": "Economics"}
    return replay_input.SPEC.replace(**known)


def main() -> Iterator[dict[str, object]]:
    """Yield two result lines; AssertionError where the answers differ."""
    given = replay_input.load(N_EVENTS)
    data = replay_input.as_hftbacktest(given)
    once = schema.take(given.rows, slice(0, given.n_once))
    piece = schema.take(once, slice(0, N_PLAIN))
    parts = [schema.take(given.rows, slice(i, i + given.n_once)) for i in range(0, data.size, given.n_once)]
    ticks = np.zeros(data.size, np.int64), np.zeros(data.size, np.int64)
    replay_input.follow_hftbacktest(replay_input.hftbacktest_on(data), *ticks)
    spec = specification(given.rows)
    check_books(build_rows(once, spec), once, *(t[: given.n_once] for t in ticks))
    ours = build_rows(piece, spec).features[:, :N_COMPARED]
    np.testing.assert_allclose(ours, plain_features.replay(piece, spec.close_ns), atol=2e-6)

    def peer() -> Callable[[], object]:
        backtest = replay_input.hftbacktest_on(data)
        return lambda: replay_input.follow_hftbacktest(backtest, *ticks)

    rows = rows_module.empty(int(np.count_nonzero(once.flags & FLAG_LAST)), N_ROW_FEATURES)
    value, peer_value, build_value = replay_input.best_rates(
        data.size,
        lambda: lambda: [kernel.run(kernel.new_state(spec), part, rows, "") for part in parts],
        peer,
        lambda: lambda: [build_rows(part, spec) for part in parts],
    )
    (plain_value,) = replay_input.best_rates(
        N_PLAIN, lambda: lambda: plain_features.replay(piece, spec.close_ns), repeats=3
    )
    about = {
        "value_build_rows": round(build_value),
        "features": N_ROW_FEATURES,
        "data": given.source,
        "events": data.size,
        "clock": "cpu",
    }
    for bench, name, other in (
        ("feature_replay", "hftbacktest 2.4.4 ROIVectorMarketDepth, no features", peer_value),
        ("feature_replay_python", "28 of the same formulas in plain Python", plain_value),
    ):
        yield {
            "bench": bench,
            "value": round(value),
            "unit": "events/s",
            "peer": name,
            "peer_value": round(other),
            "ratio": round(value / other, 3),
            **about,
        }


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line))
