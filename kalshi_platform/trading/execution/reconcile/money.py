"""Cash and settlements as the exchange tells them, beside ours.

Free     the exchange tells free cash: what orders reserve is taken off, and how it reserves is not documented
         to the last unit. Where nothing rests the two must be equal; where orders rest, free cash lies
         between all cash and all cash less the most that the orders can take.
Doubt    where orders rest, free cash should be ours less their cost, and at most their fees less: all else is
         told as a doubt. A difference within the fees' bound is not seen until the orders end.
Step     a balance moves by 1e-4 dollar (docs/exchange.md); a smaller difference is how it is written.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.account_answers import BalanceAnswer, SettlementAnswer
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.risk.exposure import reserve_e6, working_of

STEP_E6: Final = 100
CENT_E6: Final = 10_000  # the whole balance may be told in whole cents


class CashMismatch(NamedTuple):
    """Free cash of one shard that ours does not explain."""

    shard: int
    ours_e6: int
    theirs_e6: int

    @property
    def off_e6(self) -> int:
        """Theirs less ours."""
        return self.theirs_e6 - self.ours_e6

    @property
    def name(self) -> str:
        """Name of the shard in words."""
        return f"cash of shard {self.shard}"


def cash_mismatches(ledger: OrderLedger, balance: BalanceAnswer) -> Iterator[CashMismatch]:
    """Shards whose free cash lies outside of what our cash and orders allow.

    Shards with an order that may be there, or whose fills are missing, say nothing yet.
    """
    most, unsettled = _reserves(ledger)
    for shard in sorted(ledger.cash_e6.keys() | balance.by_shard_e6.keys()):
        if shard in unsettled:
            continue
        free_e6 = balance.by_shard_e6.get(shard, 0)  # the shards told hold all of the cash (check_shards)
        cash_e6 = ledger.cash_e6.get(shard, 0)
        least_e6 = cash_e6 - most.get(shard, _NOTHING).most_e6
        if free_e6 < least_e6 - STEP_E6 + 1:
            yield CashMismatch(shard, least_e6, free_e6)
        elif free_e6 > cash_e6 + STEP_E6 - 1:
            yield CashMismatch(shard, cash_e6, free_e6)


class CashDoubt(NamedTuple):
    """Free cash of one shard that is possible while orders rest there, and not what they should leave."""

    shard: int
    expected_e6: int  # ours less the cost of the orders at their limits
    fees_e6: int  # that the exchange may reserve beside it, at most
    free_e6: int  # as the exchange tells it

    @property
    def words(self) -> str:
        """One line for people."""
        return (
            f"free cash of shard {self.shard} is {self.free_e6}; its orders should leave "
            f"{self.expected_e6}, or up to {self.fees_e6} less for fees (1e-6 dollar): not explained until "
            "they end"
        )


def cash_doubts(ledger: OrderLedger, balance: BalanceAnswer) -> list[CashDoubt]:
    """Shards whose free cash is within what orders may reserve, and is not what they should reserve."""
    reserves, unsettled = _reserves(ledger)
    differ = {each.shard for each in cash_mismatches(ledger, balance)} | unsettled
    found = []
    for shard, reserve in sorted(reserves.items()):
        free_e6 = balance.by_shard_e6.get(shard, 0)
        doubt = CashDoubt(shard, ledger.cash_e6.get(shard, 0) - reserve.cost_e6, reserve.fees_e6, free_e6)
        off_e6 = free_e6 - doubt.expected_e6
        if shard not in differ and not -reserve.fees_e6 - STEP_E6 < off_e6 < STEP_E6:
            found.append(doubt)
    return found


def check_shards(balance: BalanceAnswer) -> None:
    """Refuse a balance that does not say on which shards all of its cash lies (DataError)."""
    told_e6 = sum(balance.by_shard_e6.values())
    if not balance.by_shard_e6:
        raise DataError(
            f"the balance of {balance.cash_e6} (1e-6 dollar) names no shard (balance_breakdown): "
            "on which one the cash lies is not known"
        )
    if abs(told_e6 - balance.cash_e6) > CENT_E6:
        raise DataError(
            f"the balance is {balance.cash_e6}, its shards {sorted(balance.by_shard_e6)} hold {told_e6} "
            "(1e-6 dollar): a shard is left out"
        )


def settled_value_e4(paid: SettlementAnswer) -> int:
    """Return what one YES paid, 1e-4 dollar; DataError where the settlement says neither value nor result."""
    if paid.value_e4 is not None:
        return paid.value_e4
    if paid.result in ("yes", "no"):
        return DOLLAR_E4 if paid.result == "yes" else 0
    raise DataError(f"settlement of {paid.ticker}: no value, result {paid.result!r}; expected one of them")


class _Reserve(NamedTuple):
    """Cash that orders take at their limits, and their fees at most."""

    cost_e6: int = 0
    fees_e6: int = 0

    @property
    def most_e6(self) -> int:
        """The most that they can take."""
        return self.cost_e6 + self.fees_e6


_NOTHING: Final = _Reserve()


def _reserves(ledger: OrderLedger) -> tuple[dict[int, _Reserve], set[int]]:
    """(shard -> what orders reserve there, shards with an order whose stand is not known)."""
    most: dict[int, _Reserve] = {}
    unsettled: set[int] = set()
    by_market: dict[str, list[Order]] = {}
    for order in ledger.live.values():
        by_market.setdefault(order.intent.ticker, []).append(order)
    for ticker, orders in by_market.items():
        market, shard = ledger.market(ticker), orders[0].exchange_index
        working, before = working_of(orders), most.get(shard, _NOTHING)
        cost_e6 = reserve_e6(market.held_e2, working) - working.fees_e6
        most[shard] = _Reserve(before.cost_e6 + cost_e6, before.fees_e6 + working.fees_e6)
        if any(order.may_be_there or order.fills_missing_e2 for order in orders):
            unsettled.add(shard)
    return most, unsettled
