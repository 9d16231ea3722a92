"""The hub: everything the venue tells becomes frames of the connections that subscribed.

Owns       which subscriptions want which market, and the bodies (``msg``) of all data frames.
Cost       a body is written once and shared by all subscriptions; nobody listening costs no text.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_MS
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.stream import bodies
from kalshi_platform.trading.simserver.stream.connection import (
    FrameFaults,
    ServedConnection,
    ServedSubscription,
)
from kalshi_platform.trading.simserver.venue.market import PublicTrade, ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.orders import (
    AccountFill,
    AccountOrder,
    AccountPosition,
    OrderGroup,
)
from kalshi_platform.trading.simserver.venue.rows import OutsideCause

_SIDES: Final = ("yes", "no")


class FrameHub:
    """Connections of one server, as the venue's feed."""

    def __init__(self, clock: SimClock, faults: FrameFaults) -> None:
        self.connections: dict[int, ServedConnection] = {}
        self.user_id = ""
        self._clock, self._faults = clock, faults
        self._books: dict[str, list[tuple[ServedConnection, ServedSubscription]]] = defaultdict(list)
        self._others: dict[str, list[tuple[ServedConnection, ServedSubscription]]] = defaultdict(list)
        self._next = 1

    # Connections

    def connect(self) -> ServedConnection:
        """Begin a connection."""
        connection = ServedConnection(self._next, self._clock, self._faults)
        self._next += 1
        self.connections[connection.number] = connection
        return connection

    def disconnect(self, connection: ServedConnection) -> None:
        """Forget a connection and its subscriptions."""
        self.connections.pop(connection.number, None)
        self._faults.forget(connection.number)
        for sub in list(connection.subs.values()):
            self.end(connection, sub)

    def listen(self, connection: ServedConnection, sub: ServedSubscription, tickers: list[str]) -> None:
        """Send what happens in ``tickers`` to a subscription; only the book's channel asks by market."""
        if sub.channel == "orderbook_delta":
            for ticker in tickers:
                self._books[ticker].append((connection, sub))
        elif (connection, sub) not in self._others[sub.channel]:
            self._others[sub.channel].append((connection, sub))

    def unlisten(self, sub: ServedSubscription, tickers: list[str]) -> None:
        """Send a subscription of the book no more of ``tickers``."""
        for ticker in tickers:
            left = [pair for pair in self._books.get(ticker, ()) if pair[1] is not sub]
            if left:
                self._books[ticker] = left
            else:
                self._books.pop(ticker, None)

    def end(self, connection: ServedConnection, sub: ServedSubscription) -> None:
        """End a subscription."""
        connection.end(sub)
        if sub.channel == "orderbook_delta":
            self.unlisten(sub, sub.order)
        else:
            pairs = self._others[sub.channel]
            self._others[sub.channel] = [pair for pair in pairs if pair[1] is not sub]

    def _who(self, channel: str, ticker: str) -> Iterator[tuple[ServedConnection, ServedSubscription]]:
        for connection, sub in self._others.get(channel, ()):
            if sub.wants(ticker):
                yield connection, sub

    # What the venue tells

    def delta(
        self,
        market: ServedMarket,
        side: int,
        price_e4: int,
        change_e2: int,
        time_ns: int,
        cause: OutsideCause | None,
    ) -> None:
        """Tell a change of a book on the scale each subscription asked for."""
        pairs = self._books.get(market.ticker)
        if not pairs:
            return
        texts: list[str | None] = [None, None]
        for connection, sub in pairs:
            text = texts[sub.yes_price]
            if text is None:
                shown = price_e4 if side == 0 or sub.yes_price else DOLLAR_E4 - price_e4
                text = texts[sub.yes_price] = delta_body(market, side, shown, change_e2, time_ns, cause)
            connection.tell(sub, "orderbook_delta", text, market.ticker)

    def snapshot(
        self, connection: ServedConnection, sub: ServedSubscription, market: ServedMarket, command_id: int = 0
    ) -> None:
        """Send a subscription the whole book of a market."""
        body = snapshot_body(market, yes_price=sub.yes_price)
        connection.tell(sub, "orderbook_snapshot", body, market.ticker, command_id)

    def trade(self, market: ServedMarket, trade: PublicTrade) -> None:
        """Tell a print."""
        body = None
        for connection, sub in self._who("trade", market.ticker):
            body = body or json_text(bodies.ws_trade(market, trade), tight=True)
            connection.tell(sub, "trade", body, market.ticker)

    def ticker(self, market: ServedMarket) -> None:
        """Tell the top of a book."""
        body = None
        for connection, sub in self._who("ticker", market.ticker):
            body = body or self.ticker_body(market)
            connection.tell(sub, "ticker", body, market.ticker)

    def ticker_body(self, market: ServedMarket) -> str:
        """Text of a ticker's ``msg``."""
        return json_text(bodies.ws_ticker(market), tight=True)

    def lifecycle(self, market: ServedMarket, event_type: str, fields: dict[str, object]) -> None:
        """Tell what became of a market."""
        body = {"market_ticker": market.ticker, "event_type": event_type, **fields}
        channel = _lifecycle_of(market.event)
        self._to_all(channel, channel, body, market.ticker)

    def created(self, event: ServedEvent) -> None:
        """Tell a new event."""
        self._to_all(_lifecycle_of(event), "event_lifecycle", bodies.ws_event(event), event.ticker)

    def fees(self, event: ServedEvent) -> None:
        """Tell an override of an event's fees."""
        self._to_all("market_lifecycle_v2", "event_fee_update", bodies.ws_fees(event), event.ticker)

    def _to_all(self, channel: str, kind: str, body: dict[str, object], ticker: str) -> None:
        text = None
        for connection, sub in self._others.get(channel, ()):
            text = text or json_text(body, tight=True)
            connection.tell(sub, kind, text, ticker)

    # What concerns the account

    def order(self, order: AccountOrder) -> None:
        """Tell a change of an order of the account."""
        self._private("user_orders", "user_order", order.market, lambda: bodies.ws_order(order, self.user_id))

    def fill(self, fill: AccountFill) -> None:
        """Tell a fill of the account."""
        self._private("fill", "fill", fill.order.market, lambda: bodies.ws_fill(fill))

    def position(self, held: AccountPosition) -> None:
        """Tell a position of the account."""
        self._private(
            "market_positions",
            "market_position",
            held.market,
            lambda: bodies.ws_position(held, self.user_id),
        )

    def group(self, group: OrderGroup, event_type: str, time_ns: int) -> None:
        """Tell what became of an order group."""
        body = bodies.ws_group(group, event_type, time_ns)
        self._to_all("order_group_updates", "order_group_updates", body, group.group_id)

    def _private(
        self, channel: str, kind: str, market: ServedMarket, body: Callable[[], dict[str, object]]
    ) -> None:
        text = None
        for connection, sub in self._who(channel, market.ticker):
            text = text or json_text(body(), tight=True)
            connection.tell(sub, kind, text, market.ticker)


