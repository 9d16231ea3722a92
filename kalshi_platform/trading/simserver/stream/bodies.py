"""Objects of the exchange's answers and frames, from what the venue and the account know."""

from typing import Any, Final

from kalshi_platform.domain.units import DOLLAR_E4, DOLLAR_E6, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.venue.market import PublicTrade, ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.orders import (
    AccountFill,
    AccountOrder,
    AccountPosition,
    OrderGroup,
)
from kalshi_platform.trading.simserver.venue.rows import band_bodies, value_text
from kalshi_platform.trading.simserver.venue.venue import strikes

_DAY_NS: Final = 86_400 * NS_PER_SECOND


def outcome_of(side: str) -> str:
    """Outcome that an order of a book side buys."""
    return "yes" if side == "bid" else "no"


# Frames


def ws_trade(market: ServedMarket, trade: PublicTrade) -> dict[str, Any]:
    """``msg`` of a print."""
    outcome = "yes" if trade.takes_yes else "no"
    return {
        "trade_id": trade.trade_id,
        "market_ticker": market.ticker,
        "yes_price_dollars": wire.dollars(trade.price_e4),
        "no_price_dollars": wire.dollars(DOLLAR_E4 - trade.price_e4),
        "count_fp": wire.count(trade.qty_e2),
        "taker_side": outcome,
        "taker_outcome_side": outcome,
        "taker_book_side": "bid" if trade.takes_yes else "ask",
        "is_block_trade": False,
        "ts": trade.time_ns // NS_PER_SECOND,
        "ts_ms": trade.time_ns // NS_PER_MS,
    }


