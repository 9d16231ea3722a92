"""Clock of the core: expiries, openings and closes in order of time; pauses, early closes, reopening.

Market    opened and closed by the clock, or by command at any time. Paused (INACTIVE) its orders rest, and
          all are cancelled when it is ACTIVE again. A close removes the resting orders at once; the exchange
          does so shortly after.
Shard     a pause of trading refuses new orders and changes, takes cancels, and cancels the orders that asked
          for it (CANCEL_ON_PAUSE). A full pause takes nothing. Expiry and close go by the clock in both.
"""

from typing import Any

from kalshi_platform.domain.compiled import inner_kernel
from kalshi_platform.simulation.matching import orders, tape
from kalshi_platform.simulation.matching.command import CANCEL_ON_PAUSE
from kalshi_platform.simulation.matching.expiry import next_expiry_ns
from kalshi_platform.simulation.matching.reasons import (
    CLOSE_CANCEL,
    EXPIRY_CANCEL,
    HALT_CANCEL,
    INVALID_STATUS,
    OK,
)
from kalshi_platform.simulation.matching.records import (
    ACTIVE,
    ASK,
    BID,
    CLOSED,
    FULL_PAUSE,
    INACTIVE,
    INITIALIZED,
    NEVER_NS,
    NONE,
    RUNNING,
)


@inner_kernel
def _cancel_market(core: Any, market: int, reason: int) -> None:
    orders.cancel_side(core, market, BID, reason)
    orders.cancel_side(core, market, ASK, reason)


@inner_kernel
def _set_status(core: Any, market: int, status: int) -> None:
    core.markets[market].status = status
    row = core.tape[tape.new_row(core, tape.STATUS, market, NONE)]
    row.left_e2 = status


@inner_kernel
def plan_timers(core: Any) -> None:
    """Find the next time at which the clock opens or closes a market."""
    due = NEVER_NS
    for market in range(core.markets.size):
        spec = core.markets[market]
        if spec.status == INITIALIZED:
            due = min(due, spec.open_ns)
        elif spec.status in (ACTIVE, INACTIVE):
            due = min(due, spec.close_ns)
    core.state[0].next_market_ns = due


@inner_kernel
def close(core: Any, market: int) -> None:
    """Close a market and cancel what rests."""
    _set_status(core, market, CLOSED)
    _cancel_market(core, market, CLOSE_CANCEL)


@inner_kernel
def _run_timers(core: Any) -> None:
    """Open and close the markets whose time has come."""
    now = core.state[0].now_ns
    for market in range(core.markets.size):
        spec = core.markets[market]
        if spec.status == INITIALIZED and spec.open_ns <= now:
            _set_status(core, market, ACTIVE)
        if spec.status in (ACTIVE, INACTIVE) and spec.close_ns <= now:
            close(core, market)
    plan_timers(core)


@inner_kernel
def advance(core: Any, now_ns: int) -> None:
    """Let the clock come to ``now_ns``; a time gone by changes nothing.

    At one instant orders expire before markets close.
    """
    state = core.state[0]
    while True:
        expiry = next_expiry_ns(core)
        due = min(expiry, state.next_market_ns)
        if due > now_ns:
            break
        state.now_ns = max(state.now_ns, due)
        if expiry == due:
            orders.cancel(core, core.heap[0], EXPIRY_CANCEL)
        else:
            _run_timers(core)
    state.now_ns = max(state.now_ns, now_ns)


@inner_kernel
def set_market_status(core: Any, market: int, status: int) -> int:
    """Open, pause, resume, close or reopen a market; reopening needs a close that is still to come."""
    before = core.markets[market].status
    if status == before or not ACTIVE <= status <= CLOSED or before > CLOSED:
        return INVALID_STATUS
    if status == INACTIVE and before != ACTIVE:
        return INVALID_STATUS
    if status == ACTIVE and core.markets[market].close_ns <= core.state[0].now_ns:
        return INVALID_STATUS
    if status == CLOSED:
        close(core, market)
    else:
        _set_status(core, market, status)
        if before == INACTIVE:
            _cancel_market(core, market, HALT_CANCEL)
    plan_timers(core)
    return OK


@inner_kernel
def set_close(core: Any, market: int, close_ns: int) -> int:
    """Move the close of a market that is not closed yet, or of one to be reopened."""
    if core.markets[market].status > CLOSED:
        return INVALID_STATUS
    core.markets[market].close_ns = close_ns
    plan_timers(core)
    advance(core, core.state[0].now_ns)
    return OK


@inner_kernel
def set_shard_status(core: Any, shard: int, status: int) -> int:
    """Pause or resume a shard."""
    if not RUNNING <= status <= FULL_PAUSE or core.shards[shard].status == status:
        return INVALID_STATUS
    core.shards[shard].status = status
    row = core.tape[tape.new_row(core, tape.SHARD, shard, NONE)]
    row.left_e2 = status
    if status != RUNNING:
        orders.cancel_where(core, NONE, NONE, shard, CANCEL_ON_PAUSE, HALT_CANCEL)
    return OK
