"""Fields of the exchange's WebSocket messages, current and legacy, as exact integers.

Current   dollar strings of 4 decimals (``price_dollars``), count strings of 2 (``delta_fp``)
Legacy    integer cents and whole contracts (``price``, ``delta``), sent until 2026-03-12; ``*_dollars``
          without ``_fp`` in between. Every function reads the finest field present.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from kalshi_platform.data.market_data.clock import EXCHANGE, SCHEDULE, TimeSpan, strange_time
from kalshi_platform.data.market_data.row_buffer import Levels
from kalshi_platform.data.market_data.schema import NO, NO_SEQ, YES
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.market import PriceBand
from kalshi_platform.domain.units import (
    CONTRACT_E2,
    DOLLAR_E4,
    NO_PRICE,
    NO_TIME,
    NS_PER_MS,
    NS_PER_SECOND,
    UNKNOWN_QTY,
    parse_price,
    parse_qty,
    parse_rfc3339,
)

_CENT_E4: Final = 100
_MAX_SEQ: Final = 1 << 62
_MAX_SID: Final = 1 << 31
_MAX_DIGITS: Final = 19
_MILLION: Final = 1_000_000
MAX_FEE_MULTIPLIER: Final = 1_000  # exact in 64 bits, and a thousand times what anybody pays
_MAX_EXACT_FLOAT: Final = 1 << 53
_SIDES: Final = {"yes": YES, "no": NO}
_BOOK_SIDES: Final = {"bid": YES, "ask": NO}

#: Bounds of the exchange's times in whole milliseconds.
_FIRST_MS: Final = -(-EXCHANGE.earliest_ns // NS_PER_MS)
_LAST_MS: Final = EXCHANGE.latest_ns // NS_PER_MS

Message = Mapping[str, Any]

_TIMES: Final = frozenset({"ts", "ts_ms"})
#: Fields of ``msg`` that are understood or known to be of no use here; any other is counted.
KNOWN_FIELDS: Final[dict[str, frozenset[str]]] = {
    "orderbook_snapshot": frozenset({
        "market_ticker", "market_id", "yes_dollars_fp", "no_dollars_fp", "yes_dollars", "no_dollars",
        "yes", "no",
    }),
    "orderbook_delta": _TIMES | {
        "market_ticker", "market_id", "price_dollars", "delta_fp", "side", "price", "delta",
        "client_order_id", "subaccount",
    },
    "ticker": _TIMES | {
        "market_ticker", "market_id", "price_dollars", "yes_bid_dollars", "yes_ask_dollars",
        "yes_bid_size_fp", "yes_ask_size_fp", "last_trade_size_fp", "volume_fp", "open_interest_fp",
        "dollar_volume", "dollar_open_interest", "time", "price", "yes_bid", "yes_ask", "volume",
        "open_interest",
    },
    "event_lifecycle": frozenset({
        "event_ticker", "series_ticker", "exchange_index", "title", "subtitle", "collateral_return_type",
        "strike_date", "strike_period",
    }),
    "event_fee_update": frozenset({"event_ticker", "fee_type_override", "fee_multiplier_override"}),
    "trade": _TIMES | {
        "trade_id", "market_ticker", "yes_price_dollars", "no_price_dollars", "count_fp", "taker_side",
        "taker_outcome_side", "taker_book_side", "is_block_trade", "yes_price", "no_price", "count",
    },
    "market_lifecycle_v2": frozenset({
        "market_ticker", "event_type", "exchange_index", "open_ts", "close_ts", "determination_ts",
        "settled_ts", "result", "settlement_value", "is_deactivated", "price_level_structure", "price_ranges",
        "additional_metadata", "strike_type", "floor_strike", "cap_strike", "custom_strike", "yes_sub_title",
    }),
}  # fmt: skip


def are_plain(sid: Any, seq: Any) -> bool:
    """True for a subscription and a number as the exchange sends them."""
    return type(sid) is int and type(seq) is int and 0 <= sid < _MAX_SID and 0 <= seq < _MAX_SEQ


def sid_of(message: Message) -> int:
    """Subscription of a message, NO_SEQ where it names none; DataError where the number fits no column."""
    sid = whole_number(message.get("sid"))
    if sid is None:
        return NO_SEQ
    if not 0 <= sid < _MAX_SID:
        raise DataError(f"sid = {sid}; expected 0..{_MAX_SID - 1}")
    return sid


def seq_of(message: Message) -> int | None:
    """Number of a message, NO_SEQ where it has none; None where it has one that nobody can read.

    DataError where the number fits no column.
    """
    raw = message.get("seq")
    if raw is None:
        return NO_SEQ
    seq = whole_number(raw)
    if seq is not None and seq >= _MAX_SEQ:
        raise DataError(f"seq = {seq}; expected 0..{_MAX_SEQ - 1}")
    return None if seq is None or seq < 0 else seq


def whole_number(value: Any) -> int | None:
    """Whole number given as such, as 7.0 or as text of digits; None for anything else."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) < _MAX_EXACT_FLOAT:
        return int(value)
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isascii() and value.isdecimal():
        return int(value)
    return None


