"""Reasons for which the core refuses a command or cancels an order, with the exchange's own words.

A refusal leaves everything as it was. ``API_CODES`` has the code of the REST answer, ``FIX_NAMES`` the name
of a FIX reject, ``UPDATE_REASONS`` the ``last_update_reason`` of a ``user_order`` message.
Unconfirmed   the exchange publishes no list that is complete. A code in ``OURS`` is none of the exchange's.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.simulation.matching.codes import code

OK: Final[Any] = code(0)

# Refusals of the exchange.
INVALID_ORDER: Final[Any] = code(1)  # options that exclude each other, an unknown side, an old expiry
INVALID_PRICE: Final[Any] = code(2)  # off the market's bands, or not strictly between 0 and 1 dollar
INVALID_ORDER_SIZE: Final[Any] = code(3)
POST_ONLY_CROSS: Final[Any] = code(4)
INSUFFICIENT_BALANCE: Final[Any] = code(5)
FOK_INSUFFICIENT_VOLUME: Final[Any] = code(6)
EXCEEDED_PER_MARKET_RISK_LIMIT: Final[Any] = code(7)
EXCEEDED_ORDER_GROUP_RISK_LIMIT: Final[Any] = code(8)  # the group is triggered; also of its cancels
EXCHANGE_PAUSED: Final[Any] = code(9)
TRADING_PAUSED: Final[Any] = code(10)
MARKET_INACTIVE: Final[Any] = code(11)
ORDER_NOT_FOUND: Final[Any] = code(12)
ORDER_SIDE_MISMATCH: Final[Any] = code(13)
ORDER_TICKER_MISMATCH: Final[Any] = code(14)
ORDER_GROUP_NOT_FOUND: Final[Any] = code(15)
INVALID_ORDER_GROUP_LIMIT: Final[Any] = code(16)
OPEN_ORDER_LIMIT: Final[Any] = code(17)  # the account has as many open orders as it may

# Cancels that the exchange makes.
SELF_CROSS_ATTEMPT: Final[Any] = code(30)
MARGIN_CANCEL: Final[Any] = code(31)  # a fill's fee or rounding is more than the account's free cash
EXPIRY_CANCEL: Final[Any] = code(32)
CLOSE_CANCEL: Final[Any] = code(33)
HALT_CANCEL: Final[Any] = code(34)
REDUCE_ONLY_CANCEL: Final[Any] = code(35)
USER_CANCEL: Final[Any] = code(36)
IOC_REMAINDER: Final[Any] = code(37)  # whatever an IOC order did not fill at once
DECREASE_CANCEL: Final[Any] = code(38)  # decreased to nothing
FLOOR_CANCEL: Final[Any] = code(39)  # priced at or below a settlement floor that was raised

# Refusals of this core alone.
TAPE_FULL: Final[Any] = code(60)  # read the tape, then repeat the command
CORE_FULL: Final[Any] = code(61)  # no room for another order or group
UNKNOWN_MARKET: Final[Any] = code(62)
UNKNOWN_ACCOUNT: Final[Any] = code(63)
UNKNOWN_COMMAND: Final[Any] = code(64)
INVALID_AMOUNT: Final[Any] = code(65)  # a deposit or transfer that cannot be
INVALID_TIME: Final[Any] = code(67)  # a command at or after the time that never comes
INVALID_STATUS: Final[Any] = code(66)  # a market cannot go from its status to that one

NAMES: Final[dict[int, str]] = {
    int(value): name for name, value in list(globals().items()) if isinstance(value, np.int64)
}

#: First code that is none of the exchange's.
OURS: Final = 60

#: Code of the REST error body, and its ``details`` where it has any. Seen in the exchange's documents or
#: answers: invalid_order, invalid_order_size, available_balance_too_low, order_side_mismatch,
#: order_ticker_mismatch, MARKET_INACTIVE, the details of a post-only cross, and the three of ``CONFLICTS``;
#: the others are assumed.
API_CODES: Final[dict[np.int64, tuple[str, str]]] = {
    INVALID_ORDER: ("invalid_order", ""),
    INVALID_PRICE: ("invalid_order", "invalid price"),
    INVALID_ORDER_SIZE: ("invalid_order_size", ""),
    POST_ONLY_CROSS: ("invalid_order", "post only cross"),
    INSUFFICIENT_BALANCE: ("available_balance_too_low", ""),
    FOK_INSUFFICIENT_VOLUME: ("fill_or_kill_insufficient_resting_volume", ""),
    EXCEEDED_PER_MARKET_RISK_LIMIT: ("invalid_order", "exceeded per market risk limit"),
    EXCEEDED_ORDER_GROUP_RISK_LIMIT: ("invalid_order", "exceeded order group risk limit"),
    EXCHANGE_PAUSED: ("exchange_is_paused", ""),
    TRADING_PAUSED: ("trading_is_paused", ""),
    MARKET_INACTIVE: ("MARKET_INACTIVE", ""),
    ORDER_NOT_FOUND: ("not_found", ""),
    ORDER_SIDE_MISMATCH: ("order_side_mismatch", ""),
    ORDER_TICKER_MISMATCH: ("order_ticker_mismatch", ""),
    ORDER_GROUP_NOT_FOUND: ("not_found", ""),
    INVALID_ORDER_GROUP_LIMIT: ("invalid_parameters", ""),
    OPEN_ORDER_LIMIT: ("invalid_order", "open order limit exceeded"),
}

#: Codes of ``API_CODES`` that the exchange was seen to answer with status 409: the order could not be, now.
CONFLICTS: Final = frozenset({
    "fill_or_kill_insufficient_resting_volume", "exchange_is_paused", "trading_is_paused",
})  # fmt: skip

#: Rejects that FIX names.
FIX_NAMES: Final = frozenset({
    EXCHANGE_PAUSED, TRADING_PAUSED, INSUFFICIENT_BALANCE, EXCEEDED_PER_MARKET_RISK_LIMIT,
    EXCEEDED_ORDER_GROUP_RISK_LIMIT, FOK_INSUFFICIENT_VOLUME, SELF_CROSS_ATTEMPT,
})  # fmt: skip

#: ``last_update_reason`` of an order that ended for this reason; others have none.
UPDATE_REASONS: Final[dict[np.int64, str]] = {
    SELF_CROSS_ATTEMPT: "SelfTradeCancel",
    MARGIN_CANCEL: "MarginCancel",
    EXPIRY_CANCEL: "ExpiryCancel",
    CLOSE_CANCEL: "CloseCancel",
    HALT_CANCEL: "HaltCancel",
    REDUCE_ONLY_CANCEL: "ReduceOnlyCancel",
    POST_ONLY_CROSS: "PostOnlyCrossCancel",
    DECREASE_CANCEL: "Decrease",
}
