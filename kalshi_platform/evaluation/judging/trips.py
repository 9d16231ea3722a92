"""Round trips, one by one: what was bought, paid and earned in each, from looks between two decisions.

Owns       the record of a trip, how it is followed over the looks, and the buffer that keeps those ended.
Units      cash 1e-6 dollar, quantity 1e-2 contract, time ns.
Invariant  P&L and fees of an episode's trips add up to those of its records, to the last 1e-6 dollar.

Between two looks all that a slot traded counts to the trip that was open at the earlier one.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_YES
from kalshi_platform.domain.compiled import kernel

#: How a trip ended: traded away, paid by the outcome, or valued at what closing it would have brought.
SOLD, SETTLED, VALUED = range(3)
#: One round trip; times of the market's own clock.
TRIP_DTYPE: Final = np.dtype(
    [
        ("episode", "i8"),
        ("slot", "i4"),
        ("market", "i4"),
        ("side", "i1"),  # 1 YES, -1 NO, 0 where nobody saw it
        ("ending", "u1"),
        ("n_fills", "i4"),
        ("entry_ns", "i8"),  # of its first fill
        ("exit_ns", "i8"),  # when it was first seen flat, or the end of the episode
        ("contracts_e2", "i8"),  # bought
        ("paid_e6", "i8"),  # for them, fees not included
        ("fees_e6", "i8"),
        ("pnl_e6", "i8"),
    ],
    align=True,
)


class Accounts(NamedTuple):
    """Views of the environments' live accounts; N environments, S slots."""

    equity_e6: np.ndarray  # (N,) i8
    position_e2: np.ndarray  # (N, S) i8, signed
    mark2_e4: np.ndarray  # (N, S) i8: twice the price the position is valued at
    slot_cash_e6: np.ndarray  # (N, S) i8: cash flow of the slot since the episode began
    cost_e6: np.ndarray  # (N, S) i8: paid for the open position
    fees_e6: np.ndarray  # (N, S) i8, since the episode began, as are the next three
    traded_e2: np.ndarray  # (N, S) i8
    turnover_e6: np.ndarray  # (N, S) i8
    n_fills: np.ndarray  # (N, S) i4
    opened_ns: np.ndarray  # (N, S) i8: environment time
    shift_ns: np.ndarray  # (N, S) i8: environment time = market time - shift
    now_ns: np.ndarray  # (N,) i8
    episode: np.ndarray  # (N,) i8


class Ended(NamedTuple):
    """Records of one episode that ended; k slots that held a market (``EpisodeRecords``)."""

    slot: np.ndarray  # (k,) i4
    market: np.ndarray  # (k,) i4
    end_ns: np.ndarray  # (k,) i8: market time of the slot's last row, as are the next four i8
    pnl_e6: np.ndarray
    fees_e6: np.ndarray
    traded_e2: np.ndarray
    turnover_e6: np.ndarray
    n_fills: np.ndarray  # (k,) i4
    n_queued: np.ndarray  # (k,) i4
    ahead_e2: np.ndarray  # (k,) i8
    passed_ahead_e2: np.ndarray  # (k,) i8
    settled: np.ndarray  # (k,) u1
    action: np.ndarray  # (k,) i1: the last order that was sent, resting or in flight before the end


class TripBook(NamedTuple):
    """State of the trips under way (N environments, S slots) and the buffer of those that ended."""

    size_e2: np.ndarray  # (N, S) i8: absolute position at the last look
    cost_e6: np.ndarray  # (N, S) i8: at the last look, as are the next two
    traded_e2: np.ndarray  # (N, S) i8
    turnover_e6: np.ndarray  # (N, S) i8
    opened_ns: np.ndarray  # (N, S) i8: market time of the open trip's first fill
    bought_e2: np.ndarray  # (N, S) i8: of the open trip
    paid_e6: np.ndarray  # (N, S) i8: for that
    booked_fees_e6: np.ndarray  # (N, S) i8: fees of round trips already ended
    booked_fills: np.ndarray  # (N, S) i8: their fills
    trips: np.ndarray  # (C,) TRIP_DTYPE: those since they were last moved; C = 0 keeps none
    n_trips: np.ndarray  # (1,) i8: how many of them are filled


