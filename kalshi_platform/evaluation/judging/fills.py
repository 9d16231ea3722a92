"""Fills and resting orders of a policy while it trades, written down by what changed between two looks.

Owns       the record of fills and of a resting order, the buffers that keep them, and when a fill happened.
Units      cash 1e-6 dollar, quantity 1e-2 contract, price 1e-4 dollar, time ns of the market's own clock.
Invariant  sizes, values, fees and fills of an episode's records add up to its own, to the last unit.
Not        round trips (trips.py). Fills of one slot between two decisions are one record: those of one order.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.evaluation.judging.trips import Ended
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.bank import PRINTS_ONLY
from kalshi_platform.simulation.replay.execution import RESTING

#: Beyond the actions: fills of two orders between two looks; the assumed sale of what was left at the end.
MIXED, VALUED_AT_END = 5, 6
#: What one order of a slot filled between two looks.
FILL_DTYPE: Final = np.dtype(
    [
        ("episode", "i8"),
        ("slot", "i4"),
        ("market", "i4"),
        ("at_ns", "i8"),
        ("contracts_e2", "i8"),
        ("value_e6", "i8"),  # price x size, fees not included
        ("fees_e6", "i8"),
        ("position_e2", "i8"),  # signed, after them
        ("n_fills", "i4"),
        ("n_queued", "i4"),  # 1: the first fill of a resting order whose queue was known
        ("ahead_e2", "i8"),  # of such a fill: the size displayed ahead when the order came to rest
        ("passed_ahead_e2", "i8"),  # and what of it traded before
        ("action", "u1"),  # of domain/actions.py, MIXED or VALUED_AT_END
    ],
    align=True,
)
#: A resting order at one price, as the looks met it.
ORDER_DTYPE: Final = np.dtype(
    [
        ("episode", "i8"),
        ("slot", "i4"),
        ("market", "i4"),
        ("from_ns", "i8"),  # the look that first met it
        ("to_ns", "i8"),  # the look that no longer met it, or the market's last row in the episode
        ("price_e4", "i8"),  # YES scale
        ("action", "u1"),
    ],
    align=True,
)


class FillViews(NamedTuple):
    """Views of the environments' live slots (N, S), of their episodes (N,) and of the bank."""

    position_e2: np.ndarray
    traded_e2: np.ndarray
    turnover_e6: np.ndarray
    fees_e6: np.ndarray
    n_fills: np.ndarray
    n_queued: np.ndarray
    ahead_e2: np.ndarray
    passed_ahead_e2: np.ndarray
    market: np.ndarray
    shift_ns: np.ndarray
    arrival_ns: np.ndarray  # environment time at which the last order sent reached the book
    order_state: np.ndarray
    order_action: np.ndarray
    order_price_e4: np.ndarray
    episode: np.ndarray  # (N,) i8
    recv_ns: np.ndarray  # (R,) i8 of the bank's rows
    source: np.ndarray  # (M,) u1 of its markets
    is_maker: bool


class FillBook(NamedTuple):
    """Figures at the last look (N, S) and the records since they were last moved (C,)."""

    position_e2: np.ndarray
    traded_e2: np.ndarray
    value_e6: np.ndarray
    fees_e6: np.ndarray
    n_fills: np.ndarray
    n_queued: np.ndarray
    ahead_e2: np.ndarray
    passed_ahead_e2: np.ndarray
    resting: np.ndarray  # action of the order that rests; HOLD = none
    price_e4: np.ndarray  # its price, YES scale
    from_ns: np.ndarray  # when it was first met
    fills: np.ndarray  # (C,) FILL_DTYPE
    orders: np.ndarray  # (C,) ORDER_DTYPE
    n: np.ndarray  # (2,) i8: fills and orders written


def allocate_fills(n_envs: int, n_slots: int, capacity: int) -> FillBook:
    """Book of slots that did not trade yet, with room for ``capacity`` records of each kind."""
    wide = (np.zeros((n_envs, n_slots), np.int64) for _ in FillBook._fields[:-3])
    fills, orders = (np.zeros(capacity, kind).view(np.recarray) for kind in (FILL_DTYPE, ORDER_DTYPE))
    return FillBook(*[*wide, fills, orders, np.zeros(2, np.int64)])


