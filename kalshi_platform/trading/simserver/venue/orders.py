"""Records of the account from outside: orders, fills, settlements, order groups, positions."""

from dataclasses import dataclass, field
from typing import NamedTuple

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.simserver.venue.market import ServedMarket


@dataclass(slots=True)
class AccountOrder:
    """One order as the exchange keeps it, also after its end."""

    order_id: str
    tag: int  # number of the order on this server; the core's ``client``
    client_order_id: str
    subaccount: int
    market: ServedMarket
    side: str  # bid or ask
    price_e4: int  # YES scale
    initial_e2: int
    left_e2: int
    stp: str
    created_ns: int
    core_id: int = -1
    status: str = "resting"
    filled_e2: int = 0
    taker_cost_e6: int = 0
    maker_cost_e6: int = 0
    taker_fees_e6: int = 0
    maker_fees_e6: int = 0
    expiry_ns: int | None = None
    group_id: str | None = None
    cancel_on_pause: bool = False
    updated_ns: int = 0
    update_reason: str = ""

    @property
    def own_e4(self) -> int:
        """Price paid for one contract of the outcome that the order buys."""
        return self.price_e4 if self.side == "bid" else DOLLAR_E4 - self.price_e4


class AccountFill(NamedTuple):
    """One fill of the account."""

    fill_id: str
    number: int
    order: AccountOrder
    is_taker: bool
    price_e4: int  # YES scale
    qty_e2: int
    fee_e6: int
    position_e2: int  # afterwards
    time_ns: int


class AccountSettlement(NamedTuple):
    """A position that was paid."""

    number: int
    market: ServedMarket
    subaccount: int
    position_e2: int
    cost_e6: int
    fees_e6: int
    revenue_e6: int
    value_e4: int
    time_ns: int


@dataclass(slots=True)
class AccountPosition:
    """A subaccount's stand in one market; + YES, - NO."""

    market: ServedMarket
    subaccount: int
    position_e2: int = 0
    cost_e6: int = 0  # paid for what is held
    realized_e6: int = 0
    fees_e6: int = 0
    volume_e2: int = 0
    traded_e6: int = 0  # paid for all that was bought, either outcome
    is_settled: bool = False
    updated_ns: int = 0

    def take(self, side: str, price_e4: int, qty_e2: int, fee_e6: int, now_ns: int) -> None:
        """Book one fill: what closes is taken out at its average cost."""
        signed = qty_e2 if side == "bid" else -qty_e2
        held = self.position_e2
        closing = min(abs(held), qty_e2) if held * signed < 0 else 0
        if closing:
            paid = self.cost_e6 * closing // abs(held)
            received = closing * (price_e4 if held > 0 else DOLLAR_E4 - price_e4)
            self.realized_e6 += received - paid
            self.cost_e6 -= paid
        opening = qty_e2 - closing
        self.cost_e6 += opening * (price_e4 if signed > 0 else DOLLAR_E4 - price_e4)
        self.position_e2 += signed
        self.fees_e6 += fee_e6
        self.traded_e6 += qty_e2 * (price_e4 if signed > 0 else DOLLAR_E4 - price_e4)
        self.volume_e2 += qty_e2
        self.updated_ns = now_ns


@dataclass(slots=True)
class OrderGroup:
    """One order group; the exchange counts its matches of the last 15 s over all events."""

    group_id: str
    tag: int
    limit_e2: int
    exchange_index: int
    subaccount: int = 0
    is_triggered: bool = False
    matches: list[tuple[int, int, str]] = field(default_factory=list)  # (ns since 1970, size, event)
    core_ids: dict[str, int] = field(default_factory=dict)  # event -> number in its core
