"""Bodies of order requests, read strictly: every field is known, of its kind, and in the exchange's units."""

import re
from collections.abc import Mapping
from typing import Any, Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import parse_price, parse_qty
from kalshi_platform.trading.simserver.config import N_SHARDS
from kalshi_platform.trading.simserver.rest.answers import ApiError, invalid, is_number, unreadable
from kalshi_platform.trading.simserver.venue.account import OutsideAccount

#: Text of a price and of a size: digits only, no sign, no exponent.
_PRICE: Final = re.compile(r"[0-9]{1,2}\.[0-9]{2,4}", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?", re.ASCII)
#: Largest time of an order's end, Unix seconds: beyond it the matching core's clock ends.
_MOST_EXPIRY_S: Final = 2**32

_TIFS: Final = ("good_till_canceled", "immediate_or_cancel", "fill_or_kill")
_STPS: Final = ("taker_at_cross", "maker")
_CLIENT_LETTERS: Final = frozenset("+=_-:/.")
CREATE_FIELDS: Final = {
    "ticker": str, "side": str, "count": str, "price": str, "time_in_force": str,
    "self_trade_prevention_type": str, "client_order_id": str, "post_only": bool, "reduce_only": bool,
    "expiration_time": int, "cancel_order_on_pause": bool, "order_group_id": str, "subaccount": int,
    "exchange_index": int,
}  # fmt: skip
CREATE_REQUIRED: Final = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type")
AMEND_FIELDS: Final = {
    "ticker": str, "side": str, "price": str, "count": str, "client_order_id": str,
    "updated_client_order_id": str, "expiration_time": int, "exchange_index": int, "subaccount": int,
}  # fmt: skip
AMEND_REQUIRED: Final = ("ticker", "side", "price", "count")
DECREASE_FIELDS: Final = {
    "reduce_by": str, "reduce_to": str, "exchange_index": int, "market_ticker": str, "subaccount": int,
}  # fmt: skip


def read_form(body: Any, fields: Mapping[str, type], required: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields given; ApiError 400 names one that is unknown, missing or of a wrong kind."""
    if not isinstance(body, dict):
        raise unreadable("the body is no JSON object")
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if name not in fields:
            raise invalid(f"unknown field {name[:40]!r}")
        kind = fields[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise unreadable(f"{name} is no {kind.__name__}")
    if absent := [name for name in required if name not in given]:
        code = "missing_parameters" if absent[0] == "ticker" else "invalid_order"
        raise ApiError(400, code, code.replace("_", " "), f"missing field {absent[0]}")
    return given


def read_side(form: dict[str, Any]) -> str:
    """Return the book side of an order."""
    side = form["side"]
    if side not in ("bid", "ask"):
        raise invalid("side is neither bid nor ask")
    return str(side)


def read_price(form: dict[str, Any]) -> int:
    """Return the price of an order, 1e-4 dollar on the YES scale; the core checks the grid."""
    text = str(form["price"])
    if _PRICE.fullmatch(text) is None:
        raise ApiError(400, "invalid_order", "invalid order", "price needs 2 to 4 decimals")
    try:
        return int(parse_price(text))
    except DataError:
        raise ApiError(400, "invalid_order", "invalid order", "invalid price") from None


def read_count(text: str) -> int:
    """Return a size, 1e-2 contract; the core checks its range."""
    if _COUNT.fullmatch(text) is None:
        details = "count is no number of at most 13 digits and 2 decimals"
        raise ApiError(400, "invalid_order_size", "invalid order size", details)
    try:
        return int(parse_qty(text))
    except DataError:
        raise ApiError(400, "invalid_order_size", "invalid order size", "count is no number") from None


def read_choices(form: dict[str, Any]) -> tuple[str, str]:
    """Return time in force and self-trade prevention of a new order."""
    tif, stp = form["time_in_force"], form["self_trade_prevention_type"]
    if tif not in _TIFS:
        raise invalid(f"time_in_force is not one of {', '.join(_TIFS)}")
    if stp not in _STPS:
        raise invalid(f"self_trade_prevention_type is not one of {', '.join(_STPS)}")
    return str(tif), str(stp)


def read_client_id(form: dict[str, Any], name: str = "client_order_id") -> str:
    """Return the client's id of an order; empty where it gives none."""
    text = str(form.get(name, ""))
    if len(text) > 64 or not all(c.isascii() and (c.isalnum() or c in _CLIENT_LETTERS) for c in text):
        raise invalid(f"{name} has more than 64 characters, or others than letters, digits and + = _ - : / .")
    return text


def read_expiry(form: dict[str, Any]) -> int | None:
    """Return the end of an order, Unix seconds; None where the request names none."""
    expiry_s = form.get("expiration_time")
    if expiry_s is not None and not 0 <= expiry_s <= _MOST_EXPIRY_S:
        raise ApiError(400, "invalid_order", "invalid order", "expiration_time is no time that can be")
    return expiry_s


def read_sub(value: Any, account: OutsideAccount) -> int | None:
    """Return the subaccount that a request names; None where it names none."""
    if value in (None, ""):
        return None
    number = int(value) if isinstance(value, str) and is_number(value) else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(account.subs):
        raise invalid(f"subaccount {str(value)[:20]!r} is none of 0..{len(account.subs) - 1}")
    return number


def read_shard(value: Any) -> int | None:
    """Return the shard that a request names; None where the exchange shall find it (-1 or not given)."""
    if value in (None, "", -1, "-1"):
        return None
    shard = int(value) if isinstance(value, str) and is_number(value) else value
    if not isinstance(shard, int) or isinstance(shard, bool):
        raise invalid("exchange_index is no whole number")
    if not 0 <= shard < N_SHARDS:
        raise invalid(f"exchange_index {shard} is outside 0..{N_SHARDS - 1}")
    return shard