@kernel
def action_of(before_e2: int, after_e2: int, traded_e2: int) -> int:
    """Action whose fills moved a position from ``before_e2`` to ``after_e2``; MIXED where no one did."""
    change = after_e2 - before_e2
    if abs(change) != traded_e2:
        return MIXED
    if before_e2 >= 0 and after_e2 >= 0:
        return BUY_YES if change > 0 else SELL_YES
    if before_e2 <= 0 and after_e2 <= 0:
        return BUY_NO if change < 0 else SELL_NO
    return MIXED


@kernel
def _write_fill(
    book: FillBook, n: int, s: int, episode: int, market: int, at_ns: int, action: int, traded_e2: int,
    value_e6: int, fees_e6: int, n_fills: int, n_queued: int, ahead_e2: int, passed_ahead_e2: int,
    position_e2: int,
) -> None:  # fmt: skip
    """Write what slot (n, s) filled since the last look; the figures are sums since the episode began."""
    fill = book.fills[book.n[0]]
    book.n[0] += 1
    fill.episode = episode
    fill.slot = s
    fill.market = market
    fill.at_ns = at_ns
    fill.action = action
    fill.contracts_e2 = traded_e2 - book.traded_e2[n, s]
    fill.value_e6 = value_e6 - book.value_e6[n, s]
    fill.fees_e6 = fees_e6 - book.fees_e6[n, s]
    fill.n_fills = n_fills - book.n_fills[n, s]
    fill.n_queued = n_queued - book.n_queued[n, s]
    fill.ahead_e2 = ahead_e2 - book.ahead_e2[n, s]
    fill.passed_ahead_e2 = passed_ahead_e2 - book.passed_ahead_e2[n, s]
    fill.position_e2 = position_e2


@kernel
def _end_order(book: FillBook, n: int, s: int, episode: int, market: int, to_ns: int) -> None:
    """Write the resting order of slot (n, s), which is met no more at ``to_ns``."""
    order = book.orders[book.n[1]]
    book.n[1] += 1
    order.episode = episode
    order.slot = s
    order.market = market
    order.from_ns = book.from_ns[n, s]
    order.to_ns = to_ns
    order.price_e4 = book.price_e4[n, s]
    order.action = book.resting[n, s]
    book.resting[n, s] = HOLD


@kernel
def _look_at_slot(book: FillBook, views: FillViews, n: int, s: int, row: int) -> None:
    """Write what changed in slot (n, s) since the last look; it stands at ``row``."""
    seen_ns, market, episode = views.recv_ns[row], views.market[n, s], views.episode[n]
    if views.n_fills[n, s] != book.n_fills[n, s]:
        # a taker fills on arrival, except where only prints are known
        on_arrival = not views.is_maker and views.source[market] != PRINTS_ONLY
        at_ns = views.arrival_ns[n, s] + views.shift_ns[n, s] if on_arrival else seen_ns
        before, after = book.position_e2[n, s], views.position_e2[n, s]
        action = action_of(before, after, views.traded_e2[n, s] - book.traded_e2[n, s])
        _write_fill(
            book, n, s, episode, market, at_ns, action, views.traded_e2[n, s], views.turnover_e6[n, s],
            views.fees_e6[n, s], views.n_fills[n, s], views.n_queued[n, s], views.ahead_e2[n, s],
            views.passed_ahead_e2[n, s], after,
        )  # fmt: skip
        book.position_e2[n, s] = after
        book.traded_e2[n, s] = views.traded_e2[n, s]
        book.value_e6[n, s] = views.turnover_e6[n, s]
        book.fees_e6[n, s] = views.fees_e6[n, s]
        book.n_fills[n, s] = views.n_fills[n, s]
        book.n_queued[n, s] = views.n_queued[n, s]
        book.ahead_e2[n, s] = views.ahead_e2[n, s]
        book.passed_ahead_e2[n, s] = views.passed_ahead_e2[n, s]
    action = views.order_action[n, s] if views.order_state[n, s] == RESTING else HOLD
    price = views.order_price_e4[n, s]
    if book.resting[n, s] != HOLD and (action != book.resting[n, s] or price != book.price_e4[n, s]):
        _end_order(book, n, s, episode, market, seen_ns)
    if action != HOLD and book.resting[n, s] == HOLD:
        book.resting[n, s] = action
        book.price_e4[n, s] = price
        book.from_ns[n, s] = seen_ns


