"""Types of the stream's messages, and their numbers.

Owns   the list of types that carry data and of those that answer commands; anything else is new: it is kept
       as it came and counted by name.
"""

from collections.abc import Mapping
from typing import Any, Final

from kalshi_platform.data.market_data import frames as wire
from kalshi_platform.data.market_data.schema import NO_SEQ
from kalshi_platform.domain.errors import DataError

#: Types of messages that carry data.
DATA_TYPES: Final = frozenset({
    "orderbook_snapshot", "orderbook_delta", "trade", "ticker", "market_lifecycle_v2", "event_lifecycle",
    "event_fee_update", "multivariate_market_lifecycle", "fill", "user_order", "market_position",
    "order_group_updates",
})  # fmt: skip
#: Types of answers to commands.
CONTROL_TYPES: Final = frozenset({"ok", "subscribed", "unsubscribed", "error"})
#: Type of a message -> its counter.
KNOWN_COUNTERS: Final = {name: f"messages:{name}" for name in DATA_TYPES | CONTROL_TYPES}
#: Counters beyond which unknown types are no longer told apart: a peer could send a new one each time.
_MOST_COUNTERS: Final = 1_000
_NAME_CHARS: Final = 64


def counter_of(name: str, counters: Mapping[str, int]) -> str:
    """Name of the counter of a message of type ``name``, which may be empty."""
    known = KNOWN_COUNTERS.get(name)
    if known is not None:
        return known
    key = f"unknown_type:{name[:_NAME_CHARS] or '(none)'}"
    return key if key in counters or len(counters) < _MOST_COUNTERS else "unknown_type:(others)"


def numbers_of(message: Mapping[str, Any]) -> tuple[int, int]:
    """(sid, seq) of a message, NO_SEQ where it has none; DataError where one cannot be."""
    plain: Any = message.get("sid"), message.get("seq")
    if wire.are_plain(*plain):
        return plain
    sid, seq = wire.sid_of(message), wire.seq_of(message)
    if seq is None:
        raise DataError(f"seq = {message.get('seq')!r}; expected a whole number of 0 or more")
    return sid, (NO_SEQ if sid == NO_SEQ else seq)
