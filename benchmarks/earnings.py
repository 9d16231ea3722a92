"""Rules that could earn in a world of agents: chosen on some events, judged on others, after fees.

    python benchmarks/earnings.py [calibrated | calibrated_apr10] [--events 60] [--seed 31]

Value     a contract is valued at the hidden fair probability at its fill: the mean of its settlement given
          all that happened before. It says the same as settlements, with far less luck.
Taker     one contract every 2 s where the rule says so, at the other side's best 50 ms later if that is not
          worse, with the fee of a contract of a large order, 7 % of P (1 - P). It takes nothing away: what
          it could buy more than once is counted more than once.
Maker     one contract every 10 s on the side that the rule says, at the best price or a cent inside, for
          30 s, post-only. It fills by a print through its price, by prints at it once the size displayed at
          its arrival has traded, or where the other side's best comes to it at the end of a burst, as in
          replay.
Chosen    sign and threshold of each rule, and the weights of the linear one, on the first half of the events.
Judged    cents a contract on the other half: the mean over events, its 95 % interval by bootstrap of events.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.rows import VALID, Rows
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.compiled import allocating_kernel, kernel
from kalshi_platform.simulation.simexchange import preset_of
from kalshi_platform.simulation.simexchange.generate import market_rows
from kalshi_platform.simulation.simexchange.world import WorldConfig, simulate_world_event
from kalshi_platform.simulation.simexchange.world.generate import plan_specs
from kalshi_platform.simulation.simexchange.world.plan import Plan
from kalshi_platform.simulation.simexchange.world.records import JUMP, NEWS

SECOND: Final = 1_000_000_000
LATENCY_NS: Final = 50_000_000
TAKER_STEP_NS, MAKER_STEP_NS, MAKER_LIFE_NS = 2 * SECOND, 10 * SECOND, 30 * SECOND
NEWS_CENTS: Final = 2.0
SHARES: Final = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)  # of the moments at which a rule may trade
LEAST_TRADES: Final = 300
DRAWS: Final = 2_000
LINEAR: Final = "all by least squares"
RULES: Final = (
    "imbalance of the best sizes",
    "imbalance of three levels",
    "move of 10 s",
    "move of 60 s",
    "move of 5 min",
    "distance from 50 cents",
    "move of 60 s / root of the time to close",
    "drift after a jump of 2 cents, 30 s",
    "side of the last print, 10 s",
    "ladder: gap behind the best ask less that behind the best bid",
    "ladder: age of the best ask less that of the best bid",
)


#: Fair price (n,) in cents at times (n,) in ns.
Fair = Callable[[np.ndarray], np.ndarray]


class Moments(NamedTuple):
    """Moments of one market at which a rule looks, in order; prices in cents on the YES scale."""

    event: np.ndarray  # (n,) i8
    signals: np.ndarray  # (n, R) f8
    mid: np.ndarray  # (n,)
    fair: np.ndarray  # (n,) 50 ms later
    buy: np.ndarray  # (n,) gain of buying YES as a taker; NaN where it does not fill
    sell: np.ndarray  # (n,) of buying NO
    join: np.ndarray  # (n, 2) gain of resting a bid, an ask at the best price; NaN where it does not fill
    improve: np.ndarray  # (n, 2) the same a tick inside


@allocating_kernel
def last_change(price: np.ndarray, recv_ns: np.ndarray) -> np.ndarray:
    """Time of the last change of ``price`` (n,) at each row."""
    out = np.empty(price.size, np.int64)
    at = recv_ns[0]
    for i in range(price.size):
        if i > 0 and price[i] != price[i - 1]:
            at = recv_ns[i]
        out[i] = at
    return out


@kernel
def fill_rows(
    start: np.ndarray, stop_ns: np.ndarray, recv_ns: np.ndarray, valid: np.ndarray, ends: np.ndarray,
    own: np.ndarray, other: np.ndarray, ahead: np.ndarray, print_own: np.ndarray, print_e2: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Write the row at which each order of one contract fills, -1 where none does.

    Prices are those of the outcome bought (1e-4 dollar), so that a bid and an ask go by one rule: ``own``
    (k,) the order's, ``other`` (n,) what is asked for it at each row, ``print_own`` (n,) its price in a print
    against it, -1 where there is none. ``start`` (k,) is the first row after the arrival, ``stop_ns`` (k,)
    the end, ``ahead`` (k,) the size displayed before it (1e-2 contract).
    """
    for k in range(start.size):
        out[k] = -1
        queue, wanted = ahead[k], 100
        for i in range(start[k], recv_ns.size):
            if recv_ns[i] > stop_ns[k] or valid[i] == 0:
                break
            if valid[i] == VALID and print_own[i] >= 0:
                if print_own[i] < own[k]:
                    out[k] = i
                    break
                if print_own[i] == own[k]:
                    reached = print_e2[i] - queue
                    queue = max(queue - print_e2[i], 0)
                    if reached >= wanted:
                        out[k] = i
                        break
            if valid[i] == VALID and ends[i] == 1 and other[i] <= own[k]:
                out[k] = i
                break


