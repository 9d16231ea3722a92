"""Fills of a session at an exchange, as rows of its ledger and notes of its recording."""

from collections.abc import Callable, Mapping

from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.at_exchange.traded_market import TradedMarket, action_of
from kalshi_platform.trading.session.ledger import LedgerRow


class FillLedger:
    """Every fill of the account since the session began."""

    def __init__(
        self, markets: Mapping[str, MarketPosition], note: Callable[[str, dict[str, object]], None]
    ) -> None:
        """Begin without fills; ``markets``: the executor's, as they are."""
        self._markets, self._note = markets, note
        self._flows = {ticker: market.flow_e6 for ticker, market in markets.items()}
        self.rows: list[LedgerRow] = []
        self.fees_e6 = 0

    def take(self, order: Order | None, fill: FillReport, held: TradedMarket | None, action: str) -> None:
        """Write a fill that the executor booked; ``action`` empty: of an order that was not sent here.

        ``held``: the market's slot, None where it has none.
        """
        market = self._markets[fill.ticker]
        cash_e6 = market.flow_e6 - self._flows.get(fill.ticker, 0)
        self._flows[fill.ticker] = market.flow_e6
        before_e2 = market.position_e2 - (fill.qty_e2 if fill.side is BookSide.BID else -fill.qty_e2)
        action = action or action_of(fill.side, before_e2)
        client_id = "" if order is None else order.client_order_id
        self._note(notes.SESSION_FILL, {
            "client_id": client_id, "ticker": fill.ticker, "side": fill.side.value, "action": action,
            "price_e4": fill.price_e4, "qty_e2": fill.qty_e2, "fee_e6": fill.fee_e6, "cash_e6": cash_e6,
            "is_taker": fill.is_taker, "at_ns": fill.exch_ns,
        })  # fmt: skip
        self.fees_e6 += fill.fee_e6
        self.rows.append(
            LedgerRow(
                at_ns=fill.exch_ns, ticker=fill.ticker, event="" if held is None else held.event,
                order=client_id, kind="taker" if fill.is_taker else "maker", action=action,
                qty_e2=fill.qty_e2, yes_price_e4=float(fill.price_e4), cash_e6=cash_e6,
                fee_e6=fill.fee_e6, position_e2=market.position_e2,
            )
        )  # fmt: skip
