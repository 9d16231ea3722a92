"""Arrays of one event's world: agents, clocks and the recording; opening.py allocates and fills them.

Times    ns since the opening. Columns of ``due`` are the agents of a market: K makers, then TAKER, LIMIT and
         WHALE; the arbitrageur and the schedule belong to the event.
Prices   ``own_e4`` as in ``matching/records.py``: what an order pays for the outcome it buys.
Accounts one a maker, then those of ``accounts_of``: nobody but a maker quotes for itself in two markets.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.simulation.matching.codes import codes
from kalshi_platform.simulation.matching.engine import Tape
from kalshi_platform.simulation.matching.records import Core

#: Agents of a market beside its makers, as offsets behind them in ``due``.
TAKER, LIMIT, WHALE = codes(3)
N_OTHERS: Final = 3
#: Accounts behind those of the makers.
TAKER_ACCOUNT, LIMIT_ACCOUNT, WHALE_ACCOUNT, INFORMED_ACCOUNT, ARBITRAGE_ACCOUNT = codes(5)
N_OTHER_ACCOUNTS: Final = 5
MAX_LEVELS: Final = 10
#: What a maker does next: cancel its ladder, or set it.
CANCELS, SETS = codes(2)
#: Kinds of scheduled items. NEWS and JUMP: ``value`` is the row of the path of fair values; ACTIVITY: takers
#: in thousandths of the usual; QUIET: makers withdraw until ``value`` ns; PAUSE, RESUME, REGRID: all markets.
NEWS, JUMP, ACTIVITY, QUIET, PAUSE, RESUME, REGRID = codes(7)
#: Families of markets whose probabilities bind each other.
ALONE, EXCLUSIVE, NESTED = codes(3)

MAKER_DTYPE: Final = np.dtype(
    [
        ("levels", "i8"),
        ("offset_e4", "f8"),
        ("spacing_e4", "f8"),
        ("contracts", "f8"),
        ("step_contracts", "f8"),
        ("log_sd", "f8"),
        ("lot_contracts", "f8"),
        ("refresh_ns", "f8"),
        ("pause_ns", "f8"),
        ("orders_at_once", "i8"),
        ("reaction_ns", "f8"),
        ("tolerance_e4", "f8"),
        ("error_e4", "f8"),
        ("skew_e4", "f8"),
        ("max_e2", "i8"),
    ]
)
LADDER_DTYPE: Final = np.dtype(
    [("doing", "i8"), ("n_set", "i8"), ("first_side", "i8"), ("belief_e4", "f8"), ("error_e4", "f8")]
)
MARKET_STATE_DTYPE: Final = np.dtype(
    [
        ("excitation", "f8"),  # takers a ns that earlier takers set off, at ``excited_ns``
        ("excited_ns", "i8"),
        ("bound", "f8"),  # intensity a ns under which the next candidate was drawn
        ("whale_side", "i8"),
        ("whale_e2", "i8"),  # still to buy
    ]
)
SETTINGS_DTYPE: Final = np.dtype(
    [
        ("taker_rate", "f8"),  # a ns
        ("branching", "f8"),
        ("decay", "f8"),  # a ns
        ("taker_contracts", "f8"),
        ("taker_log_sd", "f8"),
        ("informed_share", "f8"),
        ("informed_edge_e4", "f8"),
        ("whale_ns", "f8"),
        ("whale_contracts", "f8"),
        ("child_e2", "i8"),
        ("child_ns", "f8"),
        ("limit_ns", "f8"),
        ("limit_contracts", "f8"),
        ("limit_log_sd", "f8"),
        ("limit_life_ns", "f8"),
        ("improve_share", "f8"),
        ("arbitrage_edge_e4", "f8"),
        ("arbitrage_ns", "f8"),
        ("batch_us", "i8"),
        ("pace_us", "f8"),
        ("pace_mean_us", "f8"),
        ("family", "i8"),
    ]
)
STATE_DTYPE: Final = np.dtype(
    [
        ("now_ns", "i8"),
        ("arbitrage_ns", "i8"),  # when the arbitrageur acts; NEVER_NS where there is nothing to take
        ("next_item", "i8"),
        ("quiet_until_ns", "i8"),
        ("activity", "f8"),
        ("fine_grid", "i8"),
        ("is_open", "i8"),  # 1 = the makers have set their first ladders
        ("batch", "i8"),  # number of the feed's batch, and the time of its first message
        ("batch_at_us", "i8"),
        ("commands", "i8"),
        ("refused", "i8"),
        ("unpaid", "i8"),  # orders refused because their account lacks cash
        ("n_told", "i8"),  # rows in ``told``
        ("untold", "i8"),  # rows that had no room there: the reader must stop
    ]
)


class DaySchedule(NamedTuple):
    """Items in order of time."""

    at_ns: np.ndarray  # (S,) i8
    kind: np.ndarray  # (S,) i8
    value: np.ndarray  # (S,) i8
    fair: np.ndarray  # (P, M) f8: fair probability of every market after each move of the forecast


class World(NamedTuple):
    """One event's exchange, agents and recording: M markets, K makers."""

    core: Core
    command: np.ndarray  # (1,) COMMAND_DTYPE
    answer: np.ndarray  # (1,) ANSWER_DTYPE
    tape: Tape  # what the feed sent; ``level`` is the own price
    settings: np.ndarray  # (1,) SETTINGS_DTYPE
    state: np.ndarray  # (1,) STATE_DTYPE
    makers: np.ndarray  # (K,) MAKER_DTYPE
    ladders: np.ndarray  # (M, K) LADDER_DTYPE
    quotes: np.ndarray  # (M, K, 2, MAX_LEVELS) i8: order numbers, NONE where there is none
    markets: np.ndarray  # (M,) MARKET_STATE_DTYPE
    due: np.ndarray  # (M, K + N_OTHERS) i8
    schedule: DaySchedule
    fine_bands: np.ndarray  # (3, 3) i8: price bands after a change
    told: np.ndarray  # (n,) TAPE_DTYPE: every row of the core, for a live reader; (0,) where nobody reads
