"""Kernels that watch a batch of environments while a policy trades, in bounded memory.

Owns       the equity curve on a real-time grid, drawdown, round trips by entry price and by time to
           close, the position x price histogram, how many looks met a crossed or an old book, and the
           spread of the observations. The trips themselves: trips.py.
Units      cash 1e-6 dollar, quantity 1e-2 contract, price 1e-4 dollar (YES), time ns.
Invariant  the curve ends at the sum of the records' P&L, and so do each P&L table and the kept trips: a
           settlement's payment in the last, unobserved moment is booked when the episode's record comes.

A round trip begins when the position leaves zero and ends when it returns to zero or the episode ends.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.judging.trips import (
    SETTLED,
    SOLD,
    VALUED,
    Accounts,
    Ended,
    TripBook,
    finish_trip,
    follow_size,
    forget_trips,
    keep_trip,
)
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.bank import ROW_CROSSED

N_PRICE_BINS: Final = 10
PRICE_BIN_E4: Final = 1_000
#: Position bins: shares of the position limit from -1 to 1, the middle one is flat.
N_POSITION_BINS: Final = 9
#: Upper edges of time to close at entry; the last bin is everything longer, then unknown.
CLOSE_EDGES_NS: Final = np.array([10, 60, 300, 3_600, 86_400], np.int64) * NS_PER_SECOND
CLOSE_LABELS: Final = ("< 10 s", "10-60 s", "1-5 min", "5-60 min", "1-24 h", "> 24 h", "unknown")
NO_CLOSE: Final = -1
#: Looks at a market: all, with a crossed book, with an old book; columns of ``Tallies.looks``.
LOOKS, LOOKS_CROSSED, LOOKS_OLD = range(3)
STAT_COUNT, STAT_SUM, STAT_SUMSQ, STAT_MIN, STAT_MAX, STAT_BAD = range(6)


class Trackers(NamedTuple):
    """State of the running episodes; N environments, S slots."""

    held: np.ndarray  # (N,) u1: 1 = all its episodes are done
    at_ns: np.ndarray  # (N,) i8: latest market time seen in the episode
    equity_e6: np.ndarray  # (N,) i8: at the last look
    peak_e6: np.ndarray  # (N,) i8
    drawdown_e6: np.ndarray  # (N,) i8
    reward_n: np.ndarray  # (N,) i8
    reward_sum: np.ndarray  # (N,) f8
    reward_sumsq: np.ndarray  # (N,) f8
    slot_pnl_e6: np.ndarray  # (N, S) i8: at the last look
    booked_e6: np.ndarray  # (N, S) i8: P&L of round trips already ended
    open: np.ndarray  # (N, S) i1: sign of the open position
    entry_mid_e4: np.ndarray  # (N, S) i4
    entry_ns: np.ndarray  # (N, S) i8
    last_mid_e4: np.ndarray  # (N, S) i4
    last_ns: np.ndarray  # (N, S) i8


class Tallies(NamedTuple):
    """Counts so far. E events, B price bins, C time-to-close bins, G grid points, F features."""

    curve_e6: np.ndarray  # (G,) i8: change of equity in each grid cell
    price_pnl_e6: np.ndarray  # (E, B) i8
    price_trips: np.ndarray  # (E, B) i8
    price_wins: np.ndarray  # (E, B) i8
    close_pnl_e6: np.ndarray  # (E, C) i8
    close_trips: np.ndarray  # (E, C) i8
    heat: np.ndarray  # (N_POSITION_BINS, B) i8: steps spent
    stats: np.ndarray  # (F, 6) f8: count, sum, sum of squares, min, max, not finite
    looks: np.ndarray  # (M, 3) i8: LOOKS, LOOKS_CROSSED, LOOKS_OLD of each market


class Places(NamedTuple):
    """Facts of the bank and of the time grid that the kernels look up."""

    segment_start: np.ndarray  # (K,) i8, ascending
    segment_market: np.ndarray  # (K,) i4
    market_event: np.ndarray  # (M,) i4
    market_close_ns: np.ndarray  # (M,) i8; NO_CLOSE where unknown
    recv_ns: np.ndarray  # (R,) i8
    bid_e4: np.ndarray  # (R,) i4, best
    ask_e4: np.ndarray  # (R,) i4, best
    row_state: np.ndarray  # (R,) u1: bits of ROW_DTYPE
    old_after_ns: int
    grid_start_ns: int
    grid_step_ns: int
    position_limit_e2: int


def allocate_trackers(n_envs: int, n_slots: int, capital_e6: int) -> Trackers:
    """Trackers of environments that are all at the start of an episode."""
    wide, slots = np.zeros(n_envs, np.int64), np.zeros((n_envs, n_slots), np.int64)
    return Trackers(
        held=np.zeros(n_envs, np.uint8),
        at_ns=wide.copy(),
        equity_e6=wide + capital_e6,
        peak_e6=wide + capital_e6,
        drawdown_e6=wide.copy(),
        reward_n=wide.copy(),
        reward_sum=np.zeros(n_envs),
        reward_sumsq=np.zeros(n_envs),
        slot_pnl_e6=slots.copy(),
        booked_e6=slots.copy(),
        open=slots.astype(np.int8),
        entry_mid_e4=slots.astype(np.int32),
        entry_ns=slots.copy(),
        last_mid_e4=slots.astype(np.int32),
        last_ns=slots.copy(),
    )


def allocate_tallies(n_events: int, n_grid: int, n_features: int, n_markets: int) -> Tallies:
    """Tallies with nothing counted yet."""
    stats = np.zeros((n_features, 6))
    stats[:, STAT_MIN], stats[:, STAT_MAX] = np.inf, -np.inf
    by_price, by_close = (n_events, N_PRICE_BINS), (n_events, len(CLOSE_LABELS))
    return Tallies(
        curve_e6=np.zeros(n_grid, np.int64),
        price_pnl_e6=np.zeros(by_price, np.int64),
        price_trips=np.zeros(by_price, np.int64),
        price_wins=np.zeros(by_price, np.int64),
        close_pnl_e6=np.zeros(by_close, np.int64),
        close_trips=np.zeros(by_close, np.int64),
        heat=np.zeros((N_POSITION_BINS, N_PRICE_BINS), np.int64),
        stats=stats,
        looks=np.zeros((n_markets, 3), np.int64),
    )


@kernel
def market_of_row(row: int, places: Places) -> int:
    """Index of the market whose segment holds ``row``."""
    return int(places.segment_market[np.searchsorted(places.segment_start, row, side="right") - 1])


@kernel
def close_bin(close_ns: int, at_ns: int) -> int:
    """Bin of the time left to ``close_ns``; a time past the close counts as none left."""
    if close_ns == NO_CLOSE:
        return CLOSE_EDGES_NS.size + 1
    left = close_ns - at_ns
    for k in range(CLOSE_EDGES_NS.size):
        if left < CLOSE_EDGES_NS[k]:
            return k
    return CLOSE_EDGES_NS.size


@kernel
def price_bin(mid_e4: int) -> int:
    """Bin of a price, one a ten cents; 1.00 falls into the last bin."""
    return min(max(mid_e4 // PRICE_BIN_E4, 0), N_PRICE_BINS - 1)


@kernel
def position_bin(position_e2: int, limit_e2: int) -> int:
    """Bin of a signed position; only flat falls into the middle one."""
    half = N_POSITION_BINS // 2
    if position_e2 == 0 or limit_e2 <= 0:
        return half
    steps = min(-(-abs(position_e2) * half // limit_e2), half)
    return half + steps if position_e2 > 0 else half - steps


@kernel
def grid_bin(at_ns: int, places: Places, n_grid: int) -> int:
    """Cell of the equity grid at ``at_ns``, clipped to its ends."""
    return min(max((at_ns - places.grid_start_ns) // places.grid_step_ns, 0), n_grid - 1)


@kernel
def _book_trip(tallies: Tallies, market: int, places: Places, mid_e4: int, at_ns: int, pnl_e6: int) -> None:
    event = places.market_event[market]
    b = price_bin(mid_e4)
    c = close_bin(places.market_close_ns[market], at_ns)
    tallies.price_pnl_e6[event, b] += pnl_e6
    tallies.price_trips[event, b] += 1
    tallies.price_wins[event, b] += pnl_e6 > 0
    tallies.close_pnl_e6[event, c] += pnl_e6
    tallies.close_trips[event, c] += 1


@kernel
def _look_at_book(tallies: Tallies, places: Places, account: Accounts, n: int, s: int, row: int) -> None:
    """Count the look, and whether the book of ``row`` is crossed or older than ``old_after_ns`` now."""
    looks = tallies.looks[market_of_row(row, places)]
    looks[LOOKS] += 1
    looks[LOOKS_CROSSED] += places.row_state[row] & ROW_CROSSED != 0
    age_ns = account.now_ns[n] + account.shift_ns[n, s] - places.recv_ns[row]
    looks[LOOKS_OLD] += age_ns > places.old_after_ns


@kernel
def _watch_slot(
    trackers: Trackers, tallies: Tallies, trips: TripBook, places: Places, account: Accounts, n: int, s: int,
    row: int,
) -> None:  # fmt: skip
    now_ns = places.recv_ns[row]  # the market's own clock, also where episodes are shifted
    bid, ask = places.bid_e4[row], places.ask_e4[row]
    mid = (bid + ask) // 2 if bid >= 0 and ask >= 0 else account.mark2_e4[n, s] // 2
    position = account.position_e2[n, s]
    pnl = account.slot_cash_e6[n, s] + position_value_e6(position, account.mark2_e4[n, s])
    sign = 1 if position > 0 else (-1 if position < 0 else 0)
    if trackers.open[n, s] != 0 and sign != trackers.open[n, s]:
        market = market_of_row(row, places)
        gain = pnl - trackers.booked_e6[n, s]
        _book_trip(tallies, market, places, trackers.entry_mid_e4[n, s], trackers.entry_ns[n, s], gain)
        keep_trip(
            trips, n, s, account.episode[n], market, trackers.open[n, s], SOLD, now_ns,
            account.fees_e6[n, s], account.n_fills[n, s], gain,
        )  # fmt: skip
        trackers.booked_e6[n, s] += gain
        trackers.open[n, s] = 0
    is_new = trackers.open[n, s] == 0 and sign != 0
    follow_size(trips, account, n, s, is_new)
    if is_new:
        trackers.open[n, s] = sign
        trackers.entry_mid_e4[n, s] = mid
        trackers.entry_ns[n, s] = now_ns
    trackers.slot_pnl_e6[n, s] = pnl
    trackers.last_mid_e4[n, s] = mid
    trackers.last_ns[n, s] = now_ns
    tallies.heat[position_bin(position, places.position_limit_e2), price_bin(mid)] += 1


@kernel
def watch_step(
    trackers: Trackers, tallies: Tallies, trips: TripBook, places: Places, account: Accounts,
    rows: np.ndarray,
) -> None:  # fmt: skip
    """Look at every running environment once; rows (N, S) i8, -1 where the slot is empty."""
    n_grid = tallies.curve_e6.size
    for n in range(rows.shape[0]):
        if trackers.held[n]:
            continue
        at_ns = trackers.at_ns[n]
        for s in range(rows.shape[1]):
            if rows[n, s] >= 0:
                at_ns = max(at_ns, places.recv_ns[rows[n, s]])
                _watch_slot(trackers, tallies, trips, places, account, n, s, rows[n, s])
                _look_at_book(tallies, places, account, n, s, rows[n, s])
        trackers.at_ns[n] = at_ns
        equity = account.equity_e6[n]
        tallies.curve_e6[grid_bin(at_ns, places, n_grid)] += equity - trackers.equity_e6[n]
        trackers.equity_e6[n] = equity
        trackers.peak_e6[n] = max(trackers.peak_e6[n], equity)
        trackers.drawdown_e6[n] = max(trackers.drawdown_e6[n], trackers.peak_e6[n] - equity)


@kernel
def watch_rewards(trackers: Trackers, reward: np.ndarray) -> None:
    """Add this step's rewards (N,) to the sums of the running episodes."""
    for n in range(reward.size):
        if not trackers.held[n]:
            trackers.reward_n[n] += 1
            trackers.reward_sum[n] += reward[n]
            trackers.reward_sumsq[n] += reward[n] * reward[n]


