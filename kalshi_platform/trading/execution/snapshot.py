"""Stand of execution for a page, a terminal or a report: one frozen object, made when asked for.

Units   ``_e6`` 1e-6 dollar, ``_e4`` 1e-4 dollar, ``_e2`` 1e-2 contract, ``_ns`` ns since 1970 UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.reconcile.differences import ReconcileReport
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.risk.refusals import RiskRefusal


@dataclass(frozen=True, slots=True)
class Submitted:
    """Outcome of an intent: an order (its state says more), or the limits that it would pass."""

    order: Order | None
    refusals: tuple[RiskRefusal, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order that is not ended."""

    client_order_id: str
    order_id: str | None
    ticker: str
    side: str
    price_e4: int
    qty_e2: int
    filled_e2: int
    state: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One market that was traded or held."""

    ticker: str
    position_e2: int
    pnl_e6: int
    fees_e6: int
    worst_loss_e6: int
    mark_e4: int | None
    value_e4: int | None  # paid for one YES; None: not settled


@dataclass(frozen=True, slots=True)
class UsedLimit:
    """How much of one limit is used."""

    limit: str
    value: int
    most: int
    unit: str


@dataclass(frozen=True, slots=True)
class ExecutionSnapshot:
    """Stand of one account's trading."""

    at_ns: int
    mode: RiskMode
    mode_why: str
    is_reconciled: bool
    reconciled_why: str
    undecided: tuple[str, ...]  # client ids of orders with an unknown outcome
    orders: tuple[OrderLine, ...]
    positions: tuple[PositionLine, ...]
    cash_e6: Mapping[int, int]
    pnl_e6: int
    fees_e6: int
    day_loss_e6: int
    drawdown_e6: int
    losing_streak: int
    used: tuple[UsedLimit, ...]
    counts: Mapping[str, int]  # intents, orders, fills, refusals by limit, differences by kind, surprises
    last_reconcile: ReconcileReport | None
    journal_failed: str | None
