"""Columns over the markets of a bank, for code that looks at every market.

Use        ``numbered(bank.markets, "event")``, ``volatility_of`` and ``closes_ns_of``: where the markets are
           those of a dataset (``stored_infos.py``), they read columns. ``bank.markets[m]`` parses one market.
Works      for a plain tuple of :class:`MarketInfo` too, which they walk through.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from kalshi_platform.domain.market import Provenance

if TYPE_CHECKING:
    from kalshi_platform.simulation.replay.bank import MarketInfo

Trait = Literal["event", "block", "category", "provenance"]
#: Name of the category of a market of which the exchange told none.
NO_CATEGORY: Final = "unknown"


class Numbered(NamedTuple):
    """Names of a trait in order of first appearance, and each market's place among them, (M,) i8."""

    names: tuple[str, ...]
    place: np.ndarray


class InfoColumns(Sequence["MarketInfo"]):
    """Markets that know their columns without making a :class:`MarketInfo` of each."""

    @abstractmethod
    def numbered(self, trait: Trait) -> Numbered:
        """Names of ``trait`` and the place of every market among them."""

    @property
    @abstractmethod
    def volatility(self) -> np.ndarray:
        """Time-weighted standard deviation (M,) f8 of the mid, dollars."""

    @property
    @abstractmethod
    def closes_ns(self) -> list[int | None]:
        """Close (M,) that each specification tells."""

    @property
    @abstractmethod
    def is_exclusive(self) -> np.ndarray:
        """True (M,) where at most one market of the event can settle at one dollar."""

    @property
    @abstractmethod
    def tickers(self) -> list[str]:
        """Tickers (M,)."""


def numbered(markets: Sequence["MarketInfo"], trait: Trait) -> Numbered:
    """Names of ``trait`` among ``markets`` in order of first appearance, and each market's place in them."""
    if isinstance(markets, InfoColumns):
        return markets.numbered(trait)
    if trait == "category":
        return numbered_names([market.category or NO_CATEGORY for market in markets])
    return numbered_names([getattr(market, trait) for market in markets])


def volatility_of(markets: Sequence["MarketInfo"]) -> np.ndarray:
    """Time-weighted standard deviation (M,) f8 of the mid of every market, dollars."""
    if isinstance(markets, InfoColumns):
        return markets.volatility
    return np.array([market.volatility for market in markets], np.float64)


def closes_ns_of(markets: Sequence["MarketInfo"]) -> list[int | None]:
    """Close (M,) that each market's specification tells, ns; None where it tells none."""
    if isinstance(markets, InfoColumns):
        return markets.closes_ns
    return [market.specification.close_ns for market in markets]


def exclusive_of(markets: Sequence["MarketInfo"]) -> np.ndarray:
    """True (M,) where the specification says that at most one market of the event settles at one dollar."""
    if isinstance(markets, InfoColumns):
        return markets.is_exclusive
    return np.array([bool(market.specification.mutually_exclusive) for market in markets], bool)


def tickers_of(markets: Sequence["MarketInfo"]) -> list[str]:
    """Tickers (M,)."""
    return markets.tickers if isinstance(markets, InfoColumns) else [market.ticker for market in markets]


def origins(markets: Sequence["MarketInfo"]) -> Iterator[tuple[Provenance, str, str]]:
    """(provenance, event, block) of every market, as ``count_data`` takes them."""
    columns = [numbered(markets, trait) for trait in ("provenance", "event", "block")]
    texts = [[names[at] for at in place.tolist()] for names, place in columns]
    yield from zip(*texts, strict=True)


def numbered_names(names: Sequence[str]) -> Numbered:
    """Each name once, in order of first appearance, and the place of every one of ``names``."""
    number: dict[str, int] = {}
    place = np.array([number.setdefault(name, len(number)) for name in names], np.int64)
    return Numbered(tuple(number), place)
