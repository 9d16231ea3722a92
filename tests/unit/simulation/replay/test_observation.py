"""What a policy sees of one environment: bounds, masks and the portfolio's formulas."""

import math

import numpy as np
import pytest
from made.replay_bank import play, random_bank, training_env

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.execution import RESTING, SEEKING
from kalshi_platform.simulation.replay.layout import layout_of
from kalshi_platform.simulation.replay.observation import (
    N_PORTFOLIO,
    PORTFOLIO,
    portfolio_column,
    squash_seconds,
    write_portfolio,
)
from kalshi_platform.simulation.replay.state import allocate


def test_observations_are_finite_and_within_bounds():
    bank = random_bank(4, gap_share=0.02)
    for style in ("taker", "maker"):
        flat, _, reward, _, _ = play(training_env(bank, order_style=style, mode="shifted"), 150)
        assert np.isfinite(flat).all()
        assert np.abs(flat).max() <= 1.0
        assert np.isfinite(reward).all()


KERNELS = pytest.mark.parametrize("of", [lambda k: k, lambda k: k.py_func], ids=["numba", "python"])


@KERNELS
def test_durations_are_zero_at_once_and_one_from_a_day_on(of):
    squash = of(squash_seconds)
    assert squash(0) == squash(-5) == 0.0
    # log(1 + 9) / log(1 + 86_400)
    assert squash(9 * NS_PER_SECOND) == pytest.approx(math.log(10) / math.log(86_401))
    assert squash(86_400 * NS_PER_SECOND) == pytest.approx(1.0)
    assert squash(10**18) == 1.0


def shown(of, envs, slots, now_ns=0, stale_ns=0) -> dict[str, float]:
    """Portfolio features of the first slot: limit 20 contracts, capital 100 dollars."""
    out = np.full((1, 2 + N_PORTFOLIO), 7.0, np.float32)
    of(write_portfolio)(out, 0, 2, stale_ns, envs[0], slots[0, 0], now_ns, 2_000, 100_000_000)
    assert out[0, :2].tolist() == [7.0, 7.0]  # only its own columns
    return dict(zip(PORTFOLIO, out[0, 2:].tolist(), strict=True))


@KERNELS
def test_an_empty_portfolio_shows_its_free_cash_alone(of):
    envs, slots = allocate(1, 1)
    envs[0].cash_e6, envs[0].reserved_e6 = 100_000_000, 25_000_000
    assert shown(of, envs, slots) == {**dict.fromkeys(PORTFOLIO, 0.0), PORTFOLIO[7]: 0.75}


@KERNELS
@pytest.mark.parametrize(("sign", "pnl", "edge"), [(1, 0.01, 0.1), (-1, -0.01, -0.1)])
def test_a_position_shows_size_gain_entry_and_age_worked_by_hand(of, sign, pnl, edge):
    envs, slots = allocate(1, 1)
    slot = slots[0, 0]
    # 10 contracts; the mid is 0.60; YES were bought at 0.50 and are worth 6.00, NO at 0.50 and are worth 4.00
    slot.position_e2, slot.cost_e6, slot.mark2_e4, slot.opened_ns = sign * 1_000, 5_000_000, 12_000, 0
    found = shown(of, envs, slots, now_ns=9 * NS_PER_SECOND)
    assert found["position"] == pytest.approx(sign * 0.5)
    assert found[PORTFOLIO[1]] == pytest.approx(pnl)  # of 100 dollars
    assert found[PORTFOLIO[2]] == pytest.approx(0.6 - 0.5)  # the entry of a NO at 0.50 is a YES price of 0.50
    assert found[PORTFOLIO[3]] == pytest.approx(math.log(10) / math.log(86_401))
    assert edge * sign > 0


@KERNELS
@pytest.mark.parametrize(
    ("action", "side"), [(BUY_YES, 1.0), (SELL_NO, 1.0), (BUY_NO, -1.0), (SELL_YES, -1.0)]
)
def test_a_resting_order_shows_its_side_and_its_distance_from_the_mid(of, action, side):
    envs, slots = allocate(1, 1)
    slot = slots[0, 0]
    slot.order_state, slot.order_action, slot.order_price_e4, slot.mark2_e4 = RESTING, action, 4_500, 10_000
    found = shown(of, envs, slots)
    assert found["resting_side"] == side
    assert found["resting_distance"] == pytest.approx(0.05)  # 0.50 - 0.45
    assert found[PORTFOLIO[6]] == 0.0


@KERNELS
def test_an_order_on_its_way_or_seeking_a_print_is_pending(of):
    for change in ({"sent_action": BUY_YES}, {"order_state": SEEKING}):
        envs, slots = allocate(1, 1)
        for name, value in change.items():
            setattr(slots[0, 0], name, value)
        assert shown(of, envs, slots)[PORTFOLIO[6]] == 1.0


def test_a_portfolio_column_is_a_view_by_name():
    layout = layout_of(2, 1, N_PORTFOLIO)
    flat = np.zeros((3, layout.width), np.float32)
    column = portfolio_column("position", layout, flat)
    column[1, 1] = 0.5
    assert column.shape == (3, 2)
    assert flat[1, layout.portfolio_at + N_PORTFOLIO + PORTFOLIO.index("position")] == 0.5
