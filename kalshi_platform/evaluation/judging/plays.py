"""Single plays to look at: which are shown, and what a plot of one needs.

A play      one market under one seed: its whole life (all its episodes), or one window of it.
Chosen      by profit: the three largest, the three deepest losses and the two nearest the median of those
            that traded; the three with most fills; the longest that never traded. Each play comes once, at
            most twelve in all, and a play that two rules choose counts to the first of them.
Prices      from the bank's rows, thinned to a few rows in each of BUCKETS stretches: those with the lowest
            and highest bid and ask, so that no peak is lost. Fills and orders as the rollout wrote them down.
Units       cash 1e-6 dollar, quantity 1e-2 contract, price 1e-4 dollar on the YES scale, time ns.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.simulation.replay.bank import UNSETTLED, BankArrays, MarketInfo
from kalshi_platform.simulation.replay.pages import reading

BUCKETS: Final = 120
#: Rule -> how many plays it chooses, in this order.
CHOICE: Final = {
    "largest profit": 3,
    "deepest loss": 3,
    "nearest the median profit": 2,
    "most fills": 3,
    "never traded": 1,
}
#: Above every price, 1e-4 dollar: stands for "no price" where the lowest one is looked for.
_NO_PRICE_E4: Final = 10_001
_SPAN: Final = ("episode", "start_ns", "end_ns")


@dataclass(frozen=True)
class Play:
    """One play with its prices, fills and orders; R thinned rows, in order of time."""

    why: str
    market: MarketInfo
    seed: int
    start_ns: int
    end_ns: int
    pnl_e6: int
    fees_e6: int
    n_fills: int
    capital_e6: int
    settlement_e4: int | None  # what a YES contract paid, where the play was settled by it
    at_ns: np.ndarray  # (R,) i8
    bid_e4: np.ndarray  # (R,) i8, -1 where there is none
    ask_e4: np.ndarray  # (R,) i8, -1 where there is none
    part: np.ndarray  # (R,) i8: which of ``spans`` the row is part of
    spans: tuple[tuple[int, int, int], ...]  # (episode, start_ns, end_ns) in order of time; gaps lie between
    fills: np.ndarray  # FILL_DTYPE, by time
    orders: np.ndarray  # ORDER_DTYPE, by time


def choose_plays(sample: Sample) -> tuple[Play, ...]:
    """The plays to show, by rule (CHOICE)."""
    records = sample.records
    if sample.windows:
        key = np.arange(records.market.size)
    else:
        key = sample.seed * len(sample.bank.markets) + records.market
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    sums = {name: np.zeros(first.size, np.int64) for name in ("pnl_e6", "n_fills", "fees_e6")}
    for name, total in sums.items():
        np.add.at(total, number, getattr(records, name))
    steps = np.bincount(number, records.n_steps)
    return tuple(
        _play(sample, why, np.flatnonzero(number == k))
        for why, k in _chosen(sums["pnl_e6"], sums["n_fills"], steps)
    )


def _chosen(pnl_e6: np.ndarray, n_fills: np.ndarray, steps: np.ndarray) -> list[tuple[str, int]]:
    """(rule, play) of every chosen play; ties go to the earlier one."""
    traded = np.flatnonzero(n_fills > 0)
    pnl = pnl_e6[traded]
    middle = np.abs(pnl - np.median(pnl)) if traded.size else pnl
    idle = np.flatnonzero(n_fills == 0)
    ranked = {
        "largest profit": traded[np.argsort(-pnl, kind="stable")][: int((pnl > 0).sum())],
        "deepest loss": traded[np.argsort(pnl, kind="stable")][: int((pnl < 0).sum())],
        "nearest the median profit": traded[np.argsort(middle, kind="stable")],
        "most fills": traded[np.argsort(-n_fills[traded], kind="stable")],
        "never traded": idle[np.argsort(-steps[idle], kind="stable")],
    }
    found: dict[int, str] = {}
    for why, most in CHOICE.items():
        fresh = [k for k in ranked[why].tolist() if k not in found]
        found |= dict.fromkeys(fresh[:most], why)
    return [(why, k) for k, why in found.items()]


def _play(sample: Sample, why: str, at: np.ndarray) -> Play:
    """Play of the records ``at``, all of one market and seed."""
    records = sample.records
    at = at[np.argsort(records.start_ns[at], kind="stable")]
    market, seed = int(records.market[at[0]]), int(sample.seed[at[0]])
    rollout = sample.rollouts[sample.seeds.index(seed)]
    settlement = int(sample.bank.arrays.markets["settlement_e4"][market])
    settled = bool(records.settled[at].any()) and settlement != UNSETTLED
    rows, part = _thinned(sample, market, records.start_ns[at], records.end_ns[at])
    with reading(sample.bank.arrays, rows) as arrays:
        shown = np.array(arrays.rows[rows])
    own = [
        kept[(kept["market"] == market) & np.isin(kept["episode"], records.episode[at])]
        for kept in (rollout.fills, rollout.orders)
    ]
    return Play(
        why=why,
        market=sample.bank.markets[market],
        seed=seed,
        start_ns=int(records.start_ns[at].min()),
        end_ns=int(records.end_ns[at].max()),
        pnl_e6=int(records.pnl_e6[at].sum()),
        fees_e6=int(records.fees_e6[at].sum()),
        n_fills=int(records.n_fills[at].sum()),
        capital_e6=sample.config.capital_e6,
        settlement_e4=settlement if settled else None,
        at_ns=shown["recv_ns"],
        bid_e4=shown["bid_px_e4"][:, 0].astype(np.int64),
        ask_e4=shown["ask_px_e4"][:, 0].astype(np.int64),
        part=part,
        spans=tuple(zip(*(getattr(records, name)[at].tolist() for name in _SPAN), strict=True)),
        fills=own[0][np.argsort(own[0]["at_ns"], kind="stable")],
        orders=own[1][np.argsort(own[1]["from_ns"], kind="stable")],
    )


def _thinned(
    sample: Sample, market: int, start_ns: np.ndarray, end_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(rows of the bank, number of their episode) that show the prices of those episodes."""
    small = sample.bank.arrays
    segments = small.segments[small.segments["market"] == market]
    with reading(small, segments["start"]) as arrays:
        return _thinned_rows(arrays, segments, start_ns, end_ns)


