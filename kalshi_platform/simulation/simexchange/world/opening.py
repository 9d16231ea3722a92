"""A world at its opening: settings in the kernels' units, and arrays that hold the whole event."""

import numpy as np

from kalshi_platform.simulation.matching.command import new_answers, new_commands
from kalshi_platform.simulation.matching.engine import new_tape
from kalshi_platform.simulation.matching.meeting import MAKER
from kalshi_platform.simulation.matching.records import NEVER_NS, NONE, TAPE_DTYPE, Core, new_records
from kalshi_platform.simulation.simexchange.world.config import WorldConfig
from kalshi_platform.simulation.simexchange.world.records import (
    LADDER_DTYPE,
    MAKER_DTYPE,
    MARKET_STATE_DTYPE,
    MAX_LEVELS,
    N_OTHERS,
    SETTINGS_DTYPE,
    STATE_DTYPE,
    DaySchedule,
    World,
)


def settings_of(config: WorldConfig, family: int) -> np.ndarray:
    """Scalars of the config in the kernels' units."""
    out = new_records(1, SETTINGS_DTYPE)
    hour_ns = 3_600e9
    values = {
        "taker_rate": config.takers_per_hour / hour_ns,
        "branching": config.branching,
        "decay": 1e-9 / config.decay_s,
        "taker_contracts": config.taker_contracts,
        "taker_log_sd": config.taker_log_sd,
        "informed_share": config.informed_share,
        "informed_edge_e4": 100 * config.informed_edge_cents,
        "whale_ns": hour_ns / config.whales_per_hour if config.whales_per_hour else float(NEVER_NS),
        "whale_contracts": config.whale_contracts,
        "child_e2": round(100 * config.child_contracts),
        "child_ns": 1e9 * config.child_s,
        "limit_ns": hour_ns / config.limits_per_hour if config.limits_per_hour else float(NEVER_NS),
        "limit_contracts": config.limit_contracts,
        "limit_log_sd": config.limit_log_sd,
        "limit_life_ns": 1e9 * config.limit_life_s,
        "improve_share": config.improve_share,
        "arbitrage_edge_e4": 100 * config.arbitrage_edge_cents,
        "arbitrage_ns": 1e6 * config.arbitrage_ms,
        "batch_us": round(1_000 * config.batch_ms),
        "pace_us": 1_000 * config.pace_ms,
        "pace_mean_us": 1_000 * config.pace_mean_ms,
        "family": family,
    }
    for name, value in values.items():
        out[name] = value
    return out


def makers_of(config: WorldConfig) -> np.ndarray:
    """Records of the config's makers."""
    out = new_records(len(config.makers), MAKER_DTYPE)
    for row, maker in zip(out, config.makers, strict=True):
        values = {
            "levels": maker.levels,
            "offset_e4": 100 * maker.offset_cents,
            "spacing_e4": 100 * maker.spacing_cents,
            "contracts": maker.contracts,
            "step_contracts": maker.step_contracts,
            "log_sd": maker.log_sd,
            "lot_contracts": maker.lot_contracts,
            "refresh_ns": 1e9 * maker.refresh_s,
            "pause_ns": 1e6 * maker.pause_ms,
            "orders_at_once": maker.orders_at_once,
            "reaction_ns": 1e6 * maker.reaction_ms,
            "tolerance_e4": 100 * maker.tolerance_cents,
            "error_e4": 100 * maker.error_cents,
            "skew_e4": 100 * maker.skew_cents,
            "max_e2": 100 * maker.max_contracts,
        }
        for name, value in values.items():
            row[name] = value
    return out


def new_world(
    config: WorldConfig, core: Core, schedule: DaySchedule, family: int, fine_bands: np.ndarray, rows: int,
    told: np.ndarray | None = None,
) -> World:  # fmt: skip
    """World at its opening, before any order; ``rows`` is the room of the recording.

    ``told`` (n,) TAPE_DTYPE gets every row of the core; None where nobody reads them.
    """
    n_markets, n_makers = core.markets.size, len(config.makers)
    state = new_records(1, STATE_DTYPE)
    state["arbitrage_ns"] = NEVER_NS
    state["activity"] = 1.0
    state["batch"] = -1
    tape = new_tape(n_markets, rows)
    tape.now_fair[:] = schedule.fair[0]
    commands = new_commands(1)
    commands["stp"] = MAKER  # an agent's own resting order gives way: it never blocks itself
    return World(
        core=core,
        command=commands,
        answer=new_answers(1),
        tape=tape,
        settings=settings_of(config, family),
        state=state,
        makers=makers_of(config),
        ladders=new_records((n_markets, n_makers), LADDER_DTYPE),
        quotes=np.full((n_markets, n_makers, 2, MAX_LEVELS), NONE, "i8"),
        markets=new_records(n_markets, MARKET_STATE_DTYPE),
        due=np.full((n_markets, n_makers + N_OTHERS), NEVER_NS, "i8"),
        schedule=schedule,
        fine_bands=fine_bands,
        told=new_records(0, TAPE_DTYPE) if told is None else told,
    )
