"""Shards of markets as answers of REST name them: an order and its cash belong to the shard of its market."""

from typing import Any

from kalshi_platform.trading.exchange.fields import MOST_SHARD


def shards_in(kind: str, answer: Any) -> dict[str, int]:
    """Shard of each market that an answer about an event or a market names."""
    markets = answer.get("markets") or () if kind == "event" else (answer,) if kind == "market" else ()
    told = {m["ticker"]: m.get("exchange_index") for m in markets}
    return {
        ticker: shard for ticker, shard in told.items() if type(shard) is int and 0 <= shard <= MOST_SHARD
    }