@kernel
def look_for_fills(book: FillBook, views: FillViews, rows: np.ndarray) -> None:
    """Write what changed in every slot since the last look; rows (N, S) i8, -1 where it stands at none."""
    for n in range(rows.shape[0]):
        for s in range(rows.shape[1]):
            if rows[n, s] >= 0:
                _look_at_slot(book, views, n, s, rows[n, s])


@kernel
def end_fills(book: FillBook, ended: Ended, n: int, episode: int) -> None:
    """Write what was filled after the last look of an episode of environment ``n``, and begin anew there.

    Fees of the sale that a valuation at the end assumes come with those fills, or as a record of their own.
    """
    for i in range(ended.slot.size):
        s, at_ns = ended.slot[i], ended.end_ns[i]
        traded = ended.traded_e2[i] - book.traded_e2[n, s]
        if traded > 0 or ended.fees_e6[i] != book.fees_e6[n, s]:
            action = VALUED_AT_END
            after = 0
            if traded > 0:
                action = ended.action[i]
                ups = action in (BUY_YES, SELL_NO)
                after = book.position_e2[n, s] + (traded if ups else -traded)
            _write_fill(
                book, n, s, episode, ended.market[i], at_ns, action, ended.traded_e2[i],
                ended.turnover_e6[i], ended.fees_e6[i], ended.n_fills[i], ended.n_queued[i],
                ended.ahead_e2[i], ended.passed_ahead_e2[i], after,
            )  # fmt: skip
        if book.resting[n, s] != HOLD:
            _end_order(book, n, s, episode, ended.market[i], at_ns)
    book.position_e2[n] = 0
    book.traded_e2[n] = 0
    book.value_e6[n] = 0
    book.fees_e6[n] = 0
    book.n_fills[n] = 0
    book.n_queued[n] = 0
    book.ahead_e2[n] = 0
    book.passed_ahead_e2[n] = 0


class FillLog:
    """Fills and resting orders of one rollout, kept from look to look."""

    def __init__(self, env: ReplayVectorEnv) -> None:
        self._room = 2 * env.n_envs * env.n_slots  # a look and an end write at most one of each kind a slot
        self._book = allocate_fills(env.n_envs, env.n_slots, 2 * self._room + 4_096)
        slots = {name: np.asarray(env.slots[name]) for name in FillViews._fields[:-4]}
        self._views = FillViews(
            **slots,
            episode=env.episode,
            recv_ns=np.asarray(env.arrays.rows["recv_ns"]),
            source=np.asarray(env.bank.arrays.markets["source"]),
            is_maker=env.config.order_style == "maker",
        )
        self._parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])

    def look(self, rows: np.ndarray) -> None:
        """Write what changed since the last look at the slots, which stand at ``rows`` (N, S) i8."""
        look_for_fills(self._book, self._views, rows)
        if int(self._book.n.max()) + self._room > self._book.fills.size:
            self._move()

    def end(self, n: int, ended: Ended, episode: int) -> None:
        """Write what the episode that ended in environment ``n`` filled after the last look."""
        end_fills(self._book, ended, n, episode)

    def _move(self) -> None:
        for parts, buffer, n in zip(
            self._parts, (self._book.fills, self._book.orders), self._book.n.tolist(), strict=True
        ):
            parts.append(buffer[:n].copy())
        self._book.n[:] = 0

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """(fills FILL_DTYPE, resting orders ORDER_DTYPE) of everything seen, in the order they were seen."""
        self._move()
        fills, orders = (np.concatenate(parts) for parts in self._parts)
        return fills, orders
