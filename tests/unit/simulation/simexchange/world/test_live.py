"""An event in slices is the event that ``simulate`` writes, whatever the slices are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.simulation.matching import tape
from kalshi_platform.simulation.matching.records import TAPE_DTYPE, new_records
from kalshi_platform.simulation.simexchange.world.config import WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import (
    Outside,
    plan_specs,
    simulate_world_event,
    trade_event,
)
from kalshi_platform.simulation.simexchange.world.live import LiveEvent

SECOND_NS = 1_000_000_000


def changes(rows):
    """(market, own price, change) of every change of a book, in order."""
    rows = rows[rows["kind"] == tape.DELTA]
    own = np.where(rows["side"] == 0, rows["price_e4"], 10_000 - rows["price_e4"])
    return list(zip(rows["market"].tolist(), own.tolist(), rows["qty_e2"].tolist(), strict=True))


def simulated(config, index):
    rng = np.random.default_rng([config.seed, index])
    family, _, specs, plan = plan_specs(config, rng, index)
    found = trade_event(config, rng, specs, family, plan).tape
    return list(zip(found.market.tolist(), found.level.tolist(), found.change.tolist(), strict=True))


def in_slices(event, slice_ns):
    parts, now = [], 0
    while now < event.end_ns:
        now += slice_ns
        parts.append(event.advance(now))
    return np.concatenate(parts)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    index=st.integers(0, 5),
    slice_s=st.sampled_from((0.25, 7.0, 599.0, 1e5)),
    outside=st.sampled_from((Outside(), Outside(1, 100, 4), Outside(3, 3_000, 64))),
)
def test_an_event_in_slices_without_outside_orders_is_the_simulated_one(seed, index, slice_s, outside):
    config = WorldConfig(seed=seed, min_duration_s=600, max_duration_s=700)
    event = LiveEvent(config, index, outside)
    rows = in_slices(event, round(slice_s * SECOND_NS))
    assert changes(rows) == simulated(config, index)
    settled = [s.value_e4 for s in simulate_world_event(config, index).settlements]
    assert event.values_e4 == settled


def test_the_opening_rows_are_the_opening_books():
    event = LiveEvent(WorldConfig(seed=4, min_duration_s=600, max_duration_s=600), 0, Outside())
    depth = np.zeros_like(event.world.core.depth)
    rows = event.opening[event.opening["kind"] == tape.DELTA]
    own = np.where(rows["side"] == 0, rows["price_e4"], 10_000 - rows["price_e4"])
    np.add.at(depth, (rows["market"], rows["side"], own), rows["qty_e2"])
    assert depth.sum() > 0
    np.testing.assert_array_equal(depth, event.world.core.depth)


def test_rows_without_room_stop_the_reader_instead_of_being_lost():
    event = LiveEvent(WorldConfig(seed=4, min_duration_s=600, max_duration_s=600), 0, Outside(1, 10, 4))
    event.world = event.world._replace(told=new_records(1, TAPE_DTYPE))
    event.exchange.deposit(event.first_outside, 5_000_000)
    event.exchange.submit(event.first_outside, 0, "bid", 100, 100)
    with pytest.raises(PlatformError, match="had no room among 1"):
        event.read()
