"""Figures of live minus replay: fill rates and slippage by event, causes, explanations, orders as a file.

Causes   an order that differs by itself is a cause; one that differs because of it is counted beside it.
Event    markets of one event are one observation: intervals resample events, and n is said.
Units    price 1e-4 dollar, size 1e-2 contract, cash 1e-6 dollar, time ns UTC.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import DOLLAR_E4, DOLLAR_E6
from kalshi_platform.evaluation.statistics.bootstrap import (
    BootstrapConfig,
    Interval,
    cluster_sums,
    mean_interval,
    ratio_interval,
)
from kalshi_platform.trading.session.report.explaining import HELD_BACK, SAME, UNEXPLAINED
from kalshi_platform.trading.session.report.order_pairs import OrderPair, OrderSide


class CauseFigures(Config):
    """One kind of cause."""

    orders: int = Field(description="orders that differ by themselves")
    followed: int = Field(description="orders that differ because of one of those")
    cash_e6: int = Field(description="cash of all of them, live minus replay")


class PairFigures(Config):
    """Figures of all pairs of a session."""

    orders: int
    both: int = Field(description="orders that both sides sent")
    fill_rate_live: Interval = Field(description="contracts filled of those asked for, by event")
    fill_rate_replay: Interval
    slippage_e4: Interval = Field(description="what live paid beyond the replay, 1e-4 dollar a contract")
    n_slippage: int
    filled_live_e2: int
    filled_replay_e2: int
    fills_live: int = Field(description="orders with a fill")
    fills_replay: int
    cash_live_e6: int
    cash_replay_e6: int
    causes: dict[str, CauseFigures] = Field(description="by what differed first")
    reasons: dict[str, int] = Field(description="orders by what each shows of its own difference")
    by_market: dict[str, dict[str, int]]

    @property
    def unexplained(self) -> int:
        """Orders whose difference nothing explains."""
        return self.reasons.get(UNEXPLAINED, 0)

    @property
    def held_back(self) -> int:
        """Orders that neither side sent."""
        return self.reasons.get(HELD_BACK, 0)

    @property
    def differing(self) -> tuple[int, int]:
        """Number of orders that differ by themselves, and of those that differ because of one of them."""
        found = self.causes.values()
        return sum(c.orders for c in found), sum(c.followed for c in found)

    @property
    def words(self) -> str:
        """One line of the comparison."""
        rates = [self.fill_rate_live, self.fill_rate_replay]
        shown = ["none" if rate.estimate is None else f"{rate.estimate:.1%}" for rate in rates]
        mean = self.slippage_e4.estimate
        n, events = self.n_slippage, self.slippage_e4.n_clusters
        slip = (
            "unknown (no order filled on both sides)"
            if mean is None
            else f"{mean / DOLLAR_E4:+.6f} $ a contract (n = {n} orders, {events} events)"
        )
        cash = (self.cash_live_e6 - self.cash_replay_e6) / DOLLAR_E6
        own, followed = self.differing
        return (
            f"live minus replay: of {self.orders} orders {self.reasons.get(SAME, 0)} are equal, "
            f"{self.held_back} were held back, {own} differ by themselves and {followed} because of those, "
            f"{self.unexplained} unexplained; filled {shown[0]} of the contracts live, "
            f"{shown[1]} in the replay; slippage {slip}; cash of the fills, live less replay, {cash:+.4f} $"
        )


def figures_of(pairs: Sequence[tuple[str, OrderPair]]) -> PairFigures:
    """Figures of ``pairs``, each with its event."""
    live, replay = [(e, p.live) for e, p in pairs], [(e, p.replay) for e, p in pairs]
    slips = [(e, s) for e, p in pairs if (s := p.slippage_e4) is not None]
    reasons: dict[str, int] = {}
    by_market: dict[str, dict[str, int]] = {}
    for _, pair in pairs:
        reasons[pair.why] = reasons.get(pair.why, 0) + 1
        market = by_market.setdefault(
            pair.ticker,
            {"orders": 0, "filled_live_e2": 0, "filled_replay_e2": 0, "cash_live_e6": 0, "cash_replay_e6": 0},
        )
        market["orders"] += 1
        for name, side in (("live", pair.live), ("replay", pair.replay)):
            if side is not None:
                market[f"filled_{name}_e2"] += side.filled_e2
                market[f"cash_{name}_e6"] += side.cash_e6
    return PairFigures(
        orders=len(pairs), both=sum(p.live is not None and p.replay is not None for _, p in pairs),
        fill_rate_live=_rate(live), fill_rate_replay=_rate(replay),
        slippage_e4=mean_interval(
            np.array([e for e, _ in slips], str), np.array([s for _, s in slips], np.float64),
            BootstrapConfig(),
        ),
        n_slippage=len(slips), filled_live_e2=_filled(live), filled_replay_e2=_filled(replay),
        fills_live=sum(s is not None and s.filled_e2 > 0 for _, s in live),
        fills_replay=sum(s is not None and s.filled_e2 > 0 for _, s in replay),
        cash_live_e6=sum(s.cash_e6 for _, s in live if s is not None),
        cash_replay_e6=sum(s.cash_e6 for _, s in replay if s is not None),
        causes=_causes([pair for _, pair in pairs]),
        reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])), by_market=by_market,
    )  # fmt: skip


def _causes(pairs: Sequence[OrderPair]) -> dict[str, CauseFigures]:
    """Figures of each kind of cause, the most frequent first."""
    by_number = {pair.number: pair for pair in pairs}
    found: dict[str, list[int]] = {}  # orders, followed, cash
    for pair in pairs:
        if not pair.cause:
            continue
        counts = found.setdefault(by_number[pair.cause].why, [0, 0, 0])
        counts[0 if pair.is_cause else 1] += 1
        cash = [0 if side is None else side.cash_e6 for side in (pair.live, pair.replay)]
        counts[2] += cash[0] - cash[1]
    kinds = sorted(found.items(), key=lambda item: -sum(item[1][:2]))
    return {why: CauseFigures(orders=n, followed=more, cash_e6=cash) for why, (n, more, cash) in kinds}


def _filled(sides: Sequence[tuple[str, OrderSide | None]]) -> int:
    """Contracts filled."""
    return sum(s.filled_e2 for _, s in sides if s is not None)


def _rate(sides: Sequence[tuple[str, OrderSide | None]]) -> Interval:
    """Contracts filled of those asked for, by event."""
    there = [(e, s) for e, s in sides if s is not None]
    events = np.array([e for e, _ in there], str)
    filled, _ = cluster_sums(events, np.array([s.filled_e2 for _, s in there], np.float64))
    asked, _ = cluster_sums(events, np.array([s.qty_e2 for _, s in there], np.float64))
    return ratio_interval(filled, asked, BootstrapConfig())


def write_orders(pairs: Sequence[tuple[str, OrderPair]], folder: Path) -> Path:
    """Write ``orders.csv``: one line an order, both sides, explanation and figures behind it."""
    rows = [_flat(event, pair) for event, pair in pairs]
    path = folder / "orders.csv"
    names = list(_flat("", OrderPair(0, "", "", None, None, "")))
    kinds = {name: pa.int64() for name in names if name.rpartition("_")[2] in ("ns", "e2", "e4", "e6")}
    kinds |= {"slippage_e4": pa.float64(), "number": pa.int64(), "cause": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    pa_csv.write_csv(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def _flat(event: str, pair: OrderPair) -> dict[str, Any]:
    """One line of the file."""
    row: dict[str, Any] = {
        "number": pair.number, "cause": pair.cause or None, "decided_ns": pair.sent_ns, "event": event,
        "ticker": pair.ticker, "action": pair.action,
        "why": pair.why, "detail": pair.detail, "slippage_e4": pair.slippage_e4,
    }  # fmt: skip
    for name, side in (("live", pair.live), ("replay", pair.replay)):
        for field in ("price_e4", "qty_e2", "filled_e2", "cash_e6", "fee_e6"):
            row[f"{name}_{field}"] = None if side is None else getattr(side, field)
    return row
