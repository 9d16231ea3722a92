"""Fees against the worked table of docs/exchange.md and against exact rational arithmetic."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain import fees
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
        got_balance, got_fee, left = apply_fill(revenue, trade_fee, accumulator, fees.DIRECT_UNIT_E6)
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
    balance, net_fee, _ = fees.apply_fill(-qty_e2 * 5_000, fee, 0, unit_e6)
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
        balance, net_fee, accumulator = apply_fill(revenue, trade_fee, accumulator, unit_e6)
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
    assert fees.apply_fill(-50, 0, 950, 100) == (-100, 50, 1_000)


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
