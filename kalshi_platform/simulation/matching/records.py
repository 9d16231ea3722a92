"""Arrays of the matching core: one record an order, a market, an account, a tape row; all allocated at once.

Sides      BID buys YES, ASK sells YES, which is buying NO at the rest of the dollar.
Prices     ``price_e4`` is on the YES scale. ``own_e4`` is what the order pays for one contract of the outcome
           it buys: the price of a bid, one dollar less the price of an ask. Two orders of opposite sides meet
           where their own prices make a dollar or more, so both sides rank alike: the highest is best.
Ladder     every price of the exchange's finest unit, 0..10,000, so that a market's bands may change while
           orders rest off the new grid.
Numbers    64 bits (codes.py says why).
Units      price 1e-4 dollar, size 1e-2 contract, cash 1e-6 dollar, time ns.
"""

import mmap
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.simulation.matching.codes import code, codes

#: No order, no level, no group.
NONE: Final[Any] = code(-1)
BID, ASK = codes(2)
DOLLAR_E4: Final[Any] = code(10_000)
#: Own prices 0..10,000.
N_PRICES: Final = 10_001
#: A time that never comes.
NEVER_NS: Final[Any] = code(2**62)
#: Occupied prices are bits of words of this many bits.
WORD_BITS: Final = 32
MAX_BANDS: Final = 16
#: Smallest step of the balance of members behind a broker, 1e-6 dollar; direct members have finer ones.
BROKER_UNIT_E6: Final = 10_000
#: Most resting orders of one account.
MOST_OPEN_ORDERS: Final = 200_000
#: Largest size of one order: ten million contracts.
MAX_QTY_E2: Final = 10**9

#: Status of a market; ``determined`` and its like lie between CLOSED and FINALIZED and change nothing here.
INITIALIZED, ACTIVE, INACTIVE, CLOSED, FINALIZED = codes(5)
#: Status of a shard. TRADING_PAUSE: no order is placed or changed, cancels work. FULL_PAUSE: nothing works.
RUNNING, TRADING_PAUSE, FULL_PAUSE = codes(3)

MARKET_DTYPE: Final = np.dtype(
    [
        ("shard", "i8"),
        ("status", "i8"),
        ("open_ns", "i8"),
        ("close_ns", "i8"),
        ("taker_rate_e6", "i8"),
        ("maker_rate_e6", "i8"),
        ("rounding", "i8"),  # domain/fees.py, ROUNDING_CODE
        ("n_bands", "i8"),
        ("position_limit_e2", "i8"),  # of one account, either side; 0 = none
        ("open_interest_e2", "i8"),  # contracts that exist: a dollar of collateral each, less paid floors
        ("floor_e4", "i8"),  # least payment of one YES, paid to direct members already
        ("settlement_e4", "i8"),  # payment of one YES; NONE while open
    ],
)
BAND_DTYPE: Final = np.dtype([("start_e4", "i8"), ("end_e4", "i8"), ("step_e4", "i8")])
ORDER_DTYPE: Final = np.dtype(
    [
        ("order_id", "i8"),  # NONE while the slot is free
        ("place", "i8"),  # time priority: smaller is older
        ("client", "i8"),  # the caller's tag
        ("qty_e2", "i8"),  # still to fill
        ("filled_e2", "i8"),
        ("pool_e6", "i8"),  # fee accumulator
        ("hold_e6", "i8"),  # reserved for maker fees
        ("expiry_ns", "i8"),  # NEVER_NS = none
        ("account", "i8"),
        ("market", "i8"),
        ("own_e4", "i8"),
        ("group", "i8"),  # slot of its group or NONE
        ("heap_at", "i8"),  # place in the heap of expiries or NONE
        ("older", "i8"),  # neighbours in the queue of its price
        ("younger", "i8"),
        ("side", "i8"),
        ("stp", "i8"),
        ("options", "i8"),
        ("rests", "i8"),  # 1 = in the book; 0 while it arrives
    ],
)
WALLET_DTYPE: Final = np.dtype([("cash_e6", "i8"), ("reserved_e6", "i8")])  # 0 <= reserved <= cash
HOLDING_DTYPE: Final = np.dtype(
    [
        ("position_e2", "i8"),  # + YES, - NO
        ("hold_e6", "i8"),  # for the maker fees of all its orders
        ("reserved_e6", "i8"),
        ("fees_e6", "i8"),  # paid so far
    ]
)
WORKING_DTYPE: Final = np.dtype([("qty_e2", "i8"), ("cost_e6", "i8")])  # resting orders of one side
#: Slots + 1 of the oldest and the youngest order, 0 = none: a price that never had one takes no memory.
ENDS_DTYPE: Final = np.dtype([("head", "i4"), ("tail", "i4")])
GROUP_DTYPE: Final = np.dtype(
    [
        ("group_id", "i8"),  # NONE while free
        ("limit_e2", "i8"),
        ("rolling_e2", "i8"),  # matched in the window
        ("account", "i8"),
        ("shard", "i8"),
        ("triggered", "i8"),
        ("first", "i8"),  # place of the oldest match in the ring
        ("n", "i8"),
        ("n_orders", "i8"),
    ],
)
MATCH_DTYPE: Final = np.dtype([("time_ns", "i8"), ("qty_e2", "i8")])
TAPE_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("order_id", "i8"),  # of the taker in a fill
        ("maker_id", "i8"),
        ("client", "i8"),
        ("qty_e2", "i8"),  # signed in a book delta
        ("left_e2", "i8"),  # the order's, the taker's in a fill
        ("maker_left_e2", "i8"),
        ("fee_e6", "i8"),  # net; the taker's in a fill
        ("maker_fee_e6", "i8"),
        ("position_e2", "i8"),  # the account's after the row
        ("maker_position_e2", "i8"),
        ("cash_e6", "i8"),  # paid to the account by a settlement or deposit
        ("kind", "i8"),
        ("reason", "i8"),
        ("account", "i8"),
        ("maker_account", "i8"),
        ("market", "i8"),
        ("side", "i8"),
        ("price_e4", "i8"),  # YES scale
        ("group", "i8"),
    ],
)
STATE_DTYPE: Final = np.dtype(
    [
        ("now_ns", "i8"),
        ("serial", "i8"),  # of the next order, place or group
        ("n_free", "i8"),
        ("n_used", "i8"),  # slots below this one were used at some time
        ("n_heap", "i8"),
        ("n_open", "i8"),
        ("next_market_ns", "i8"),  # next opening or close by the clock
        ("written", "i8"),  # tape rows so far
        ("read", "i8"),
        ("decrease_keeps_place", "i8"),
        ("reprice_keeps_place", "i8"),
        ("most_open", "i8"),  # resting orders of one account
    ]
)
SHARD_DTYPE: Final = np.dtype([("status", "i8"), ("fees_e6", "i8"), ("paid_in_e6", "i8")])


