"""Makers: ladders where settings put them, inventory that leans, answers to news, silence at releases."""

from typing import Any

import numpy as np
import pytest

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.simulation.matching.records import ASK, NEVER_NS
from kalshi_platform.simulation.simexchange.world import MakerConfig, WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import open_world
from kalshi_platform.simulation.simexchange.world.kernel import trade
from kalshi_platform.simulation.simexchange.world.orders import rest
from kalshi_platform.simulation.simexchange.world.records import JUMP, LIMIT_ACCOUNT, NEWS, QUIET

MAKER = MakerConfig(
    levels=3, offset_cents=2.0, spacing_cents=3.0, contracts=100, step_contracts=50, log_sd=0.0,
    error_cents=0.0, refresh_s=5.0, lot_contracts=10,
)  # fmt: skip
ALONE = WorldConfig(
    makers=(MAKER,), single_share=1.0, nested_share=0.0, min_duration_s=900, max_duration_s=900,
    limits_per_hour=0.0, whales_per_hour=0.0, takers_per_hour=0.01, pause_share=0.0, regrid_share=0.0,
)  # fmt: skip


def ladder(world, side):
    """(price in cents, contracts) of each level, the best first."""
    depth = world.core.depth[0, side]
    return [(int(p) // 100, int(depth[p]) // 100) for p in np.flatnonzero(depth)[::-1]]


def test_a_ladder_stands_about_the_belief_in_whole_cents():
    world, _, _ = open_world(ALONE, 0, rows=10_000)
    belief = 100 * world.schedule.fair[0, 0]
    for side, mine in ((0, belief), (1, 100 - belief)):
        best = np.floor(mine - 2.0 + 0.5)  # the nearest cent
        assert ladder(world, side) == [(best, 100), (best - 3, 150), (best - 6, 200)]


def moved(held_e2):
    world, rng, _ = open_world(ALONE, 0, rows=10_000)
    world.core.holdings["position_e2"][0, 0] = held_e2
    world.schedule.fair[:] = world.schedule.fair[0]
    trade(world, rng, 60_000_000_000, 100)
    return [max([p for p, _ in ladder(world, side)], default=None) for side in (0, 1)], world


def test_a_maker_that_holds_yes_asks_for_less_of_it():
    (bid, no_bid), _ = moved(0)
    (bid_long, no_bid_long), _ = moved(2_000_000)  # all it may hold: belief down by 2 cents
    assert no_bid_long == no_bid + 2
    assert bid_long is None  # and no more of it is bought
    (bid_short, _), _ = moved(-1_000_000)
    assert bid_short == bid + 1


def test_news_beyond_the_tolerance_are_answered_soon_and_smaller_ones_are_not():
    slow = MAKER.replace(refresh_s=3_600.0, reaction_ms=200.0, tolerance_cents=2.0)
    config = ALONE.replace(makers=(slow, MAKER.replace(offset_cents=20.0)))
    for jump, answers in ((0.019, False), (0.05, True)):
        world, rng, _ = open_world(config, 0, rows=10_000)
        fair = world.schedule.fair
        fair[:] = fair[0] + jump
        first = int(world.schedule.at_ns[np.isin(world.schedule.kind, [NEWS, JUMP])].min())
        before = ladder(world, 0)[0][0]
        trade(world, rng, first + 10_000_000_000, 100)
        assert (ladder(world, 0)[0][0] > before) == answers


def test_no_quote_stands_in_the_seconds_before_a_release():
    config = ALONE.replace(category_shares=(0.0, 1.0, 0.0, 0.0), quiet_s=20.0)
    world, rng, end_ns = open_world(config, 0, rows=10_000)
    kinds = world.schedule.kind.tolist()
    quiet, release = (int(world.schedule.at_ns[kinds.index(kind)]) for kind in (QUIET, JUMP))
    trade(world, rng, quiet + 5_000_000_000, 100)
    assert ladder(world, 0) == ladder(world, 1) == []
    trade(world, rng, release, 100)
    assert ladder(world, 0) == []
    trade(world, rng, min(release + 15_000_000_000, end_ns), 100)
    assert ladder(world, 0) != []


def test_quotes_set_one_at_a_time_come_a_batch_apart():
    config = ALONE.replace(makers=(MAKER.replace(orders_at_once=1, pause_ms=0.0),))
    world, rng, end_ns = open_world(config, 0, rows=10_000)
    trade(world, rng, end_ns, 100)
    n = int(world.tape.n[0])
    adds = world.tape.change[:n] > 0
    gaps_ms = np.diff(world.tape.time_us[:n][adds]) / 1_000
    assert np.median(gaps_ms) == pytest.approx(100, abs=8)


@kernel
def offer(world: Any, rng: np.random.Generator, account: int, own_e4: int, qty_e2: int) -> None:
    """Rest an order that buys NO in market 0."""
    rest(world, rng, account, 0, ASK, own_e4, qty_e2, NEVER_NS)


def test_a_maker_buys_what_is_offered_below_its_belief_before_it_quotes():
    # 5 contracts of YES are offered 8 cents below the belief; the fee is 1.75 cents or less
    world, rng, _ = open_world(ALONE, 0, rows=10_000)
    world.schedule.fair[:] = fair = world.schedule.fair[0, 0]
    price = int(100 * fair) - 8
    no_best = 100 - price
    withdrawn, account = 60_000_000_000, LIMIT_ACCOUNT + world.makers.size
    world.core.holdings["position_e2"][:] = 0
    world.due[0, 0] = 1  # the maker cancels its ladder, and sets it anew after its pause
    trade(world, rng, 2, 100)
    offer(world, rng, account, 100 * no_best, 500)
    assert ladder(world, 1) == [(no_best, 5)]
    trade(world, rng, withdrawn, 100)
    assert int(world.core.holdings["position_e2"][0, 0]) == 500
    assert int(world.core.holdings["position_e2"][account, 0]) == -500
    # its ladder stands about its belief, less what 5 contracts shift it, and not behind that order
    assert ladder(world, 0)[0][0] == np.floor(100 * fair - 2.0 + 0.5)


def test_a_maker_leaves_what_the_fee_would_eat():
    world, rng, _ = open_world(ALONE, 0, rows=10_000)
    world.schedule.fair[:] = fair = world.schedule.fair[0, 0]
    p = 100 * fair
    price = int(p) - 1  # at most 2 cents below; the fee is 7 % of P (1 - P) and the least gain half a cent
    assert p - price < 0.07 * price * (100 - price) / 100 + 0.5
    world.due[0, 0] = 1
    trade(world, rng, 2, 100)
    offer(world, rng, LIMIT_ACCOUNT + world.makers.size, 100 * (100 - price), 500)
    trade(world, rng, 60_000_000_000, 100)
    assert int(world.core.holdings["position_e2"][0, 0]) == 0
