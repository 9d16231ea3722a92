"""The kernel of the door: fates against a slow and obvious replay, compiled and as plain Python."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made.market_rows import CENTS, MadeMarket

from kalshi_platform.data.market_data import judging
from kalshi_platform.data.market_data.book_checks import new_marks
from kalshi_platform.data.market_data.fates import BEFORE_SNAPSHOT, BELOW_ZERO, IN_GAP, KEPT
from kalshi_platform.data.market_data.faults import IN_FORCE, MAX_QTY_E2
from kalshi_platform.data.market_data.market_meta import grid_table
from kalshi_platform.data.market_data.price_levels import new_levels
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, NO_SIDE, YES
from kalshi_platform.domain.market import PriceBand


def grid_of(bands: tuple[PriceBand, ...]) -> np.ndarray:
    return grid_table(bands).astype(np.uint8) * np.uint8(IN_FORCE)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["delta", "snapshot", "gap"]),
        st.integers(0, 1),
        st.integers(0, 3),
        st.integers(-3, 4),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("kernel", [judging.judge, judging.judge.py_func], ids=["numba", "python"])
@given(STEPS)
def test_fates_equal_the_slow_obvious_replay(
    kernel: Callable[..., tuple[int, int, int, int]], steps: list[tuple[str, int, int, int]]
) -> None:
    market = MadeMarket()
    book: dict[tuple[int, int], int] | None = None
    fates: list[int] = []
    seen = False
    for kind, side, cents, qty in steps:
        price = cents * 100
        if kind == "snapshot":
            market.snapshot([(price, 5)] if side == YES else [], [(price, 5)] if side == NO else [])
            book, seen = {(side, price): 5}, True
            fates += [KEPT, KEPT]
        elif kind == "gap":
            market.gap()
            book = None
            fates.append(KEPT)
        else:
            market.delta(side, price, qty)
            if book is None:
                fates.append(IN_GAP if seen else BEFORE_SNAPSHOT)
            elif book.get((side, price), 0) + qty < 0:
                fates.append(BELOW_ZERO)
                book = None
            else:
                book[side, price] = book.get((side, price), 0) + qty
                fates.append(KEPT)
    rows = market.rows()
    fate = np.full(rows.kind.size, 9, np.uint8)
    columns = (rows.recv_ns, rows.kind, rows.side, rows.price_e4, rows.qty_e2, rows.flags)
    found = kernel(*columns, grid_of(CENTS), new_levels(100), new_marks(100), fate, 0)
    assert fate.tolist() == fates
    assert found == (0, -1, 0, rows.kind.size)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3, 10**8, 10**10]), st.integers(0, 7), st.sampled_from([YES, NO, NO_SIDE]),
            st.sampled_from([-2, -1, 0, 4_200, 4_250, 6_000, 10_001]),
            st.sampled_from([-7, -1, 0, 1, 9, MAX_QTY_E2 + 1]), st.sampled_from([0, FLAG_LAST, 1]),
        ), min_size=1, max_size=12,
    )
)  # fmt: skip
def test_rows_are_judged_alike_compiled_and_in_plain_python(rows: list[tuple[int, ...]]) -> None:
    dtypes = ("i8", "u1", "u1", "i4", "i8", "u1")
    columns = [np.array(column, dtype) for column, dtype in zip(zip(*rows, strict=True), dtypes, strict=True)]
    results = []
    for kernel in (judging.judge, judging.judge.py_func):
        fate, marks, depth = np.full(len(rows), 9, np.uint8), new_marks(100), new_levels(100)
        found = kernel(*columns, grid_of(CENTS), depth, marks, fate, 0)
        results.append((found, fate.tolist(), marks.tolist(), depth.tolist()))
    assert results[0] == results[1]