class Core(NamedTuple):
    """State of M markets, A accounts on S shards, room for C orders, G groups and N tape rows."""

    state: np.ndarray  # (1,) STATE_DTYPE
    shards: np.ndarray  # (S,) SHARD_DTYPE
    markets: np.ndarray  # (M,) MARKET_DTYPE
    bands: np.ndarray  # (M, MAX_BANDS) BAND_DTYPE
    depth: np.ndarray  # (M, 2, N_PRICES) i8, by own price
    occupied: np.ndarray  # (M, 2, words) i8: bit = the price has depth
    best: np.ndarray  # (M, 2) i8: highest own price with depth, NONE if the side is empty
    queues: np.ndarray  # (M, 2, N_PRICES) ENDS_DTYPE
    orders: np.ndarray  # (C,) ORDER_DTYPE
    free: np.ndarray  # (C,) i8: stack of unused slots
    heap: np.ndarray  # (C,) i8: slots by expiry, the earliest first
    units: np.ndarray  # (A,) i8: smallest step of the account's balance, 1e-6 dollar
    wallets: np.ndarray  # (A, S) WALLET_DTYPE
    holdings: np.ndarray  # (A, M) HOLDING_DTYPE
    working: np.ndarray  # (A, M, 2) WORKING_DTYPE
    n_resting: np.ndarray  # (A,) i8: orders of the account that rest
    groups: np.ndarray  # (G,) GROUP_DTYPE
    matches: np.ndarray  # (G, K) MATCH_DTYPE: ring of a group's matches
    tape: np.ndarray  # (N,) TAPE_DTYPE, a ring


class Sizes(NamedTuple):
    """Room that a core is made with."""

    markets: int = 1
    accounts: int = 2
    shards: int = 1
    orders: int = 4_096
    groups: int = 16
    matches: int = 64
    tape_rows: int = 0  # raised to what one command may write


def new_core(sizes: Sizes) -> Core:
    """Empty core: no cash, every market unopened and without price bands."""
    m, a, c, g = sizes.markets, sizes.accounts, sizes.orders, sizes.groups
    words = -(-N_PRICES // WORD_BITS)
    n_tape = max(sizes.tape_rows, 2 * (2 * c + a + 2 * m + g + 16))  # twice what one command may write
    core = Core(
        state=new_records(1, STATE_DTYPE),
        shards=new_records(sizes.shards, SHARD_DTYPE),
        markets=new_records(m, MARKET_DTYPE),
        bands=new_records((m, MAX_BANDS), BAND_DTYPE),
        depth=_sparse((m, 2, N_PRICES), np.dtype("i8")),
        occupied=np.zeros((m, 2, words), "i8"),
        best=np.full((m, 2), NONE, "i8"),
        queues=_sparse((m, 2, N_PRICES), ENDS_DTYPE),
        orders=new_records(c, ORDER_DTYPE),
        free=np.arange(c, dtype="i8")[::-1].copy(),
        heap=np.zeros(c, "i8"),
        units=np.full(a, 100, "i8"),
        wallets=new_records((a, sizes.shards), WALLET_DTYPE),
        holdings=new_records((a, m), HOLDING_DTYPE),
        working=new_records((a, m, 2), WORKING_DTYPE),
        n_resting=np.zeros(a, "i8"),
        groups=new_records(g, GROUP_DTYPE),
        matches=new_records((g, sizes.matches), MATCH_DTYPE),
        tape=new_records(n_tape, TAPE_DTYPE),
    )
    core.orders["order_id"] = core.groups["group_id"] = NONE
    core.markets["close_ns"] = core.markets["open_ns"] = NEVER_NS
    core.markets["settlement_e4"] = NONE
    core.state["n_free"], core.state["next_market_ns"] = c, NEVER_NS
    core.state["serial"] = 1
    core.state["decrease_keeps_place"] = 1
    core.state["most_open"] = MOST_OPEN_ORDERS
    return core


def _sparse(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeroed records of which only the 4 KiB pages that are written take memory.

    Most prices of most markets never have an order. In huge pages one order would take 2 MiB.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    memory = mmap.mmap(-1, max(size, 1))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    records = np.frombuffer(memory, dtype, int(np.prod(shape))).reshape(shape)
    return np.asarray(records.view(np.recarray)) if dtype.names else records


def new_records(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeroed records whose fields are attributes in plain Python too.

    They are no recarray: numba looks twice as long at one when a kernel is called.
    """
    return np.asarray(np.zeros(shape, dtype).view(np.recarray))
