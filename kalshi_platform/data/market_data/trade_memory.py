"""Trades remembered by ``trade_id``, so that a repeated one is known; repeats come with a reconnection."""

from collections import deque
from typing import Final

from kalshi_platform.domain.errors import DataError

#: Trades remembered; a repeat comes soon or never.
TRADES_REMEMBERED: Final = 100_000
_TRADE_ID_CHARS: Final = 64


class TradeMemory:
    """The last trades of one recording."""

    def __init__(self, limit: int = TRADES_REMEMBERED) -> None:
        """Begin without trades; the oldest one beyond ``limit`` is forgotten."""
        self._limit = limit
        self._ids: set[tuple[str, str]] = set()
        self._order: deque[tuple[str, str]] = deque()

    def knows(self, market: str, trade_id: str) -> bool:
        """True for a trade of ``market`` seen before; any other is remembered.

        DataError for an id that is too long.
        """
        trade = (market, trade_id)
        if trade in self._ids:
            return True
        if len(trade_id) > _TRADE_ID_CHARS:
            raise DataError(f"trade_id of {len(trade_id)} characters; expected at most {_TRADE_ID_CHARS}")
        self._ids.add(trade)
        self._order.append(trade)
        if len(self._order) > self._limit:
            self._ids.discard(self._order.popleft())
        return False