def allocate_trips(n_envs: int, n_slots: int, capacity: int) -> TripBook:
    """Book without any trip; ``capacity`` 0 keeps none of those that end."""
    trips = np.zeros(capacity, TRIP_DTYPE).view(np.recarray)
    wide = (np.zeros((n_envs, n_slots), np.int64) for _ in TripBook._fields[:-2])
    return TripBook(*[*wide, trips, np.zeros(1, np.int64)])


@kernel
def keep_trip(
    book: TripBook, n: int, s: int, episode: int, market: int, side: int, ending: int,
    exit_ns: int, fees_e6: int, n_fills: int, pnl_e6: int,
) -> None:  # fmt: skip
    """Write the ended trip of slot (n, s), whose size and payment ``book`` holds, where trips are kept."""
    fees = fees_e6 - book.booked_fees_e6[n, s]
    fills = n_fills - book.booked_fills[n, s]
    book.booked_fees_e6[n, s] = fees_e6
    book.booked_fills[n, s] = n_fills
    if book.trips.size == 0:
        return
    trip = book.trips[book.n_trips[0]]
    book.n_trips[0] += 1
    trip.episode = episode
    trip.slot = s
    trip.market = market
    trip.side = side
    trip.ending = ending
    trip.n_fills = fills
    trip.entry_ns = book.opened_ns[n, s]
    trip.exit_ns = exit_ns
    trip.contracts_e2 = book.bought_e2[n, s]
    trip.paid_e6 = book.paid_e6[n, s]
    trip.fees_e6 = fees
    trip.pnl_e6 = pnl_e6


@kernel
def follow_size(book: TripBook, account: Accounts, n: int, s: int, is_new: bool) -> None:
    """Add to the open trip what was bought since the last look; a new trip begins with all it holds."""
    size, cost = abs(account.position_e2[n, s]), account.cost_e6[n, s]
    if is_new:
        book.opened_ns[n, s] = account.opened_ns[n, s] + account.shift_ns[n, s]
        book.bought_e2[n, s] = size
        book.paid_e6[n, s] = cost
    elif size > book.size_e2[n, s]:
        book.bought_e2[n, s] += size - book.size_e2[n, s]
        book.paid_e6[n, s] += cost - book.cost_e6[n, s]
    book.size_e2[n, s] = size
    book.cost_e6[n, s] = cost
    book.traded_e2[n, s] = account.traded_e2[n, s]
    book.turnover_e6[n, s] = account.turnover_e6[n, s]


@kernel
def finish_trip(book: TripBook, ended: Ended, i: int, n: int, side: int, last_ns: int) -> int:
    """Add what record ``i`` traded after the last look to its open trip; returns the trip's side.

    ``side`` is 0 where the trip was opened and ended after the last look, at ``last_ns``.
    """
    s, action = ended.slot[i], ended.action[i]
    traded = ended.traded_e2[i] - book.traded_e2[n, s]
    turnover = ended.turnover_e6[i] - book.turnover_e6[n, s]
    if side == 0:
        book.opened_ns[n, s] = last_ns
        book.bought_e2[n, s] = 0
        book.paid_e6[n, s] = 0
    if action in (BUY_YES, BUY_NO):
        book.bought_e2[n, s] += traded
        book.paid_e6[n, s] += turnover
    if side != 0 or action == HOLD:
        return side
    return 1 if action in (BUY_YES, SELL_YES) else -1


@kernel
def forget_trips(book: TripBook, n: int) -> None:
    """Begin anew in environment ``n``, whose episode ended."""
    book.size_e2[n] = 0
    book.cost_e6[n] = 0
    book.traded_e2[n] = 0
    book.turnover_e6[n] = 0
    book.booked_fees_e6[n] = 0
    book.booked_fills[n] = 0
