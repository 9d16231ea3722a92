"""Power: how many independent blocks are needed before an edge of a given size shows.

Owns   the power of this house's interval (bootstrap.py) and the number of blocks that reaches a power.
Units  spread and edge in the unit of the returns, such as fractions of capital; power is a probability.
Exact  for normal returns, where the widened interval is Student's: mean +- t sd / sqrt(n). Its lower bound is
       above zero with the probability that a non-central t exceeds its quantile. ``benchmarks/power.py``
       simulates skewed and clustered returns beside it.
"""

import math
from typing import Final

import numpy as np
from scipy import stats

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.evaluation.statistics.metrics import NO_SPREAD

#: From this many blocks on t is the normal to three digits, and the non-central t loses digits.
_LARGE: Final = 1_000
#: An edge that needs more blocks than this is none: nobody will ever see it.
MOST_BLOCKS: Final = 100_000_000


def power_at(n_blocks: int, spread: float, edge: float, confidence: float = 0.95) -> float:
    """Probability that the interval of ``n_blocks`` returns of the true mean ``edge`` lies above zero.

    ``spread`` is the standard deviation of a block's return. 0 below MIN_BLOCKS, which have no interval.
    """
    _check(edge, spread, confidence)
    if n_blocks < MIN_BLOCKS:
        return 0.0
    if spread <= NO_SPREAD:
        return 1.0
    tail, shift = (1.0 + confidence) / 2.0, edge / spread * math.sqrt(n_blocks)
    if n_blocks >= _LARGE:
        return float(stats.norm.sf(stats.norm.ppf(tail) - shift))
    df = n_blocks - 1
    return float(stats.nct.sf(stats.t.ppf(tail, df), df, shift))


def blocks_needed(spread: float, edge: float, power: float = 0.8, confidence: float = 0.95) -> int | None:
    """Least number of blocks at which an edge shows with probability ``power``; None above MOST_BLOCKS."""
    _check(edge, spread, confidence)
    if not 0.0 < power < 1.0:
        raise ContractError(f"power={power}: want a probability between 0 and 1")
    high = MIN_BLOCKS
    while power_at(high, spread, edge, confidence) < power:
        if high > MOST_BLOCKS:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if power_at(middle, spread, edge, confidence) < power:
            low = middle
        else:
            high = middle
    return max(high, MIN_BLOCKS)


def blocks_for_power(
    returns_per_block: np.ndarray, edge: float, power: float = 0.8, confidence: float = 0.95
) -> int | None:
    """Number of blocks with the spread of ``returns_per_block`` (B,) at which ``edge`` shows; blocks_needed.

    None below MIN_BLOCKS returns: their spread says nothing.
    """
    returns = np.asarray(returns_per_block, np.float64)
    if returns.size < MIN_BLOCKS:
        return None
    return blocks_needed(float(returns.std(ddof=1)), edge, power, confidence)


def _check(edge: float, spread: float, confidence: float) -> None:
    if not (math.isfinite(edge) and edge > 0.0 and math.isfinite(spread) and spread >= 0.0):
        raise ContractError(f"edge={edge}, spread={spread}: want an edge above 0 and a spread of 0 or more")
    if not 0.5 < confidence < 1.0:
        raise ContractError(f"confidence={confidence}: want a fraction between 0.5 and 1")
