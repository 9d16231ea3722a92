"""Input of the replay benchmarks: one long stream of level-2 events and the same as hftbacktest takes it.

The recorded S&P days where ../shared/data has them, else the random level-2 stream of the tests; both are
repeated, each repetition starting from its own snapshot, with times moved so that they only increase.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numba import njit

from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SIDE,
    SNAPSHOT,
    YES,
    MarketRows,
)
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, NO_PRICE

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "events" / "spx-2023-04.parquet"
SPEC = MarketSpec(ticker="BENCH", event="BENCH")
_SEAM_NS = 1_000_000_000
#: hftbacktest: wait_next_feed's answer while there is more; a time it never reaches.
NEXT_FEED, FOR_EVER_NS = 2, 4 * 10**18


class ReplayInput(NamedTuple):
    """A stream of level-2 events, its origin, and the number of events of one repetition."""

    rows: MarketRows
    source: str
    n_once: int


def load(n_at_least: int) -> ReplayInput:
    """Repeat the recorded days (or a random stream) until there are ``n_at_least`` events."""
    parts = _recorded() if RECORDED.is_file() else [_random(seed) for seed in (1, 2)]
    once = _joined(parts)
    n = -(-n_at_least // once.kind.size)
    return ReplayInput(_joined([once] * n), RECORDED.name if RECORDED.is_file() else "random", once.kind.size)


def _recorded() -> list[MarketRows]:
    table = pl.read_parquet(RECORDED)
    return [market_rows(part) for _, part in table.group_by("market_ticker", maintain_order=True)]


def market_rows(table: pl.DataFrame) -> MarketRows:
    """Rows of one market of the recorded level-2 file."""
    rows = schema.empty(table.height)
    start = table["snap_start"].fill_null(value=False).to_numpy()
    snapshot = (table["type"] == "snapshot").to_numpy()
    rows.recv_ns[:] = table["recv_ts_us"].to_numpy() * 1_000
    rows.kind[:] = np.where(snapshot, SNAPSHOT, DELTA)
    side = table["side"].replace_strict({"yes": YES, "no": NO}, default=NO_SIDE, return_dtype=pl.UInt8)
    rows.side[:] = side.fill_null(NO_SIDE).to_numpy()
    rows.price_e4[:] = table["price_e4"].fill_null(NO_PRICE).to_numpy()
    rows.qty_e2[:] = table["size_e2"].fill_null(0).to_numpy()
    # a message ends where no further snapshot level follows
    more = np.append(snapshot[1:] & ~start[1:], False)
    rows.flags[:] = start * FLAG_START + ~more * FLAG_LAST
    return rows


def _random(seed: int) -> MarketRows:
    """Random stream: a snapshot of 15 levels a side, then orders coming and going; YES stays under 1 - NO."""
    rng = np.random.default_rng([seed])
    rows = schema.empty(30_000)
    depth = np.zeros((2, 45), np.int64)
    rows.recv_ns[:] = 1_680_000_000_000_000_000 + np.cumsum(rng.exponential(5e8, rows.kind.size).astype("i8"))
    rows.recv_ns[:31] = rows.recv_ns[0]
    rows.kind[:31], rows.kind[31:] = SNAPSHOT, DELTA
    rows.side[0], rows.price_e4[0] = NO_SIDE, NO_PRICE
    rows.flags[0], rows.flags[30:] = FLAG_START, FLAG_LAST
    for i in range(1, rows.kind.size):
        side = i % 2 if i < 31 else rng.integers(2)
        level = 44 - i // 2 if i < 31 else 44 - min(int(rng.exponential(5)), 44)
        held = int(depth[side, level])
        qty = int(rng.integers(1, 300)) * CONTRACT_E2
        change = qty if i < 31 or held == 0 or rng.random() < 0.45 else -min(held, 2 * qty)
        depth[side, level] += change
        rows.side[i], rows.price_e4[i], rows.qty_e2[i] = side, level * 100, change
    return rows


def _joined(parts: list[MarketRows]) -> MarketRows:
    moved, end_ns = [], 0
    for part in parts:
        shift = end_ns + _SEAM_NS - int(part.recv_ns[0]) if end_ns else 0
        moved.append(part._replace(recv_ns=part.recv_ns + shift))
        end_ns = int(moved[-1].recv_ns[-1])
    return schema.concat(moved)


def as_hftbacktest(given: ReplayInput) -> Any:
    """The same stream as hftbacktest takes it: absolute sizes, NO bids as asks at 1 - p, one event a row.

    Events are marked for the local processor only: no orders are sent, so its exchange side has nothing to
    do, and it runs faster without. Row i is moved by i ns, since it takes rows of one time together and the
    answers are compared after every row.
    """
    from hftbacktest import BUY_EVENT, DEPTH_CLEAR_EVENT, DEPTH_EVENT, LOCAL_EVENT, SELL_EVENT
    from hftbacktest.types import event_dtype

    once = schema.take(given.rows, slice(0, given.n_once))
    out = np.zeros(given.n_once, event_dtype)
    start = once.side == NO_SIDE
    what = np.where(start, DEPTH_CLEAR_EVENT, DEPTH_EVENT | np.where(once.side == NO, SELL_EVENT, BUY_EVENT))
    out["ev"] = what | LOCAL_EVENT
    out["px"] = np.where(once.side == NO, DOLLAR_E4 - once.price_e4, once.price_e4) / DOLLAR_E4
    depth: dict[tuple[int, int], int] = {}
    rows = zip(once.side.tolist(), once.price_e4.tolist(), once.qty_e2.tolist(), strict=True)
    for i, (side, price, change) in enumerate(rows):
        if side == NO_SIDE:
            depth.clear()
            continue
        depth[side, price] = depth.get((side, price), 0) + change
        out["qty"][i] = depth[side, price] / CONTRACT_E2
    out = np.tile(out, given.rows.kind.size // given.n_once)
    out["exch_ts"] = out["local_ts"] = given.rows.recv_ns + np.arange(out.size)
    return out


def hftbacktest_on(data: Any) -> Any:
    """Backtest of the one market on its fastest depth: a dense vector over the range of interest."""
    from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest

    asset = (
        BacktestAsset()
        .data([data])
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0, 0)
        .tick_size(0.01)
        .lot_size(0.01)
        .roi_lb(0.0)
        .roi_ub(1.0)
    )
    return ROIVectorMarketDepthBacktest([asset])


@njit
def follow_hftbacktest(backtest: Any, bid_tick: np.ndarray, ask_tick: np.ndarray) -> int:
    """Replay to the end, writing the best ticks after every event; returns the number of events."""
    depth = backtest.depth(0)
    n = 0
    while backtest.wait_next_feed(False, FOR_EVER_NS) == NEXT_FEED:
        bid_tick[n] = depth.best_bid_tick
        ask_tick[n] = depth.best_ask_tick
        n += 1
    bid_tick[n] = depth.best_bid_tick  # with its last event it answers that the data end
    ask_tick[n] = depth.best_ask_tick
    return n + 1


@njit
def run_hftbacktest(backtest: Any) -> int:
    """Replay to the end without looking at the book."""
    return backtest.elapse(FOR_EVER_NS)


def best_rates(n_events: int, *runs: Callable[[], Callable[[], object]], repeats: int = 5) -> list[float]:
    """Events per second of each run, the best of ``repeats``, taken in turns so that all meet the same load.

    A run prepares and returns what is timed. CPU time of this process: other work on the machine does not
    count, threads do.
    """
    best = [math.inf] * len(runs)
    for _ in range(repeats):
        for k, prepare in enumerate(runs):
            timed = prepare()
            started = time.process_time()
            timed()
            best[k] = min(best[k], time.process_time() - started)
    return [n_events / seconds for seconds in best]
