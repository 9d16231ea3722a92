"""Level-2 events a second on one core against hftbacktest replaying the same events, no orders.

book_replay        both look at the best bid and ask after every event; the two must agree on each
book_replay_blind  both replay to the end without looking: our loop against one call into its Rust core
"""

import json
from collections.abc import Callable, Iterator

import numpy as np
import replay_input
from numba import njit

from kalshi_platform.data.book import ladder
from kalshi_platform.data.book.ladder import BEST
from kalshi_platform.data.market_data.schema import NO, YES, MarketRows

N_EVENTS = 2_000_000
CENTS = 100


@njit(error_model="numpy")
def follow(
    depth: np.ndarray,
    marks: np.ndarray,
    kind: np.ndarray,
    side: np.ndarray,
    price_e4: np.ndarray,
    qty_e2: np.ndarray,
    flags: np.ndarray,
    bid_tick: np.ndarray,
    ask_tick: np.ndarray,
) -> int:
    """Apply all events, writing the best levels after each; returns how many were applied."""
    for i in range(kind.size):
        if ladder.apply_row(depth, marks, kind[i], side[i], price_e4[i], qty_e2[i], flags[i]) != ladder.OK:
            return i
        bid_tick[i] = marks[BEST + YES]
        ask_tick[i] = CENTS - marks[BEST + NO]
    return kind.size


def columns(rows: MarketRows) -> tuple[np.ndarray, ...]:
    return rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags


def check_agreement(ours: list[np.ndarray], peer: list[np.ndarray]) -> None:
    """Check that best bid and ask are equal after every event.

    Our empty side lies outside 0..100 cents there.
    """
    for name, mine, other, empty in zip(("bid", "ask"), ours, peer, (-1, CENTS + 1), strict=True):
        other_known = np.where((other < 0) | (other > CENTS), empty, other)
        wrong = np.flatnonzero(mine != other_known)
        if wrong.size:
            i = wrong[0]
            raise AssertionError(
                f"best {name} differs after {wrong.size} events, first {i}: {mine[i]} {other[i]}"
            )


def main() -> Iterator[dict[str, object]]:
    """Yield two result lines; AssertionError where the answers differ."""
    given = replay_input.load(N_EVENTS)
    data = replay_input.as_hftbacktest(given)
    n = data.size
    ours = [np.zeros(n, np.int64) for _ in range(2)]
    peer = [np.zeros(n, np.int64) for _ in range(2)]
    assert follow(*ladder.new_book(CENTS), *columns(given.rows), *ours) == n
    assert replay_input.follow_hftbacktest(replay_input.hftbacktest_on(data), *peer) == n
    check_agreement(ours, peer)

    def peer_run(run: Callable[..., object], *out: np.ndarray) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            backtest = replay_input.hftbacktest_on(data)
            return lambda: run(backtest, *out)

        return prepare

    rates = replay_input.best_rates(
        n,
        lambda: lambda: follow(*ladder.new_book(CENTS), *columns(given.rows), *ours),
        peer_run(replay_input.follow_hftbacktest, *peer),
        lambda: lambda: ladder.apply_rows(*ladder.new_book(CENTS), *columns(given.rows)),
        peer_run(replay_input.run_hftbacktest),
    )
    for k, bench in enumerate(("book_replay", "book_replay_blind")):
        value, peer_value = rates[2 * k], rates[2 * k + 1]
        yield {
            "bench": bench,
            "value": round(value),
            "unit": "events/s",
            "peer": "hftbacktest 2.4.4 ROIVectorMarketDepth",
            "peer_value": round(peer_value),
            "ratio": round(value / peer_value, 3),
            "data": given.source,
            "events": n,
            "clock": "cpu",
        }


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line))