def fixed_price_e4(text: str) -> int:
    """Dollar string to 1e-4 dollar.

    Equals ``units.parse_price``, and is several times faster on the usual form.
    """
    if len(text) == 6 and text[1] == "." and text[0] in "01" and text[2:].isdecimal():
        value = int(text[0] + text[2:])
        if value <= DOLLAR_E4:
            return value
    return parse_price(text)


def fixed_qty_e2(text: str) -> int:
    """Count string to 1e-2 contract.

    Equals ``units.parse_qty``, and is several times faster on the usual form.
    """
    whole, _, cents = text.partition(".")
    if len(cents) == 2 and len(whole) < 16 and cents.isdecimal() and whole.removeprefix("-").isdecimal():
        return int(whole + cents)
    return parse_qty(text)


def price_of(msg: Message, dollars: str, cents: str) -> int:
    """Price of a message, 1e-4 dollar, from its dollar field or its legacy cent field."""
    text = msg.get(dollars)
    if text is not None:
        return fixed_price_e4(text if type(text) is str else _string(text, dollars))
    value = _integer(msg, cents, dollars)
    if not 0 <= value <= 100:
        raise DataError(f"{cents} = {value} is outside 0..100 cents")
    return value * _CENT_E4


def qty_of(msg: Message, count: str, whole: str) -> int:
    """Size of a message, 1e-2 contract, from its count string or its legacy whole number."""
    text = msg.get(count)
    if text is not None:
        return fixed_qty_e2(text if type(text) is str else _string(text, count))
    return _integer(msg, whole, count) * CONTRACT_E2


def levels_of(msg: Message, side: str) -> Levels:
    """Price levels of one side (``yes`` or ``no``) of a snapshot; none where the side is absent.

    The exchange sends price levels in any order, and they stay in it; a level of size zero is left out.
    """
    for key in (f"{side}_dollars_fp", f"{side}_dollars", side):
        raw = msg.get(key)
        if raw is not None:
            break
    else:
        return []
    try:
        levels = [(_level_price(price, key == side), _level_qty(qty)) for price, qty in raw]
    except (TypeError, ValueError):
        raise DataError(f"{key} is not a list of [price, size]: {str(raw)[:80]}") from None
    return [level for level in levels if level[1] != 0]


def _level_price(value: Any, legacy: bool) -> int:
    """Own-side price of one level, 1e-4 dollar; ``legacy``: whole cents are allowed."""
    if isinstance(value, str):
        return fixed_price_e4(value)
    if legacy and type(value) is int and 0 <= value <= 100:
        return value * _CENT_E4
    raise DataError(f"level price {shown_value(value)}; expected a dollar string or whole cents 0..100")


def _level_qty(value: Any) -> int:
    """Size of one level, 1e-2 contract."""
    if isinstance(value, str):
        return fixed_qty_e2(value)
    if type(value) is int:
        return value * CONTRACT_E2
    raise DataError(f"level size {shown_value(value)}; expected a count string or a whole number")


def top_of_ticker(msg: Message) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """(own-side price, size) of the best YES and the best NO bid of a ticker; None where it tells neither.

    NO_PRICE where a side is empty, UNKNOWN_QTY where the size is not told. DataError for a value that cannot
    be.
    """
    if msg.get("yes_bid_dollars") is None and msg.get("yes_bid") is None:
        return None
    if msg.get("yes_ask_dollars") is None and msg.get("yes_ask") is None:
        return None
    bid_e4 = price_of(msg, "yes_bid_dollars", "yes_bid")
    no_e4 = DOLLAR_E4 - price_of(msg, "yes_ask_dollars", "yes_ask")
    return _best_of(bid_e4, msg.get("yes_bid_size_fp")), _best_of(no_e4, msg.get("yes_ask_size_fp"))


def _best_of(price_e4: int, size: Any) -> tuple[int, int]:
    """(price, size) of one side of a ticker; prices of 0 and 1 dollar say that the side is empty."""
    if not 0 < price_e4 < DOLLAR_E4:
        return NO_PRICE, 0
    qty_e2 = UNKNOWN_QTY if size is None else fixed_qty_e2(_string(size, "size"))
    if size is not None and qty_e2 < 0:
        raise DataError(f"size {shown_value(size)} of a ticker is negative")
    return price_e4, qty_e2


