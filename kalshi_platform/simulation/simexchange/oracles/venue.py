"""A market of the matching core without fees for oracles: one account rests orders, another takes.

Kernels    :func:`rest`, :func:`take` and :func:`cancel` give the core one command and read its tape away.
Cash       both accounts have more than any oracle can spend; positions and cash go on from one play of an
           oracle to the next, as the core keeps them.
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4
from kalshi_platform.simulation.matching import command
from kalshi_platform.simulation.matching.exchange import SimulatedExchange
from kalshi_platform.simulation.matching.execute import execute
from kalshi_platform.simulation.matching.reasons import OK
from kalshi_platform.simulation.matching.records import BID, NONE, Core, Sizes

MAKER, TRADER = range(2)
#: One contract.
LOT_E2: Final = CONTRACT_E2
#: Cash of each account: a hundred billion dollars.
RICH_E6: Final = 10**17


class Venue(NamedTuple):
    """The core and the records of one command and its answer; ``tick_e4`` is the step of the grid."""

    core: Core
    command: np.ndarray  # (1,) COMMAND_DTYPE
    answer: np.ndarray  # (1,) ANSWER_DTYPE
    tick_e4: int


def new_venue(tick_e4: int = 100, most_orders: int = 4_096) -> Venue:
    """An empty book whose grid is the multiples of ``tick_e4`` inside (0, 1)."""
    if tick_e4 <= 0 or DOLLAR_E4 % tick_e4 != 0:
        raise ContractError(f"tick_e4={tick_e4} does not divide a dollar of {DOLLAR_E4} (1e-4 dollar)")
    grid = (PriceBand(start_e4=0, end_e4=DOLLAR_E4, step_e4=tick_e4),)
    spec = MarketSpec(ticker="ORACLE", event="ORACLE", price_ranges=grid, fee_multiplier_e6=0)
    exchange = SimulatedExchange([spec], Sizes(orders=most_orders))
    for account in (MAKER, TRADER):
        exchange.deposit(account, RICH_E6)
    exchange.read_tape()
    return Venue(exchange.core, command.new_commands(1), command.new_answers(1), tick_e4)


@kernel
def _give(venue: Venue) -> bool:
    """Give the command to the core; True where it was done."""
    done = execute(venue.core, venue.command[0], venue.answer[0]) == OK
    venue.core.state[0].read = venue.core.state[0].written
    return done


@kernel
def rest(venue: Venue, side: int, price_e4: int, qty_e2: int) -> int:
    """Rest an order of the maker; returns its number, NONE where it was refused or does not rest."""
    order = venue.command[0]
    order.op = command.SUBMIT
    order.account = MAKER
    order.market = 0
    order.side = side
    order.price_e4 = price_e4
    order.qty_e2 = qty_e2
    order.tif = command.GTC
    done = _give(venue) and venue.answer[0].left_e2 == qty_e2
    return venue.answer[0].order_id if done else NONE


@kernel
def take(venue: Venue, side: int, qty_e2: int) -> int:
    """Let the trader buy (BID) or sell (ASK) at any price; returns the size filled."""
    order = venue.command[0]
    order.op = command.SUBMIT
    order.account = TRADER
    order.market = 0
    order.side = side
    order.price_e4 = DOLLAR_E4 - venue.tick_e4 if side == BID else venue.tick_e4
    order.qty_e2 = qty_e2
    order.tif = command.IOC
    return venue.answer[0].filled_e2 if _give(venue) else 0


@kernel
def cancel(venue: Venue, order_id: int) -> int:
    """Cancel an order of the maker; returns the size taken away."""
    order = venue.command[0]
    order.op = command.CANCEL
    order.account = MAKER
    order.market = 0
    order.order_id = order_id
    return venue.answer[0].reduced_e2 if _give(venue) else 0
