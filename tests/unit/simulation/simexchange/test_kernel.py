"""The trading day of one event: compiled and plain alike, news a martingale."""

import numpy as np
import pytest
from made.sim_events import SHORT, assert_same_event

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.simexchange import generate, generate_event
from kalshi_platform.simulation.simexchange.generate import simulate_event


def test_compiled_and_plain_trading_days_are_the_same_to_the_bit(monkeypatch):
    compiled = simulate_event(SHORT, 2)
    monkeypatch.setattr(generate, "trade_event", generate.trade_event.py_func)
    assert_same_event(compiled, simulate_event(SHORT, 2))


@pytest.fixture(scope="module")
def openings_and_ends():
    """(fair at the opening, fair at the last message, settlement) of one market an event: independent."""
    out = []
    for i in range(600):
        markets = generate_event(SHORT, i)
        m = markets[i % len(markets)]
        out.append((m.fair_e4[0], m.fair_e4[-1], m.settlement.value_e4))
    return np.array(out) / DOLLAR_E4


def test_settlement_happens_as_often_as_the_fair_price_says(openings_and_ends):
    for column in (0, 1):
        fair, settled = openings_and_ends[:, column], openings_and_ends[:, 2]
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            inside = (fair >= low) & (fair < low + 0.2)
            p, sd = fair[inside].sum(), np.sqrt((fair * (1 - fair))[inside].sum())
            assert abs(settled[inside].sum() - p) < 4.0 * sd + 1e-9, (
                f"bucket {low}: {settled[inside].sum()} of {p}"
            )


def test_the_fair_price_has_no_drift(openings_and_ends):
    moves = openings_and_ends[:, 1] - openings_and_ends[:, 0]
    assert moves.std() > 0.01
    assert abs(moves.mean()) < 4.0 * moves.std() / np.sqrt(moves.size)
