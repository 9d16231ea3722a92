"""Scalars and waiting episodes that a step takes beside its records (``simulation/replay/state.py``)."""

from typing import NamedTuple

import numpy as np


class StepParams(NamedTuple):
    """Scalars of a step: decision interval, capital and reward."""

    interval_ns: int
    capital_e6: int
    holding_cost_per_day: float
    reward_scale: float


class Episodes(NamedTuple):
    """Table of E episodes that wait to be played; ``segment`` -1 = empty slot."""

    number: np.ndarray  # (E,) i8
    max_steps: np.ndarray  # (E,) i4
    begin_ns: np.ndarray  # (E,) i8: environment time of the first observation
    segment: np.ndarray  # (E, S) i4
    start: np.ndarray  # (E, S) i8: first bank row
    shift_ns: np.ndarray  # (E, S) i8
