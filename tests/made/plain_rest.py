"""Answers of the plain account as bodies on the wire, which a test may spoil before the client reads them."""

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any

from kalshi_platform.domain.errors import ExchangeError
from kalshi_platform.trading.exchange.fields import AnswerFields
from made.plain_account import PlainAccount, S, rfc3339

Spoil = Callable[[str, dict[str, Any]], Any]
_PAGE = 2  # rows
#: Values that do not belong where they stand.
ODD = (
    None, "", 0, -1, 1.5, True, [], {}, "NaN", "-5.00", "1e30", "0.0001", "abc", "\0", 2**63, 10**30, [[]],
    "9999-12-31T23:59:59Z", "1969-01-01T00:00:00Z", "x" * 5_000, "o-1", "ask", "canceled", "asleep", 64,
)  # fmt: skip
_ERRORS = ({}, {"error": "too many requests"}, {"error": {"code": "x", "message": "y"}}, {"cursor": ""})


class PlainRest:
    """Transport whose answers are those of a plain account; ``AccountCalls`` reads from it."""

    def __init__(self, account: PlainAccount, spoil: Spoil = lambda _endpoint, body: body) -> None:
        self.account, self.spoil = account, spoil

    async def get(
        self, endpoint: str, values: Mapping[str, str] | None = None, params: Mapping[str, Any] | None = None
    ) -> AnswerFields:
        """Answer to one GET."""
        if self.account.away:
            raise ExchangeError(f"GET {endpoint}: ConnectError", is_passing=True)
        body = self._body(endpoint, values or {}, params or {})
        return AnswerFields(self.spoil(endpoint, body), f"GET {endpoint}")

    def _body(self, endpoint: str, values: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, Any]:
        account, since_ns = self.account, (params.get("min_ts") or 0) * S
        match endpoint.rpartition("/")[2]:
            case "user_data_timestamp":
                return {"as_of_time": rfc3339(account.clock.now_ns - account.lag_ns)}
            case "balance":
                return account.balance_body()
            case "api_keys":
                return {"api_keys": []}
            case "positions":
                return page("market_positions", account.position_bodies(), params)
            case "fills":
                return page("fills", account.fill_bodies(since_ns), params)
            case "settlements":
                return page("settlements", list(account.settled), params)
            case "orders":
                wanted = [
                    account.body(order)
                    for order in account.orders.values()
                    if params.get("status") in (None, order.status)
                    and params.get("ticker") in (None, order.ticker)
                    and order.updated_ns >= since_ns
                ]
                return page("orders", wanted, params)
            case "{ticker}":
                return {"market": {"exchange_index": account.shard_of(values["ticker"])}}
        raise AssertionError(f"nobody answers {endpoint}")


def page(name: str, rows: list[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a list."""
    cursor = params.get("cursor") or ""
    first = int(cursor) if cursor.isdecimal() else 0  # one that is not ours begins anew
    rest = first + _PAGE < len(rows)
    return {name: copy.deepcopy(rows[first : first + _PAGE]), "cursor": str(first + _PAGE) if rest else ""}


def spoiled(draw: random.Random, share: float) -> Spoil:
    """Spoiler of a share of the answers: errors under 200, rows without their fields, loops, odd values."""

    def spoil(_endpoint: str, body: dict[str, Any]) -> Any:
        if draw.random() >= share:
            return body
        kind = draw.randrange(6)
        if kind == 0:
            return draw.choice(_ERRORS)
        if kind == 1:
            return body | {"cursor": draw.choice(["2", "again", 7, [], None])}
        if kind == 2:
            return draw.choice(ODD)
        rows = [row for value in body.values() if isinstance(value, list) for row in value]
        part = draw.choice(rows) if rows and kind < 5 else body
        name = draw.choice(sorted(part))
        if draw.random() < 0.3:
            del part[name]
        else:
            part[name] = draw.choice(ODD)
        return body

    return spoil