def _lifecycle_of(event: ServedEvent) -> str:
    """Channel of the lifecycle of an event: combos have one of their own."""
    return "multivariate_market_lifecycle" if event.markets[0].legs else "market_lifecycle_v2"


def delta_body(
    market: ServedMarket,
    side: int,
    shown_e4: int,
    change_e2: int,
    time_ns: int,
    cause: OutsideCause | None,
) -> str:
    """Text of a delta's ``msg``; ``shown_e4`` is on the scale of the subscription."""
    own = ""
    if cause is not None and cause.client_order_id:
        own = f',"client_order_id":{json_text(cause.client_order_id)},"subaccount":{cause.subaccount}'
    sign, size = ("-", -change_e2) if change_e2 < 0 else ("", change_e2)
    return (
        f'{{"market_ticker":"{market.ticker}","market_id":"{market.market_id}",'
        f'"price_dollars":"{wire.DOLLARS[shown_e4]}","delta_fp":"{sign}{size // 100}.{size % 100:02d}",'
        f'"side":"{_SIDES[side]}","ts":"{wire.rfc3339(time_ns)}","ts_ms":{time_ns // NS_PER_MS}{own}}}'
    )


def snapshot_body(market: ServedMarket, *, yes_price: bool) -> str:
    """Text of a snapshot's ``msg``; a side without orders is absent."""
    sides = []
    for name, side in (("yes", "bid"), ("no", "ask")):
        levels = market.levels(side)
        if levels:
            flips = side == "ask" and yes_price
            shown = [(DOLLAR_E4 - own if flips else own, qty) for own, qty in levels]
            text = ",".join(f'["{wire.DOLLARS[price]}","{wire.count(qty)}"]' for price, qty in shown)
            sides.append(f',"{name}_dollars_fp":[{text}]')
    return f'{{"market_ticker":"{market.ticker}","market_id":"{market.market_id}"{"".join(sides)}}}'
