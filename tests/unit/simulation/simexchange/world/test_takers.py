"""Takers: clusters as a Hawkes process has them, informed ones that cost makers money, whales in parts."""

from typing import Any

import numpy as np
import pytest

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.simexchange.world import MakerConfig, WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import (
    open_world,
    plan_specs,
    trade_event,
)
from kalshi_platform.simulation.simexchange.world.takers import (
    _begin_whale,
    is_taker,
    next_candidate,
    set_activity,
)

QUIET = WorldConfig(
    min_duration_s=3_600, max_duration_s=3_600, single_share=1.0, nested_share=0.0, pause_share=0.0,
    regrid_share=0.0, category_shares=(1.0, 0.0, 0.0, 0.0), whales_per_hour=0.0, limits_per_hour=0.0,
)  # fmt: skip


@kernel
def taker_counts(world: Any, rng: np.random.Generator, window_ns: int, out: np.ndarray) -> None:
    """Number of takers in each of ``out.size`` windows, nothing traded."""
    state = world.state[0]
    state.now_ns = 0
    while True:
        at = next_candidate(world, rng, 0)
        if at >= window_ns * out.size:
            return
        state.now_ns = at
        if is_taker(world, rng, 0):
            out[at // window_ns] += 1


def counts(branching):
    config = QUIET.replace(takers_per_hour=360.0, branching=branching, decay_s=5.0)
    world, rng, _ = open_world(config, 0, rows=10_000)
    world.state["activity"] = 1.0
    out = np.zeros(4_000, "i8")
    taker_counts(world, rng, 60_000_000_000, out)
    return out


@pytest.mark.parametrize(("branching", "ratio"), [(0.0, 1.0), (0.5, 3.5012), (0.8, 15.9072)])
def test_takers_cluster_as_a_hawkes_process(branching, ratio):
    # Variance of the number in T seconds over its mean, in closed form: with k = 1 / (1 - branching) and
    # g = (1 - branching) / decay_s it is k^2 + (1 - k^2) (1 - exp(-g T)) / (g T). At T = 60 s, decay 5 s and
    # branching 0.5: k = 2, g T = 6, so 4 - 3 (1 - 0.00248) / 6 = 3.5012. At 0.8: k = 5, g T = 2.4,
    # 25 - 24 (1 - 0.09072) / 2.4 = 15.9072.
    seen = counts(branching)
    mean = 6.0 / (1.0 - branching)
    assert seen.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / (1.0 - branching) ** 2 / seen.size))
    assert seen.var() / seen.mean() == pytest.approx(ratio, rel=0.1)


@kernel
def first_taker_ns(
    world: Any, rng: np.random.Generator, before: float, after: float, out: np.ndarray
) -> None:
    """Time of the first taker when the activity changes from ``before`` to ``after`` at once, many times."""
    column = world.makers.size
    for i in range(out.size):
        set_activity(world, rng, before)
        set_activity(world, rng, after)
        out[i] = world.due[0, column]


def test_takers_come_at_the_new_activity_as_soon_as_it_changes():
    # 36 an hour at activity 4 is one in 25 s, also where nobody was due for 1,000 s before
    world, rng, _ = open_world(QUIET.replace(takers_per_hour=36.0), 0, rows=10_000)
    out = np.zeros(4_000, "i8")
    first_taker_ns(world, rng, 0.1, 4.0, out)
    assert out.mean() / 1e9 == pytest.approx(25.0, abs=4 * 25.0 / np.sqrt(out.size))


@kernel
def whale_sides(world: Any, rng: np.random.Generator, out: np.ndarray) -> None:
    """Side that each of many whales chooses."""
    for i in range(out.size):
        _begin_whale(world, rng, 0)
        out[i] = world.markets[0].whale_side


def test_an_informed_whale_buys_what_is_worth_more_than_the_mid():
    world, rng, _ = open_world(QUIET.replace(informed_share=1.0), 0, rows=10_000)
    bid, no_bid = (int(world.core.best[0, side]) for side in (0, 1))
    mid, out = (bid + 10_000 - no_bid) / 20_000, np.zeros(50, "i8")
    for shift, side in ((0.002, 0), (-0.002, 1)):  # far inside the spread
        world.tape.now_fair[0] = mid + shift
        whale_sides(world, rng, out)
        assert (out == side).all()


def adverse(share):
    """Mean of (fair - mid before) towards the taker, cents, and its standard error by event."""
    slow = MakerConfig(levels=4, refresh_s=60.0, reaction_ms=5_000, tolerance_cents=4.0, offset_cents=1.0)
    config = QUIET.replace(
        informed_share=share, takers_per_hour=240.0, informed_edge_cents=0.0, makers=(slow,), life_s=3_600
    )
    found = []
    for index in range(200):
        rng = np.random.default_rng([11, index])
        family, _, specs, plan = plan_specs(config, rng, index)
        traded = trade_event(config, rng, specs, family, plan)
        depth, tape, seen = traded.opening.copy()[0], traded.tape, []
        best, was_fill = [int(np.flatnonzero(side)[-1]) for side in depth], 0
        for side, level, change, is_fill, fair in zip(
            tape.side.tolist(), tape.level.tolist(), tape.change.tolist(), tape.is_fill.tolist(),
            tape.fair.tolist(), strict=True,
        ):  # fmt: skip
            if is_fill and not was_fill and min(best) > 0:  # the first print of a taker
                mid = (best[0] + 10_000 - best[1]) / 200
                seen.append((100 * fair - mid) * (1 if side == 1 else -1))
            was_fill = is_fill
            depth[side, level] += change
            if depth[side, level] > 0 and level > best[side]:
                best[side] = level
            elif level == best[side] and depth[side, level] == 0:
                best[side] = int(np.flatnonzero(depth[side]).max(initial=0))
        found.append((sum(seen), len(seen)))
    total, n = np.array(found, float).T
    mean = total.sum() / n.sum()
    residuals = total - mean * n
    return mean, np.sqrt((residuals**2).sum()) / n.sum()


def test_without_informed_takers_the_world_is_a_martingale_to_its_makers():
    mean, error = adverse(0.0)
    assert error < 0.1
    assert abs(mean) < 3 * error


def test_with_informed_takers_prices_move_against_makers():
    mean, error = adverse(0.6)
    assert mean > 4 * error


def test_a_whale_buys_one_side_in_parts():
    config = QUIET.replace(
        takers_per_hour=0.01, whales_per_hour=6.0, whale_contracts=2_000.0, child_contracts=100.0, child_s=2.0
    )
    rng = np.random.default_rng(5)
    family, _, specs, plan = plan_specs(config, rng, 0)
    traded = trade_event(config, rng, specs, family, plan)
    fills = traded.tape.is_fill == 1
    assert fills.sum() > 20
    assert -traded.tape.change[fills].min() <= 10_000
    # neighbours in time are of one whale: mostly on one side
    side = traded.tape.side[fills]
    assert (side[1:] == side[:-1]).mean() > 0.8
