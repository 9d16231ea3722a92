"""A Cartea-Jaimungal-Penalva world as recordings: a market in which one learner makes at a fixed depth.

World      the price stays one half, as the binary-settlement variant has it until the settlement. Market
           orders of one contract come on each side at rate lambda; one reaches beyond a distance d from the
           price with probability exp(-kappa d).
Recorded   other makers show much size at ``quote_ticks`` + 1 ticks from the price and beyond. A market order
           that reaches ``quote_ticks`` ticks has, rounded up to the grid, a limit at their best price: it
           takes a contract there, which they replace at once. A nearer one meets nobody and leaves no trace.
Replay     a maker who improves by a tick rests ``quote_ticks`` ticks from the price, alone. Every print is
           strictly through that price and fills the order: rate lambda exp(-kappa depth), as in the theory.
Decisions  one a step: a message comes at each multiple of ``step_ms``. Every market is one episode of
           ``n_steps`` steps from its first row to its last, valued at the price, before any settlement.
Objective  the environment's reward: profit less ``holding_cost`` a second and contract held, in units of the
           capital (``reward_per_dollar``).
Units      money dollar, time seconds, inventory contracts where a name does not say otherwise.
"""

from typing import Final

import numpy as np
from pydantic import Field

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.spec import TEMPORAL, columns, features_of
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    DELTA,
    FLAG_FILL,
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SIDE,
    SNAPSHOT,
    YES,
    MarketRows,
)
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.replay.assemble import build_bank
from kalshi_platform.simulation.replay.bank import Bank, BankMarket, MarketInfo
from kalshi_platform.simulation.simexchange.generate import BOOK_SID, FIRST_OPEN_NS, Wire, market_rows
from kalshi_platform.simulation.simexchange.oracles.cartea_jaimungal import MarketMaking

GROUPS: Final = ("orderbook",)
_PRICE_E4: Final = 5_000
_TICK_E4: Final = 100
_LOT_E2: Final = 100
_SHOWN_E2: Final = 1_000_000  # the other makers' size a level
_LEVELS: Final = 5
_DAY_S: Final = 86_400.0
#: Share of a step at its begin and end in which no market order comes, so that none meets a decision.
_MARGIN: Final = 0.1


class MakingWorld(Config):
    """One world; the defaults quote at the optimal depth 1 / kappa."""

    arrival_rate: float = Field(1.0, gt=0, le=100, description="market orders a side and second, lambda")
    kappa: float = Field(50.0, gt=0, description="decay of their reach, per dollar")
    quote_ticks: int = Field(2, ge=1, le=40, description="depth of the learner's quotes, cents")
    max_inventory: int = Field(5, ge=1, le=50, description="contracts, Q")
    holding_cost: float = Field(0.0025, ge=0, description="dollar a second and contract held")
    step_ms: int = Field(1_000, ge=10, le=60_000, description="time between two decisions")
    n_steps: int = Field(200, ge=2, le=20_000, description="decisions of an episode")
    capital_e6: int = Field(20_000_000, gt=0, description="cash at the start, 1e-6 dollar")

    @property
    def step_s(self) -> float:
        """Seconds between two decisions."""
        return self.step_ms / 1_000

    @property
    def depth(self) -> float:
        """Distance of the learner's quotes from the price: what a fill earns, dollar."""
        return self.quote_ticks * _TICK_E4 / DOLLAR_E4

    @property
    def fill_rate(self) -> float:
        """Fills a second of a resting quote."""
        return self.arrival_rate * float(np.exp(-self.kappa * self.depth))

    @property
    def fill_chance(self) -> float:
        """Probability that a resting quote fills within a step."""
        return -float(np.expm1(-self.fill_rate * self.step_s))

    @property
    def horizon_s(self) -> float:
        """Length of an episode, seconds."""
        return self.n_steps * self.step_s

    @property
    def problem(self) -> MarketMaking:
        """The same world in the theory: both sides, any depth, at any time."""
        return MarketMaking(self.arrival_rate, self.kappa, self.max_inventory, holding_cost=self.holding_cost)

    @property
    def env(self) -> EnvConfig:
        """Settings of the environment that plays the world."""
        exposed = _PRICE_E4 / DOLLAR_E4  # dollar a contract, of either outcome
        return EnvConfig(
            n_slots=1,
            groups=GROUPS,
            order_style="maker",
            improve_ticks=1,
            latency_ms=0,
            decision_interval_ms=self.step_ms,
            order_qty_e2=_LOT_E2,
            position_limit_e2=self.max_inventory * _LOT_E2,
            capital_e6=self.capital_e6,
            order_ttl_ms=2 * self.n_steps * self.step_ms,
            holding_cost_per_day=self.holding_cost * _DAY_S / exposed,
        )

    @property
    def episodes(self) -> EpisodeConfig:
        """Episodes that begin at a market's first row and end with its last one: more steps than rows."""
        return EpisodeConfig(min_steps=10_000_000, max_steps=10_000_000)

    @property
    def reward_per_dollar(self) -> float:
        """Reward of the environment for one dollar."""
        return self.env.reward_scale * 1_000_000 / self.capital_e6


