"""The recordings of the making world: what the door lets pass, when messages come, and what they show."""

from collections import Counter

import numpy as np
import pytest

from kalshi_platform.data.market_data.door import Door
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.schema import FLAG_LAST, NO, TRADE, YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.simexchange.generate import FIRST_OPEN_NS
from kalshi_platform.simulation.simexchange.oracles.making_world import MakingWorld, recording, world_bank

WORLD = MakingWorld(n_steps=2_000)


def test_the_defaults_quote_at_the_optimal_depth():
    assert MakingWorld().depth == pytest.approx(1 / MakingWorld().kappa, abs=1e-15)
    assert MakingWorld().fill_rate == pytest.approx(np.exp(-1), abs=1e-15)


def test_a_recording_passes_the_door_unchanged_and_depends_on_its_seed_and_number_alone():
    spec, rows = recording(WORLD, 3, 5)
    counted = Counter()
    passed, _ = Door(spec, declared=True).trace(
        rows, Origin("test", "row", np.arange(rows.kind.size)), counted
    )
    assert passed.kind.size == rows.kind.size
    assert not counted
    for a, b in zip(rows, recording(WORLD, 3, 5)[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert recording(WORLD, 3, 6)[1].kind.size != rows.kind.size


def test_prints_come_at_the_theorys_rate_one_tick_behind_the_learner():
    _, rows = recording(WORLD, 1, 0)
    trades = rows.kind == TRADE
    expected = WORLD.fill_rate * WORLD.horizon_s
    for side, price in ((YES, 5_300), (NO, 4_700)):  # 0.50 +- (2 + 1) cents, on the YES scale
        mine = trades & (rows.side == side)
        assert set(rows.price_e4[mine].tolist()) == {price}
        assert abs(mine.sum() - expected) < 4 * expected**0.5


def test_a_message_comes_at_every_decision_and_no_market_order_with_it():
    _, rows = recording(WORLD, 2, 0)
    after = rows.recv_ns[rows.flags & FLAG_LAST != 0] - FIRST_OPEN_NS
    assert (np.diff(after) >= 0).all()
    assert set(range(WORLD.n_steps + 1)) <= set((after[after % NS_PER_SECOND == 0] // NS_PER_SECOND).tolist())
    within = (rows.recv_ns[rows.kind == TRADE] - FIRST_OPEN_NS) % NS_PER_SECOND
    assert within.min() > 0.09 * NS_PER_SECOND
    assert within.max() < 0.91 * NS_PER_SECOND


def test_the_book_of_every_decision_is_the_makers_own():
    bank = world_bank(MakingWorld(n_steps=50), 4, 2)
    rows = bank.arrays.rows
    at = rows["recv_ns"] % NS_PER_SECOND == 0
    assert set(rows["bid_px_e4"][at, 0].tolist()) == {4_700}
    assert set(rows["ask_px_e4"][at, 0].tolist()) == {5_300}
    assert (rows["bid_px_e4"][:, 0] + rows["ask_px_e4"][:, 0] == 10_000).all()  # the mark never moves
    assert bank.arrays.segments.size == 2


@pytest.mark.parametrize("wrong", [{"arrival_rate": 0}, {"quote_ticks": 0}, {"step_ms": 1}, {"n_steps": 1}])
def test_an_impossible_world_is_refused(wrong):
    with pytest.raises(ContractError, match=next(iter(wrong))):
        MakingWorld.parse(wrong)
