"""The layout of the flat observation: its numbers, its views, and that nobody works it out again."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.replay.layout import Blocks, Layout, join, layout_in_kernel, layout_of

ROOT = Path(__file__).resolve().parents[4]
OWNER = "kalshi_platform/simulation/replay/layout.py"
#: Ways to find the place of a mask, or the width, without asking the layout.
AGAIN = re.compile(
    r"1 \+ (N_ACTIONS|n_actions|len\(ACTIONS\))"
    r"|shape\[1\] - \w*n_slots"
    r"|- ?(\w+\.)?(n_slots|SLOTS|s) \* N_ACTIONS"
    r"|(mask|masks|action|actions|portfolio)_at = (?!layout\.)"
)


def test_offsets_are_those_worked_by_hand():
    # 3 slots, 4 market and 2 portfolio features, 5 actions: 12 | 6 | 3 | 15 columns
    assert layout_of(3, 4, 2) == Layout(
        n_slots=3,
        n_market=4,
        n_portfolio=2,
        portfolio_at=12,
        slot_mask_at=18,
        action_mask_at=21,
        width=36,
    )


@pytest.mark.parametrize("of", [lambda x: x, torch.from_numpy], ids=["array", "tensor"])
def test_split_shows_every_column_where_it_stands(of):
    layout = layout_of(2, 2, 1)
    flat = of(np.arange(2 * 20, dtype=np.float32).reshape(2, 20))  # 18 columns, two more behind them
    seen = layout.split(flat)
    assert seen.market[0].tolist() == [[0, 1], [2, 3]]
    assert seen.portfolio[1].tolist() == [[24], [25]]
    assert seen.slot_mask.tolist() == [[6, 7], [26, 27]]
    assert seen.action_mask[0].tolist() == [[8, 9, 10, 11, 12], [13, 14, 15, 16, 17]]
    for block in seen:  # views, so that a block can be written in place
        block[:] = -1
    assert (flat[:, :18] == -1).all()
    assert flat[:, 18:].tolist() == [[18, 19], [38, 39]]


@given(
    n=st.integers(1, 4), s=st.integers(1, 6), f=st.integers(1, 9), p=st.integers(1, 5), seed=st.integers(0)
)
def test_split_takes_apart_what_join_puts_together(n, s, f, p, seed):
    rng = np.random.default_rng(seed)
    shapes = ((n, s, f), (n, s, p), (n, s), (n, s, N_ACTIONS))
    blocks = Blocks(*(rng.random(shape, np.float32) for shape in shapes))
    layout, flat = layout_of(s, f, p), join(blocks)
    assert flat.shape == (n, layout.width)
    for before, after in zip(blocks, layout.split(flat), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(join(layout.split(flat)), flat)


def test_a_kernel_takes_a_layout_and_makes_the_same_one():
    assert layout_in_kernel(3, 4, 2) == layout_of(3, 4, 2)

    @kernel
    def offset_of(layout: Layout, s: int, a: int) -> int:
        own = layout_in_kernel(layout.n_slots, layout.n_market, layout.n_portfolio)
        return layout.action_mask_at + own.action_mask_at + s * N_ACTIONS + a

    assert offset_of(layout_of(3, 4, 2), 1, 2) == 21 + 21 + 5 + 2


def python_files() -> list[Path]:
    rooms = ("kalshi_platform", "serve_deployments", "tune_experiments", "benchmarks", "cluster", "docker")
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_other_file_works_out_where_a_mask_stands():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in python_files()
        if path != ROOT / OWNER
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if AGAIN.search(line)
    ]
    assert not found, "ask the Layout for these offsets:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "start = flat.shape[1] - n_slots * (1 + N_ACTIONS)",
        "masks = flat[:, spec.width - s * (1 + N_ACTIONS) :]",
        "width = n_slots * (len(market) + len(portfolio) + 1 + len(ACTIONS))",
        "end = spec.width - spec.n_slots * N_ACTIONS",
        "legal = flat[:, -SLOTS * N_ACTIONS :]",
        "self._masks_at = spec.n_slots * len(self.columns)",
        "actions_at = masks_at + n_slots",
        "mask_at = portfolio_at + n_slots * N_PORTFOLIO",
    ],
)
def test_the_search_finds_the_ways_it_was_worked_out_before(line):
    assert AGAIN.search(line)
