"""The exchange's feed as a recorder receives it: batches, a least time between messages, one clock.

Batches  everything that happened since the last batch leaves together, every ``batch_us``; within a batch
         messages follow each other at the line's pace. So gaps are a few milliseconds or whole batches, as
         recorded.
Invariant  times strictly increase over all markets of the event; those at which it happened never decrease.
"""

from typing import Any

import numpy as np

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import tape as core_tape
from kalshi_platform.simulation.matching.records import BID, DOLLAR_E4

#: A batch is this late on average, us.
_LATE_US = 1_500.0


@inner_kernel
def arrival_us(world: Any, rng: np.random.Generator, exch_ns: int, last_us: int) -> int:
    """Time at which the next message arrives that happened at ``exch_ns``, after one at ``last_us``."""
    state, settings = world.state[0], world.settings[0]
    batch = exch_ns // (1_000 * settings.batch_us)
    if batch > state.batch:
        state.batch = batch
        late_us = _LATE_US * rng.standard_exponential()
        state.batch_at_us = (batch + 1) * settings.batch_us + int(late_us)
    pace_us = settings.pace_us + settings.pace_mean_us * rng.standard_exponential()
    return max(state.batch_at_us, last_us + max(int(pace_us), 1))


@inner_kernel
def _keep(world: Any, row: Any) -> None:
    """Copy a row for the live reader; a row without room is counted, and the reader stops on it."""
    state = world.state[0]
    if state.n_told < world.told.size:
        world.told[state.n_told] = row
        state.n_told += 1
    else:
        state.untold += 1


@inner_kernel
def publish(world: Any, rng: np.random.Generator) -> None:
    """Record what the exchange told since the last call: every change of a book, prints marked.

    The core's tape begins anew, which keeps its few rows in the processor's nearest cache. Changes beyond
    the recording's room are dropped: the loop stops long before.
    """
    core, out = world.core, world.tape
    told = core.state[0]
    for i in range(told.read, told.written):
        row = core.tape[i % core.tape.size]
        if world.told.size > 0:
            _keep(world, row)
        if row.kind != core_tape.DELTA:
            continue
        n = out.n[0]
        if n >= out.time_us.size:
            continue
        last_us = out.now_us[0]
        at_us = arrival_us(world, rng, row.time_ns, last_us)
        out.now_us[0] = at_us
        out.time_us[n] = at_us
        out.market[n] = row.market
        out.side[n] = row.side
        out.level[n] = row.price_e4 if row.side == BID else DOLLAR_E4 - row.price_e4
        out.change[n] = row.qty_e2
        out.is_fill[n] = row.reason == core_tape.BY_FILLS
        out.fair[n] = out.now_fair[row.market]
        out.exch_us[n] = row.time_ns // 1_000
        out.n[0] = n + 1
    told.read = 0
    told.written = 0
