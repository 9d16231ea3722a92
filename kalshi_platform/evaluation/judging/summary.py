"""Figures of one policy from its rollouts, with the spread of every figure that decides anything.

Owns   the figures of one policy: per-market and aggregate metrics, slices, habits.
Units  returns are fractions of the episode's capital; money 1e-6 dollar.
       An estimate's draw is a block: its events, markets, seeds and episodes never count as further draws
       (sample.py).
"""

from collections import Counter
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging import watch
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics import metrics
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval, ratio_interval
from kalshi_platform.evaluation.statistics.metrics import AggregateMetrics, MarketMetrics
from kalshi_platform.models.registry.provenance import DataCounts, count_data, counts_words
from kalshi_platform.simulation.replay.infos import Trait, numbered, origins, tickers_of


def _with_blocks(found: Any) -> Any:
    """A record of an earlier version, which resampled events, with their number as that of its blocks."""
    if isinstance(found, dict) and "n_blocks" not in found and "n_events" in found:
        return {**found, "n_blocks": found["n_events"]}
    return found


class Slice(Config):
    """One part of the result: its share of the profit and its estimate."""

    label: str
    n: int
    n_events: int
    n_blocks: int
    pnl_e6: int
    estimate: Interval

    _older = model_validator(mode="before")(_with_blocks)


class SeedRow(Config):
    """Result of one seed alone."""

    seed: int
    n_records: int
    mean_return: Interval


class EventReturn(Config):
    """Mean return of one event's markets, and its profit."""

    event: str
    mean_return: float
    pnl_e6: int
    start_ns: int
    end_ns: int
    block: str = Field("", description="of which it is part; empty in reports of an earlier version")


class BlockReturn(Config):
    """Mean return of the events of one block, and its profit: one independent observation."""

    block: str
    n_events: int
    mean_return: float
    pnl_e6: int
    start_ns: int
    end_ns: int


class Trading(Config):
    """Habits of the policy, summed over everything it did: decisions, orders, fills, fees, trips."""

    decisions: int
    idle_decisions: int
    rule_decisions: dict[str, int] = Field(
        {}, description="of the trading filter, by its reason's first words"
    )
    n_orders: int
    n_fills: int
    n_reached_fills: int = 0  # of resting orders that the opposite best reached without a print
    n_queued: int = Field(0, description="resting orders that filled and whose queue was known")
    ahead_e2: int = Field(0, description="sum over them of the size displayed ahead when they came to rest")
    passed_ahead_e2: int = Field(0, description="sum of what of it traded before their first fill")
    fill_rate: float | None
    trade_rate: float
    turnover_e6: int
    fees_e6: int
    gross_e6: int
    pnl_e6: int
    traded_e2: int
    action_counts: tuple[int, ...]
    masked_counts: tuple[int, ...]
    round_trips: int
    winning_trips: int
    mean_entropy: float | None


class PolicyResult(Config):
    """All figures reported of one policy; intervals resample blocks."""

    name: str
    meaning: str
    order_style: str
    fee_scale_e6: int
    n_events: int
    n_blocks: int = Field(description="independent observations, which every interval resamples")
    n_episodes: int
    mean_return: Interval
    aggregate: AggregateMetrics
    markets: tuple[MarketMetrics, ...]
    events: tuple[EventReturn, ...]
    blocks: tuple[BlockReturn, ...] = Field((), description="empty in reports of an earlier version")
    trading: Trading
    event_sharpe: float | None = Field(description="mean / std of the blocks' returns; None below three")
    probabilistic_sharpe: float | None
    annual_sharpe: float | None
    max_drawdown: float
    worst_episode_drawdown: float
    per_seed: tuple[SeedRow, ...]
    seed_iqm: float
    by_provenance: tuple[Slice, ...]
    by_category: tuple[Slice, ...]
    by_price: tuple[Slice, ...]
    by_time_to_close: tuple[Slice, ...]
    curve_ns: tuple[int, ...]
    curve_return: tuple[float, ...]
    heat: tuple[tuple[int, ...], ...]

    _older = model_validator(mode="before")(_with_blocks)

    @property
    def n_seeds(self) -> int:
        """Number of seeds that were played and over which ``trading`` sums: a table divides by it."""
        return max(len(self.per_seed), 1)

    @property
    def share_profitable_events(self) -> float:
        """Share of events whose mean return is above zero."""
        return float(np.mean([e.mean_return > 0 for e in self.events]))

    @property
    def judged_on(self) -> DataCounts:
        """Events and blocks that were played, by provenance."""
        block = {e.event: e.block or None for e in self.events}
        return count_data((m.provenance, m.event, block.get(m.event)) for m in self.markets)

    @property
    def data_words(self) -> str:
        """Words on the data that judged: events and blocks by provenance; ``worth`` judges them."""
        return f"judged on {counts_words(self.judged_on)}"

    @property
    def block_returns(self) -> dict[str, float]:
        """Return of each block by its name; in reports of an earlier version that of each event."""
        if self.blocks:
            return {b.block: b.mean_return for b in self.blocks}
        return {e.event: e.mean_return for e in self.events}


