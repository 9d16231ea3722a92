"""Rewards of a step: pure functions, one a term.

Equity change   in units of the episode's capital, after fees
Holding cost    per day and unit of exposed capital: money in a position earns nothing elsewhere
"""

from typing import Final

from kalshi_platform.domain.compiled import kernel

_NS_PER_DAY: Final = 86_400_000_000_000.0


@kernel
def equity_term(change_e6: int, capital_e6: int) -> float:
    """Change of equity in the step as a share of the capital."""
    return change_e6 / capital_e6


@kernel
def holding_term(exposure_e6: int, elapsed_ns: int, cost_per_day: float, capital_e6: int) -> float:
    """Cost of having ``exposure_e6`` in positions for ``elapsed_ns``, as a share of the capital (>= 0)."""
    return cost_per_day * (exposure_e6 / capital_e6) * (elapsed_ns / _NS_PER_DAY)


@kernel
def step_reward(
    change_e6: int, exposure_e6: int, elapsed_ns: int, capital_e6: int, cost_per_day: float, scale: float
) -> float:
    """Reward of a step: scale x (equity term - holding term)."""
    gain = equity_term(change_e6, capital_e6)
    return scale * (gain - holding_term(exposure_e6, elapsed_ns, cost_per_day, capital_e6))
