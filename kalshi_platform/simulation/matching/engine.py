"""Price-time matching engine: every order of one event's markets on preallocated arrays.

Owns       the orders, one queue a (market, side, level), the aggregated depth, the tape of changes.
Grid       prices are positions 0..G-1 on the ascending list of tradable prices, which is symmetric:
           the other outcome's price of position i is position G-1-i. A YES bid at i crosses a NO bid
           at j exactly where i + j >= G - 1.
Invariants depth >= 0; depth = sum of the queue's orders; a resting book is never crossed or locked.
Units      sizes 1e-2 contract, times us.
Not here   who orders what (agents.py), prices in money (contracts.py).
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel

#: No order, no level.
NONE: Final = -1


class Book(NamedTuple):
    """Orders and queues of M markets with G levels a side and room for C orders."""

    depth: np.ndarray  # (M, 2, G) i8
    head: np.ndarray  # (M, 2, G) i4: oldest order of the queue, NONE if empty
    tail: np.ndarray  # (M, 2, G) i4: youngest order
    best: np.ndarray  # (M, 2) i4: highest level with depth, NONE if the side is empty
    qty: np.ndarray  # (C,) i8: 0 = the order is gone
    level: np.ndarray  # (C,) i4
    side: np.ndarray  # (C,) i4
    owner: np.ndarray  # (C,) i4: tag of the quote it belongs to
    older: np.ndarray  # (C,) i4
    younger: np.ndarray  # (C,) i4
    free: np.ndarray  # (C,) i4: stack of unused order numbers
    n_free: np.ndarray  # (1,) i8


class Tape(NamedTuple):
    """Changes of the books in the order the exchange published them; one row a wire message."""

    time_us: np.ndarray  # (N,) i8, since the event opened, strictly increasing
    market: np.ndarray  # (N,) i4
    side: np.ndarray  # (N,) u1
    level: np.ndarray  # (N,) i4
    change: np.ndarray  # (N,) i8, signed
    is_fill: np.ndarray  # (N,) u1
    fair: np.ndarray  # (N,) f8, fair probability of the market at that time: for oracles only
    exch_us: np.ndarray  # (N,) i8, when it happened, since the event opened; 0 where nobody keeps it
    n: np.ndarray  # (1,) i8 rows written
    now_us: np.ndarray  # (1,) i8
    now_fair: np.ndarray  # (M,) f8


def new_book(n_markets: int, n_levels: int, capacity: int) -> Book:
    """Empty books of ``n_markets`` markets."""
    shape = (n_markets, 2, n_levels)
    return Book(
        depth=np.zeros(shape, "i8"),
        head=np.full(shape, NONE, "i4"),
        tail=np.full(shape, NONE, "i4"),
        best=np.full((n_markets, 2), NONE, "i4"),
        qty=np.zeros(capacity, "i8"),
        level=np.zeros(capacity, "i4"),
        side=np.zeros(capacity, "i4"),
        owner=np.full(capacity, NONE, "i4"),
        older=np.full(capacity, NONE, "i4"),
        younger=np.full(capacity, NONE, "i4"),
        free=np.arange(capacity, dtype="i4")[::-1].copy(),
        n_free=np.full(1, capacity, "i8"),
    )


def new_tape(n_markets: int, capacity: int) -> Tape:
    """An empty tape."""
    return Tape(
        time_us=np.zeros(capacity, "i8"),
        market=np.zeros(capacity, "i4"),
        side=np.zeros(capacity, "u1"),
        level=np.zeros(capacity, "i4"),
        change=np.zeros(capacity, "i8"),
        is_fill=np.zeros(capacity, "u1"),
        fair=np.zeros(capacity, "f8"),
        exch_us=np.zeros(capacity, "i8"),
        n=np.zeros(1, "i8"),
        now_us=np.zeros(1, "i8"),
        now_fair=np.zeros(n_markets, "f8"),
    )


@kernel
def publish(tape: Tape, market: int, side: int, level: int, change: int, is_fill: int) -> None:
    """Append one change at the tape's clock.

    A full tape drops the change, and the caller's loop ends there.
    """
    i = tape.n[0]
    if i >= tape.time_us.size:
        return
    if i > 0 and tape.now_us[0] <= tape.time_us[i - 1]:
        tape.now_us[0] = tape.time_us[i - 1] + 1
    tape.time_us[i] = tape.now_us[0]
    tape.market[i] = market
    tape.side[i] = side
    tape.level[i] = level
    tape.change[i] = change
    tape.is_fill[i] = is_fill
    tape.fair[i] = tape.now_fair[market]
    tape.n[0] = i + 1


@kernel
def _change_depth(book: Book, market: int, side: int, level: int, change: int) -> None:
    book.depth[market, side, level] += change
    best = book.best[market, side]
    best = max(best, level)
    while best >= 0 and book.depth[market, side, best] == 0:
        best -= 1
    book.best[market, side] = best


@kernel
def _unlink(book: Book, market: int, order: int) -> None:
    side, level = book.side[order], book.level[order]
    older, younger = book.older[order], book.younger[order]
    if older == NONE:
        book.head[market, side, level] = younger
    else:
        book.younger[older] = younger
    if younger == NONE:
        book.tail[market, side, level] = older
    else:
        book.older[younger] = older
    book.qty[order] = 0
    book.free[book.n_free[0]] = order
    book.n_free[0] += 1


@kernel
def rest(book: Book, tape: Tape, market: int, side: int, level: int, qty: int, owner: int) -> int:
    """Queue a bid of ``owner`` that does not cross; returns its order number, NONE if the engine refuses it.

    The engine refuses a bid that would cross (post-only), lies outside the grid, has qty <= 0, or finds no
    room.
    """
    n_levels = book.depth.shape[2]
    if qty <= 0 or level < 0 or level >= n_levels or book.n_free[0] == 0:
        return NONE
    if level + book.best[market, 1 - side] >= n_levels - 1 and book.best[market, 1 - side] != NONE:
        return NONE
    book.n_free[0] -= 1
    order = book.free[book.n_free[0]]
    last = book.tail[market, side, level]
    book.qty[order] = qty
    book.level[order] = level
    book.side[order] = side
    book.owner[order] = owner
    book.older[order] = last
    book.younger[order] = NONE
    if last == NONE:
        book.head[market, side, level] = order
    else:
        book.younger[last] = order
    book.tail[market, side, level] = order
    _change_depth(book, market, side, level, qty)
    publish(tape, market, side, level, qty, 0)
    return order


@kernel
def cancel(book: Book, tape: Tape, market: int, order: int) -> None:
    """Take a living order out of its queue."""
    side, level, qty = book.side[order], book.level[order], book.qty[order]
    _unlink(book, market, order)
    _change_depth(book, market, side, level, -qty)
    publish(tape, market, side, level, -qty, 0)


@kernel
def resize(book: Book, tape: Tape, market: int, order: int, qty: int) -> None:
    """Change a living order's size in one message.

    A smaller order keeps its place, a larger one goes to the back of its queue.
    """
    side, level, change = book.side[order], book.level[order], qty - book.qty[order]
    if change == 0 or qty <= 0:
        return
    last = book.tail[market, side, level]
    if change > 0 and last != order:
        older, younger = book.older[order], book.younger[order]
        if older == NONE:
            book.head[market, side, level] = younger
        else:
            book.younger[older] = younger
        book.older[younger] = older
        book.older[order] = last
        book.younger[last] = order
        book.younger[order] = NONE
        book.tail[market, side, level] = order
    book.qty[order] = qty
    _change_depth(book, market, side, level, change)
    publish(tape, market, side, level, change, 0)


@kernel
def take(book: Book, tape: Tape, market: int, side: int, limit: int, qty: int) -> int:
    """Trade at once on ``side`` up to grid position ``limit``.

    Returns the size filled, the rest is cancelled.

    The order meets the other outcome's bids best first, oldest first. The engine publishes one fill a level.
    """
    n_levels = book.depth.shape[2]
    other = 1 - side
    left = qty
    while left > 0:
        level = book.best[market, other]
        if level == NONE or level + limit < n_levels - 1:
            break
        filled = 0
        while left > 0 and book.head[market, other, level] != NONE:
            order = book.head[market, other, level]
            part = min(left, book.qty[order])
            left -= part
            filled += part
            if part == book.qty[order]:
                _unlink(book, market, order)
            else:
                book.qty[order] -= part
        _change_depth(book, market, other, level, -filled)
        publish(tape, market, other, level, -filled, 1)
    return qty - left
