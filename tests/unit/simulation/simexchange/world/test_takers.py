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
from kalshi_platform.simulation.simexchange.world.takers import is_taker, next_candidate

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


def test_takers_cluster_as_a_hawkes_process():
    # rate / (1 - branching) a window; far longer than 5 s, its variance is the mean / (1 - branching)^2
    for branching in (0.0, 0.5):
        seen = counts(branching)
        mean = 6.0 / (1.0 - branching)
        ratio = 1.0 / (1.0 - branching) ** 2
        assert seen.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean * ratio / seen.size))
        # within a window of 60 s a part of a cluster is cut off: less than the limit, far more than 1
        low, high = (0.9, 1.1) if branching == 0 else (0.75 * ratio, 1.05 * ratio)
        assert low < seen.var() / seen.mean() < high


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
            while best[side] > 0 and depth[side, best[side]] == 0:
                best[side] -= 1
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
