"""Exact trading fees, in integers (docs/exchange.md, "Fees").

Model fee    rate x multiplier x contracts x P x (1 - P), rounded up to 1e-6 dollar
Balance      moves in whole units: 1e-4 dollar for direct members, one cent for non-direct ones
Accumulator  one per order. Aligning a fill to the balance unit takes a little more than the fee; the exchange
             collects that excess and pays it back as soon as it makes a whole unit

The functions are numba kernels on scalars, so that the replay environment, the live session and the tests
use one arithmetic. Called from Python they take and return plain integers.
"""

from typing import Final

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.market import MarketSpec

TAKER_RATE_E6: Final = 70_000
_MAKER_RATE_E6: Final = {
    "quadratic": 0,
    "quadratic_with_maker_fees": 17_500,
    "quadratic_with_combo_maker_fees": 35_000,
}
#: Smallest step of a direct member's balance, 1e-6 dollar.
DIRECT_UNIT_E6: Final = 100
#: Smallest step of a non-direct (broker) member's balance, 1e-6 dollar.
NON_DIRECT_UNIT_E6: Final = 10_000


def taker_rate_e6(spec: MarketSpec) -> int:
    """Taker fee rate of the market in 1e-6, its fee multiplier applied and rounded up."""
    return -(-TAKER_RATE_E6 * spec.fee_multiplier_e6 // 1_000_000)


def maker_rate_e6(spec: MarketSpec) -> int:
    """Maker fee rate of the market in 1e-6, its fee multiplier applied and rounded up."""
    return -(-_MAKER_RATE_E6[spec.fee_type] * spec.fee_multiplier_e6 // 1_000_000)


@kernel
def model_fee_e6(rate_e6: int, price_e4: int, qty_e2: int) -> int:
    """Fee of one fill, 1e-6 dollar: rate x qty x P x (1 - P), rounded up.

    Exact to 3e9 contracts and a rate below 900.

    The plain product needs more than 64 bits, so the kernel multiplies whole dollars and the rest apart.
    """
    size = qty_e2 * price_e4 * (10_000 - price_e4)  # 1e-10 dollar
    whole, rest = size // 10_000_000_000, size % 10_000_000_000
    return rate_e6 * whole + (rate_e6 * rest + 9_999_999_999) // 10_000_000_000


@kernel
def apply_fill(revenue_e6: int, trade_fee_e6: int, accumulator_e6: int, unit_e6: int) -> tuple[int, int, int]:
    """Align one fill to the balance unit; all values are in 1e-6 dollar.

    ``revenue_e6`` is the signed cash of the fill before fees. Returns (balance change, net fee, the order's
    new accumulator). The balance change is revenue - net fee and a multiple of ``unit_e6``.
    """
    net = revenue_e6 - trade_fee_e6
    aligned = (net // unit_e6) * unit_e6  # floors toward minus infinity
    rounding = net - aligned
    pool = accumulator_e6 + rounding
    rebate = (min(pool, trade_fee_e6 + rounding) // unit_e6) * unit_e6
    return aligned + rebate, trade_fee_e6 + rounding - rebate, pool - rebate
