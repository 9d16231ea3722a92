"""The snapshot of execution, put together from its parts."""

from collections.abc import Iterator, Mapping

from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.reconcile.differences import ReconcileReport
from kalshi_platform.trading.execution.results import Results
from kalshi_platform.trading.execution.risk.exposure import ExposureBook
from kalshi_platform.trading.execution.risk.gate import RiskGate, RiskState
from kalshi_platform.trading.execution.risk.limits import contracts_e2, usd_e6
from kalshi_platform.trading.execution.snapshot import (
    ExecutionSnapshot,
    OrderLine,
    PositionLine,
    UsedLimit,
)

_E6, _E2 = "1e-6 dollar", "1e-2 contract"


def snapshot_of(
    wall_ns: int,
    keeper: LedgerKeeper,
    gate: RiskGate,
    exposures: ExposureBook,
    state: RiskState,
    results: Results,
    counts: Mapping[str, int],
    last: ReconcileReport | None,
) -> ExecutionSnapshot:
    """Return the stand of one account's trading."""
    exposures.refresh()
    ledger, losses = keeper.ledger, results.losses
    orders = [
        OrderLine(
            order.client_order_id, order.order_id, order.intent.ticker, order.intent.side.value,
            order.intent.price_e4, order.intent.qty_e2, order.filled_e2, order.state.value, order.created_ns,
        )
        for order in ledger.live.values()
    ]  # fmt: skip
    positions = [
        PositionLine(
            ticker, market.held_e2, market.pnl_e6, market.fees_e6, exposures.market(ticker).worst_e6,
            market.mark_e4, market.value_e4,
        )
        for ticker, market in sorted(ledger.markets.items())
        if market.filled_e2 or market.position_e2
    ]  # fmt: skip
    return ExecutionSnapshot(
        at_ns=wall_ns,
        mode=state.mode,
        mode_why=state.mode_why,
        is_reconciled=state.is_reconciled,
        reconciled_why=state.reconciled_why,
        undecided=tuple(order.client_order_id for order in ledger.undecided()),
        orders=tuple(orders),
        positions=tuple(positions),
        cash_e6=dict(ledger.cash_e6),
        pnl_e6=results.total_e6,
        fees_e6=results.fees_e6,
        day_loss_e6=losses.day_loss_e6,
        drawdown_e6=losses.drawdown_e6,
        losing_streak=losses.streak,
        used=tuple(_used(gate, exposures, results, wall_ns)),
        counts=dict(counts),
        last_reconcile=last,
        journal_failed=keeper.failed,
    )


def _used(gate: RiskGate, exposures: ExposureBook, results: Results, wall_ns: int) -> Iterator[UsedLimit]:
    """Limits of the whole account, and how much of each is used."""
    limits, day, losses = gate.limits, gate.day.at(wall_ns), results.losses
    yield UsedLimit("account_loss_usd", exposures.account_e6, usd_e6(limits.account_loss_usd), _E6)
    yield UsedLimit("day_orders", day.orders, limits.day_orders, "orders")
    yield UsedLimit("day_contracts", day.contracts_e2, contracts_e2(limits.day_contracts), _E2)
    yield UsedLimit("day_spend_usd", day.spend_e6, usd_e6(limits.day_spend_usd), _E6)
    yield UsedLimit("day_loss_usd", losses.day_loss_e6, usd_e6(limits.day_loss_usd), _E6)
    yield UsedLimit("drawdown_usd", losses.drawdown_e6, usd_e6(limits.drawdown_usd), _E6)
    yield UsedLimit("losing_streak", losses.streak, limits.losing_streak, "markets")
