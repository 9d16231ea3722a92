"""A market as the caller knows it at the moment of an order; limits look at nothing else of it."""

from dataclasses import dataclass

from kalshi_platform.trading.exchange.fields import MOST_SHARD
from kalshi_platform.trading.execution.orders.intents import whole


@dataclass(frozen=True, slots=True)
class MarketAtOrder:
    """One market as the session sees it now.

    bid_e4, ask_e4: best prices on the YES scale, None where the side is empty; is_valid: False from a gap to
    the next whole book; book_ns: when the newest message of any market was received; model_ns: when the model
    that decided was last known to be well (its last decision, load or check); all ns since 1970 by this
    machine's clock.
    taker_rate_e6, maker_rate_e6: fee rates with their multiplier (domain/fees.py), the highest that are known
    for as long as the order may rest.
    """

    ticker: str
    event: str
    category: str
    exchange_index: int
    bid_e4: int | None
    ask_e4: int | None
    is_valid: bool
    book_ns: int
    model_ns: int
    taker_rate_e6: int
    maker_rate_e6: int
    is_open: bool = True

    def __post_init__(self) -> None:
        whole("exchange_index", self.exchange_index, 0, MOST_SHARD)
        whole("book_ns", self.book_ns, 0, 2**63 - 1)
        whole("model_ns", self.model_ns, 0, 2**63 - 1)
        whole("taker_rate_e6", self.taker_rate_e6, 0, 1_000_000)
        whole("maker_rate_e6", self.maker_rate_e6, 0, 1_000_000)
        for name, value in (("bid_e4", self.bid_e4), ("ask_e4", self.ask_e4)):
            if value is not None:
                whole(name, value, 1, 9_999)
