"""Best prices of markets as this process saw them, and those that the process before left in the journal.

Kept     prices of markets with an order that may be there: after a restart such an order counts at them until
         a book comes, as a position counts at its mark. Without them it would count at the worst price.
Written  with the order, before it leaves, and with the marks about every second.
"""

from collections.abc import Iterable
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.unknown_loss import BestPrices

#: Value of the journal: best bid and ask of markets with an order that may be there.
PRICES: Final = "prices"


class LastPrices:
    """Best prices by market."""

    def __init__(self, journal: OrderJournal) -> None:
        """Begin with what the journal kept; DataError where that cannot be read."""
        self._seen: dict[str, BestPrices] = {}
        self._ordered_at: dict[str, BestPrices] = {}
        self._kept = _kept(journal)

    def see(self, ticker: str, prices: BestPrices) -> None:
        """Take the best prices of a market's book."""
        self._seen[ticker] = prices

    def order_at(self, ticker: str, prices: BestPrices) -> None:
        """Take the prices that whoever orders saw: they count until the book itself was seen."""
        self._ordered_at[ticker] = prices

    def seen(self, ticker: str) -> BestPrices | None:
        """Prices that this process saw last; None before the first."""
        return self._seen.get(ticker)

    def known(self, ticker: str) -> BestPrices | None:
        """Prices that were seen last, else those of an order, else the journal's; None without any."""
        return self._seen.get(ticker) or self._ordered_at.get(ticker) or self._kept.get(ticker)

    def keep(self, tickers: Iterable[str], keeper: LedgerKeeper) -> None:
        """Write the prices of these markets, and of no others."""
        kept = {t: known for t in sorted(set(tickers)) if (known := self.known(t)) is not None}
        if kept != self._kept:
            self._kept = kept
            keeper.set_meta(PRICES, json_text(kept, tight=True))


def _kept(journal: OrderJournal) -> dict[str, BestPrices]:
    """Prices that the process before left; DataError where they cannot be read."""
    text = journal.meta(PRICES) or "{}"
    try:
        return {ticker: _prices(each) for ticker, each in json_value(text).items()}
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{journal.path}: {damaged(f'its prices are {text[:60]!r}')}") from None


def _prices(each: object) -> BestPrices:
    """Best bid and ask of one market; ValueError where they are none."""
    if not isinstance(each, list) or len(each) != 2:
        raise ValueError(each)
    for price_e4 in each:
        if price_e4 is not None and not (type(price_e4) is int and 0 <= price_e4 <= DOLLAR_E4):
            raise ValueError(each)
    return each[0], each[1]
