"""Modes of trading: ACTIVE, REDUCING, HALTED."""

from enum import StrEnum
from typing import Final

#: Reason of the mode of an account that begins with nothing to tell.
STARTED: Final = "started"


class RiskMode(StrEnum):
    """Orders that may go out."""

    ACTIVE = "active"  # every order within the limits
    REDUCING = "reducing"  # only orders that make a position smaller; cancels
    HALTED = "halted"  # no order; everything was cancelled; positions and exits are watched on