def fair_path(plan: Plan, market: int, open_ns: int) -> Fair:
    """Function that gives the fair price in cents of a market at times in ns."""
    schedule = plan.schedule
    moves = np.isin(schedule.kind, (int(NEWS), int(JUMP)))
    at_ns, row = open_ns + schedule.at_ns[moves], schedule.value[moves]

    def fair(times: np.ndarray) -> np.ndarray:
        """Fair price (n,) in cents."""
        i = np.searchsorted(at_ns, times, side="right") - 1
        return np.asarray(100.0 * schedule.fair[np.where(i < 0, 0, row[np.maximum(i, 0)]), market])

    return fair


def fee_cents(price: np.ndarray) -> np.ndarray:
    """Taker's fee of one contract at a price in cents."""
    return np.asarray(0.07 * price * (100.0 - price) / 100.0)


def signals_of(rows: Rows, at: np.ndarray, times: np.ndarray, mid: np.ndarray, close_ns: int) -> np.ndarray:
    """Signals (n, R) of RULES at the rows ``at``; each changes its sign with the outcome."""
    bid, ask, bids, asks = rows.bid_px_e4[at], rows.ask_px_e4[at], rows.bid_qty_e2[at], rows.ask_qty_e2[at]

    def earlier(seconds: int) -> np.ndarray:
        """Move of the mid since so many seconds ago."""
        then = np.searchsorted(rows.recv_ns, times - seconds * SECOND, side="right") - 1
        return np.where(then >= 0, mid[at] - mid[np.maximum(then, 0)], 0.0)

    def imbalance(n: int) -> np.ndarray:
        """Imbalance of the first ``n`` levels."""
        b, a = bids[:, :n].sum(1), asks[:, :n].sum(1)
        return np.asarray((b - a) / np.maximum(b + a, 1))

    prints = np.flatnonzero(rows.print_px_e4 > 0)
    last = np.searchsorted(prints, at, side="right") - 1
    row = prints[np.maximum(last, 0)] if prints.size else np.zeros(at.size, "i8")
    is_new = (last >= 0) & (times - rows.recv_ns[row] < 10 * SECOND)
    side = np.where(rows.print_side[row] == YES, 1.0, -1.0) * is_new
    move30 = earlier(30)
    left_s = np.maximum(close_ns - times, SECOND) / SECOND
    gap = np.where(asks[:, 1] > 0, ask[:, 1] - ask[:, 0], 0) - np.where(
        bids[:, 1] > 0, bid[:, 0] - bid[:, 1], 0
    )
    age = [np.log1p((times - last_change(best, rows.recv_ns)[at]) / SECOND)
           for best in (rows.bid_px_e4[:, 0].copy(), rows.ask_px_e4[:, 0].copy())]  # fmt: skip
    return np.column_stack((
        imbalance(1), imbalance(3), earlier(10), earlier(60), earlier(300), mid[at] - 50.0,
        earlier(60) / np.sqrt(left_s), np.where(np.abs(move30) >= NEWS_CENTS, move30, 0.0), side,
        gap / 100.0, age[1] - age[0],
    ))  # fmt: skip


