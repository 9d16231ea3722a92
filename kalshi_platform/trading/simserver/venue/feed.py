"""Receiver of everything the venue tells: the hub of connections in a server, a list in a test."""

from typing import TYPE_CHECKING, Protocol

from kalshi_platform.trading.simserver.venue.market import PublicTrade, ServedEvent, ServedMarket

if TYPE_CHECKING:
    from kalshi_platform.trading.simserver.venue.orders import (
        AccountFill,
        AccountOrder,
        AccountPosition,
        OrderGroup,
    )
    from kalshi_platform.trading.simserver.venue.rows import OutsideCause


class VenueFeed(Protocol):
    """Things told, in the order in which they happened."""

    def delta(
        self,
        market: ServedMarket,
        side: int,
        price_e4: int,
        change_e2: int,
        time_ns: int,
        cause: "OutsideCause | None",
    ) -> None:
        """Tell that a price level (YES scale) changed; ``cause`` names the outside order behind it."""

    def trade(self, market: ServedMarket, trade: PublicTrade) -> None:
        """Tell a print."""

    def ticker(self, market: ServedMarket) -> None:
        """Tell that the top of the book or the volume changed."""

    def lifecycle(self, market: ServedMarket, event_type: str, fields: dict[str, object]) -> None:
        """Tell what became of a market."""

    def created(self, event: ServedEvent) -> None:
        """Tell that an event was created, after its markets."""

    def fees(self, event: ServedEvent) -> None:
        """Tell that the fees of an event are overridden, or no longer."""

    def order(self, order: "AccountOrder") -> None:
        """Tell that an order of the account changed."""

    def fill(self, fill: "AccountFill") -> None:
        """Tell a fill of the account."""

    def position(self, held: "AccountPosition") -> None:
        """Tell that a position of the account changed."""

    def group(self, group: "OrderGroup", event_type: str, time_ns: int) -> None:
        """Tell what became of an order group."""
