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


def days(config, n, monkeypatch):
    """(tape, planned times, forecast, variance left) of the first ``n`` events."""
    seen, trade_event = [], generate.trade_event

    def watched(*arguments):
        ended = trade_event(*arguments)
        seen.append((arguments[2], arguments[8], *ended))
        return ended

    monkeypatch.setattr(generate, "trade_event", watched)
    for index in range(n):
        simulate_event(config, index)
    return seen


def test_a_day_fills_its_tape_and_time_strictly_increases_from_the_first_planned_one_on(monkeypatch):
    for tape, times_us, _, _ in days(SHORT, 8, monkeypatch):
        assert tape.n[0] == times_us.size
        assert (np.diff(tape.time_us) > 0).all()
        assert tape.time_us[0] >= times_us[0]


def test_news_resolve_the_share_of_the_variance_that_the_config_says_and_no_more(monkeypatch):
    config = SHORT.replace(messages_per_market=400, news_messages=5.0, min_resolved=0.2, max_resolved=0.2)
    found = days(config, 12, monkeypatch)
    left = np.array([variance for *_, variance in found])
    # 0.2 of the variance is resolved over the day; what was to come after the last news is left
    assert (left >= 0.8).all()
    assert left.mean() == pytest.approx(0.8, abs=0.02)
    moves = np.array([forecast for *_, forecast, _ in found])
    assert 0 < np.abs(moves).max() < 4 * np.sqrt(0.2)


def test_without_news_the_forecast_stands_and_all_is_left_to_the_settlement(monkeypatch):
    for *_, forecast, variance in days(SHORT.replace(news_messages=1e9), 3, monkeypatch):
        assert (forecast, variance) == (0.0, 1.0)
