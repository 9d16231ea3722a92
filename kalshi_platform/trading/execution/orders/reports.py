"""Reports of the exchange about own orders and fills, from the stream and from REST, in one form.

Units   ``_e4`` 1e-4 dollar (YES scale), ``_e2`` 1e-2 contract, ``_e6`` 1e-6 dollar, ``_ns`` ns since 1970.
Order   of arrival means nothing: a fill may come before the acknowledgement of its order, a report twice, a
        report of an earlier state after one of a later state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.exchange.account_answers import FillAnswer, OrderAnswer
from kalshi_platform.trading.exchange.fields import AnswerFields
from kalshi_platform.trading.exchange.new_orders import BookSide


class ReportedStatus(StrEnum):
    """Status of an order in the exchange's words."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"


@dataclass(frozen=True, slots=True)
class OrderReport:
    """Stand of one own order as the exchange tells it."""

    order_id: str
    client_order_id: str | None
    ticker: str
    side: BookSide
    price_e4: int
    status: ReportedStatus
    initial_e2: int
    filled_e2: int
    remaining_e2: int
    exchange_index: int | None = None
    exch_ns: int | None = None
    reason: str = ""  # last_update_reason, such as ExpiryCancel; empty where none was told


@dataclass(frozen=True, slots=True)
class FillReport:
    """One fill of an own order; ``key`` names it once, whichever way and however often it comes."""

    trade_id: str
    order_id: str
    client_order_id: str | None
    ticker: str
    side: BookSide
    price_e4: int
    qty_e2: int
    fee_e6: int
    is_taker: bool
    exchange_index: int | None
    exch_ns: int

    @property
    def key(self) -> tuple[str, str]:
        """Return the trade's id and the order's: two own orders can meet in one trade."""
        return self.trade_id, self.order_id


def order_of_rest(answer: OrderAnswer) -> OrderReport:
    """Return the report in an order of ``/portfolio/orders``; DataError for a status or side not known."""
    return OrderReport(
        order_id=answer.order_id,
        client_order_id=answer.client_order_id or None,
        ticker=answer.ticker,
        side=_side(answer.book_side, f"order {answer.order_id}"),
        price_e4=answer.yes_price_e4,
        status=_status(answer.status, f"order {answer.order_id}"),
        initial_e2=answer.initial_e2,
        filled_e2=answer.filled_e2,
        remaining_e2=answer.remaining_e2,
        exchange_index=answer.exchange_index,
        exch_ns=answer.updated_ns,
    )


def fill_of_rest(answer: FillAnswer) -> FillReport:
    """Return the report in a fill of ``/portfolio/fills``; it names no client id."""
    return _checked_fill(
        FillReport(
            trade_id=answer.trade_id,
            order_id=answer.order_id,
            client_order_id=None,
            ticker=answer.ticker,
            side=_side(answer.book_side, f"fill {answer.trade_id}"),
            price_e4=answer.yes_price_e4,
            qty_e2=answer.qty_e2,
            fee_e6=answer.fee_e6,
            is_taker=answer.is_taker,
            exchange_index=answer.exchange_index,
            exch_ns=answer.exch_ns,
        )
    )


def order_of_stream(msg: Mapping[str, Any]) -> OrderReport:
    """Return the report in the ``msg`` of a ``user_order`` frame; DataError where it cannot be read."""
    fields = AnswerFields(msg, "user_order")
    order_id = fields.name("order_id")
    return OrderReport(
        order_id=order_id,
        client_order_id=fields.maybe_text("client_order_id") or None,
        ticker=fields.name("ticker"),
        side=_side(fields.text("book_side"), f"order {order_id}"),
        price_e4=fields.price_e4("yes_price_dollars"),
        status=_status(fields.text("status"), f"order {order_id}"),
        initial_e2=fields.qty_e2("initial_count_fp"),
        filled_e2=fields.qty_e2("fill_count_fp"),
        remaining_e2=fields.qty_e2("remaining_count_fp"),
        exchange_index=fields.maybe_whole("exchange_index"),
        exch_ns=fields.maybe_ms_ns("last_updated_ts_ms"),
        reason=fields.maybe_text("last_update_reason") or "",
    )


def fill_of_stream(msg: Mapping[str, Any]) -> FillReport:
    """Return the report in the ``msg`` of a ``fill`` frame; DataError where it cannot be read."""
    fields = AnswerFields(msg, "fill")
    trade_id = fields.name("trade_id")
    return _checked_fill(
        FillReport(
            trade_id=trade_id,
            order_id=fields.name("order_id"),
            client_order_id=fields.maybe_text("client_order_id") or None,
            ticker=fields.name("market_ticker"),
            side=_side(fields.text("book_side"), f"fill {trade_id}"),
            price_e4=fields.price_e4("yes_price_dollars"),
            qty_e2=fields.qty_e2("count_fp"),
            fee_e6=fields.cash_e6("fee_cost"),
            is_taker=fields.flag("is_taker"),
            exchange_index=fields.maybe_whole("exchange_index"),
            exch_ns=fields.ms_ns("ts_ms"),
        )
    )


def _side(text: str, what: str) -> BookSide:
    """Side of the book; DataError for a word that is none."""
    try:
        return BookSide(text)
    except ValueError:
        raise DataError(f"{what}: book_side {text!r} is neither bid nor ask") from None


def _status(text: str, what: str) -> ReportedStatus:
    """Status of an order; DataError for a word that this code does not know: it decides nothing."""
    try:
        return ReportedStatus(text)
    except ValueError:
        raise DataError(
            f"{what}: status {text!r} is none of resting, canceled, executed; ask REST for it again"
        ) from None


def _checked_fill(fill: FillReport) -> FillReport:
    """Return ``fill``; DataError where nothing was filled."""
    if fill.qty_e2 <= 0:
        raise DataError(f"fill {fill.trade_id}: count {fill.qty_e2} (1e-2 contract); expected more than 0")
    return fill
