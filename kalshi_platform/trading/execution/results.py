"""Results of the account as prices move: marks of positions, losses that end trading.

Mark    a YES position is worth the best bid, a NO position the best ask: what could be had for it. A side
        that is empty is worth nothing (0, or 1 dollar). Before any price was seen: the last fill's price.
Restart marks are in the journal: until a price is seen again, a position is worth what it was. At a fill's
        price a gain since then would count as lost, and a loss as made good.
Unknown an order that may be there counts as filled at its limit where that makes the result worse.
"""

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.risk.limits import RiskLimits, usd_e6
from kalshi_platform.trading.execution.risk.losses import LossWatch, losing_streak

_ACCEPTED, _MARKS = "losses_accepted_ns", "marks"


class Results:
    """Result of all markets, and the losses that limits look at."""

    def __init__(self, keeper: LedgerKeeper, losses: LossWatch, limits: RiskLimits) -> None:
        self._keeper, self.losses, self._limits = keeper, losses, limits
        self._pnl_e6: dict[str, int] = {}
        self.total_e6 = 0
        self._prices: dict[str, tuple[int | None, int | None]] = {}
        self._saved = _marks_of(keeper.journal)
        for ticker, mark_e4 in self._saved.items():
            market = keeper.ledger.markets.get(ticker)
            if market is not None and market.held_e2:
                market.mark_e4 = mark_e4
        for ticker in keeper.ledger.markets:
            self._sum(ticker)
        self._count_streak()

    @property
    def fees_e6(self) -> int:
        """Fees of all fills."""
        return sum(market.fees_e6 for market in self._keeper.ledger.markets.values())

    def mark(self, ticker: str, bid_e4: int | None, ask_e4: int | None, wall_ns: int) -> None:
        """Take the best prices of a market."""
        self._prices[ticker] = (bid_e4, ask_e4)
        if ticker in self._keeper.ledger.markets:
            self.changed(ticker, wall_ns)

    def changed(self, ticker: str, wall_ns: int) -> None:
        """Take in a change of a market's price, position or settlement."""
        self._sum(ticker)
        self.losses.observe(self.total_e6 - self._unknown_loss_e6(), wall_ns)

    def settled(self, wall_ns: int) -> None:
        """Take in settlements."""
        for ticker, market in self._keeper.ledger.markets.items():
            if market.value_e4 is not None:
                self._sum(ticker)
        self._count_streak()
        self.losses.observe(self.total_e6 - self._unknown_loss_e6(), wall_ns)

    def accept(self, wall_ns: int) -> None:
        """Let losses begin anew at the present result."""
        self.losses.accept()
        self._keeper.accept_losses(wall_ns)
        self._keeper.set_meta(_ACCEPTED, str(wall_ns))
        self._count_streak()
        self.save()

    def save(self) -> None:
        """Bring the present minute and the marks of open positions to the journal."""
        self.losses.save()
        markets = self._keeper.ledger.markets.values()
        marks = {m.ticker: m.mark_e4 for m in markets if m.held_e2 and m.mark_e4 is not None}
        if marks != self._saved:
            self._saved = marks
            self._keeper.set_meta(_MARKS, json_text(marks, tight=True))

    def halts(self) -> str | None:
        """Why trading must halt; None where no limit of losses is passed."""
        limits, losses = self._limits, self.losses
        for name, value_e6, most in (
            ("day_loss_usd", losses.day_loss_e6, limits.day_loss_usd),
            ("drawdown_usd", losses.drawdown_e6, limits.drawdown_usd),
        ):
            if value_e6 > usd_e6(most):
                return f"{name}: {value_e6} lost, at most {usd_e6(most)} (1e-6 dollar)"
        return None

    def reduces(self) -> str | None:
        """Why only exits may go out; None where the streak of losses is within its limit."""
        if self.losses.streak >= self._limits.losing_streak:
            return f"losing_streak: {self.losses.streak} markets lost in a row"
        return None

    def _sum(self, ticker: str) -> None:
        """Sum one market anew."""
        market = self._keeper.ledger.market(ticker)
        prices = self._prices.get(ticker)
        if prices is not None and market.held_e2:
            bid_e4, ask_e4 = prices
            market.mark_e4 = (bid_e4 or 0) if market.held_e2 > 0 else (ask_e4 or DOLLAR_E4)
        now_e6 = market.pnl_e6
        self.total_e6 += now_e6 - self._pnl_e6.get(ticker, 0)
        self._pnl_e6[ticker] = now_e6

    def _unknown_loss_e6(self) -> int:
        """Loss that orders would bring that may be there, each filled at its limit; gains are not counted."""
        loss_e6 = 0
        for order in self._keeper.ledger.live.values():
            if order.may_be_there:
                intent = order.intent
                bid_e4, ask_e4 = self._prices.get(intent.ticker, (None, None))
                if intent.side is BookSide.BID:
                    off_e4 = intent.price_e4 - (bid_e4 or 0)
                else:
                    off_e4 = (ask_e4 or DOLLAR_E4) - intent.price_e4
                loss_e6 += max(off_e4, 0) * order.exposed_e2 + order.fee_bound_e6
        return loss_e6

    def _count_streak(self) -> None:
        """Count markets lost in a row since losses were last accepted."""
        since_ns = self._keeper.journal.meta_ns(_ACCEPTED) or 0
        markets = self._keeper.ledger.markets.values()
        paid = sorted((m.settled_ns, m.ticker, m.pnl_e6) for m in markets if m.settled_ns is not None)
        self.losses.streak = losing_streak(pnl_e6 for at_ns, _, pnl_e6 in paid if at_ns > since_ns)


def _marks_of(journal: OrderJournal) -> dict[str, int]:
    """Marks of open positions as the process before saw them; DataError where they cannot be read."""
    text = journal.meta(_MARKS) or "{}"
    try:
        marks = json_value(text)
    except ValueError:
        marks = None
    if not isinstance(marks, dict) or not all(
        type(mark_e4) is int and 0 <= mark_e4 <= DOLLAR_E4 for mark_e4 in marks.values()
    ):
        raise DataError(f"{journal.path}: {damaged(f'its marks are {text[:60]!r}')}")
    return marks
