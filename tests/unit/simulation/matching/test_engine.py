"""The matching engine against a slow, obvious order book."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.simulation.matching import engine

N_LEVELS = 9
CAPACITY = 64


class SlowBook:
    """Lists of [order, qty] a (side, level), oldest first; a NO bid at j is a YES ask at N_LEVELS - 1 - j."""

    def __init__(self):
        self.queues = {(side, level): [] for side in (0, 1) for level in range(N_LEVELS)}

    def best(self, side):
        return max((level for (s, level), q in self.queues.items() if s == side and q), default=-1)

    def depth(self):
        out = np.zeros((2, N_LEVELS), "i8")
        for (side, level), queue in self.queues.items():
            out[side, level] = sum(qty for _, qty in queue)
        return out

    def crosses(self, side, level):
        other = self.best(1 - side)
        return other >= 0 and level + other >= N_LEVELS - 1

    def find(self, order):
        return next(
            (k, i) for k, queue in self.queues.items() for i, (o, _) in enumerate(queue) if o == order
        )

    def take(self, side, limit, qty):
        left = qty
        while left and self.crosses(side, limit):
            queue = self.queues[1 - side, self.best(1 - side)]
            part = min(left, queue[0][1])
            queue[0][1] -= part
            left -= part
            if queue[0][1] == 0:
                queue.pop(0)
        return qty - left


@pytest.fixture(params=["numba", "python"])
def ops(request):
    names = ("rest", "cancel", "resize", "take")
    return {n: getattr(engine, n) if request.param == "numba" else getattr(engine, n).py_func for n in names}


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["rest", "rest", "cancel", "resize", "take"]),
        st.integers(0, 1),
        st.integers(0, N_LEVELS - 1),
        st.integers(1, 400),
    ),
    max_size=60,
)


def one(ops, slow, book, tape, action, side, level, qty):
    """Apply one action to both books and compare what they answer."""
    alive = [o for queue in slow.queues.values() for o, _ in queue]
    if action == "rest":
        order = ops["rest"](book, tape, 0, side, level, qty, 7)
        assert (order == engine.NONE) == slow.crosses(side, level)
        if order != engine.NONE:
            slow.queues[side, level].append([order, qty])
    elif action == "take":
        assert ops["take"](book, tape, 0, side, level, qty) == slow.take(side, level, qty)
    elif alive:
        order = alive[level % len(alive)]
        key, i = slow.find(order)
        if action == "cancel":
            ops["cancel"](book, tape, 0, order)
            slow.queues[key].pop(i)
            return
        ops["resize"](book, tape, 0, order, qty)
        entry = slow.queues[key][i]
        if qty > entry[1]:
            slow.queues[key].append(slow.queues[key].pop(i))
        entry[1] = qty


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS)
@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "python"])
def test_every_sequence_of_orders_leaves_the_same_book_as_the_slow_one(compiled, actions):
    ops = {
        n: getattr(engine, n) if compiled else getattr(engine, n).py_func
        for n in ("rest", "cancel", "resize", "take")
    }
    slow, book, tape = SlowBook(), engine.new_book(1, N_LEVELS, CAPACITY), engine.new_tape(1, 2_000)
    for action in actions:
        one(ops, slow, book, tape, *action)
        np.testing.assert_array_equal(book.depth[0], slow.depth())
        assert [int(b) for b in book.best[0]] == [slow.best(0), slow.best(1)]
        assert slow.best(0) + slow.best(1) < N_LEVELS - 1 or -1 in (slow.best(0), slow.best(1))
    n = int(tape.n[0])
    rebuilt = np.zeros_like(book.depth)
    np.add.at(rebuilt, (tape.market[:n], tape.side[:n], tape.level[:n]), tape.change[:n])
    np.testing.assert_array_equal(rebuilt, book.depth)
    assert (np.diff(tape.time_us[:n]) > 0).all()


def test_a_taker_meets_the_best_price_first_and_the_oldest_order_first(ops):
    book, tape = engine.new_book(1, N_LEVELS, CAPACITY), engine.new_tape(1, 20)
    first = ops["rest"](book, tape, 0, 1, 4, 100, 1)
    second = ops["rest"](book, tape, 0, 1, 4, 100, 2)
    worse = ops["rest"](book, tape, 0, 1, 3, 100, 3)
    # a YES taker up to level 5 meets NO bids at 4 (YES ask 4): all of the first, half of the second
    assert ops["take"](book, tape, 0, 0, 5, 150) == 150
    assert [int(book.qty[o]) for o in (first, second, worse)] == [0, 50, 100]
    # one print a level: 150 at level 4
    assert (int(tape.level[3]), int(tape.change[3]), int(tape.is_fill[3])) == (4, -150, 1)
    assert ops["take"](book, tape, 0, 0, 5, 500) == 150  # 50 at 4, 100 at 3, then nothing is left
    assert int(tape.n[0]) == 6


def test_a_crossing_bid_does_not_rest_and_says_nothing(ops):
    book, tape = engine.new_book(1, N_LEVELS, CAPACITY), engine.new_tape(1, 20)
    ops["rest"](book, tape, 0, 0, 5, 100, 1)
    assert ops["rest"](book, tape, 0, 1, 3, 100, 2) == engine.NONE  # 5 + 3 = 8 = N_LEVELS - 1: locked
    assert ops["rest"](book, tape, 0, 1, 2, 100, 2) != engine.NONE
    assert int(tape.n[0]) == 2


def test_an_order_made_larger_loses_its_place_and_one_made_smaller_keeps_it(ops):
    book, tape = engine.new_book(1, N_LEVELS, CAPACITY), engine.new_tape(1, 20)
    a, b = (ops["rest"](book, tape, 0, 0, 5, 100, 1) for _ in range(2))
    ops["resize"](book, tape, 0, a, 60)
    assert int(book.head[0, 0, 5]) == a
    ops["resize"](book, tape, 0, a, 200)
    assert (int(book.head[0, 0, 5]), int(book.tail[0, 0, 5])) == (b, a)
