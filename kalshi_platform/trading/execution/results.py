"""Results of the account as prices move: marks of positions, losses that end trading.

Mark    a YES position is worth the best bid, a NO position the best ask: what could be had for it. A side
        that is empty is worth nothing (0, or 1 dollar). Before any price was seen: the last fill's price.
Restart marks are in the journal: until a price is seen again, a position is worth what it was. At a fill's
        price a gain since then would count as lost, and a loss as made good.
Opening a position that a new journal takes over is worth its cost until its first price: what it had gained
        or lost before is no result of today, and moves every result so far alike.
Unknown an order that may be there counts as filled at its limit where that makes the result worse.
"""

from typing import Final, NamedTuple

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.risk.limits import RiskLimits, usd_e6
from kalshi_platform.trading.execution.risk.losses import LossWatch, losing_streak

_ACCEPTED: Final = "losses_accepted_ns"
#: Values of the journal: the last prices of positions, markets lost in a row, and those before this journal.
MARKS: Final = "marks"
STREAK: Final = "losing_streak"
STREAK_BEFORE: Final = "losing_streak_before"


class _AtCost(NamedTuple):
    """Position of a new journal's opening of which no price was seen yet."""

    position_e2: int
    mark_e4: int  # what one YES of it cost


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
        self._at_cost = {
            ticker: _AtCost(market.held_e2, market.mark_e4)
            for ticker, market in keeper.ledger.markets.items()
            if market.held_e2 and market.mark_e4 is not None
            and not market.filled_e2 and ticker not in self._saved
        }  # fmt: skip
        for ticker in keeper.ledger.markets:
            self._sum(ticker)
        if keeper.journal.is_new:  # the results that it took over (taking_over.py) end where it begins
            self._move_results(self.total_e6)
        self._count_streak()

    @property
    def fees_e6(self) -> int:
        """Fees of all fills."""
        return sum(market.fees_e6 for market in self._keeper.ledger.markets.values())

    def mark(self, ticker: str, bid_e4: int | None, ask_e4: int | None, wall_ns: int) -> None:
        """Take the best prices of a market."""
        self._prices[ticker] = (bid_e4, ask_e4)
        if ticker in self._keeper.ledger.markets:
            self._observe(ticker, wall_ns)

    def filled(self, ticker: str, wall_ns: int) -> None:
        """Take in a fill of a market."""
        self._observe(ticker, wall_ns)
        if not self._keeper.ledger.position_e2(ticker):
            self._count_streak()

    def _observe(self, ticker: str, wall_ns: int) -> None:
        """Take in a change of a market's price or position."""
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
        self._keeper.set_meta(STREAK_BEFORE, "0")
        self._count_streak()
        self.save()

    def save(self) -> None:
        """Bring the present minute and the marks of open positions to the journal."""
        self.losses.save()
        self._save_marks()
        if self._keeper.journal.meta_ns(STREAK) != self.losses.streak:
            self._keeper.set_meta(STREAK, str(self.losses.streak))

    def _save_marks(self) -> None:
        """Write the marks of open positions, of which a price was seen."""
        markets = self._keeper.ledger.markets.values()
        seen = (m for m in markets if m.held_e2 and m.ticker not in self._at_cost)
        marks = {m.ticker: m.mark_e4 for m in seen if m.mark_e4 is not None}
        if marks != self._saved:
            self._saved = marks
            self._keeper.set_meta(MARKS, json_text(marks, tight=True))

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
            best_e4, worst_e4 = (prices[0], 0) if market.held_e2 > 0 else (prices[1], DOLLAR_E4)
            if prices != (None, None) or ticker not in self._at_cost:
                market.mark_e4 = best_e4 or worst_e4
                self._see(ticker, market.mark_e4)
        elif ticker in self._at_cost and market.value_e4 is not None:
            self._see(ticker, market.value_e4)  # it was paid before any price was seen
        elif ticker in self._at_cost and market.filled_e2 and market.mark_e4 is not None:
            self._see(ticker, market.mark_e4)  # a fill's price came first
        now_e6 = market.pnl_e6
        self.total_e6 += now_e6 - self._pnl_e6.get(ticker, 0)
        self._pnl_e6[ticker] = now_e6

    def _see(self, ticker: str, price_e4: int) -> None:
        """Move all results by what a position that was taken over had gained before its first price."""
        opened = self._at_cost.pop(ticker, None)
        if opened is not None:
            self._move_results(opened.position_e2 * (price_e4 - opened.mark_e4))
            self._save_marks()  # in one transaction: a restart between the two would move them again

    def _move_results(self, change_e6: int) -> None:
        """Move every result so far alike."""
        self.losses.shift(change_e6)
        self._keeper.shift_results(change_e6)

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
        """Count markets lost in a row since losses were last accepted: sold, or paid while held."""
        since_ns = self._keeper.journal.meta_ns(_ACCEPTED) or 0
        ended = sorted(
            (at_ns, m.ticker, pnl_e6)
            for m in self._keeper.ledger.markets.values()
            for at_ns, pnl_e6 in [_last_end(m)]
            if at_ns is not None
        )
        before = self._keeper.journal.meta_ns(STREAK_BEFORE) or 0
        self.losses.streak = losing_streak((pnl for at_ns, _, pnl in ended if at_ns > since_ns), before)


def _last_end(market: MarketPosition) -> tuple[int | None, int]:
    """(time, result) of the last end of a market's position: paid while held, or sold; no time before any."""
    if market.value_e4 is not None and market.position_e2:
        return market.settled_ns, market.pnl_e6
    return market.closed_ns, market.closed_pnl_e6


def _marks_of(journal: OrderJournal) -> dict[str, int]:
    """Marks of open positions as the process before saw them; DataError where they cannot be read."""
    text = journal.meta(MARKS) or "{}"
    try:
        marks = json_value(text)
    except ValueError:
        marks = None
    if not isinstance(marks, dict) or not all(
        type(mark_e4) is int and 0 <= mark_e4 <= DOLLAR_E4 for mark_e4 in marks.values()
    ):
        raise DataError(f"{journal.path}: {damaged(f'its marks are {text[:60]!r}')}")
    return marks
