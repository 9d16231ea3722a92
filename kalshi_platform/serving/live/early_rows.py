"""Rows of markets that no answer of REST has named yet: a session shows them once it knows what they are.

Not here   what is done with them then (``books.py``).
"""

from typing import Final, NamedTuple

from kalshi_platform.data.market_data.facts import Told
from kalshi_platform.data.market_data.schema import MarketRows

#: Markets whose rows are kept; a lifecycle channel tells of every market of the exchange.
MAX_EARLY: Final = 10_000


class FrameRows(NamedTuple):
    """Rows that one frame told of a market, and the facts among them."""

    rows: MarketRows
    told: list[Told]
    line: int


class EarlyRows:
    """Rows that wait, by market, in order of arrival."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._rows: dict[str, list[FrameRows]] = {}
        self.forgotten = 0  # markets whose rows were given up

    def keep(self, ticker: str, rows: FrameRows) -> None:
        """Keep the rows of a market; where there are too many markets, those of the oldest are given up."""
        self._rows.setdefault(ticker, []).append(rows)
        if len(self._rows) > MAX_EARLY:
            del self._rows[next(iter(self._rows))]
            self.forgotten += 1

    def take(self, ticker: str) -> list[FrameRows]:
        """Take out the rows of a market."""
        return self._rows.pop(ticker, [])
