"""Worst losses and fees written plainly from the documented rules, in fractions of a dollar.

It shares no code with ``trading/execution/risk``: every set of orders that may fill and both outcomes are
tried; fees of a fill follow docs/exchange.md, "Fees", step by step.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

UNIT = Fraction(1, 10_000)  # of a direct member's balance


@dataclass(frozen=True)
class Trade:
    """A fill, or an order that may fill: dollars on the YES scale, contracts, fees in dollars."""

    market: str
    is_bid: bool
    price: Fraction
    contracts: Fraction
    fees: Fraction

    @property
    def own(self) -> Fraction:
        """Price of the outcome that it buys."""
        return self.price if self.is_bid else 1 - self.price


@dataclass(frozen=True)
class Kin:
    """Event and category of a market."""

    event: str
    category: str


def loss(trades: Iterable[Trade], *, happens: bool) -> Fraction:
    """Loss of trades of one market without fees where YES happens or not."""
    return sum((t.own - (t.is_bid == happens)) * t.contracts for t in trades)


def worst(fills: Sequence[Trade], orders: Sequence[Trade]) -> Fraction:
    """Worst loss of one market over every set of its orders and both outcomes; all fees are paid."""
    fees = sum(t.fees for t in (*fills, *orders))
    found = [
        loss(
            [*fills, *(o for o, fills_too in zip(orders, chosen, strict=True) if fills_too)], happens=happens
        )
        for chosen in product((False, True), repeat=len(orders))
        for happens in (False, True)
    ]
    return max(Fraction(0), fees + max(found))


def worst_by(
    fills: Sequence[Trade], orders: Sequence[Trade], kin: dict[str, Kin], group: str, name: str
) -> Fraction:
    """Worst losses of the markets whose ``group`` (market, event, category, account) is ``name``, added."""
    return sum(
        (
            worst([f for f in fills if f.market == m], [o for o in orders if o.market == m])
            for m, each in kin.items()
            if group == "account" or name == (m if group == "market" else getattr(each, group))
        ),
        start=Fraction(0),
    )


def is_exit(fills: Sequence[Trade], orders: Sequence[Trade], order: Trade) -> bool:
    """True where no set of orders of its side lets the position grow or turn round."""
    held = sum((f.contracts if f.is_bid else -f.contracts) for f in fills if f.market == order.market)
    same = [o for o in orders if (o.market, o.is_bid) == (order.market, order.is_bid)]
    sizes = [sum(o.contracts for o in same[:n]) + order.contracts for n in range(len(same) + 1)]
    return all(size <= (-held if order.is_bid else held) for size in sizes)


def fees_of(fills: Sequence[tuple[Fraction, Fraction]], *, is_bid: bool, rate: Fraction) -> Fraction:
    """Net fees of one order's fills (price, contracts) that open a position."""
    accumulated = paid = Fraction(0)
    for price, contracts in fills:
        trade_fee = Fraction(math.ceil(rate * contracts * price * (1 - price) * 10**6), 10**6)
        revenue = -(price if is_bid else 1 - price) * contracts
        aligned = math.floor((revenue - trade_fee) / UNIT) * UNIT
        rounding = revenue - trade_fee - aligned
        accumulated += rounding
        rebate = min(math.floor(accumulated / UNIT), math.floor((trade_fee + rounding) / UNIT)) * UNIT
        accumulated -= rebate
        paid += trade_fee + rounding - rebate
    return paid
