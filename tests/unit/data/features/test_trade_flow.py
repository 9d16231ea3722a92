"""Group trade_flow: against numbers worked by hand, and its window and ring to the edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from made.feature_rows import SPEC, at, build_in_python, feature, quote
from made.strategies import row_streams

from kalshi_platform.data.features import trade_flow
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.schema import (
    FLAG_BLOCK,
    NO,
    STATUS,
    STATUS_ACTIVE,
    TRADE,
    YES,
    MarketRows,
)
from kalshi_platform.domain.units import NS_PER_SECOND

NOTHING = [(STATUS, YES, -1, STATUS_ACTIVE)]


def traded(side: int, price_e4: int, contracts: float) -> list[tuple[int, ...]]:
    return [(TRADE, side, price_e4, round(100 * contracts))]


@pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])
def test_flow_shares_and_divergence_match_values_worked_by_hand(build) -> None:
    rows = build(
        at(
            (0, quote(4_000, 5_000)),  # mid 0.45
            (1, traded(YES, 4_000, 100)),
            (11, traded(NO, 3_000, 50)),
            (21, traded(YES, 6_000, 250)),
        ),
        SPEC,
    )
    # Y - N over Y + N: 100/100, then 50/150, then (350 - 50) / 400
    assert feature(rows, "yes_net_flow") == pytest.approx([0, 1, 1 / 3, 0.75])
    assert feature(rows, "no_net_flow") == pytest.approx([0, -1, -1 / 3, -0.75])
    assert feature(rows, "large_yes_share") == pytest.approx([0, 1, 1 / 2, 2 / 3])
    assert feature(rows, "large_no_share") == [0, 0, 0, 0]
    # average price: 0.40; (40 + 15) / 150; (40 + 15 + 150) / 400 = 0.5125
    assert feature(rows, "trade_divergence") == pytest.approx([0, -0.05, 55 / 150 - 0.45, 0.0625], abs=1e-7)
    capacity = [math.log(1 + n) / math.log(1_000_001) for n in (0, 100, 150, 400)]
    assert feature(rows, "capacity_used") == pytest.approx(capacity)


def test_a_trade_under_100_contracts_is_not_large() -> None:
    rows = build_rows(at((0, traded(NO, 4_000, 99.99)), (1, traded(NO, 4_000, 100))), SPEC)
    assert feature(rows, "large_no_share") == [0.0, 0.5]


def test_a_trade_leaves_the_window_after_exactly_five_minutes_and_stays_in_the_volume() -> None:
    rows = build_rows(
        at((0, traded(YES, 4_000, 100)), (300 - 1e-9, NOTHING), (300, NOTHING), (301, NOTHING)), SPEC
    )
    assert feature(rows, "yes_net_flow") == [1, 1, 0, 0]
    assert feature(rows, "large_yes_share") == [1, 1, 0, 0]
    assert feature(rows, "trade_divergence")[2:] == [0, 0]
    assert len(set(feature(rows, "capacity_used"))) == 1


@pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])
def test_acceleration_compares_the_last_ten_trades_with_the_ten_before_whatever_their_age(build) -> None:
    sizes = [9.0] * 2 + [1.0] * 10 + [3.0] * 10
    rows = build(at(*((1_000 * n, traded(n % 2, 4_000, q)) for n, q in enumerate(sizes))), SPEC)
    found = feature(rows, "trade_acceleration")
    assert found[:19] == [0.0] * 19
    # at the 20th: 10 trades of 1, 1, 3 x 8 = 26 against 9, 9, 1 x 8 = 26; at the last 30 against 10
    assert found[19] == pytest.approx(math.tanh(0.0))
    assert found[-1] == pytest.approx(math.tanh(2.0))


def test_acceleration_of_tiny_trades_is_relative_to_one_contract() -> None:
    sizes = [0.01] * 10 + [0.02] * 10
    rows = build_rows(at(*((n, traded(YES, 4_000, q)) for n, q in enumerate(sizes))), SPEC)
    assert feature(rows, "trade_acceleration")[-1] == pytest.approx(math.tanh(0.1))


def test_block_trades_are_no_flow() -> None:
    block = [(TRADE, NO, 9_000, 100_000, FLAG_BLOCK)]
    rows = build_rows(at((0, traded(YES, 4_000, 1)), (1, block)), SPEC)
    for name in ("yes_net_flow", "large_no_share", "capacity_used"):
        assert feature(rows, name)[0] == feature(rows, name)[1]


@given(recorded=row_streams("prints"))
def test_the_running_sums_equal_a_count_over_the_window(recorded: MarketRows) -> None:
    rows = build_rows(recorded, SPEC)
    printed = (recorded.kind == TRADE) & (recorded.flags & FLAG_BLOCK == 0)
    ends = np.flatnonzero(recorded.flags & 2)
    for n, end in enumerate(ends):
        before = np.arange(end + 1)
        age_ns = recorded.recv_ns[end] - recorded.recv_ns[before]
        picked = before[printed[before] & (age_ns < 300 * NS_PER_SECOND)]
        signed = np.where(recorded.side[picked] == YES, 1, -1) * recorded.qty_e2[picked]
        volume = int(recorded.qty_e2[picked].sum())
        expected = int(signed.sum()) / volume if volume else 0.0
        assert feature(rows, "yes_net_flow")[n] == np.float32(expected)


def test_a_ring_of_trades_that_grows_keeps_its_trades() -> None:
    flow = trade_flow.new_trade_flow(size=trade_flow.MIN_RING)
    flow.sums[trade_flow.HEAD] = 40
    flow.ring[np.arange(8, 40) % 32, 0] = np.arange(8, 40)
    bigger = trade_flow.grown(flow)
    assert bigger.ring[np.arange(8, 40) % 64, 0].tolist() == list(range(8, 40))
