"""The records that make up an environment, replayed or live.

One record an environment and one a slot: a step touches all fields of few records. numba passes a record as
one pointer, but copies and reference-counts every array of a tuple. Measured 5 times faster than an array a
field (ADR-0002).
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.trading_hours import PAUSE_NS
from kalshi_platform.simulation.replay.account import ACCOUNT_ENV_FIELDS, ACCOUNT_SLOT_FIELDS
from kalshi_platform.simulation.replay.execution import ORDER_FIELDS

#: WAITING opens later; CLOSED traded its last and still waits to be paid its outcome.
EMPTY, WAITING, LIVE, CLOSED, ENDED = range(5)

ENV_DTYPE: Final = np.dtype(
    [
        *ACCOUNT_ENV_FIELDS,
        ("now_ns", "i8"),  # environment time
        ("elapsed_ns", "i8"),  # time that the last step took; kept over a restart
        ("episode", "i8"),
        ("episode_return", "f8"),
        ("step", "i4"),
        ("max_steps", "i4"),
        ("active", "u1"),  # 0 = no episode left
    ],
    align=True,
)
_SLOT_FIELDS: Final[list[Any]] = [
    *ACCOUNT_SLOT_FIELDS,
    *ORDER_FIELDS,
    ("cursor", "i8"),  # bank row the slot stands at
    ("stop", "i8"),
    ("end_ns", "i8"),  # market time from which on the exchange refuses orders
    ("news_ns", "i8"),  # market time at which anyone can know that no further row comes
    ("pause_ns", "i8"),  # start of the weekly pause that ends next, as of market time ``pause_known_ns``
    ("pause_known_ns", "i8"),
    ("shift_ns", "i8"),  # environment time = row time - shift
    ("first_ns", "i8"),  # market time of the slot's first row
    ("equity_e6", "i8"),  # cash flow and position at its mark, as of the last step
    ("exposure_e6", "i8"),  # value of the position, as of the last step
    ("reward", "f4"),  # the slot's share of the last step's reward; kept over a restart
    ("market", "i4"),
    ("terms_at", "i4"),  # of the market
    ("terms", "i4"),  # place in ``BankArrays.terms`` of those in force at the slot's row
    ("state", "u1"),  # EMPTY, WAITING, LIVE, CLOSED or ENDED
    ("most_e6", "i8"),  # the most cash that an action of the mask takes
    ("turn", "u1"),  # slot whose turn it is at this place where cash is scarce
    ("settles", "u1"),
    ("settled", "u1"),
    ("mask", "u1", (N_ACTIONS,)),  # 1 = available
    ("action_counts", "i4", (N_ACTIONS,)),
    ("masked_counts", "i4", (N_ACTIONS,)),
]
#: Fields that every step reads, in front: three cache lines. The rest is read where an order works.
_EVERY_STEP: Final = (
    "position_e2", "mark2_e4", "cost_e6", "cursor", "stop", "shift_ns", "pause_ns",
    "pause_known_ns", "order_reserved_e6", "equity_e6", "exposure_e6", "slot_cash_e6", "n_taken", "most_e6",
    "burst_filled_e2", "terms", "market", "reward", "state", "order_state", "order_action", "sent_action",
    "settles", "mask", "action_counts", "masked_counts", "terms_at", "opened_ns",
)  # fmt: skip
SLOT_DTYPE: Final = np.dtype(
    sorted(_SLOT_FIELDS, key=lambda f: _EVERY_STEP.index(f[0]) if f[0] in _EVERY_STEP else len(_EVERY_STEP)),
    align=True,
)


def allocate(n_envs: int, n_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Records of environments (N,) and slots (N, S) without an episode, readable from plain Python."""
    envs = np.zeros(n_envs, ENV_DTYPE).view(np.recarray)
    slots = np.zeros((n_envs, n_slots), SLOT_DTYPE).view(np.recarray)
    slots.pause_ns[:] = -PAUSE_NS  # over at any time: the first look finds the next pause
    return envs, slots
