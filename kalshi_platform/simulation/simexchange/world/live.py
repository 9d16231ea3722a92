"""One event of the world traded in slices of time, with room for an account from outside.

Owns       the event's exchange, its agents and the rows that the exchange told since the last reading.
Invariant  without commands from outside the rows are those of ``simulate_world_event``, however the time is
           cut: between two slices nothing acts and nothing is drawn.
Units      ns since the opening; prices, sizes and cash as in ``matching/records.py``.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND
from kalshi_platform.simulation.matching.expiry import next_expiry_ns
from kalshi_platform.simulation.matching.records import TAPE_DTYPE, new_records
from kalshi_platform.simulation.simexchange.contracts import Contract, Family
from kalshi_platform.simulation.simexchange.world.config import WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import Outside, opened, plan_specs
from kalshi_platform.simulation.simexchange.world.kernel import publish_now, trade

#: Rows of the core that one reading may bring, as a multiple of what one agent may write.
_ROOMS: Final = 4


class LiveEvent:
    """Event ``index`` of the world that ``config`` describes, from its opening to its settlement."""

    def __init__(self, config: WorldConfig, index: int, outside: Outside) -> None:
        """Open the event; accounts from outside come behind ``first_outside``, without cash."""
        self.index = index
        self._rng = np.random.default_rng([config.seed, index])
        drawn = plan_specs(config, self._rng, index)
        self.family: Family = drawn[0]
        self.contracts: list[Contract] = drawn[1]
        self.specs: list[MarketSpec] = drawn[2]
        self.plan = drawn[3]
        probe = outside.orders + len(self.specs) * 512
        told = new_records(_ROOMS * 2 * probe, TAPE_DTYPE)
        self.exchange, self.world = opened(
            config, self._rng, self.specs, self.family, self.plan, 0, outside, told
        )
        self._room = 2 * int(self.world.core.orders.size)
        self.first_outside = int(self.world.core.units.size) - outside.accounts
        self.values_e4: list[int] | None = None  # payment of one YES of each market, once the event ended
        self.end_ns = round(self.plan.end_s * NS_PER_SECOND)
        self.opening = self.read()  # rows of the makers' first ladders; a recording shows them as a snapshot

    @property
    def next_ns(self) -> int:
        """Time at which somebody acts next."""
        world, state = self.world, self.world.state[0]
        due = min(int(world.due.min()), int(state["arbitrage_ns"]), int(next_expiry_ns.py_func(world.core)))
        items = world.schedule.at_ns
        at = int(state["next_item"])
        return min(due, int(items[at])) if at < items.size else due

    def advance(self, until_ns: int) -> np.ndarray:
        """Let everybody act who is due before ``until_ns`` (or the end); returns the rows told, in order."""
        until, parts, done = min(until_ns, self.end_ns), [], False
        while not done:
            done = bool(trade(self.world, self._rng, until, self._room))
            parts.append(self._take())
        if until == self.end_ns and self.values_e4 is None:
            self.values_e4 = self._draw_values()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def read(self) -> np.ndarray:
        """Rows told since the last reading by commands that came from outside."""
        publish_now(self.world, self._rng)
        return self._take()

    def end_early(self) -> list[int]:
        """Payment of one YES of each market where the event ends now; drawn from the forecast of its end."""
        if self.values_e4 is None:
            self.values_e4 = self._draw_values()
        return self.values_e4

    def _draw_values(self) -> list[int]:
        """Draw the final value, once; nothing is drawn between the agents' last act and this."""
        plan = self.plan
        final = plan.forecast + np.sqrt(plan.variance) * self._rng.standard_normal()
        bounds = [contract.bounds for contract in self.contracts]
        return [DOLLAR_E4 if low < final <= high else 0 for low, high in bounds]

    def _take(self) -> np.ndarray:
        world, state = self.world, self.world.state[0]
        if state["untold"]:
            raise PlatformError(
                f"{self.specs[0].event}: {state['untold']} rows of the exchange had no room among "
                f"{world.told.size}; the served world would be wrong from here: report this as a bug"
            )
        rows = world.told[: int(state["n_told"])].copy()
        state["n_told"] = 0
        world.tape.n[0] = 0
        return rows
