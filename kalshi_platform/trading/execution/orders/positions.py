"""Positions and cash in whole numbers: what fills, settlements and corrections add up to.

Units   position_e2 1e-2 contract (plus YES, minus NO), money 1e-6 dollar; price_e4 x qty_e2 is exactly that.
Result  of a market is kept for both outcomes: ``if_yes_e6`` and ``if_no_e6``, fees taken off. At a price v
        the result is if_no + position x v, so that the order in which fills arrive changes nothing.
Cost    of the open position is what its contracts cost, fees not counted; a part that closes takes its share.
Cash    buying YES costs p, selling it (buying NO) 1 - p; a pair of YES and NO pays one dollar at once.
"""

from dataclasses import dataclass

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide


@dataclass(slots=True)
class MarketPosition:
    """The account's stand in one market."""

    ticker: str
    exchange_index: int
    position_e2: int = 0
    cost_e6: int = 0  # of the position
    opened_ns: int = 0  # when the position last left zero, as far as anybody told; 0 without one
    closed_ns: int | None = None  # when it last came back to zero; None where it never did
    closed_pnl_e6: int = 0  # result of the market then
    if_yes_e6: int = 0
    if_no_e6: int = 0
    fees_e6: int = 0
    flow_e6: int = 0  # cash of fills and corrections, without the settlement
    filled_e2: int = 0  # contracts filled, both sides
    value_e4: int | None = None  # what one YES paid; None until settled
    settled_ns: int | None = None  # when the exchange paid
    mark_e4: int | None = None  # price of one YES that results are told at; None: nothing seen yet
    is_at_cost: bool = False  # taken over, and no fill or price told since what it is worth

    @property
    def payout_e6(self) -> int:
        """Cash that the settlement paid; 0 until then."""
        return 0 if self.value_e4 is None else payout_e6(self.position_e2, self.value_e4)

    @property
    def cash_e6(self) -> int:
        """Cash that the market has brought, negative where it has cost."""
        return self.flow_e6 + self.payout_e6

    @property
    def held_e2(self) -> int:
        """Position that is still open; 0 once the market is settled."""
        return 0 if self.value_e4 is not None else self.position_e2

    @property
    def worth_e6(self) -> int:
        """Worth of the open position at its mark; 0 where no price was ever seen."""
        return 0 if self.mark_e4 is None else payout_e6(self.held_e2, self.mark_e4)

    @property
    def pnl_e6(self) -> int:
        """Result at the settlement, else at the mark; 0 price where nothing was ever seen."""
        price = self.value_e4 if self.value_e4 is not None else (self.mark_e4 or 0)
        return self.if_no_e6 + self.position_e2 * price

    def fill(self, side: BookSide, price_e4: int, qty_e2: int, fee_e6: int, at_ns: int) -> None:
        """Book one fill."""
        signed = qty_e2 if side is BookSide.BID else -qty_e2
        own_e4 = price_e4 if side is BookSide.BID else DOLLAR_E4 - price_e4
        pairs_e2 = min(qty_e2, max(-self.position_e2 if side is BookSide.BID else self.position_e2, 0))
        self.flow_e6 += DOLLAR_E4 * pairs_e2 - own_e4 * qty_e2 - fee_e6
        self.if_yes_e6 += signed * (DOLLAR_E4 - price_e4) - fee_e6
        self.if_no_e6 += -signed * price_e4 - fee_e6
        self._move(signed, own_e4 * qty_e2, at_ns)
        self.fees_e6 += fee_e6
        self.filled_e2 += qty_e2
        self.mark_e4, self.is_at_cost = price_e4, False  # until the best prices are seen (results.py)
        self._note_close(at_ns)

    def correct(self, position_e2: int, cost_e6: int, at_ns: int) -> None:
        """Take over a change of position that no fill explains, at a cost by reconcile/unexplained.py."""
        is_new = not self.position_e2
        if position_e2:
            self._move(position_e2, cost_e6, at_ns)
        gain = abs(position_e2) * DOLLAR_E4 - cost_e6
        self.if_yes_e6 += gain if position_e2 > 0 else -cost_e6
        self.if_no_e6 += -cost_e6 if position_e2 > 0 else gain
        if is_new and position_e2:  # a mark of before was another position's, and may be days old
            own_e4 = min(cost_e6 // abs(position_e2), DOLLAR_E4)
            self.mark_e4 = own_e4 if position_e2 > 0 else DOLLAR_E4 - own_e4
        self.is_at_cost = bool(self.position_e2) and (is_new or self.is_at_cost)
        self._note_close(at_ns)

    def _note_close(self, at_ns: int) -> None:
        """Keep time and result where the position came back to zero."""
        if not self.position_e2:
            self.closed_ns, self.closed_pnl_e6 = at_ns, self.if_no_e6

    def _move(self, change_e2: int, cost_e6: int, at_ns: int) -> None:
        """Change the position by contracts that cost ``cost_e6`` together, and keep its cost and age."""
        before, after = self.position_e2, self.position_e2 + change_e2
        if after * before <= 0:  # opened, closed or turned round
            self.cost_e6 = cost_e6 * abs(after) // abs(change_e2)
            self.opened_ns = at_ns if after else 0
        elif abs(after) > abs(before):
            self.cost_e6 += cost_e6
        else:
            self.cost_e6 = self.cost_e6 * abs(after) // abs(before)
        self.position_e2 = after


def payout_e6(position_e2: int, value_e4: int) -> int:
    """Cash that a settlement at ``value_e4`` (of one YES) pays for a position."""
    return position_e2 * value_e4 if position_e2 > 0 else -position_e2 * (DOLLAR_E4 - value_e4)


def fill_cash_out_e6(side: BookSide, price_e4: int, qty_e2: int, fee_e6: int) -> int:
    """Cash that a fill takes where nothing is netted, fees too, 1e-6 dollar."""
    return (price_e4 if side is BookSide.BID else DOLLAR_E4 - price_e4) * qty_e2 + fee_e6