def resting_gain(
    rows: Rows,
    at: np.ndarray,
    times: np.ndarray,
    fair: Fair,
    side: int,
    inside: int,
) -> np.ndarray:
    """Gain (n,) in cents of a contract bought by an order that rests; NaN where it does not fill."""
    bid, ask = rows.bid_px_e4[:, 0].astype("i8"), rows.ask_px_e4[:, 0].astype("i8")
    best, other, depth = bid, ask, rows.bid_qty_e2[:, 0]
    if side == 1:
        best, other, depth = 10_000 - ask, 10_000 - bid, rows.ask_qty_e2[:, 0]
    own = best[at] + 100 * inside
    start = np.searchsorted(rows.recv_ns, times + LATENCY_NS, side="right")
    there = start - 1
    ahead = np.where(best[there] == own, depth[there], 0)
    ahead = np.where(best[there] > own, 1 << 40, ahead)  # behind the best: only a print through it fills
    hits = (rows.print_px_e4 > 0) & (rows.print_side == (NO if side == 0 else YES))
    print_own = np.where(hits, rows.print_px_e4 if side == 0 else 10_000 - rows.print_px_e4, -1).astype("i8")
    out = np.empty(at.size, "i8")
    fill_rows(start, times + LATENCY_NS + MAKER_LIFE_NS, rows.recv_ns, rows.valid, rows.burst_end, own, other,
              ahead, print_own, rows.print_qty_e2.astype("i8"), out)  # fmt: skip
    placed = (other[there] > own) & (rows.valid[there] == VALID)  # post-only
    value = fair(rows.recv_ns[np.maximum(out, 0)])
    value = value if side == 0 else 100.0 - value
    return np.where((out >= 0) & placed, value - own / 100.0, np.nan)


def moments_of(config: WorldConfig, index: int) -> Iterator[Moments]:
    """Moments of every market of one event."""
    plan = plan_specs(config, np.random.default_rng([config.seed, index]), index)[3]
    event = simulate_world_event(config, index)
    for market, spec in enumerate(event.specs):
        rows = build_rows(market_rows(event.wire, market, spec)[0], spec)
        open_ns, close_ns = int(spec.open_ns or 0), int(spec.close_ns or 0)
        fair = fair_path(plan, market, open_ns)
        times = np.arange(rows.recv_ns[0] + SECOND, close_ns - 40 * SECOND, TAKER_STEP_NS)
        at = np.searchsorted(rows.recv_ns, times, side="right") - 1
        later = np.searchsorted(rows.recv_ns, times + LATENCY_NS, side="right") - 1
        ok = (rows.valid[at] == VALID) & (rows.bid_qty_e2[at, 0] > 0) & (rows.ask_qty_e2[at, 0] > 0)
        times, at, later = times[ok], at[ok], later[ok]
        bid, ask = rows.bid_px_e4[:, 0] / 100.0, rows.ask_px_e4[:, 0] / 100.0
        mid, now = (bid + ask) / 2, fair(times + LATENCY_NS)
        has_ask = (rows.valid[later] == VALID) & (rows.ask_qty_e2[later, 0] > 0)
        has_bid = (rows.valid[later] == VALID) & (rows.bid_qty_e2[later, 0] > 0)
        buy = np.where(has_ask & (ask[later] <= ask[at]), now - ask[later] - fee_cents(ask[later]), np.nan)
        sell = np.where(has_bid & (bid[later] >= bid[at]), bid[later] - now - fee_cents(bid[later]), np.nan)
        rests = np.flatnonzero((times - times[0]) % MAKER_STEP_NS < TAKER_STEP_NS) if times.size else times
        both = []
        for inside in (0, 1):
            gains = np.full((at.size, 2), np.nan)
            for side in (0, 1):
                gains[rests, side] = resting_gain(rows, at[rests], times[rests], fair, side, inside)
            both.append(gains)
        signals = signals_of(rows, at, times, mid, close_ns)
        yield Moments(np.full(at.size, index), signals, mid[at], now, buy, sell, both[0], both[1])


