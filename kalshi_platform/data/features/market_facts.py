"""Feature sets ``market_meta`` (7) and ``temporal_adv`` (6): metadata as known at the time of a row.

Owns   the market's category and times as the kernel holds them; formulas in ``spec.SPEC``.
Not    the market's identity: features tell only the kind of its category, and times relative to now.
"""

import math
from typing import Final

import numpy as np

from kalshi_platform.data.features.resolution import CATEGORY_RATE
from kalshi_platform.data.features.spec import MARKET_META, TEMPORAL_ADV
from kalshi_platform.data.features.squash import exp_of
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.market import MarketSpec
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
#: Places in the facts: opening and close (NO_TIME if unknown), category, and the step of
#: ``Resolutions`` that holds now, the only one that changes.
OPEN_NS, CLOSE_NS, CATEGORY, STEP = range(4)


def new_facts(spec: MarketSpec) -> np.ndarray:
    """Return the facts of a market before its first message, (4,) i8.

    Places: OPEN_NS and CLOSE_NS (ns, NO_TIME where unknown), CATEGORY (SPORTS to OTHER) and STEP (0).
    """
    times = [NO_TIME if t is None else t for t in (spec.open_ns, spec.close_ns)]
    category = _CATEGORY_OF.get((spec.category or "").strip().lower(), OTHER)
    return np.array([*times, category, 0], np.int64)


@inline_kernel
def write_market_meta(
    out: np.ndarray, row: int, facts: np.ndarray, values: np.ndarray, capacity: float, now_ns: int
) -> None:
    """Write feature set ``market_meta`` into ``out[row]``, out (n, F) f4.

    values: of ``Resolutions``, read at facts[STEP]; capacity: the feature ``capacity_used``, which trades
    change.
    """
    category, open_ns, close_ns, step = facts[CATEGORY], facts[OPEN_NS], facts[CLOSE_NS], facts[STEP]
    rate = values[step, CATEGORY_RATE]
    lifecycle = 0.0
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
    category = facts[CATEGORY]
    urgency = 0.0
    if known and category == SPORTS:
        urgency = exp_of(hours * -0.5)
    elif known and category == ECONOMICS:
        urgency = 1.0 if hours < 0.5 else 0.0
    volatility = exp_of(hours * _VOLATILITY_RATE) if known else 0.0
    out[row, _CLOSE] = min(log_hours * _OF_LOG_HOURS, 1.0)
    out[row, _CLOSE + 1] = 1.0 if known and hours < 1.0 else 0.0
    out[row, _CLOSE + 2] = 1.0 if known and hours < 6.0 else 0.0
    out[row, _CLOSE + 3] = 1.0 if known and hours < 24.0 else 0.0
    out[row, _CLOSE + 4] = urgency
    out[row, _CLOSE + 5] = volatility
