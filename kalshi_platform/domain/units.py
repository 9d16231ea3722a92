"""Exact units and their parsers.

Price     int, 1e-4 dollar     ``price_e4``   "0.1200" -> 1_200
Quantity  int, 1e-2 contract   ``qty_e2``     "10.50"  -> 1_050
Cash      int, 1e-6 dollar     ``cash_e6``    price x quantity is exactly this unit
Time      int, ns since the Unix epoch, UTC   ``recv_ns`` (our clock), ``exch_ns`` (the exchange's)
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, Overflow
from typing import Final, NewType

from kalshi_platform.domain.errors import ContractError, DataError

PriceE4 = NewType("PriceE4", int)
QtyE2 = NewType("QtyE2", int)
CashE6 = NewType("CashE6", int)
Ns = NewType("Ns", int)

#: A decimal number as text, JSON or a table holds it.
Number = str | int | float | Decimal

DOLLAR_E4: Final = 10_000
DOLLAR_E6: Final = 1_000_000
CONTRACT_E2: Final = 100
NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_SECOND

#: In integer columns and kernels: no price (an empty side, a row without a trade).
NO_PRICE: Final = -1
#: In integer columns and kernels: the size exists but was not recorded.
UNKNOWN_QTY: Final = -1
#: In integer columns and kernels: the clock was not recorded.
NO_TIME: Final = -1

_DIGITS: Final = 18  # any more would not fit into 64 bits

#: The last ns that 64 bits hold, in 2262.
_LAST_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DURATION_PART: Final = r"(\d{1,9})(?:\.(\d{1,9}))? ?(s|min|m|h|d|w)"
_DURATION: Final = re.compile(rf"{_DURATION_PART}(?: {_DURATION_PART})*", re.ASCII)
_SECONDS_OF: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _scaled(number: Number, scale: int, what: str) -> int:
    shown = f"{what} {_shown(number)}"
    if isinstance(number, bool) or not isinstance(number, str | int | float | Decimal):
        raise DataError(f"{shown} is not a decimal number")
    try:
        # the repr of a float is the shortest text that gives it again, so the text that it was read from
        scaled = Decimal(repr(number) if isinstance(number, float) else number) * scale
    except (Overflow, InvalidOperation, TypeError, ValueError):
        raise DataError(f"{shown} is not a decimal number") from None
    if not scaled.is_finite():
        raise DataError(f"{shown} is not a finite number")
    if scaled.adjusted() >= _DIGITS:
        raise DataError(f"{shown} needs more than {_DIGITS} digits")
    if scaled != scaled.to_integral_value():
        text = "; it is a float: give it as text" if isinstance(number, float) else ""
        raise DataError(f"{shown} is finer than 1/{scale}, the exchange's own limit{text}")
    return int(scaled)


def _shown(number: object) -> str:
    """Number as a message shows it: text in quotes, anything else bare, at most 40 characters."""
    try:
        text = repr(number) if isinstance(number, str) else str(number)
    except ValueError:  # an integer of thousands of digits
        return f"({type(number).__name__} of more digits than can be shown)"
    return text if len(text) <= 40 else f"{text[:40]}..."


def parse_price(dollars: Number) -> PriceE4:
    """Price in 1e-4 dollar from dollars: text, or a number as JSON or a table holds it.

    DataError if it is no number, too fine, or outside 0..1 dollar.
    """
    price = _scaled(dollars, DOLLAR_E4, "price")
    if not 0 <= price <= DOLLAR_E4:
        whole = price % DOLLAR_E4 == 0 and 0 < price <= 100 * DOLLAR_E4
        cents = "; it looks like cents: divide it by 100" if whole else ""
        raise DataError(f"price {_shown(dollars)} is outside 0..1 dollar{cents}")
    return PriceE4(price)


def parse_qty(count: Number) -> QtyE2:
    """Size in 1e-2 contract from a count, which may be signed: text, or a number.

    DataError if it is no number or too fine.
    """
    return QtyE2(_scaled(count, CONTRACT_E2, "quantity"))


def parse_cash(dollars: Number) -> CashE6:
    """Cash in 1e-6 dollar from dollars, which may be negative: text, or a number.

    DataError if it is no number or too fine.
    """
    return CashE6(_scaled(dollars, DOLLAR_E6, "cash"))


def parse_rfc3339(text: str) -> Ns:
    """Time in ns since 1970 UTC from an RFC 3339 string; DataError for anything else.

    The string has a zone and at most 9 fraction digits. The exchange drops trailing zeros of the fraction, so
    the number of digits varies.
    """
    refusal = DataError(f"time {_shown(text)} is not RFC 3339 text with a zone (2026-11-23T02:13:20.388Z)")
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise refusal
    head, digits, zone = match.groups()
    try:
        stamp = datetime.fromisoformat(head + zone.upper().replace("Z", "+00:00"))
    except ValueError:
        raise refusal from None
    whole = stamp - _EPOCH
    return Ns((whole.days * 86_400 + whole.seconds) * NS_PER_SECOND + int((digits or "").ljust(9, "0")))


def parse_moment(text: str, name: str) -> Ns:
    """Time in ns since 1970 UTC from an RFC 3339 string or from a day, which begins at midnight UTC.

    ContractError calls the value ``name``; a time that no recording can have is refused too.
    """
    try:
        time_ns = parse_rfc3339(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except DataError:
        number = "; a number: write the time as text" if text.strip().lstrip("-").isdigit() else ""
        raise ContractError(
            f"{name} {_shown(text)} is no time: give a day (2026-11-23, midnight UTC) or RFC 3339 text with "
            f"a zone (2026-11-23T02:13:20Z){number}"
        ) from None
    if not 0 <= time_ns <= _LAST_NS:
        raise ContractError(f"{name} {_shown(text)} lies outside 1970 to 2262: give a time of the recordings")
    return time_ns


def parse_duration(text: str, name: str) -> Ns:
    """Nanoseconds of a duration with its unit: ``90s``, ``15m``, ``36h``, ``1d 14h``, ``1w``;
    ContractError calls any other value ``name``."""
    value = text.strip().lower()
    if _DURATION.fullmatch(value) is None:
        bare = "; it lacks a unit" if text.strip().isdigit() else ""
        raise ContractError(
            f"{name} {_shown(text)} is no duration: give a number with s, m, h, d or w (15m, 36h, 2d){bare}"
        )
    parts = re.findall(_DURATION_PART, value, re.ASCII)
    seconds = sum(Decimal(f"{whole}.{fraction or 0}") * _SECONDS_OF[unit] for whole, fraction, unit in parts)
    return Ns(int(seconds * NS_PER_SECOND))


def moment_words(time_ns: int) -> str:
    """A time as a page shows it: day and second, UTC."""
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
