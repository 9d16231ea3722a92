"""Restraint of a session: what its state lets out of the actions that a policy chose.

Halted     nothing but cancels: CANCEL where an order works, HOLD elsewhere.
Reducing   no BUY, since a BUY makes a position larger in each case (``replay/planning.py: wanted_qty_e2``);
           a BUY that works is cancelled, unless a SELL replaces it.
Codes      CANCEL ends the working order; LEAVE leaves the slot as it is, also where HOLD would cancel. They
           stand in a recording's acts beside the five actions, and no policy can choose them.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_NO, SELL_YES
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE
from kalshi_platform.trading.execution.risk.modes import RiskMode

#: Leaves the slot as it is: no choice was made.
LEAVE: Final = CANCEL + 1
BUYS: Final = (BUY_YES, BUY_NO)
SELLS: Final = (SELL_YES, SELL_NO)


def working_actions(slots: np.ndarray) -> np.ndarray:
    """Action (S,) of the order that works in each slot of ``slots`` (1, S); HOLD where none does."""
    return np.where(slots["order_state"][0] != IDLE, slots["order_action"][0], HOLD)


def restrained(state: RiskMode, asked: np.ndarray, working: np.ndarray) -> np.ndarray:
    """Return what goes out of the actions ``asked`` (S,) i1; ``working`` (S,) as above."""
    if state is RiskMode.ACTIVE:
        return asked
    if state is RiskMode.HALTED:
        return np.where(working != HOLD, CANCEL, HOLD).astype(np.int8)
    held = np.where(np.isin(asked, BUYS), HOLD, asked)
    grows = np.isin(working, BUYS) & ~np.isin(asked, SELLS)
    return np.where(grows, CANCEL, held).astype(np.int8)


def cancels(n_slots: int, slots: list[int]) -> np.ndarray:
    """Acts (S,) i1 that cancel in ``slots`` and leave the others as they are."""
    acts = np.full(n_slots, LEAVE, np.int8)
    acts[slots] = CANCEL
    return acts
