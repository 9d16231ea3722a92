"""Fitted latency and queue: known draws are found again within their interval; few orders give no setting."""

import tomllib

import numpy as np
import pytest

from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session.report.fitting import LEAST_EVENTS, fit_execution
from kalshi_platform.trading.session.report.realised import RealisedOrder

MS = 1_000_000


def drawn(n_events: int, n_orders: int, seed: int, median_ms: float = 80.0, sigma: float = 0.5):
    """Orders of several events with log-normal latencies."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n_orders):
        order = RealisedOrder(f"kp-{k}", decided_ns=0, sent_ns=MS)
        order.seen_ns = round(median_ms * np.exp(sigma * rng.standard_normal()) * MS)
        found.append((f"E{k % n_events}", order))
    return found


def test_known_latencies_are_found_again():
    hits = 0
    for seed in range(20):
        fitted = fit_execution(drawn(20, 400, seed), "taker", 50, 0.0)
        median, sigma = fitted.whole.median_ms, fitted.whole.sigma
        hits += median.low <= 80.0 <= median.high and sigma.low <= 0.5 <= sigma.high
        assert median.value == pytest.approx(80.0, rel=0.15)
    assert hits >= 15  # two intervals of 95 % each


def test_the_settings_are_read_by_the_environment():
    fitted = fit_execution(drawn(20, 400, 1), "maker", 50, 0.0)
    settings = TradingConfig().with_values(tomllib.loads(fitted.toml))
    assert 70 < settings.latency_ms < 90
    assert 0.4 < settings.latency_sigma < 0.6
    assert settings.maker_queue


@pytest.mark.parametrize(("n_events", "n_orders"), [(LEAST_EVENTS - 1, 400), (20, 25), (1, 1), (1, 0)])
def test_too_few_give_no_setting(n_events, n_orders):
    fitted = fit_execution(drawn(n_events, n_orders, 1), "taker", 50, 0.0)
    assert tomllib.loads(fitted.toml) == {}
    assert f"not enough: n = {n_orders} orders of" in fitted.toml


def queued(n_events: int, n_orders: int, seed: int, share: float):
    """First fills before which each cancel had stood ahead with probability ``share``."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n_orders):
        cancels = int(rng.integers(1, 30))
        order = RealisedOrder(f"kp-{k}", queue=(int(rng.binomial(cancels, share)) * 100, cancels * 100))
        found.append((f"E{k % n_events}", order))
    return found


def test_a_known_queue_is_found_again():
    hits = 0
    for seed in range(20):
        share = fit_execution(queued(15, 200, seed, 0.3), "maker", 50, 0.0).cancel_share
        hits += share.low <= 0.3 <= share.high
    assert hits >= 17


def test_orders_that_waited_for_a_cancel_are_told_apart():
    orders = drawn(5, 60, 3)
    for _, order in orders[:30]:
        order.replaces = True
        order.seen_ns *= 2
    fitted = fit_execution(orders, "maker", 50, 0.0)
    assert fitted.replacing_ms.n_orders == fitted.fresh_ms.n_orders == 30
    assert fitted.replacing_ms.value > 1.5 * fitted.fresh_ms.value
