"""One event of a world of agents: planned, traded on the matching core, settled, recorded.

Owns       the random stream of the event (named by seed and index), its names, times and exchange.
Invariant  cash of all accounts + a dollar for each open contract + fees taken = cash paid in.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import WHOLE_CENTS, MarketSpec, Settlement
from kalshi_platform.domain.units import DOLLAR_E4, DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.simulation.matching.engine import Tape
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.records import Sizes
from kalshi_platform.simulation.simexchange.contracts import (
    TAPERED,
    Contract,
    Family,
    draw_contracts,
    names_of,
)
from kalshi_platform.simulation.simexchange.generate import (
    DETERMINATION_NS,
    FIRST_OPEN_NS,
    Announced,
    SimEvent,
    draw_family,
    record_tape,
)
from kalshi_platform.simulation.simexchange.world.config import CATEGORIES, MAX_LIMIT_ORDERS, WorldConfig
from kalshi_platform.simulation.simexchange.world.kernel import trade
from kalshi_platform.simulation.simexchange.world.opening import new_world
from kalshi_platform.simulation.simexchange.world.plan import Plan, plan_event
from kalshi_platform.simulation.simexchange.world.records import (
    ALONE,
    EXCLUSIVE,
    N_OTHER_ACCOUNTS,
    NESTED,
    PAUSE,
    REGRID,
    RESUME,
    World,
)

_SERIES: Final[dict[Family, str]] = {"single": "WORLDONE", "nested": "WORLDTOP", "brackets": "WORLDBKT"}
_FAMILIES: Final = {"single": ALONE, "nested": NESTED, "brackets": EXCLUSIVE}
#: Scheduled items that the exchange tells of, in its words; the channel has no batches.
_LIFECYCLE: Final = {
    int(PAUSE): "deactivated", int(RESUME): "activated", int(REGRID): "price_level_structure_updated",
}  # fmt: skip
_LIFECYCLE_NS: Final = 5_000_000
#: Rows of the recording that one call of the loop may write.
_CHUNK: Final = 65_536
#: Columns of a tape with an entry a row, which come first.
_N_COLUMNS: Final = 8


class Traded(NamedTuple):
    """A traded event before its settlement: what the feed sent, and the world as it stands."""

    exchange: SimulatedExchange
    world: World
    plan: Plan
    opening: np.ndarray  # (M, 2, 10,001) i8: depth at the start of the recording
    tape: Tape


def _orders_of(config: WorldConfig, n_markets: int) -> int:
    """Room for the orders of one event."""
    ladders = sum(2 * maker.levels for maker in config.makers)
    return n_markets * (ladders + MAX_LIMIT_ORDERS)


class Outside(NamedTuple):
    """Room for whoever trades here beside the agents."""

    accounts: int = 0  # they come behind those of the agents, without cash
    orders: int = 0
    groups: int = 16


NOBODY: Final = Outside()


def _exchange(config: WorldConfig, specs: list[MarketSpec], outside: Outside = NOBODY) -> SimulatedExchange:
    """Exchange of the event's markets on whole cents, every agent's account with its cash."""
    bare = [MarketSpec(ticker=s.ticker, event=s.event, series=s.series) for s in specs]
    n_accounts = len(config.makers) + N_OTHER_ACCOUNTS
    n_orders = _orders_of(config, len(specs)) + outside.orders
    sizes = Sizes(accounts=n_accounts + outside.accounts, orders=n_orders, groups=outside.groups)
    exchange = SimulatedExchange(bare, sizes)
    for account in range(n_accounts):
        exchange.deposit(account, round(config.cash_usd * DOLLAR_E6))
    exchange.read_tape()
    exchange.core.state["read"] = exchange.core.state["written"] = 0
    return exchange


def _columns(tape: Tape, n: int) -> list[np.ndarray]:
    """Copies of the first ``n`` rows of every column."""
    return [column[:n].copy() for column in tape[:_N_COLUMNS]]


def _trade(world: World, rng: np.random.Generator, end_ns: int) -> Tape:
    """Run the loop to the end; returns all rows."""
    parts, ended, room = [], False, 2 * world.core.orders.size
    while not ended:
        ended = bool(trade(world, rng, end_ns, room))
        parts.append(_columns(world.tape, int(world.tape.n[0])))
        world.tape.n[0] = 0
    whole = [np.concatenate(column) for column in zip(*parts, strict=True)]
    n, last = np.array([whole[0].size]), world.tape
    return Tape(*[*whole, n, last.now_us, last.now_fair])


def opened(
    config: WorldConfig, rng: np.random.Generator, specs: list[MarketSpec], family: Family, plan: Plan,
    rows: int = 0, outside: Outside = NOBODY, told: np.ndarray | None = None,
) -> tuple[SimulatedExchange, World]:  # fmt: skip
    """Exchange and world of a planned event with every maker's first ladder set."""
    exchange = _exchange(config, specs, outside)
    bands = np.array([[b.start_e4, b.end_e4, b.step_e4] for b in TAPERED], "i8")
    rows = rows or _CHUNK + 2 * exchange.core.orders.size
    world = new_world(config, exchange.core, plan.schedule, _FAMILIES[family], bands, rows, told)
    trade(world, rng, 0, 0)  # the first ladders
    return exchange, world


