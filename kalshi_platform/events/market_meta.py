"""Facts about markets from the exchange's metadata: specification, and, kept apart, settlement."""

from dataclasses import dataclass

from kalshi_platform.domain.market import MarketSpec, Settlement


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """What one metadata source says of one market."""

    spec: MarketSpec
    settlement: Settlement | None
    grid_declared: bool  # False: the source does not say on which grid the market trades
