"""Records of served events and markets: how they stand now, their trades and their minutes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kalshi_platform.domain.market import WHOLE_CENTS, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND
from kalshi_platform.simulation.simexchange.world.live import LiveEvent

MINUTE_NS: Final = 60 * NS_PER_SECOND


class PublicTrade(NamedTuple):
    """One print."""

    trade_id: str
    time_ns: int
    price_e4: int  # YES scale
    qty_e2: int
    takes_yes: bool


@dataclass(slots=True)
class PriceRange:
    """Open, high, low and close of a price within a minute, 1e-4 dollar."""

    open: int
    high: int
    low: int
    close: int

    def add(self, price_e4: int) -> None:
        """Take in a later price."""
        self.high, self.low, self.close = max(self.high, price_e4), min(self.low, price_e4), price_e4


@dataclass(slots=True)
class MarketMinute:
    """One minute of one market; ``trades`` is None where nothing was traded."""

    end_s: int
    bid: PriceRange
    ask: PriceRange
    trades: PriceRange | None = None
    notional_e6: int = 0
    volume_e2: int = 0
    open_interest_e2: int = 0


class ComboLeg(NamedTuple):
    """One leg of a combo: a market, and the side on which it must end."""

    market: "ServedMarket"
    is_yes: bool


@dataclass(slots=True)
class ServedMarket:
    """One served market; prices on the YES scale, -1 where a side of the book is empty."""

    ticker: str
    market_id: str
    event: "ServedEvent"
    number: int  # within the event's exchange
    open_ns: int
    close_ns: int
    expected_ns: int
    status: str = "initialized"
    structure: str = "linear_cent"
    bands: tuple[PriceBand, ...] = WHOLE_CENTS
    bid_e4: int = -1
    ask_e4: int = -1
    bid_e2: int = 0
    ask_e2: int = 0
    last_e4: int = 0
    last_e2: int = 0
    volume_e2: int = 0
    notional_e6: int = 0
    value_e4: int | None = None
    settled_ns: int | None = None
    determined_ns: int | None = None
    updated_ns: int = 0
    trades: list[PublicTrade] = field(default_factory=list)
    minutes: list[MarketMinute] = field(default_factory=list)
    told: tuple[int, ...] = ()  # top of the book and volume of the last ticker frame
    legs: tuple[ComboLeg, ...] = ()  # of a combo (combos.py)

    @property
    def result(self) -> str:
        """Result as the exchange words it; empty while it is open."""
        if self.value_e4 is None:
            return ""
        return {DOLLAR_E4: "yes", 0: "no"}.get(self.value_e4, "scalar")

    @property
    def open_interest_e2(self) -> int:
        """Contracts that exist; 0 once they are paid."""
        live = self.event.live
        return 0 if live is None else int(live.exchange.core.markets["open_interest_e2"][self.number])

    def top(self) -> tuple[int, int, int, int]:
        """Best bid and its size, best ask and its size, as the book stands; -1 and 0 for an empty side."""
        live = self.event.live
        if live is None or self.status == "initialized":
            return -1, 0, -1, 0
        core, m = live.exchange.core, self.number
        bid, other = core.best[m].tolist()
        bid_e2 = int(core.depth[m, 0, bid]) if bid >= 0 else 0
        ask_e2 = int(core.depth[m, 1, other]) if other >= 0 else 0
        return bid, bid_e2, DOLLAR_E4 - other if other >= 0 else -1, ask_e2

    def levels(self, side: str) -> list[tuple[int, int]]:
        """Price levels of "bid" or "ask", the worst first: own price of the outcome bought, size."""
        live = self.event.live
        if live is None or self.status == "initialized":
            return []
        found = live.exchange.levels(self.number, side)[::-1].tolist()
        return [(price if side == "bid" else DOLLAR_E4 - price, qty) for price, qty in found]

    def minute(self, now_ns: int) -> MarketMinute:
        """Return the minute of ``now_ns``, begun with the prices as they stand where it is new."""
        end_s = (now_ns // MINUTE_NS + 1) * 60
        if not self.minutes or self.minutes[-1].end_s < end_s:  # an expiry is told late, and opens no old one
            bid, ask = max(self.bid_e4, 0), self.ask_e4 if self.ask_e4 >= 0 else DOLLAR_E4
            self.minutes.append(
                MarketMinute(end_s, PriceRange(bid, bid, bid, bid), PriceRange(ask, ask, ask, ask))
            )
        return self.minutes[-1]

    def volume_since_e2(self, since_ns: int) -> int:
        """Contracts traded in the minutes that end after ``since_ns``."""
        volume, since_s = 0, since_ns // NS_PER_SECOND
        for minute in reversed(self.minutes):
            if minute.end_s <= since_s:
                break
            volume += minute.volume_e2
        return volume

    def take_trade(self, trade: PublicTrade) -> None:
        """Count a print."""
        minute = self.minute(trade.time_ns)
        if minute.trades is None:
            minute.trades = PriceRange(*([trade.price_e4] * 4))
        minute.trades.add(trade.price_e4)
        minute.volume_e2 += trade.qty_e2
        minute.notional_e6 += trade.qty_e2 * trade.price_e4
        self.trades.append(trade)
        self.last_e4, self.last_e2 = trade.price_e4, trade.qty_e2
        self.volume_e2 += trade.qty_e2
        self.notional_e6 += trade.qty_e2 * trade.price_e4

    def take_top(self, now_ns: int) -> None:
        """Note the top of the book as it stands."""
        self.bid_e4, self.bid_e2, self.ask_e4, self.ask_e2 = self.top()
        minute = self.minute(now_ns)
        minute.bid.add(max(self.bid_e4, 0))
        minute.ask.add(self.ask_e4 if self.ask_e4 >= 0 else DOLLAR_E4)
        minute.open_interest_e2 = self.open_interest_e2
        self.updated_ns = now_ns


@dataclass(slots=True)
class ServedEvent:
    """One served event."""

    index: int
    ticker: str
    series: str
    category: str
    title: str
    exchange_index: int
    mutually_exclusive: bool
    open_ns: int
    live: LiveEvent | None  # None once it is settled
    markets: list[ServedMarket] = field(default_factory=list)
    due_ns: int = 0  # somebody acts next, ns since 1970
    created_ns: int = 0
    settle_s: int = 0  # settlement timer
    fee_type: str | None = None  # override of the series
    fee_multiplier_e6: int | None = None
    fees_since_ns: int = 0

    @property
    def trades_now(self) -> bool:
        """True from the opening to the close."""
        return self.live is not None and self.markets[0].status in ("active", "inactive")


def all_markets(events: dict[str, ServedEvent]) -> Iterator[ServedMarket]:
    """Markets of all events, event by event."""
    for event in events.values():
        yield from event.markets