def _specification(index: int) -> MarketSpec:
    return MarketSpec(
        ticker=f"SIMMAKE-{index:05d}-T",
        event=f"SIMMAKE-{index:05d}",
        series="SIMMAKE",
        category="Simulated",
        open_ns=FIRST_OPEN_NS,
        close_ns=FIRST_OPEN_NS + 24 * 3_600 * NS_PER_SECOND,
    )


def _opening(world: MakingWorld) -> MarketRows:
    """Snapshot of the other makers' levels, the same on both sides of one half."""
    own_e4 = _PRICE_E4 - _TICK_E4 * (world.quote_ticks + 1 + np.arange(_LEVELS))
    rows = schema.empty(1 + 2 * _LEVELS)
    rows.recv_ns[:], rows.exch_ns[:] = FIRST_OPEN_NS, FIRST_OPEN_NS
    rows.sid[:], rows.seq[:], rows.kind[:] = BOOK_SID, 1, SNAPSHOT
    rows.side[0], rows.price_e4[0], rows.flags[0] = NO_SIDE, NO_PRICE, FLAG_START
    rows.side[1:] = np.repeat([YES, NO], _LEVELS)
    rows.price_e4[1:], rows.qty_e2[1:] = np.tile(own_e4, 2), _SHOWN_E2
    rows.flags[-1] |= FLAG_LAST
    return rows


def _market_orders(rng: np.random.Generator, world: MakingWorld) -> tuple[np.ndarray, np.ndarray]:
    """(times since the opening (n,) i8 ns, side hit (n,)) of the orders that reach the learner's depth."""
    counts = rng.poisson(world.fill_rate * world.step_s, (world.n_steps, 2)).ravel()
    step = np.repeat(np.arange(counts.size) // 2, counts)
    side = np.repeat(np.arange(counts.size) % 2, counts)
    within = rng.uniform(_MARGIN, 1 - _MARGIN, step.size)
    order = np.argsort(step + within)
    # two messages each, a microsecond apart
    at_us = ((step + within)[order] * world.step_ms * 1_000).astype(np.int64) + 2 * np.arange(step.size)
    return at_us * 1_000, side[order]


def recording(world: MakingWorld, seed: int, index: int) -> tuple[MarketSpec, MarketRows]:
    """Level-2 rows of market ``index``, through the house's door; it depends on nothing else."""
    rng = np.random.default_rng([seed, index])
    spec, opening = _specification(index), _opening(world)
    at_ns, side = _market_orders(rng, world)
    n, beats = at_ns.size, np.arange(1, world.n_steps + 1)
    best_e4, last_e4 = int(opening.price_e4[1]), int(opening.price_e4[_LEVELS])
    moment = np.concatenate([np.repeat(at_ns, 2), beats * world.step_ms * NS_PER_MS])
    arrival = moment.copy()
    arrival[1 : 2 * n : 2] += 1_000  # the makers' answer
    order = np.argsort(arrival, kind="stable")
    rows = schema.empty(arrival.size)
    rows.recv_ns[:], rows.exch_ns[:] = FIRST_OPEN_NS + arrival[order], FIRST_OPEN_NS + moment[order]
    rows.sid[:], rows.seq[:], rows.kind[:] = BOOK_SID, 2 + np.arange(arrival.size), DELTA
    rows.side[:] = np.concatenate([np.repeat(side, 2), np.full(beats.size, YES)])[order]
    rows.price_e4[:] = np.concatenate([np.full(2 * n, best_e4), np.full(beats.size, last_e4)])[order]
    swing = np.where(beats % 2 == 1, -_LOT_E2, _LOT_E2)  # something must change for a message to come
    rows.qty_e2[:] = np.concatenate([np.tile([-_LOT_E2, _LOT_E2], n), swing])[order]
    filled = np.concatenate([np.tile([FLAG_FILL, 0], n), np.zeros(beats.size, int)])[order]
    rows.flags[:] = FLAG_LAST | filled
    everything = schema.concat([opening, rows])
    size = everything.kind.size
    wire = Wire(everything, np.zeros(size, "i4"), np.full(size, float(_PRICE_E4)), np.zeros(size, "i8"))
    return spec, market_rows(wire, 0, spec)[0]


def world_bank(world: MakingWorld, seed: int, n_markets: int) -> Bank:
    """Bank of ``n_markets`` recordings, each an event of its own whose settlement nobody knows."""
    markets = []
    for index in range(n_markets):
        spec, rows = recording(world, seed, index)
        markets.append(BankMarket(MarketInfo(spec, "simulated", 0.0), build_rows(rows, spec)))
    names = [feature.name for feature in features_of(GROUPS)]
    return build_bank(markets, names, columns(GROUPS), list(TEMPORAL))
