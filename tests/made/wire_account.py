"""An account kept by hand from what the wire tells: fees, cash, positions by ../shared/kalshi-exchange.md.

It shares no code with the server nor with the matching core. Money is exact (fractions of a dollar); only the
rules of the exchange round, where they say so.
"""

from collections import defaultdict
from fractions import Fraction
from typing import Any

TAKER, MAKER = Fraction(7, 100), Fraction(175, 10_000)
#: Smallest step of a direct member's balance, and of the fee of one fill, in dollars.
STEP, FEE_STEP = Fraction(1, 10_000), Fraction(1, 1_000_000)


def down(amount: Fraction, step: Fraction) -> Fraction:
    return amount // step * step


def up(amount: Fraction, step: Fraction) -> Fraction:
    return -down(-amount, step)


class PlainAccount:
    """One subaccount: fills in order of time, then settlements."""

    def __init__(self, cash: Fraction, fee_changes: dict[str, tuple[str, Fraction]]) -> None:
        """``fee_changes``: event -> (time from which its makers pay too, multiplier from then on)."""
        self.cash, self.fee_changes = cash, fee_changes
        self.position: dict[str, Fraction] = defaultdict(Fraction)
        self.moved: dict[str, Fraction] = defaultdict(Fraction)  # market -> cash of its fills, without fees
        self.fees: dict[str, Fraction] = defaultdict(Fraction)
        self._pools: dict[str, Fraction] = defaultdict(Fraction)  # order -> rounding not yet given back

    def fill(self, fill: dict[str, Any], event: str) -> Fraction:
        """Book one fill of ``/portfolio/fills``; returns its net fee."""
        ticker, price, count = fill["ticker"], Fraction(fill["yes_price_dollars"]), Fraction(fill["count_fp"])
        signed = count if fill["book_side"] == "bid" else -count
        held = self.position[ticker]
        closing = min(abs(held), count) if held * signed < 0 else Fraction(0)
        own = price if signed > 0 else 1 - price  # paid for one contract of what the order buys
        move = closing * (1 - own) - (count - closing) * own  # a pair of YES and NO is a dollar at once
        fee = self._net_fee(fill, event, price, count, -count * own)
        self.position[ticker] += signed
        self.moved[ticker] += move
        self.fees[ticker] += fee
        self.cash += move - fee
        return fee

    def _net_fee(
        self, fill: dict[str, Any], event: str, price: Fraction, count: Fraction, revenue: Fraction
    ) -> Fraction:
        since, multiplier = self.fee_changes.get(event, ("9999", Fraction(1)))
        changed = fill["created_time"] >= since
        rate = TAKER if fill["is_taker"] else MAKER if changed else Fraction(0)
        model = rate * (multiplier if changed else 1) * count * price * (1 - price)
        trade = up(model, FEE_STEP)
        rounding = (revenue - trade) - down(revenue - trade, STEP)
        pool = self._pools[fill["order_id"]] + rounding
        rebate = min(down(pool, STEP), down(trade + rounding, STEP))
        self._pools[fill["order_id"]] = pool - rebate
        return trade + rounding - rebate

    def settle(self, paid: dict[str, Any]) -> None:
        """Book one settlement of ``/portfolio/settlements``."""
        ticker, held = paid["ticker"], self.position[paid["ticker"]]
        yes = Fraction(paid["value"], 100)
        revenue = held * yes if held > 0 else -held * (1 - yes)
        assert Fraction(paid["revenue"], 100) == revenue
        assert Fraction(paid["yes_count_fp"]) - Fraction(paid["no_count_fp"]) == held
        self.moved[ticker] += revenue
        self.cash += revenue
        self.position[ticker] = Fraction(0)
