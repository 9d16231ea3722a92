"""The feed: whole batches, a least time between two messages, one clock for all markets."""

import numpy as np
import pytest

from kalshi_platform.data.market_data.schema import DELTA
from kalshi_platform.simulation.simexchange.world import WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import (
    plan_specs,
    simulate_world_event,
    trade_event,
)

SHORT = WorldConfig(min_duration_s=900, max_duration_s=900, pause_share=0.0, regrid_share=0.0)


@pytest.fixture(scope="module")
def times_us():
    rng = np.random.default_rng(3)
    family, _, specs, plan = plan_specs(SHORT, rng, 0)
    return trade_event(SHORT, rng, specs, family, plan).tape.time_us


def test_no_two_messages_are_nearer_than_the_pace(times_us):
    assert np.diff(times_us).min() >= 1_450


def test_a_batch_begins_at_its_time_and_its_messages_follow_at_the_pace(times_us):
    gaps = np.diff(times_us)
    inside = gaps[gaps < 20_000]
    assert inside.size > 0.3 * gaps.size
    # 1.45 ms and an exponential time of 0.45 ms; the first of a batch is late by 1.5 ms on average
    assert inside.mean() == pytest.approx(1_900, rel=0.05)
    first = times_us[1:][gaps > 60_000] % 100_000
    assert np.median(first) < 2_000
    assert (first < 12_000).mean() > 0.95


def test_a_message_tells_the_millisecond_in_which_it_happened_and_arrives_with_its_batch():
    event = simulate_world_event(SHORT, 0)
    rows = event.wire.rows
    deltas = rows.kind == DELTA
    happened, received = rows.exch_ns[deltas], rows.recv_ns[deltas]
    assert (np.diff(happened) >= 0).all()
    batch = 100_000_000
    assert (received >= happened // batch * batch + batch).all()
    # half a batch, what is late, and the messages before it
    assert 50e6 < (received - happened).mean() < 120e6
    # a ladder that is cancelled at once is one burst
    assert (np.diff(happened) == 0).mean() > 0.3