def multiplier_e6(value: Any) -> int:
    """Fee multiplier in 1e-6, exact, from a number or its text; DataError for anything else."""
    try:
        if type(value) not in (int, float, str):
            raise InvalidOperation
        scaled = Decimal(str(value)) * _MILLION
    except ArithmeticError:
        raise DataError(
            f"fee multiplier {shown_value(value)}; expected a number such as 0.5 or its text"
        ) from None
    whole = int(scaled) if scaled.is_finite() and scaled.adjusted() < _MAX_DIGITS - 1 else -1
    if whole != scaled or not 0 <= whole <= MAX_FEE_MULTIPLIER * _MILLION:
        raise DataError(
            f"fee multiplier {shown_value(value)}; expected 0..{MAX_FEE_MULTIPLIER}, at most 6 decimals"
        )
    return whole


def side_of(msg: Message) -> int:
    """Book side of a delta."""
    side = msg.get("side")
    if not isinstance(side, str) or side not in _SIDES:
        raise DataError(f"side = {shown_value(side)}; expected 'yes' or 'no'")
    return _SIDES[side]


def taker_of(msg: Message) -> int:
    """Outcome that the taker of a trade bought, from the newest of the three fields that is present."""
    for key, names in (
        ("taker_outcome_side", _SIDES),
        ("taker_book_side", _BOOK_SIDES),
        ("taker_side", _SIDES),
    ):
        value = msg.get(key)
        if value:
            if not isinstance(value, str) or value not in names:
                raise DataError(f"{key} = {shown_value(value)}; expected {' or '.join(map(repr, names))}")
            return names[value]
    raise DataError("no taker_outcome_side, taker_book_side or taker_side")


def exchange_time_ns(msg: Message) -> int:
    """Exchange's own time of a message, ns; NO_TIME where the message has none.

    DataError where the time cannot be: it names the unit that the number looks like.
    """
    time_ms = msg.get("ts_ms")
    if type(time_ms) is int and _FIRST_MS <= time_ms <= _LAST_MS:  # the usual form, without a call
        return time_ms * NS_PER_MS
    if time_ms is not None:
        return _time_ns(msg, "ts_ms", NS_PER_MS, EXCHANGE)
    ts = msg.get("ts")
    if ts is None:
        return NO_TIME
    if not isinstance(ts, str):
        return _time_ns(msg, "ts", NS_PER_SECOND, EXCHANGE)
    time_ns = parse_rfc3339(ts)
    if not EXCHANGE.holds(time_ns):
        raise DataError(f"ts = {shown_value(ts)} cannot be: {EXCHANGE.words}")
    return time_ns


def seconds_ns(msg: Message, key: str) -> int | None:
    """Time of a market in whole seconds as ns; None where the field is absent or 0, which says no time.

    DataError where the time cannot be: it names the unit that the number looks like.
    """
    return _time_ns(msg, key, NS_PER_SECOND, SCHEDULE) if msg.get(key) not in (None, 0) else None


def _time_ns(msg: Message, key: str, unit_ns: int, span: TimeSpan) -> int:
    """Time in field ``key``, which counts ``unit_ns``, as ns; DataError where ``span`` does not hold it."""
    value = _integer(msg, key)
    if not span.holds(value * unit_ns):
        raise DataError(strange_time(key, value, unit_ns, span))
    return value * unit_ns


def price_bands(raw: Any) -> tuple[PriceBand, ...]:
    """``price_ranges`` [{start, end, step}, ...] in dollar strings to price bands."""
    try:
        bands = [(parse_price(b["start"]), parse_price(b["end"]), parse_price(b["step"])) for b in raw]
    except (TypeError, KeyError):
        raise DataError(
            f"price_ranges {str(raw)[:120]}; expected [{{start, end, step}}] in dollars"
        ) from None
    if not bands or any(not (start < end and step > 0) for start, end, step in bands):
        raise DataError(f"price_ranges {str(raw)[:120]}; expected bands with start < end and step > 0")
    return tuple(PriceBand(start_e4=start, end_e4=end, step_e4=step) for start, end, step in bands)


def _string(value: Any, key: str) -> str:
    """``value`` if it is a string; DataError otherwise."""
    if not isinstance(value, str):
        raise DataError(f"{key} = {shown_value(value)}; expected a decimal string: give it as text")
    return value


def _integer(msg: Message, key: str, instead_of: str = "") -> int:
    """Whole number in field ``key``; ``instead_of`` names the field that could stand for it."""
    value = msg.get(key)
    if type(value) is int:
        return value
    if key not in msg:
        raise DataError(f"no {' or '.join(filter(None, (instead_of, key)))}")
    raise DataError(f"{key} = {shown_value(value)}; expected a whole number")
