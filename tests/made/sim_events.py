"""Small simulated events and their comparison."""

import numpy as np

from kalshi_platform.data.market_data.importers import discover, run_job
from kalshi_platform.simulation.simexchange import SimConfig

SHORT = SimConfig(messages_per_market=60)


def assert_same_event(a, b):
    assert (a.specs, a.settlements) == (b.specs, b.settlements)
    for x, y in zip((*a.wire.rows, *a.wire[1:]), (*b.wire.rows, *b.wire[1:]), strict=True):
        np.testing.assert_array_equal(x, y)


SMALL = SimConfig(n_events=6, messages_per_market=300, gap_share=0.5, fine_grid_share=0.5)


def imported(folder):
    plan = discover([folder])
    return {m.spec.ticker: m for job in plan.jobs() for event in run_job(job) for m in event.markets}
