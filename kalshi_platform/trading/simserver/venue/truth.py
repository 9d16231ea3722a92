"""The truth for tests that reconcile: account and books in integers, from the cores, not from the wire."""

from collections import Counter
from typing import Any

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.simserver.config import N_SHARDS
from kalshi_platform.trading.simserver.venue.market import ServedMarket
from kalshi_platform.trading.simserver.venue.orders import AccountFill, AccountOrder
from kalshi_platform.trading.simserver.venue.subaccount import Subaccount
from kalshi_platform.trading.simserver.venue.venue import LiveVenue


def account_truth(venue: LiveVenue) -> dict[str, Any]:
    """Cash by shard, positions, resting orders and fees of the account (1e-6 dollar, 1e-2 contract).

    Sums over all subaccounts, then each one's own. Positions, reserves and fees of open events come from
    their cores, those of paid events are gone.
    """
    account = venue.account
    subs = [_subaccount(sub) for sub in account.subs]
    shards = range(N_SHARDS)
    sums = {
        name: [sum(sub[name][shard] for sub in subs) for shard in shards]
        for name in ("cash_e6", "reserved_e6", "free_e6", "paid_in_e6")
    }
    positions: Counter[str] = Counter()
    fees_e6 = 0
    resting: list[dict[str, Any]] = []
    for event in venue.events.values():
        if event.live is None:
            continue
        core, first = event.live.exchange.core, event.live.first_outside
        for sub in account.subs:
            for market in event.markets:
                holding = core.holdings[first + sub.number, market.number]
                fees_e6 += int(holding["fees_e6"])
                if held := int(holding["position_e2"]):
                    positions[market.ticker] += held
                    subs[sub.number]["positions_e2"][market.ticker] = held
            for number in event.live.exchange.open_orders(first + sub.number):
                resting.append(_resting(event.live.exchange.order(number) or {}, event.markets))
    return {
        **sums,
        "positions_e2": {ticker: held for ticker, held in positions.items() if held},
        "subaccounts": subs,
        "open_fees_e6": fees_e6,
        "resting": resting,
        "orders": [_order(order) for order in account.orders.values()],
        "fills": [_fill(fill) for fill in account.fills],
        "settlements": [
            {
                "ticker": s.market.ticker,
                "subaccount": s.subaccount,
                "position_e2": s.position_e2,
                "revenue_e6": s.revenue_e6,
            }
            for s in account.settled
        ],
    }


def _subaccount(sub: Subaccount) -> dict[str, Any]:
    shards = range(N_SHARDS)
    return {
        "subaccount": sub.number,
        "cash_e6": list(sub.cash_e6),
        "reserved_e6": [sub.reserved_on(shard) for shard in shards],
        "free_e6": [sub.free_on(shard) for shard in shards],
        "paid_in_e6": list(sub.paid_in_e6),
        "positions_e2": {},
    }


def _resting(record: dict[str, int], markets: list[ServedMarket]) -> dict[str, Any]:
    own, side = record["own_e4"], record["side"]
    return {
        "tag": record["client"],
        "ticker": markets[record["market"]].ticker,
        "side": "ask" if side else "bid",
        "price_e4": DOLLAR_E4 - own if side else own,
        "left_e2": record["qty_e2"],
        "filled_e2": record["filled_e2"],
        "ahead_e2": record["ahead_e2"],
    }


def _order(order: AccountOrder) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "tag": order.tag,
        "client_order_id": order.client_order_id,
        "subaccount": order.subaccount,
        "ticker": order.market.ticker,
        "side": order.side,
        "price_e4": order.price_e4,
        "status": order.status,
        "left_e2": order.left_e2,
        "filled_e2": order.filled_e2,
        "fees_e6": order.taker_fees_e6 + order.maker_fees_e6,
    }


def _fill(fill: AccountFill) -> dict[str, Any]:
    return {
        "trade_id": fill.fill_id,
        "order_id": fill.order.order_id,
        "price_e4": fill.price_e4,
        "qty_e2": fill.qty_e2,
        "fee_e6": fill.fee_e6,
        "is_taker": fill.is_taker,
        "time_ns": fill.time_ns,
    }


def market_truth(market: ServedMarket) -> dict[str, Any]:
    """Status, result and book of a market; prices are on the YES scale, the best level first."""
    live = market.event.live
    shown = live is not None and market.status != "initialized"
    bids = live.exchange.levels(market.number, "bid").tolist() if live is not None and shown else []
    asks = live.exchange.levels(market.number, "ask").tolist() if live is not None and shown else []
    return {
        "status": market.status,
        "value_e4": market.value_e4,
        "open_ns": market.open_ns,
        "close_ns": market.close_ns,
        "volume_e2": market.volume_e2,
        "n_trades": len(market.trades),
        "bids": bids,
        "asks": asks,
    }
