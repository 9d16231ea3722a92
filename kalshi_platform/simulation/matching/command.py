"""Commands of the core as records, and the answer to each.

``account`` of NONE is the exchange itself, which alone may change a status or settle.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.simulation.matching.codes import code, codes
from kalshi_platform.simulation.matching.records import NEVER_NS, NONE, new_records

(
    SUBMIT, CANCEL, AMEND, DECREASE_BY, DECREASE_TO, CANCEL_ALL,
    GROUP_CREATE, GROUP_LIMIT, GROUP_RESET, GROUP_TRIGGER, GROUP_DELETE,
    DEPOSIT, TRANSFER, MARKET_STATUS, MARKET_CLOSE_AT, MARKET_GRID, MARKET_FEES, SHARD_STATUS, SETTLE, WAIT,
    MARKET_FLOOR,
) = codes(21)  # fmt: skip
N_OPS: Final = 21

GTC, IOC, FOK = codes(3)
#: Codes of ``time_in_force``.
TIF_CODES: Final = {"good_till_canceled": GTC, "immediate_or_cancel": IOC, "fill_or_kill": FOK}
POST_ONLY, REDUCE_ONLY, CANCEL_ON_PAUSE = code(1), code(2), code(4)
NO_FLAGS: Final[Any] = code(0)

COMMAND_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),  # earlier than the core's clock counts as now
        ("order_id", "i8"),  # of CANCEL, AMEND, DECREASE; NONE in CANCEL_ALL
        ("group_id", "i8"),  # NONE = none
        ("qty_e2", "i8"),  # size; AMEND: filled + wanted; DECREASE: by or to; groups: the limit
        ("expiry_ns", "i8"),  # NEVER_NS = none; AMEND: NONE = as it is
        ("client", "i8"),  # the caller's tag; AMEND: 0 = as it is
        ("amount_e6", "i8"),  # DEPOSIT (negative = paid out), TRANSFER
        ("op", "i8"),
        ("account", "i8"),
        (
            "market",
            "i8",
        ),  # CANCEL: NONE = any. DEPOSIT, SHARD_STATUS, GROUP_CREATE: the shard; TRANSFER: from this shard
        ("price_e4", "i8"),  # YES scale; SETTLE, MARKET_FLOOR: payment of one YES; TRANSFER: to this shard
        ("status", "i8"),
        ("side", "i8"),
        ("tif", "i8"),
        ("stp", "i8"),
        ("options", "i8"),
    ],
)
ANSWER_DTYPE: Final = np.dtype(
    [
        ("order_id", "i8"),  # of the order; of a group the group's number
        ("filled_e2", "i8"),  # at once by this command
        ("left_e2", "i8"),  # that rests afterwards
        ("reduced_e2", "i8"),  # taken away by CANCEL, DECREASE, IOC; CANCEL_ALL: number of orders
        ("reason", "i8"),  # OK or why it was refused
        ("ended", "i8"),  # why the order's rest was cancelled, OK where it was not
    ]
)


def new_commands(n: int) -> np.ndarray:
    """Records (n,) of commands that wait and have no options."""
    commands = new_records(n, COMMAND_DTYPE)
    commands["op"] = WAIT
    commands["order_id"] = commands["group_id"] = NONE
    commands["account"] = commands["market"] = NONE
    commands["expiry_ns"] = NEVER_NS
    return commands


def new_answers(n: int) -> np.ndarray:
    """Records (n,) of answers."""
    return new_records(n, ANSWER_DTYPE)
