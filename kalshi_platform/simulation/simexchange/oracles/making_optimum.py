"""The best that our actions can do in a making world (making_world.py), by value iteration, and its price.

State      inventory q in -Q..Q, and the own order that rests: none, a bid or an ask
Actions    HOLD keeps what rests; a buy of YES or sale of NO rests a bid, the others an ask, in its place. So
           one side at a time, one depth, one decision and at most one fill a step; no way to cancel.
Value      expected profit less holding cost of the steps that are left, dollar, the inventory at the price
Losses     :func:`ladder` goes from the theory's optimum to ours and names what each restriction costs.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.replay.observation import portfolio_column
from kalshi_platform.simulation.simexchange.oracles.cartea_jaimungal import value
from kalshi_platform.simulation.simexchange.oracles.making_world import MakingWorld

#: What rests: the second index of every table.
NOTHING, A_BID, AN_ASK = range(3)
_NOT_POSSIBLE: Final = -np.inf


class Optimum(NamedTuple):
    """Best value (2Q + 1, 3), dollar, with all steps to go, and the choice of what shall rest, likewise."""

    value: np.ndarray
    choice: np.ndarray


class Ladder(NamedTuple):
    """Optimal values of an episode from flat, dollar, each under one restriction more."""

    theory: float  # both sides, any depth, at any time
    one_depth: (
        float  # both sides at the grid's depth or not at all, decided every step, a fill a side and step
    )
    our_actions: float  # one side at a time


def _after(world: MakingWorld, following: np.ndarray) -> np.ndarray:
    """Value (2Q + 1, 3) of a step that begins with each order at rest, before the holding cost."""
    chance, size = world.fill_chance, following.shape[0]
    value = np.full((size, 3), _NOT_POSSIBLE)
    value[:, NOTHING] = following[:, NOTHING]
    filled = chance * (world.depth + following[:, NOTHING])
    value[:-1, A_BID] = filled[1:] + (1 - chance) * following[:-1, A_BID]
    value[1:, AN_ASK] = filled[:-1] + (1 - chance) * following[1:, AN_ASK]
    return value


def _cost(world: MakingWorld) -> np.ndarray:
    """Holding cost of a step (2Q + 1, 1), dollar."""
    q = np.arange(-world.max_inventory, world.max_inventory + 1)
    return (world.holding_cost * world.step_s * np.abs(q))[:, None]


def solve(world: MakingWorld) -> Optimum:
    """Value iteration backwards over the steps of an episode."""
    size = 2 * world.max_inventory + 1
    following, choice = np.zeros((size, 3)), np.zeros((size, 3), int)
    for _ in range(world.n_steps):
        at_rest = _after(world, following)
        options = np.repeat(at_rest[:, None, :], 3, axis=1)  # (inventory, rests now, shall rest)
        options[:, A_BID:, NOTHING] = _NOT_POSSIBLE  # there is no way to cancel
        choice = options.argmax(axis=2)
        following = options.max(axis=2) - _cost(world)
    return Optimum(following, choice)


def value_of(world: MakingWorld, choice: np.ndarray) -> float:
    """Expected value of an episode, dollar, under the stationary ``choice`` (2Q + 1, 3)."""
    following = np.zeros((2 * world.max_inventory + 1, 3))
    for _ in range(world.n_steps):
        following = np.take_along_axis(_after(world, following), choice, axis=1) - _cost(world)
    return float(following[world.max_inventory, NOTHING])


def _both_sides(world: MakingWorld) -> float:
    """Value of an episode for a maker who may rest a bid and an ask at once, each at the grid's depth."""
    chance, depth = world.fill_chance, world.depth
    size = 2 * world.max_inventory + 1
    following = np.zeros(size)
    for _ in range(world.n_steps):
        up, down = np.full(size, _NOT_POSSIBLE), np.full(size, _NOT_POSSIBLE)
        up[:-1], down[1:] = depth + following[1:], depth + following[:-1]
        bid = np.where(np.isinf(up), _NOT_POSSIBLE, chance * up + (1 - chance) * following)
        ask = np.where(np.isinf(down), _NOT_POSSIBLE, chance * down + (1 - chance) * following)
        one = chance * (1 - chance)
        both = one * (up + down) + chance**2 * (2 * depth + following) + (1 - chance) ** 2 * following
        following = np.max([following, bid, ask, both], axis=0) - _cost(world)[:, 0]
    return float(following[world.max_inventory])


def ladder(world: MakingWorld) -> Ladder:
    """Values of an episode from the theory's optimum down to the one under our actions."""
    ours = solve(world).value[world.max_inventory, NOTHING]
    return Ladder(value(world.problem, world.horizon_s), _both_sides(world), float(ours))


class TablePolicy:
    """A choice of :func:`solve` as a policy of the environment; it reads what a network sees and no more."""

    def __init__(self, world: MakingWorld, choice: np.ndarray, layout: Layout) -> None:
        self._limit, self._layout = world.max_inventory, layout
        self._actions = _actions(choice)

    def act(self, flat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Actions (N, S) int8 of the states in ``flat``; HOLD in an empty slot."""
        inventory = np.rint(portfolio_column("position", self._layout, flat) * self._limit).astype(int)
        side = portfolio_column("resting_side", self._layout, flat)
        rests = np.select([side > 0, side < 0], [A_BID, AN_ASK], NOTHING)
        actions = self._actions[inventory + self._limit, rests]
        return np.where(rows < 0, HOLD, actions).astype(np.int8)


def _actions(choice: np.ndarray) -> np.ndarray:
    """Action (2Q + 1, 3) that makes the chosen order rest; HOLD where it rests already or nothing shall."""
    q = np.arange(choice.shape[0])[:, None] - choice.shape[0] // 2
    bid, ask = np.where(q >= 0, BUY_YES, SELL_NO), np.where(q > 0, SELL_YES, BUY_NO)
    wanted = np.select([choice == A_BID, choice == AN_ASK], [bid, ask], HOLD)
    return np.where(choice == np.arange(3), HOLD, wanted)