def open_world(config: WorldConfig, index: int, rows: int) -> tuple[World, np.random.Generator, int]:
    """(world of event ``index`` at its opening with room for ``rows``, its random stream, its end in ns).

    For whoever runs the loop alone: ``kernel.trade``.
    """
    rng = np.random.default_rng([config.seed, index])
    family, _, specs, plan = plan_specs(config, rng, index)
    _, world = opened(config, rng, specs, family, plan, rows)
    return world, rng, round(plan.end_s * NS_PER_SECOND)


def trade_event(
    config: WorldConfig, rng: np.random.Generator, specs: list[MarketSpec], family: Family, plan: Plan
) -> Traded:
    """Let the agents trade the planned event."""
    exchange, world = opened(config, rng, specs, family, plan)
    opening = world.core.depth.copy()
    tape = _trade(world, rng, round(plan.end_s * NS_PER_SECOND))
    if tape.time_us.size < 2:
        raise ContractError(
            f"{specs[0].event}: the agents sent {tape.time_us.size} messages in {plan.end_s:.0f} s; let "
            "makers refresh more often or the event last longer"
        )
    if unpaid := int(world.state["unpaid"][0]):
        raise ContractError(
            f"{specs[0].event}: {unpaid:,} orders could not be paid, so their agents did not trade as told: "
            f"cash_usd={config.cash_usd:g} is too little for these sizes (at most 1e11)"
        )
    return Traded(exchange, world, plan, opening, tape)


def plan_specs(
    config: WorldConfig, rng: np.random.Generator, index: int
) -> tuple[Family, list[Contract], list[MarketSpec], Plan]:
    """Draw family, contracts, category, times and the plan of event ``index``."""
    family = draw_family(rng, config.single_share, config.nested_share)
    n_markets = 1 if family == "single" else int(rng.integers(config.min_markets, config.max_markets + 1))
    contracts = draw_contracts(rng, family, n_markets)
    category = int(rng.choice(len(CATEGORIES), p=config.category_shares))
    announced_s = float(rng.integers(config.min_duration_s, config.max_duration_s + 1))
    lower, upper = np.array([c.bounds for c in contracts]).T.copy()
    plan = plan_event(config, rng, category, announced_s, lower, upper)
    open_ns = FIRST_OPEN_NS + index * config.stagger_s * NS_PER_SECOND
    event = f"{_SERIES[family]}-{index:05d}"
    specs = [
        MarketSpec(
            ticker=f"{event}-{name}",
            event=event,
            series=_SERIES[family],
            category=CATEGORIES[category],
            open_ns=open_ns,
            # whole seconds, as the metadata keeps them
            close_ns=open_ns + (int(plan.end_s) + 2) * NS_PER_SECOND,
            price_ranges=TAPERED if plan.has_fine_grid else WHOLE_CENTS,
            mutually_exclusive=family == "brackets",
        )
        for name in names_of(contracts)
    ]
    return family, contracts, specs, plan


def simulate_world_event(config: WorldConfig, index: int) -> SimEvent:
    """Event ``index`` of the world that ``config`` describes; it depends on nothing else."""
    rng = np.random.default_rng([config.seed, index])
    family, contracts, specs, plan = plan_specs(config, rng, index)
    traded = trade_event(config, rng, specs, family, plan)
    final = plan.forecast + np.sqrt(plan.variance) * rng.standard_normal()
    open_ns, close_ns = int(specs[0].open_ns or 0), int(specs[0].close_ns or 0)
    settlements = []
    for market, (spec, contract) in enumerate(zip(specs, contracts, strict=True)):
        low, high = contract.bounds
        value_e4 = DOLLAR_E4 if low < final <= high else 0
        traded.exchange.settle(market, value_e4)
        settlements.append(
            Settlement(ticker=spec.ticker, value_e4=value_e4, determined_ns=close_ns + DETERMINATION_NS)
        )
    tape = traded.tape
    tape.time_us[:] = _with_room(tape.time_us, len(specs))
    wire = record_tape(
        rng, tape, traded.opening, plan.schedule.fair[0], np.arange(DOLLAR_E4 + 1), open_ns,
        tape.time_us - tape.exch_us, gap_share=config.gap_share, max_lost=config.max_lost,
    )  # fmt: skip
    told = _told(plan, open_ns)
    return SimEvent(index, specs[0].event, family, contracts, specs, settlements, wire, told)


def _with_room(time_us: np.ndarray, n_markets: int) -> np.ndarray:
    """Times of a tape's rows more than ``n_markets`` us apart, so that snapshots fit before any of them.

    A row is moved only where its neighbour is too near: a long recording does not run behind its schedule.
    """
    room = np.arange(time_us.size) * (n_markets + 1)
    return np.asarray(np.maximum.accumulate(time_us - room) + room + n_markets + 1)


def _told(plan: Plan, open_ns: int) -> tuple[Announced, ...]:
    """Pauses and new bands with the time at which the feed tells of them."""
    schedule = plan.schedule
    return tuple(
        Announced(open_ns + int(at_ns) + _LIFECYCLE_NS, _LIFECYCLE[int(kind)])
        for at_ns, kind in zip(schedule.at_ns, schedule.kind, strict=True)
        if int(kind) in _LIFECYCLE
    )