def summarise(sample: Sample, name: str, meaning: str, bootstrap: BootstrapConfig) -> PolicyResult:
    """All figures of the policy whose rollouts ``sample`` holds."""
    markets = _markets(sample)
    events = _events(sample)
    blocks = _blocks(events)
    returns = np.array([b.mean_return for b in blocks])
    curve = np.mean([r.curve_return for r in sample.rollouts], axis=0)
    worst = max(int(r.drawdown_e6.max()) for r in sample.rollouts)
    seeds = _per_seed(sample, bootstrap)
    return PolicyResult(
        name=name,
        meaning=meaning,
        order_style=sample.config.order_style,
        fee_scale_e6=sample.config.fee_scale_e6,
        n_events=len(events),
        n_blocks=len(blocks),
        n_episodes=sum(r.episode.size for r in sample.rollouts),
        mean_return=sample.mean_interval(bootstrap),
        aggregate=metrics.aggregate(
            np.array([m.mean_return for m in markets]), np.array([m.sharpe for m in markets])
        ),
        markets=markets,
        events=events,
        blocks=blocks,
        trading=_trading(sample),
        event_sharpe=metrics.block_sharpe(returns),
        probabilistic_sharpe=metrics.probabilistic_sharpe(returns),
        annual_sharpe=metrics.annual_sharpe(
            returns, np.array([b.start_ns for b in blocks]), np.array([b.end_ns for b in blocks])
        ),
        max_drawdown=metrics.max_drawdown(np.concatenate(([0.0], curve))),
        worst_episode_drawdown=worst / sample.config.capital_e6,
        per_seed=seeds,
        seed_iqm=metrics.interquartile_mean(np.array([s.mean_return.estimate for s in seeds])),
        by_provenance=_by_market(sample, "provenance", bootstrap),
        by_category=_by_market(sample, "category", bootstrap),
        by_price=_by_trip(sample, "price", price_labels(), bootstrap),
        by_time_to_close=_by_trip(sample, "close", list(watch.CLOSE_LABELS), bootstrap),
        curve_ns=tuple(sample.rollouts[0].curve_ns.tolist()),
        curve_return=tuple(curve.tolist()),
        heat=tuple(map(tuple, np.sum([r.tallies.heat for r in sample.rollouts], axis=0).tolist())),
    )


def price_labels() -> list[str]:
    """Names of the price bins, YES cents."""
    step = watch.PRICE_BIN_E4 // 100
    return [f"{k * step}-{(k + 1) * step}c" for k in range(watch.N_PRICE_BINS)]


def _markets(sample: Sample) -> tuple[MarketMetrics, ...]:
    records, n = sample.records, len(sample.bank.markets)
    tickers = tickers_of(sample.bank.markets)
    market, plays = sample.plays()
    n_plays, mean, std = metrics.grouped_moments(market, plays, n)
    pnl = np.bincount(records.market, records.pnl_e6, minlength=n)
    count, sharpe, _ = metrics.grouped_moments(records.market, _step_sharpe(sample), n)
    return tuple(
        MarketMetrics(
            ticker=tickers[m],
            event=event,
            provenance=provenance,
            n_episodes=int(count[m]),
            mean_return=float(mean[m]),
            std_return=float(std[m]) if n_plays[m] > 1 else None,
            sharpe=float(sharpe[m]),
            consistency=metrics.consistency(plays[market == m]),
            pnl_e6=int(pnl[m]),
        )
        for m, (provenance, event, _) in enumerate(origins(sample.bank.markets))
        if count[m]
    )


def _step_sharpe(sample: Sample) -> np.ndarray:
    """Sharpe ratio (M,) of the step rewards of each record's episode."""
    parts = []
    for rollout in sample.rollouts:
        order = np.argsort(rollout.episode)
        at = order[np.searchsorted(rollout.episode[order], rollout.records.episode)]
        parts.append(rollout.step_sharpe[at])
    return np.concatenate(parts)


def _events(sample: Sample) -> tuple[EventReturn, ...]:
    records, n = sample.records, len(sample.events)
    ids, mean = sample.event_means()
    pnl = np.bincount(sample.event, records.pnl_e6, minlength=n)
    block = np.zeros(n, np.int64)
    block[sample.event] = sample.block
    start, end = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(start, sample.event, records.start_ns)
    np.maximum.at(end, sample.event, records.end_ns)
    return tuple(
        EventReturn(
            event=sample.events[e],
            mean_return=float(value),
            pnl_e6=int(pnl[e]),
            start_ns=int(start[e]),
            end_ns=int(end[e]),
            block=sample.blocks[block[e]],
        )
        for e, value in zip(ids.tolist(), mean, strict=True)
    )