@kernel
def close_episode(
    trackers: Trackers, tallies: Tallies, trips: TripBook, places: Places, n: int, ended: Ended, episode: int,
    end_ns: int, capital_e6: int,
) -> int:  # fmt: skip
    """End the episode of environment ``n`` and return its largest drawdown, 1e-6 dollar.

    ``ended`` holds one record per slot that held a market. Books the P&L since the last look at the
    environment and resets its trackers for the next episode.
    """
    for i in range(ended.slot.size):
        s = ended.slot[i]
        gain = ended.pnl_e6[i] - trackers.booked_e6[n, s]
        is_open = trackers.open[n, s] != 0
        if not is_open and gain == 0 and ended.fees_e6[i] == trips.booked_fees_e6[n, s]:
            continue
        # a trip that is not open was opened and ended between the last look and the end
        at_mid = trackers.entry_mid_e4[n, s] if is_open else trackers.last_mid_e4[n, s]
        at_ns = trackers.entry_ns[n, s] if is_open else trackers.last_ns[n, s]
        _book_trip(tallies, ended.market[i], places, at_mid, at_ns, gain)
        side = finish_trip(trips, ended, i, n, trackers.open[n, s], trackers.last_ns[n, s])
        ending = SETTLED if ended.settled[i] else VALUED
        keep_trip(
            trips, n, s, episode, ended.market[i], side, ending, ended.end_ns[i], ended.fees_e6[i],
            ended.n_fills[i], gain,
        )  # fmt: skip
    equity = capital_e6 + ended.pnl_e6.sum()
    tallies.curve_e6[grid_bin(end_ns, places, tallies.curve_e6.size)] += equity - trackers.equity_e6[n]
    peak = max(trackers.peak_e6[n], equity)
    drawdown = max(trackers.drawdown_e6[n], peak - equity)
    trackers.equity_e6[n] = trackers.peak_e6[n] = capital_e6
    trackers.at_ns[n] = trackers.drawdown_e6[n] = 0
    trackers.reward_n[n] = 0
    trackers.reward_sum[n] = trackers.reward_sumsq[n] = 0.0
    trackers.slot_pnl_e6[n] = 0
    trackers.booked_e6[n] = 0
    trackers.open[n] = 0
    forget_trips(trips, n)
    return int(drawdown)


@kernel
def watch_features(stats: np.ndarray, values: np.ndarray, active: np.ndarray, first: int) -> None:
    """Add values (N, S, F) of the active slots to ``stats`` (.., 6), whose row ``first`` is feature 0."""
    for n in range(values.shape[0]):
        for s in range(values.shape[1]):
            if not active[n, s]:
                continue
            for f in range(values.shape[2]):
                x = values[n, s, f]
                row = stats[first + f]
                if not np.isfinite(x):
                    row[STAT_BAD] += 1
                    continue
                row[STAT_COUNT] += 1
                row[STAT_SUM] += x
                row[STAT_SUMSQ] += x * x
                row[STAT_MIN] = min(row[STAT_MIN], x)
                row[STAT_MAX] = max(row[STAT_MAX], x)
