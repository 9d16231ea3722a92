"""Feature sets ``market_meta`` (7) and ``temporal_adv`` (6): metadata as known at the time of a row.

Owns   the market's category and times as the kernel holds them; formulas in ``spec.SPEC``.
Not    the market's identity: features tell only the kind of its category, and times relative to now.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from kalshi_platform.data.features.resolution import CATEGORY_RATE
from kalshi_platform.data.features.spec import MARKET_META, TEMPORAL_ADV
from kalshi_platform.data.features.squash import exp_of
from kalshi_platform.data.features.temporal import CLOSE_NS
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.domain.units import NO_TIME

_META: Final = MARKET_META.start
_CLOSE: Final = TEMPORAL_ADV.start
_OF_LOG_HOURS: Final = 1.0 / math.log1p(48.0)
_VOLATILITY_RATE: Final = -1.0 / 12.0

SPORTS, POLITICS, ECONOMICS, OTHER = range(4)
#: The exchange's categories, lower case, to the four that the features tell apart; any other is OTHER.
_CATEGORY_OF: Final = {
    "sports": SPORTS,
    "politics": POLITICS,
    "elections": POLITICS,
    "economics": ECONOMICS,
    "financials": ECONOMICS,
}
#: Places in the facts: opening, the time to which clocks count and the end of trading, as known now (NO_TIME
#: if unknown); category; the step of ``Resolutions`` that holds now; the step of the market's own history.
OPEN_NS, CLOCK_NS, END_NS, CATEGORY, STEP, KNOWN = range(6)


def new_facts(spec: MarketSpec, schedule: np.ndarray) -> np.ndarray:
    """Return the facts of a market before its first message, (6,) i8.

    Places: OPEN_NS, CLOCK_NS, END_NS (ns, NO_TIME where unknown), CATEGORY (SPORTS to OTHER), STEP and
    KNOWN (0). ``schedule``: of :func:`schedule_of`.
    """
    category = _CATEGORY_OF.get((spec.category or "").strip().lower(), OTHER)
    return np.array([*schedule[0], category, 0, 0], np.int64)


def schedule_of(known: Sequence[KnownFacts]) -> np.ndarray:
    """Times of the market as known at each step of its history, (K, 3) i8: OPEN_NS, CLOCK_NS, END_NS."""
    times = [(facts.open_ns, facts.clock_ns, facts.close_ns) for facts in known]
    return np.array([[NO_TIME if t is None else t for t in step] for step in times], np.int64)


@inline_kernel
def know(facts: np.ndarray, clock: np.ndarray, schedule: np.ndarray, step: int) -> bool:
    """Move facts and clock to ``step`` of the market's history; False where the history has no such step."""
    if step < 0 or step >= schedule.shape[0]:
        return False
    facts[OPEN_NS], facts[CLOCK_NS], facts[END_NS] = schedule[step, 0], schedule[step, 1], schedule[step, 2]
    facts[KNOWN] = step
    clock[CLOSE_NS] = schedule[step, 1]
    return True


@inline_kernel
def write_market_meta(
    out: np.ndarray, row: int, facts: np.ndarray, values: np.ndarray, capacity: float, now_ns: int
) -> None:
    """Write feature set ``market_meta`` into ``out[row]``, out (n, F) f4.

    values: of ``Resolutions``, read at facts[STEP]; capacity: the feature ``capacity_used``, which trades
    change.
    """
    category, open_ns, close_ns, step = facts[CATEGORY], facts[OPEN_NS], facts[CLOCK_NS], facts[STEP]
    rate = values[step, CATEGORY_RATE]
    lifecycle = -1.0
    if open_ns != NO_TIME and close_ns > open_ns:
        lifecycle = min(max((now_ns - open_ns) / (close_ns - open_ns), 0.0), 1.0)
    out[row, _META] = 1.0 if category == SPORTS else 0.0
    out[row, _META + 1] = 1.0 if category == POLITICS else 0.0
    out[row, _META + 2] = 1.0 if category == ECONOMICS else 0.0
    out[row, _META + 3] = 1.0 if category == OTHER else 0.0
    out[row, _META + 4] = lifecycle
    out[row, _META + 5] = capacity
    out[row, _META + 6] = rate


@inline_kernel
def write_temporal_adv(out: np.ndarray, row: int, facts: np.ndarray, hours: float, log_hours: float) -> None:
    """Write feature set ``temporal_adv`` into ``out[row]``, out (n, F) f4.

    hours: until the close, -1 if unknown; log_hours: log(1 + hours), 0 if unknown.
    """
    known = hours >= 0.0
    far = min(log_hours * _OF_LOG_HOURS, 1.0) if known else -1.0
    category = facts[CATEGORY]
    urgency = 0.0
    if known and category == SPORTS:
        urgency = exp_of(hours * -0.5)
    elif known and category == ECONOMICS:
        urgency = 1.0 if hours < 0.5 else 0.0
    volatility = exp_of(hours * _VOLATILITY_RATE) if known else 0.0
    out[row, _CLOSE] = far
    out[row, _CLOSE + 1] = 1.0 if known and hours < 1.0 else 0.0
    out[row, _CLOSE + 2] = 1.0 if known and hours < 6.0 else 0.0
    out[row, _CLOSE + 3] = 1.0 if known and hours < 24.0 else 0.0
    out[row, _CLOSE + 4] = urgency
    out[row, _CLOSE + 5] = volatility