def _blocks(events: tuple[EventReturn, ...]) -> tuple[BlockReturn, ...]:
    parts: dict[str, list[EventReturn]] = {}
    for event in events:
        parts.setdefault(event.block, []).append(event)
    return tuple(
        BlockReturn(
            block=block,
            n_events=len(of),
            mean_return=float(np.mean([e.mean_return for e in of])),
            pnl_e6=sum(e.pnl_e6 for e in of),
            start_ns=min(e.start_ns for e in of),
            end_ns=max(e.end_ns for e in of),
        )
        for block, of in parts.items()
    )


def _trading(sample: Sample) -> Trading:
    r = sample.records
    decisions = sum(x.decisions for x in sample.rollouts)
    idle = sum(x.idle_slots for x in sample.rollouts)
    actions = r.action_counts.sum(axis=0)
    acted = int(actions.sum() - actions[HOLD])
    orders, traded = int(r.n_orders.sum()), int(r.traded_e2.sum())
    fees, pnl = int(r.fees_e6.sum()), int(r.pnl_e6.sum())
    entropies = [x.mean_entropy for x in sample.rollouts if x.mean_entropy is not None]
    return Trading(
        decisions=decisions,
        idle_decisions=idle,
        rule_decisions=dict(sum((Counter(x.rule_slots) for x in sample.rollouts), Counter[str]())),
        n_orders=orders,
        n_fills=int(r.n_fills.sum()),
        n_reached_fills=int(r.n_reached_fills.sum()),
        n_queued=int(r.n_queued.sum()),
        ahead_e2=int(r.ahead_e2.sum()),
        passed_ahead_e2=int(r.passed_ahead_e2.sum()),
        # A share of the orders' full size. A sale may ask for less than that, so this is a lower bound.
        fill_rate=traded / (orders * sample.config.order_qty_e2) if orders else None,
        trade_rate=acted / max(decisions - idle, 1),
        turnover_e6=int(r.turnover_e6.sum()),
        fees_e6=fees,
        gross_e6=pnl + fees,
        pnl_e6=pnl,
        traded_e2=traded,
        action_counts=tuple(actions.tolist()),
        masked_counts=tuple(r.masked_counts.sum(axis=0).tolist()),
        round_trips=int(sum(x.tallies.price_trips.sum() for x in sample.rollouts)),
        winning_trips=int(sum(x.tallies.price_wins.sum() for x in sample.rollouts)),
        mean_entropy=float(np.mean(entropies)) if entropies else None,
    )


def _per_seed(sample: Sample, bootstrap: BootstrapConfig) -> tuple[SeedRow, ...]:
    return tuple(
        SeedRow(
            seed=seed,
            n_records=int((of := sample.seed == seed).sum()),
            mean_return=sample.mean_interval(bootstrap, keep=of),
        )
        for seed in sample.seeds
    )


def _by_market(sample: Sample, trait: Trait, bootstrap: BootstrapConfig) -> tuple[Slice, ...]:
    """Mean return for each name of a trait of the markets."""
    names, place = numbered(sample.bank.markets, trait)
    of_record = np.array(names)[place[sample.records.market]]
    out = []
    for label in sorted(set(of_record.tolist())):
        at = of_record == label
        interval = sample.mean_interval(bootstrap, keep=at)
        out.append(
            Slice(
                label=label,
                n=int(at.sum()),
                n_events=int(np.unique(sample.event[at]).size),
                n_blocks=interval.n_clusters,
                pnl_e6=int(sample.records.pnl_e6[at].sum()),
                estimate=interval,
            )
        )
    return tuple(out)


def _by_trip(sample: Sample, by: str, labels: list[str], bootstrap: BootstrapConfig) -> tuple[Slice, ...]:
    """Profit a round trip, dollars, for each bin of its entry: price or time to close."""
    pnl = np.sum([getattr(r.tallies, f"{by}_pnl_e6") for r in sample.rollouts], axis=0)
    trips = np.sum([getattr(r.tallies, f"{by}_trips") for r in sample.rollouts], axis=0)
    by_block = np.zeros((2, len(sample.blocks), len(labels)))
    for summed, by_event in zip(by_block, (pnl, trips), strict=True):
        np.add.at(summed, sample.event_block, by_event)
    out = []
    for k, label in enumerate(labels):
        traded = np.flatnonzero(by_block[1, :, k])
        if traded.size == 0:
            continue
        out.append(
            Slice(
                label=label,
                n=int(trips[:, k].sum()),
                n_events=int((trips[:, k] > 0).sum()),
                n_blocks=traded.size,
                pnl_e6=int(pnl[:, k].sum()),
                estimate=ratio_interval(by_block[0, traded, k] / 1e6, by_block[1, traded, k], bootstrap),
            )
        )
    return tuple(out)
