"""Places of markets in live groups, whoever follows what happens there, and frames that come too late."""

from typing import NamedTuple, Protocol

from kalshi_platform.data.features.rows import Rows
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_schedule import FeeStep
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts


class LateError(DataError):
    """A frame is earlier than the one above it, ``late_ns`` before the session's clock."""

    def __init__(self, text: str, late_ns: int) -> None:
        super().__init__(text)
        self.late_ns = late_ns


class LivePlace(NamedTuple):
    """Group and slot in which a market stands."""

    group: int
    slot: int


class BookWatcher(Protocol):
    """Somebody who follows what happens in the slots, such as an account that trades in them."""

    def placed(self, place: LivePlace, ticker: str) -> None:
        """Take note that ``ticker`` has ``place`` from now on; no row of it came yet."""

    def described(
        self, place: LivePlace, spec: MarketSpec, known: KnownFacts, fees: tuple[FeeStep, ...], at_ns: int
    ) -> None:
        """Take the facts and fees of the market at ``place``, as they are known at ``at_ns``."""

    def row(self, place: LivePlace, row: Rows, exch_ns: int) -> None:
        """Take the row (length 1) after a message; the next one overwrites it. ``exch_ns``: NO_TIME where
        unknown."""
