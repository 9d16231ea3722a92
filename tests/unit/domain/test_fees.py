"""Fees against the worked table of docs/exchange.md and against exact rational arithmetic."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain import fees
from kalshi_platform.domain.fee_schedule import FeeTerms
from kalshi_platform.domain.market import MarketSpec

FEE_KERNELS = pytest.mark.parametrize(
    "model_fee_e6", [fees.model_fee_e6, fees.model_fee_e6.py_func], ids=["numba", "python"]
)
FILL_KERNELS = pytest.mark.parametrize(
    "apply_fill", [fees.apply_fill, fees.apply_fill.py_func], ids=["numba", "python"]
)
UNITS = st.sampled_from([fees.DIRECT_UNIT_E6, fees.NON_DIRECT_UNIT_E6])


def spec(**facts) -> MarketSpec:
    return MarketSpec(ticker="KXTEST-1", event="KXTEST", **facts)


def exact_fee_e6(rate_e6: int, price_e4: int, qty_e2: int) -> int:
    price = Fraction(price_e4, 10_000)
    return ceil(Fraction(rate_e6, 1_000_000) * Fraction(qty_e2, 100) * price * (1 - price) * 1_000_000)


# The table of docs/exchange.md, "Fees": one order of a direct member; fees and balance in 1e-6 dollar.
# rate      qty    price  trade fee  rounding  rebate  net fee     balance
WORKED = [
    (70_000, 1_250, 4_370, 215_278, 22, 0, 215_300, -5_677_800),
    (70_000, 325, 4_380, 56_001, 99, 100, 56_000, -1_479_500),
    (70_000, 25, 4_380, 4_308, 92, 100, 4_300, -113_800),
    (17_500, 400, 4_370, 17_223, 77, 0, 17_300, -1_765_300),
]


@FEE_KERNELS
@FILL_KERNELS
def test_every_row_of_the_worked_table_comes_out_to_the_last_digit(model_fee_e6, apply_fill):
    accumulator = 0
    for rate, qty, price, trade_fee, rounding, rebate, net_fee, balance in WORKED:
        revenue = -qty * price  # buying YES pays P x C; 1e-2 x 1e-4 = 1e-6 dollar
        assert model_fee_e6(rate, price, qty) == trade_fee
        got_balance, got_fee, left = apply_fill(
            revenue, trade_fee, accumulator, fees.DIRECT_UNIT_E6, fees.MICRO
        )
        assert (got_balance, got_fee) == (balance, net_fee)
        assert left == accumulator + rounding - rebate
        accumulator = left
    assert accumulator == 22 + 99 - 100 + 92 - 100 + 77  # 90: what the order's alignments took and kept


@pytest.mark.parametrize(
    ("qty_e2", "unit_e6", "net_fee_e6"),
    [
        (100, fees.DIRECT_UNIT_E6, 17_500),  # 0.07 x 0.25 = 0.0175
        (100, fees.NON_DIRECT_UNIT_E6, 20_000),  # -0.5175 floors to -0.52: the fee becomes 0.02
        (10_000, fees.DIRECT_UNIT_E6, 1_750_000),  # 100 x 0.0175 = 1.75 is whole for both
        (10_000, fees.NON_DIRECT_UNIT_E6, 1_750_000),
    ],
)
def test_a_contract_at_a_half_costs_what_the_exchange_says(qty_e2, unit_e6, net_fee_e6):
    fee = fees.model_fee_e6(fees.TAKER_RATE_E6, 5_000, qty_e2)
    balance, net_fee, _ = fees.apply_fill(-qty_e2 * 5_000, fee, 0, unit_e6, fees.MICRO)
    assert net_fee == net_fee_e6
    assert balance == -qty_e2 * 5_000 - net_fee_e6


@FEE_KERNELS
@given(
    rate_e6=st.integers(0, 280_000),
    price_e4=st.integers(0, 10_000),
    qty_e2=st.integers(0, 300_000_000_000),  # three thousand million contracts
)
def test_the_model_fee_is_the_exact_product_rounded_up(model_fee_e6, rate_e6, price_e4, qty_e2):
    assert model_fee_e6(rate_e6, price_e4, qty_e2) == exact_fee_e6(rate_e6, price_e4, qty_e2)


def test_the_largest_product_does_not_overflow():
    # 3e9 contracts at 0.50, four times the taker rate: the plain product is 2.1e24, and 2^63 is 9.2e18.
    size = (280_000, 5_000, 300_000_000_000)
    assert fees.model_fee_e6(*size) == exact_fee_e6(*size) == 210_000_000_000_000


@given(price_e4=st.integers(0, 10_000), qty_e2=st.integers(0, 10**9))
def test_the_fee_is_the_same_for_yes_and_for_no(price_e4, qty_e2):
    assert fees.model_fee_e6(70_000, price_e4, qty_e2) == fees.model_fee_e6(70_000, 10_000 - price_e4, qty_e2)


FILLS = st.lists(
    st.tuples(
        st.sampled_from([0, 17_500, 35_000, 70_000]), st.integers(1, 9_999), st.integers(-(10**7), 10**7)
    ),
    min_size=1,
    max_size=30,
)


@FILL_KERNELS
@given(fills=FILLS, unit_e6=UNITS)
def test_fills_of_one_order_keep_every_invariant_of_the_rounding_rule(apply_fill, fills, unit_e6):
    accumulator = total_fee = total_trade_fee = 0
    for rate_e6, price_e4, signed_qty_e2 in fills:
        revenue = -signed_qty_e2 * price_e4
        trade_fee = fees.model_fee_e6(rate_e6, price_e4, abs(signed_qty_e2))
        balance, net_fee, accumulator = apply_fill(revenue, trade_fee, accumulator, unit_e6, fees.MICRO)
        assert balance == revenue - net_fee
        assert balance % unit_e6 == 0
        assert net_fee >= 0
        # The rebate leaves less than a unit behind, unless it would have made the fee negative.
        assert 0 <= accumulator < unit_e6 or net_fee < unit_e6
        total_fee += net_fee
        total_trade_fee += trade_fee
    assert total_fee - total_trade_fee == accumulator  # nothing is lost between the member and the order


def test_a_rebate_never_makes_the_net_fee_negative():
    # No trade fee, revenue -0.00005: aligned -0.0001, rounding 0.00005. The accumulator then holds
    # 0.00095 + 0.00005 = 10 whole units, but no more than what this fill paid (half a unit) may come back.
    assert fees.apply_fill(-50, 0, 950, 100, fees.MICRO) == (-100, 50, 1_000)


def pay(apply_fill, qtys_e2, rounding, unit_e6=fees.DIRECT_UNIT_E6, price_e4=5_000, rate_e6=70_000):
    """Net fees of the fills of one buying order."""
    accumulator, paid = 0, []
    for qty_e2 in qtys_e2:
        model = fees.model_fee_e6(rate_e6, price_e4, qty_e2)
        _, net_fee, accumulator = apply_fill(-qty_e2 * price_e4, model, accumulator, unit_e6, rounding)
        paid.append(net_fee)
    return paid


# The rule to the end of 2025: the model fees of an order, summed and rounded up to the cent.
#   10 @ 0.50: 0.07 x 10 x 0.25 = 0.175 -> 0.18, in whatever pieces: 5 and 5 are 0.0875 each; the first pays
#   0.09 (0.0025 too much), the second 0.0875 - 0.0025 = 0.085 -> 0.09. Four single contracts at 0.0175: 0.02,
#   then 0.0175 - 0.0025 = 0.015 -> 0.02, then 0.0175 - 0.005 = 0.0125 -> 0.02, then 0.0175 - 0.0075 = 0.01:
#   0.07 together, as 4 at once.
@FILL_KERNELS
@pytest.mark.parametrize("unit_e6", [fees.DIRECT_UNIT_E6, fees.NON_DIRECT_UNIT_E6])
@pytest.mark.parametrize(
    ("qtys_e2", "paid_e6"),
    [
        ([1_000], [180_000]),
        ([500, 500], [90_000, 90_000]),
        ([100, 100, 100, 100], [20_000, 20_000, 20_000, 10_000]),
        ([400], [70_000]),
    ],
)
def test_before_2026_an_order_pays_its_model_fee_up_to_the_cent(apply_fill, unit_e6, qtys_e2, paid_e6):
    assert pay(apply_fill, qtys_e2, fees.CENT_PER_ORDER, unit_e6) == paid_e6


@FILL_KERNELS
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 99)), min_size=1, max_size=20))
def test_before_2026_the_pieces_of_an_order_cost_what_the_whole_costs(apply_fill, fills):
    accumulator = total = exact = 0
    for contracts, cents in fills:
        # x 0.07 with prices in cents is whole in 1e-6 dollar, so nothing is rounded before the cent
        model = fees.model_fee_e6(70_000, cents * 100, contracts * 100)
        balance, net_fee, accumulator = apply_fill(
            -contracts * cents * 10_000, model, accumulator, fees.DIRECT_UNIT_E6, fees.CENT_PER_ORDER
        )
        total, exact = total + net_fee, exact + model
        assert balance % 10_000 == 0
        assert net_fee >= 0
        assert total == -(-exact // 10_000) * 10_000


# The rule of 2026 to September: trade fee up to 1e-4, rebates in whole cents; a direct balance is in 1e-4.
#   12.50 @ 0.437, taker: model 0.215277125 -> 0.2153; cash -5.4625; both whole: net fee 0.2153.
#   0.01 @ 0.437: model 0.07 x 0.01 x 0.437 x 0.563 = 0.000172... -> 0.0002; cash -0.00437; -0.00457 floors to
#   -0.0046: excess 0.00003, net fee 0.00023, kept, as a cent does not come together.
@FILL_KERNELS
@pytest.mark.parametrize(
    ("qty_e2", "net_fee_e6", "balance_e6", "left_e6"),
    [(1_250, 215_300, -5_677_800, 0), (1, 230, -4_600, 30)],
)
def test_in_2026_the_trade_fee_goes_up_to_a_hundredth_of_a_cent(
    apply_fill, qty_e2, net_fee_e6, balance_e6, left_e6
):
    model = fees.model_fee_e6(70_000, 4_370, qty_e2)
    got = apply_fill(-qty_e2 * 4_370, model, 0, fees.DIRECT_UNIT_E6, fees.CENTICENT)
    assert got == (balance_e6, net_fee_e6, left_e6)


@FILL_KERNELS
def test_in_2026_a_rebate_is_a_whole_cent(apply_fill):
    # 0.0099 collected, this fill adds 0.00003 and pays 0.00023: less than a cent, so nothing comes back.
    assert apply_fill(-4_370, 173, 9_900, 100, fees.CENTICENT) == (-4_600, 230, 9_930)
    # 100 contracts at 0.50 pay 1.75; with a cent collected, 0.01 comes back; today 0.0001 would at 0.0001.
    assert apply_fill(-50_000_000, 1_750_000, 10_050, 100, fees.CENTICENT) == (-51_740_000, 1_740_000, 50)
    assert apply_fill(-50_000_000, 1_750_000, 150, 100, fees.CENTICENT) == (-51_750_000, 1_750_000, 150)
    assert apply_fill(-50_000_000, 1_750_000, 150, 100, fees.MICRO) == (-51_749_900, 1_749_900, 50)


@FILL_KERNELS
@given(fills=FILLS, unit_e6=UNITS, rounding=st.sampled_from(sorted(fees.ROUNDING_CODE.values())))
def test_every_rule_keeps_the_books(apply_fill, fills, unit_e6, rounding):
    accumulator = 0
    step_e6 = 10_000 if rounding == fees.CENT_PER_ORDER else unit_e6
    for rate_e6, price_e4, signed_qty_e2 in fills:
        revenue = -signed_qty_e2 * price_e4
        model = fees.model_fee_e6(rate_e6, price_e4, abs(signed_qty_e2))
        balance, net_fee, accumulator = apply_fill(revenue, model, accumulator, unit_e6, rounding)
        assert balance == revenue - net_fee
        assert balance % step_e6 == 0
        assert net_fee >= 0
        assert accumulator >= 0


@FILL_KERNELS
@pytest.mark.parametrize("rounding", sorted(fees.ROUNDING_CODE.values()))
def test_a_unit_of_one_rounds_nothing_under_any_rule(apply_fill, rounding):
    assert apply_fill(-12_345, 67, 0, 1, rounding) == (-12_412, 67, 0)


@pytest.mark.parametrize(
    ("fee_type", "multiplier_e6", "taker_e6", "maker_e6"),
    [
        ("quadratic", 1_000_000, 70_000, 0),
        ("quadratic", 500_000, 35_000, 0),
        ("quadratic", 0, 0, 0),
        ("quadratic_with_maker_fees", 1_000_000, 70_000, 17_500),
        ("quadratic_with_combo_maker_fees", 1_000_000, 70_000, 35_000),
        ("quadratic_with_maker_fees", 333_333, 23_334, 5_834),  # 23,333.31 and 5,833.3275 rounded up
    ],
)
def test_fee_type_and_multiplier_set_both_rates(fee_type, multiplier_e6, taker_e6, maker_e6):
    market = spec(fee_type=fee_type, fee_multiplier_e6=multiplier_e6)
    assert fees.taker_rate_e6(market) == taker_e6
    assert fees.maker_rate_e6(market) == maker_e6
    terms = FeeTerms(fee_type=fee_type, fee_multiplier_e6=multiplier_e6)
    assert (fees.taker_rate_e6(terms), fees.maker_rate_e6(terms)) == (taker_e6, maker_e6)