def moments(config: WorldConfig, first: int, n: int) -> Moments:
    """Moments of ``n`` events."""
    parts = [each for index in range(first, first + n) for each in moments_of(config, index)]
    return Moments(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def directed(signal: np.ndarray, sign: int, threshold: float) -> np.ndarray:
    """1 = buy YES, -1 = buy NO, 0 = nothing, at each moment."""
    value = sign * signal
    return np.where(value >= threshold, 1, np.where(value <= -threshold, -1, 0)) * (value != 0)


def gains_of(side: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Gain (n,) at each moment of doing ``side``; NaN where nothing was done or filled."""
    return np.where(side > 0, yes, np.where(side < 0, no, np.nan))


def by_event(event: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Mean gain of each event that has any."""
    seen = ~np.isnan(gain)
    total = np.bincount(event[seen], gain[seen])
    n = np.bincount(event[seen])
    return np.asarray(total[n > 0] / n[n > 0])


def judged(event: np.ndarray, gain: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Mean over events, its 95 % interval and the number of contracts."""
    means = by_event(event, gain)
    if means.size < 2:
        return {"cents": None, "contracts": int((~np.isnan(gain)).sum()), "events": means.size}
    draws = np.random.default_rng(seed).choice(means, (DRAWS, means.size)).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return {
        "cents": round(float(means.mean()), 3), "low": round(float(low), 3), "high": round(float(high), 3),
        "contracts": int((~np.isnan(gain)).sum()), "events": int(means.size),
    }  # fmt: skip


def chosen(train: Moments, signal: np.ndarray, yes: np.ndarray, no: np.ndarray) -> tuple[int, float, float]:
    """(sign, threshold, mean over events) that earn most a contract, with LEAST_TRADES or more of them."""
    best = (1, 0.0, -np.inf)
    for sign in (1, -1):
        for share in SHARES:
            threshold = float(np.quantile(np.abs(signal), 1 - share))
            gain = gains_of(directed(signal, sign, threshold), yes, no)
            if (~np.isnan(gain)).sum() < LEAST_TRADES:
                continue
            mean = float(by_event(train.event, gain).mean())
            if mean > best[2]:
                best = (sign, threshold, mean)
    return best


def linear(train: Moments) -> np.ndarray:
    """Weights (R + 1,) of the least-squares forecast of fair - mid by all signals."""
    design = np.column_stack((train.signals, np.ones(train.mid.size)))
    return np.asarray(np.linalg.lstsq(design, train.fair - train.mid, rcond=None)[0])


def forecast(moments: Moments, weights: np.ndarray) -> np.ndarray:
    """Forecast (n,) of fair - mid in cents by the weights of :func:`linear`."""
    return np.asarray(np.column_stack((moments.signals, np.ones(moments.mid.size))) @ weights)


def ways_of(moments: Moments) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Gains (n,) of buying YES and of buying NO, by the way to trade."""
    return {
        "taker": (moments.buy, moments.sell),
        "maker at the best": (moments.join[:, 0], moments.join[:, 1]),
        "maker a cent inside": (moments.improve[:, 0], moments.improve[:, 1]),
    }


def study(config: WorldConfig, n_events: int) -> Iterator[dict[str, Any]]:
    """Yield a line a rule and way to trade."""
    train, test = moments(config, 0, n_events), moments(config, n_events, n_events)
    weights = linear(train)
    left = test.fair - test.mid
    missed = left - forecast(test, weights)
    yield {
        "rule": LINEAR, "r2_percent": round(100 * float(1 - (missed**2).mean() / left.var()), 2),
        "rms_cents": round(float(np.sqrt((left**2).mean())), 3),
    }  # fmt: skip
    signals = {name: (train.signals[:, r], test.signals[:, r]) for r, name in enumerate(RULES)}
    signals[LINEAR] = forecast(train, weights), forecast(test, weights)
    for way, pair in ways_of(test).items():
        for name, side in (("always YES", 1), ("always NO", -1)):
            gain = gains_of(np.full(test.mid.size, side), *pair)
            yield {"way": way, "rule": name} | judged(test.event, gain)
        for name, (known, new) in signals.items():
            sign, threshold, before = chosen(train, known, *ways_of(train)[way])
            found = judged(test.event, gains_of(directed(new, sign, threshold), *pair))
            told = {"sign": sign, "threshold": round(threshold, 3), "train_cents": round(before, 3)}
            yield {"way": way, "rule": name} | told | found


def main() -> None:
    """Print a line a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("preset", nargs="?", default="calibrated")
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--seed", type=int, default=31)
    given = parser.parse_args()
    config = preset_of(given.preset, given.seed)
    if not isinstance(config, WorldConfig):
        raise SystemExit(f"{given.preset} is no world of agents: calibrated, calibrated_apr10")
    for line in study(config, given.events):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
