"""Numbers, times and ids as the exchange writes them."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from kalshi_platform.domain.units import NS_PER_SECOND

#: Dollar text of every price 0..10,000 (1e-4 dollar).
DOLLARS: Final = tuple(f"{price // 10_000}.{price % 10_000:04d}" for price in range(10_001))
#: Kinds of ids: no two kinds share one.
MARKET_ID, TRADE_ID, ORDER_ID, GROUP_ID, USER_ID, TRANSFER_ID = range(1, 7)


def dollars(amount_e4: int) -> str:
    """Dollars with four decimals from 1e-4 dollar."""
    sign = "-" if amount_e4 < 0 else ""
    return f"{sign}{abs(amount_e4) // 10_000}.{abs(amount_e4) % 10_000:04d}"


def count(qty_e2: int) -> str:
    """Contracts with two decimals from 1e-2 contract."""
    sign = "-" if qty_e2 < 0 else ""
    return f"{sign}{abs(qty_e2) // 100}.{abs(qty_e2) % 100:02d}"


def cash(amount_e6: int) -> str:
    """Dollars with six decimals from 1e-6 dollar."""
    sign = "-" if amount_e6 < 0 else ""
    return f"{sign}{abs(amount_e6) // 1_000_000}.{abs(amount_e6) % 1_000_000:06d}"


def rfc3339(time_ns: int) -> str:
    """Time in UTC to the microsecond; zeros at the end of the fraction are dropped, as the exchange does."""
    stamp = datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{time_ns % NS_PER_SECOND // 1_000:06d}".rstrip("0")
    return f"{stamp}.{fraction}Z" if fraction else f"{stamp}Z"


def uuid_text(kind: int, high: int, low: int) -> str:
    """Id of a thing of one kind with the numbers ``high`` and ``low`` (48 bits each)."""
    return str(UUID(int=(kind << 96) | (high << 48) | low, version=4))


def unmixed(id_text: str) -> int | None:
    """Return ``low`` of an id made by ``uuid_text`` with ``high`` 0; None where the text is no such id."""
    try:
        number = UUID(id_text).int
    except ValueError:
        return None
    return number & ((1 << 48) - 1)