def ws_ticker(market: ServedMarket) -> dict[str, Any]:
    """``msg`` of a ticker; an empty side reads 0 or 1 dollar with size 0, as recorded from the exchange."""
    return {
        "market_id": market.market_id,
        "market_ticker": market.ticker,
        "price_dollars": wire.dollars(market.last_e4),
        "yes_bid_dollars": wire.dollars(max(market.bid_e4, 0)),
        "yes_ask_dollars": wire.dollars(market.ask_e4 if market.ask_e4 >= 0 else DOLLAR_E4),
        "yes_bid_size_fp": wire.count(market.bid_e2),
        "yes_ask_size_fp": wire.count(market.ask_e2),
        "last_trade_size_fp": wire.count(market.last_e2),
        "volume_fp": wire.count(market.volume_e2),
        "open_interest_fp": wire.count(market.open_interest_e2),
        "dollar_volume": market.notional_e6 // DOLLAR_E6,
        "dollar_open_interest": market.open_interest_e2 * market.last_e4 // DOLLAR_E6,
        "ts": market.updated_ns // NS_PER_SECOND,
        "ts_ms": market.updated_ns // NS_PER_MS,
        "time": wire.rfc3339(market.updated_ns // NS_PER_MS * NS_PER_MS),
    }


def ws_event(event: ServedEvent) -> dict[str, Any]:
    """``msg`` of an event_lifecycle frame."""
    return {
        "event_ticker": event.ticker,
        "series_ticker": event.series,
        "exchange_index": event.exchange_index,
        "title": event.title,
        "subtitle": "",
        "collateral_return_type": "",
    }


def ws_fees(event: ServedEvent) -> dict[str, Any]:
    """``msg`` of an event_fee_update frame; null where the override was cleared."""
    multiplier = event.fee_multiplier_e6
    return {
        "event_ticker": event.ticker,
        "fee_type_override": event.fee_type,
        "fee_multiplier_override": None if multiplier is None else multiplier / 1_000_000,
    }


def ws_order(order: AccountOrder, user_id: str) -> dict[str, Any]:
    """``msg`` of a user_order frame."""
    outcome = outcome_of(order.side)
    body: dict[str, Any] = {
        "order_id": order.order_id,
        "user_id": user_id,
        "ticker": order.market.ticker,
        "exchange_index": order.market.event.exchange_index,
        "status": order.status,
        "side": outcome,
        "is_yes": outcome == "yes",
        "outcome_side": outcome,
        "book_side": order.side,
        "yes_price_dollars": wire.dollars(order.price_e4),
        "initial_count_fp": wire.count(order.initial_e2),
        "remaining_count_fp": wire.count(order.left_e2),
        "fill_count_fp": wire.count(order.filled_e2),
        "taker_fill_cost_dollars": wire.cash(order.taker_cost_e6),
        "maker_fill_cost_dollars": wire.cash(order.maker_cost_e6),
        "taker_fees_dollars": wire.cash(order.taker_fees_e6),
        "maker_fees_dollars": wire.cash(order.maker_fees_e6),
        "client_order_id": order.client_order_id,
        "self_trade_prevention_type": order.stp,
        "created_time": wire.rfc3339(order.created_ns),
        "created_ts_ms": order.created_ns // NS_PER_MS,
        "last_updated_ts_ms": order.updated_ns // NS_PER_MS,
        "subaccount_number": order.subaccount,
    }
    if order.group_id is not None:
        body["order_group_id"] = order.group_id
    if order.expiry_ns is not None:
        body["expiration_ts_ms"] = order.expiry_ns // NS_PER_MS
    if order.update_reason:
        body["last_update_reason"] = order.update_reason
    return body


def ws_fill(fill: AccountFill) -> dict[str, Any]:
    """``msg`` of a fill frame."""
    order = fill.order
    outcome = outcome_of(order.side)
    return {
        "trade_id": fill.fill_id,
        "order_id": order.order_id,
        **({"client_order_id": order.client_order_id} if order.client_order_id else {}),
        "market_ticker": order.market.ticker,
        "exchange_index": order.market.event.exchange_index,
        "is_taker": fill.is_taker,
        "side": outcome,
        "outcome_side": outcome,
        "book_side": order.side,
        "yes_price_dollars": wire.dollars(fill.price_e4),
        "count_fp": wire.count(fill.qty_e2),
        "fee_cost": wire.cash(fill.fee_e6),
        "action": "buy",
        "ts": fill.time_ns // NS_PER_SECOND,
        "ts_ms": fill.time_ns // NS_PER_MS,
        "post_position_fp": wire.count(fill.position_e2),
        "purchased_side": outcome,
        "subaccount": order.subaccount,
    }


def ws_position(held: AccountPosition, user_id: str) -> dict[str, Any]:
    """``msg`` of a market_position frame."""
    return {
        "user_id": user_id,
        "market_ticker": held.market.ticker,
        "position_fp": wire.count(held.position_e2),
        "position_cost_dollars": wire.cash(held.cost_e6),
        "realized_pnl_dollars": wire.cash(held.realized_e6),
        "fees_paid_dollars": wire.cash(held.fees_e6),
        "position_fee_cost_dollars": wire.cash(held.fees_e6),
        "volume_fp": wire.count(held.volume_e2),
        "subaccount": held.subaccount,
    }


def ws_group(group: OrderGroup, event_type: str, time_ns: int) -> dict[str, Any]:
    """``msg`` of an order_group_updates frame."""
    body: dict[str, Any] = {"event_type": event_type, "order_group_id": group.group_id}
    if event_type in ("created", "limit_updated"):
        body["contracts_limit_fp"] = wire.count(group.limit_e2)
    return body | {"ts_ms": time_ns // NS_PER_MS}


# REST


def market_body(market: ServedMarket) -> dict[str, Any]:
    """One market of ``/markets``."""
    event, live = market.event, market.event.live
    name = market.ticker.rpartition("-")[2]
    bid, ask = max(market.bid_e4, 0), market.ask_e4 if market.ask_e4 >= 0 else DOLLAR_E4
    body: dict[str, Any] = {
        "ticker": market.ticker,
        "event_ticker": event.ticker,
        "market_type": "binary",
        "title": event.title,
        "yes_sub_title": name,
        "no_sub_title": name,
        "created_time": wire.rfc3339(event.created_ns),
        "updated_time": wire.rfc3339(market.updated_ns),
        "open_time": wire.rfc3339(market.open_ns),
        "close_time": wire.rfc3339(market.close_ns),
        "expected_expiration_time": wire.rfc3339(market.expected_ns),
        "latest_expiration_time": wire.rfc3339(market.expected_ns),
        "expiration_time": wire.rfc3339(market.expected_ns),
        "settlement_timer_seconds": event.settle_s,
        "status": market.status,
        "yes_bid_dollars": wire.dollars(bid),
        "yes_bid_size_fp": wire.count(market.bid_e2),
        "yes_ask_dollars": wire.dollars(ask),
        "yes_ask_size_fp": wire.count(market.ask_e2),
        "no_bid_dollars": wire.dollars(DOLLAR_E4 - ask),
        "no_ask_dollars": wire.dollars(DOLLAR_E4 - bid),
        "last_price_dollars": wire.dollars(market.last_e4),
        "previous_price_dollars": "0.0000",
        "previous_yes_bid_dollars": "0.0000",
        "previous_yes_ask_dollars": "0.0000",
        "volume_fp": wire.count(market.volume_e2),
        "volume_24h_fp": wire.count(market.volume_since_e2(market.updated_ns - _DAY_NS)),
        "open_interest_fp": wire.count(market.open_interest_e2),
        "notional_value_dollars": "1.0000",
        "result": market.result,
        "expiration_value": "",
        "can_close_early": event.category == "Sports",
        "price_level_structure": market.structure,
        "price_ranges": band_bodies(market),
        "rules_primary": "Simulated: decided by the seed.",
        "rules_secondary": "",
        "exchange_index": event.exchange_index,
        "is_provisional": False,
        "settlement_bounds_type": "default",
    }
    if event.category == "Sports":
        body["early_close_condition"] = "This market closes when the game has ended."
    if live is not None:
        contract = live.contracts[market.number]
        body |= strikes(contract.lower, contract.upper)
    if market.legs:
        body["mve_collection_ticker"] = event.series
        body["mve_selected_legs"] = [
            {
                "event_ticker": leg.market.event.ticker,
                "market_ticker": leg.market.ticker,
                "side": "yes" if leg.is_yes else "no",
            }
            for leg in market.legs
        ]
    if market.value_e4 is not None:
        body["settlement_value_dollars"] = value_text(market.value_e4)
    if market.settled_ns is not None:
        body["settlement_ts"] = wire.rfc3339(market.settled_ns)
    return body


def event_body(event: ServedEvent) -> dict[str, Any]:
    """One event of ``/events``, without its markets."""
    body: dict[str, Any] = {
        "event_ticker": event.ticker,
        "series_ticker": event.series,
        "title": event.title,
        "sub_title": "",
        "category": event.category,
        "collateral_return_type": "",
        "mutually_exclusive": event.mutually_exclusive,
        "exchange_index": event.exchange_index,
        "strike_period": "",
        "available_on_brokers": False,
        "last_updated_ts": wire.rfc3339(max(m.updated_ns for m in event.markets)),
    }
    if event.fee_type is not None:
        body["fee_type_override"] = event.fee_type
    if event.fee_multiplier_e6 is not None:
        body["fee_multiplier_override"] = event.fee_multiplier_e6 / 1_000_000
    return body


def book_body(market: ServedMarket, depth: int) -> dict[str, list[list[str]]]:
    """``orderbook_fp`` of a market: the best price last; ``depth`` 0 = all levels."""
    return {
        name: [[wire.DOLLARS[p], wire.count(q)] for p, q in market.levels(side)[-depth or None :]]
        for name, side in (("yes_dollars", "bid"), ("no_dollars", "ask"))
    }


def trade_body(ticker: str, trade: PublicTrade) -> dict[str, Any]:
    """One print of ``/markets/trades``."""
    outcome = "yes" if trade.takes_yes else "no"
    return {
        "trade_id": trade.trade_id,
        "ticker": ticker,
        "yes_price_dollars": wire.dollars(trade.price_e4),
        "no_price_dollars": wire.dollars(DOLLAR_E4 - trade.price_e4),
        "count_fp": wire.count(trade.qty_e2),
        "taker_side": outcome,
        "taker_outcome_side": outcome,
        "taker_book_side": "bid" if trade.takes_yes else "ask",
        "is_block_trade": False,
        "created_time": wire.rfc3339(trade.time_ns),
    }
