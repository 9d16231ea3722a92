"""Exact trading fees, in integers (docs/exchange.md, "Fees").

Model fee    rate x multiplier x contracts x P x (1 - P), rounded up to 1e-6 dollar
Balance      moves in whole units: 1e-4 dollar for direct members, one cent for non-direct ones
Accumulator  one per order. Aligning a fill to the balance unit takes a little more than the fee; the exchange
             collects that excess and pays it back as soon as it makes a whole unit
Rounding     one of three rules, by date (``fee_schedule.py``): MICRO as above. CENTICENT rounds the model fee
             up to 1e-4 dollar and pays back whole cents. CENT_PER_ORDER has balances in cents, so that the
             accumulator makes the fee of a whole order the sum of its model fees, up to the cent

The functions are numba kernels on scalars, so that the replay environment, the live session and the tests
use one arithmetic. Called from Python they take and return plain integers.
"""

from typing import Final

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fee_schedule import FeeRounding, FeeTerms
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
#: Codes of the rounding rules in records and kernels.
MICRO, CENTICENT, CENT_PER_ORDER = range(3)
ROUNDING_CODE: Final[dict[FeeRounding, int]] = {
    "micro": MICRO,
    "centicent": CENTICENT,
    "cent_per_order": CENT_PER_ORDER,
}
_CENTICENT_E6: Final = 100
_CENT_E6: Final = 10_000


def taker_rate_e6(spec: MarketSpec | FeeTerms) -> int:
    """Taker fee rate of a market or of terms in 1e-6, its fee multiplier applied and rounded up."""
    return -(-TAKER_RATE_E6 * spec.fee_multiplier_e6 // 1_000_000)


def maker_rate_e6(spec: MarketSpec | FeeTerms) -> int:
    """Maker fee rate of a market or of terms in 1e-6, its fee multiplier applied and rounded up."""
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
def apply_fill(
    revenue_e6: int, model_fee_e6: int, accumulator_e6: int, unit_e6: int, rounding: int
) -> tuple[int, int, int]:
    """Align one fill to the balance unit under the rule ``rounding``; all values are in 1e-6 dollar.

    ``revenue_e6`` is the signed cash of the fill before fees; a ``unit_e6`` of 1 rounds nothing. Returns
    (balance change, net fee, the order's new accumulator). The balance change is revenue - net fee and a
    multiple of ``unit_e6``, under CENT_PER_ORDER of a cent.
    """
    trade_fee_e6, rebate_unit_e6 = model_fee_e6, unit_e6
    if rounding != MICRO and unit_e6 != 1:
        rebate_unit_e6 = _CENT_E6
        if rounding == CENTICENT:
            trade_fee_e6 = (model_fee_e6 + _CENTICENT_E6 - 1) // _CENTICENT_E6 * _CENTICENT_E6
        else:
            unit_e6 = _CENT_E6
    net = revenue_e6 - trade_fee_e6
    aligned = (net // unit_e6) * unit_e6  # floors toward minus infinity
    excess = net - aligned
    pool = accumulator_e6 + excess
    rebate = (min(pool, trade_fee_e6 + excess) // rebate_unit_e6) * rebate_unit_e6
    return aligned + rebate, trade_fee_e6 + excess - rebate, pool - rebate
