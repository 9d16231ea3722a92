"""Orders, terms of trade and opening hours in plain Python, for the plain exchange (plain_exchange.py).

Units  prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, times ns, money as a Fraction of a dollar.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

HOLD, BUY_YES, SELL_YES, BUY_NO, SELL_NO = range(5)
NEW_YORK = ZoneInfo("America/New_York")


@cache
def _pause_at(second: int) -> bool:
    there = datetime.fromtimestamp(second, NEW_YORK)
    return there.weekday() == 3 and 3 <= there.hour < 5


def in_pause(at_ns: int) -> bool:
    """True in the weekly pause of the exchange, Thursday from 03:00 to 05:00 in New York."""
    return _pause_at(at_ns // 1_000_000_000)


def hashed(key: int, counter: int) -> int:
    """32 bits out of a key of 64 and a counter."""
    found = 0
    for word in (key % 2**32, (key >> 32) % 2**32, counter % 2**32):
        found ^= word
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
            found = (found ^ (found >> shift)) * factor % 2**32
    return found


def gaussian(key: int, counter: int) -> float:
    """Draw of the standard normal distribution."""
    one, other = (hashed(key, at) / 2**32 for at in (counter, counter + 1))
    return math.sqrt(-2 * math.log(one + 0.5 / 2**32)) * math.cos(2 * math.pi * other)


@dataclass(frozen=True)
class Style:
    """How the trader trades and what the exchange lets it do; the names are those of ``TradingConfig``."""

    maker: bool
    latency_ns: int
    ttl_ns: int
    interval_ns: int
    order_qty: int
    position_limit: int
    slippage: int
    improve_ticks: int
    unknown_fill: int
    fee_scale: Fraction
    unit: Fraction  # of the balance
    capital: Fraction
    hold_cancels: bool = False
    tapers: bool = False
    feed_ns: int = 0
    sigma: float = 0.0  # of the logarithm of both legs
    seed: int = 0

    def delay(self, episode: int, market: int, now: int) -> int:
        """Time from a decision until what it sends meets the book."""
        if not self.sigma:
            return self.latency_ns + self.feed_ns
        key = now ^ (hashed(self.seed, episode) << 30)
        legs = ((self.latency_ns, 4 * market), (self.feed_ns, 4 * market + 2))
        total = sum(median * math.exp(self.sigma * gaussian(key, at)) for median, at in legs)
        return 1_000 * math.floor(total / 1_000 + 0.5)


@dataclass(frozen=True)
class Terms:
    """What was known of the market between two tellings."""

    taker_rate: Fraction
    maker_rate: Fraction
    grid: tuple[int, ...]  # every price strictly between 0 and 10_000
    close_ns: int | None  # None: unknown


@dataclass(frozen=True)
class Facts:
    """What is true of the market: its terms one after the other, how much of it is known, its outcome."""

    terms: tuple[Terms, ...]
    end_ns: int | None = None  # the exchange takes no order from then on; None: never
    prints_only: bool = False
    best_only: bool = False  # of each side only the best price is known
    outcome: Fraction | None = None  # dollars a YES pays; None: unknown


@dataclass
class Order:
    """An order on its way (``arrives``) or at the exchange (``expires``)."""

    action: int
    limit: int
    size: int
    reserve: Fraction
    arrives: int = 0
    expires: int = 0
    ahead: int | None = None  # None: nobody knows
    placed: int = 0  # its size when it came to rest
    placed_ahead: int | None = None  # what stood ahead of it then
    passed: int = 0  # what of it was printed since then
    cuts: int = 0  # what left the queue without a print
    cuts_until: int = 0  # a print may still turn out to be the cause of them
    rounding: Fraction = Fraction(0)  # of fees, kept by the exchange for this order

    @property
    def up(self) -> bool:
        return self.action in (BUY_YES, SELL_NO)

    def price_of(self, yes_price: int) -> Fraction:
        """Dollars of one contract of the outcome it trades."""
        return Fraction(yes_price if self.action in (BUY_YES, SELL_YES) else 10_000 - yes_price, 10_000)

    def reaches(self, price: int) -> bool:
        """True for an opposite price that this order meets."""
        return price <= self.limit if self.up else price >= self.limit


@dataclass
class Fill:
    """One fill; ``why`` is taken, print, reached or closed."""

    at: int  # number of the view
    up: bool
    price: int
    size: int
    why: str
