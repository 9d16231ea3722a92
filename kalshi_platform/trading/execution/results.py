"""Results of the account as prices move: marks of positions, losses that end trading.

Mark    a YES position is worth the best bid, a NO position the best ask: what could be had for it. A side
        that is empty is worth nothing (0, or 1 dollar). Before any price was seen: the last fill's price.
Restart marks are in the journal: until a price is seen again, a position is worth what it was. At a fill's
        price a gain since then would count as lost, and a loss as made good.
Theirs  a position that a new journal finds, or that only the exchange's lists told, is worth its cost until
        its first price: a best price of the side at which it is valued, a fill of its market, or the market's
        payment. Its gain or loss until then is no result of today, and moves every result so far alike. While
        its side is empty it stays at its cost, however long: an empty side would say 0, and the next price
        would be a gain. A session's opening stays so, too (session/opening_positions.py), and takes prices of
        books alone. A fill makes it a position like any other.
Unknown an order that may be there counts as filled at its limit where that makes the result worse
        (unknown_loss.py). One that was never let out is not there.
"""

from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.last_prices import LastPrices
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.risk.limits import RiskLimits, usd_e6
from kalshi_platform.trading.execution.risk.losses import LossWatch, losing_streak
from kalshi_platform.trading.execution.unknown_loss import unknown_loss_e6

_ACCEPTED: Final = "losses_accepted_ns"
#: Values of the journal: the last prices of positions, markets lost in a row, and those before this journal.
MARKS: Final = "marks"
STREAK: Final = "losing_streak"
STREAK_BEFORE: Final = "losing_streak_before"


class Results:
    """Result of all markets, and the losses that limits look at."""

    def __init__(self, keeper: LedgerKeeper, losses: LossWatch, limits: RiskLimits) -> None:
        self._keeper, self.losses, self._limits = keeper, losses, limits
        self._pnl_e6: dict[str, int] = {}
        self.total_e6 = 0
        self._prices = LastPrices(keeper.journal)
        self._saved = _marks_of(keeper.journal)
        for ticker, mark_e4 in self._saved.items():
            market = keeper.ledger.markets.get(ticker)
            if market is not None and market.held_e2:
                market.mark_e4, market.is_at_cost = mark_e4, False
        self._at_cost: dict[str, int] = {}  # market with a position at its cost -> its fees until then
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
        self._prices.see(ticker, (bid_e4, ask_e4))
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
        self.ordered(wall_ns)

    def ordered(self, wall_ns: int) -> None:
        """Take in a change of an order: its outcome may be unknown now, or known."""
        self.losses.observe(self.total_e6, wall_ns, self._unknown_loss_e6())

    def compared(self, wall_ns: int) -> None:
        """Take in what a comparison booked: settlements, and positions that were taken over."""
        for ticker in self._keeper.ledger.markets:
            self._sum(ticker)
        self._count_streak()
        self.ordered(wall_ns)

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
        self._keep_prices()
        if self._keeper.journal.meta_ns(STREAK) != self.losses.streak:
            self._keeper.set_meta(STREAK, str(self.losses.streak))

    def sending(self, ticker: str, bid_e4: int | None, ask_e4: int | None) -> None:
        """Write the prices at which an order goes out: its outcome may be unknown after a restart."""
        self._prices.order_at(ticker, (bid_e4, ask_e4))
        self._keep_prices()

    def _keep_prices(self) -> None:
        """Write the prices of markets with an order that may be there."""
        live = self._keeper.ledger.live.values()
        self._prices.keep((each.intent.ticker for each in live if each.may_be_there), self._keeper)

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
        """Sum one market anew; what a position at its cost gains or loses until its first price is no result.

        The fees of the fill that is that price are one, and what a position cost beyond the price that was
        known as it came: an order of ours may have bought it whose fills no list has.
        """
        market = self._keeper.ledger.market(ticker)
        came = market.is_at_cost and ticker not in self._at_cost
        if came:
            self._at_cost[ticker] = market.fees_e6
            self._add(market)
        self._mark(market)
        change_e6 = self._add(market)
        if ticker in self._at_cost:
            before_e6 = change_e6 + market.fees_e6 - self._at_cost[ticker]
            self._move_results(max(before_e6, 0) if came else before_e6)
            if not market.is_at_cost:
                del self._at_cost[ticker]
                self._save_marks()  # in one transaction: a restart between the two would move them again

    def _mark(self, market: MarketPosition) -> None:
        """Set the mark of an open position by the best prices of its market, where they say one."""
        prices = self._prices.seen(market.ticker)
        if not market.held_e2:
            market.is_at_cost = False  # paid, or gone
        elif prices is not None:
            best_e4, worst_e4 = (prices[0], 0) if market.held_e2 > 0 else (prices[1], DOLLAR_E4)
            # Beside an empty side a position keeps its cost, and the price of the fill that ends that.
            if best_e4 or market.ticker not in self._at_cost:
                market.mark_e4, market.is_at_cost = best_e4 or worst_e4, False

    def _add(self, market: MarketPosition) -> int:
        """Add the change of a market's result to the account's; returns the change."""
        now_e6 = market.pnl_e6
        change_e6 = now_e6 - self._pnl_e6.get(market.ticker, 0)
        self.total_e6 += change_e6
        self._pnl_e6[market.ticker] = now_e6
        return change_e6

    def _move_results(self, change_e6: int) -> None:
        """Move every result so far alike."""
        if change_e6:
            self.losses.shift(change_e6)
            self._keeper.shift_results(change_e6)

    def _unknown_loss_e6(self) -> int:
        """Loss that orders may have brought whose outcome is not known; gains are not counted."""
        unknown: dict[str, list[Order]] = {}
        for order in self._keeper.ledger.live.values():
            if order.may_have_filled:
                unknown.setdefault(order.intent.ticker, []).append(order)
        return sum(
            unknown_loss_e6(self._keeper.ledger.market(ticker), orders, self._prices.known(ticker))
            for ticker, orders in unknown.items()
        )

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
