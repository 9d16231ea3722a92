"""One market of a session at an exchange: its facts, and the order that works there."""

from dataclasses import dataclass

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.fee_schedule import ASSUMED_FEES, FeeStep, terms_at
from kalshi_platform.domain.fees import maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.order import Order


@dataclass(slots=True)
class TradedMarket:
    """One market's slot: the order that works, and the work under way."""

    ticker: str
    event: str
    spec: MarketSpec | None = None
    fees: tuple[FeeStep, ...] = ASSUMED_FEES  # as known now, those to come too
    order: Order | None = None
    action: int = HOLD  # of the order
    kept_ns: int = 0  # wall clock; when the order was sent or kept
    cancelled_ns: int | None = None  # monotonic; when a cancel of the order last left
    busy: int = HOLD  # action that is on its way, or CANCEL
    base_e6: int = 0  # cash that the market had brought before this session
    fees_base_e6: int = 0
    is_valid: bool = False  # a whole book is known
    bid_e4: int | None = None
    ask_e4: int | None = None

    @property
    def working(self) -> Order | None:
        """The slot's order, while it may still fill."""
        return None if self.order is None or self.order.is_ended else self.order

    @property
    def awaits_fills(self) -> bool:
        """True where the order has ended and fills that a report counted are missing: the position is old."""
        return self.order is not None and self.order.is_ended and self.order.fills_missing_e2 > 0

    def let_go(self) -> None:
        """Forget an order that ended and of which every fill is here."""
        if self.order is not None and self.order.is_ended and not self.awaits_fills:
            self.order, self.action, self.cancelled_ns = None, HOLD, None

    def rates_e6(self, from_ns: int, until_ns: int) -> tuple[int, int]:
        """Highest fee rates (taker, maker) of any time from ``from_ns`` to ``until_ns``, 1e-6."""
        terms = [terms_at(self.fees, from_ns)]
        terms += [step.terms for step in self.fees if from_ns < step.from_ns <= until_ns]
        return max(map(taker_rate_e6, terms)), max(map(maker_rate_e6, terms))


def worth_e6(position_e2: int, value_e4: int) -> int:
    """Worth of a position at ``value_e4`` of one YES."""
    return int(position_value_e6(position_e2, 2 * value_e4))


def action_of(side: BookSide, before_e2: int) -> str:
    """Action that a fill of somebody else's order was, by the position before it."""
    if side is BookSide.BID:
        return "SELL_NO" if before_e2 < 0 else "BUY_YES"
    return "SELL_YES" if before_e2 > 0 else "BUY_NO"