def _thinned_rows(
    arrays: BankArrays, segments: np.ndarray, start_ns: np.ndarray, end_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    times, bids, asks = (arrays.rows[name] for name in ("recv_ns", "bid_px_e4", "ask_px_e4"))
    width = max(1, -(-int(end_ns.max() - start_ns.min() + 1) // BUCKETS))
    rows: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for k, (start, end) in enumerate(zip(start_ns.tolist(), end_ns.tolist(), strict=True)):
        begins = times[segments["start"]]
        segment = segments[max(0, int(np.searchsorted(begins, start, side="right")) - 1)]
        own = slice(int(segment["start"]), int(segment["stop"]))
        low = own.start + int(np.searchsorted(times[own], start, side="left"))
        high = own.start + int(np.searchsorted(times[own], end, side="right"))
        rows.append(np.arange(low, high))
        parts.append(np.full(high - low, k))
    row, part = np.concatenate(rows), np.concatenate(parts)
    bucket = (times[row] - int(start_ns.min())) // width
    kept = extreme_prices(bucket, bids[row, 0], asks[row, 0])
    return row[kept], part[kept]


def extreme_prices(bucket: np.ndarray, bid_e4: np.ndarray, ask_e4: np.ndarray) -> np.ndarray:
    """Places to keep of prices (K,), -1 where there is none: a missing price does not hide the lowest one."""
    priced = (np.where(side < 0, _NO_PRICE_E4, side) for side in (bid_e4, ask_e4))
    return extremes(bucket, bid_e4, ask_e4, *priced)


def extremes(bucket: np.ndarray, *series: np.ndarray) -> np.ndarray:
    """Places to keep of ``series`` whose points lie in buckets, ascending.

    They are the last of each bucket, those with its lowest and highest value of each series, and the first.
    """
    place = np.arange(bucket.size)
    kept = [place[:1]]
    for values in (*series, *(-values for values in series), -place):
        order = np.lexsort((place, values, bucket))
        first = np.concatenate([[True], np.diff(bucket[order]) != 0])
        kept.append(order[first])
    return np.unique(np.concatenate(kept))
