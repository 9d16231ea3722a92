"""Something to learn, and nothing where there should not be: a plain rule, exact fees, two presets."""

import numpy as np
import pytest
from numba import njit

from kalshi_platform.data.market_data.schema import DELTA, FLAG_LAST, FLAG_START, SNAPSHOT
from kalshi_platform.domain.fees import DIRECT_UNIT_E6, MICRO, TAKER_RATE_E6, apply_fill, model_fee_e6
from kalshi_platform.simulation.simexchange import SimConfig, generate_event

#: One contract; a decision is taken when nothing came for 5 ms, so never inside a burst.
QTY_E2, QUIET_NS = 100, 5_000_000
ENTER, LEAVE = 0.5, 0.4


@njit
def books(kind, side, price_e4, qty_e2, flags, depth, out):
    """Best bid, best ask (YES scale) and imbalance of five levels after each message; -1 = one-sided."""
    n = 0
    for i in range(kind.size):
        if kind[i] == SNAPSHOT and flags[i] & FLAG_START:
            depth[:] = 0
        elif kind[i] in (SNAPSHOT, DELTA):
            depth[side[i], price_e4[i] // 10] += qty_e2[i]
        if flags[i] & FLAG_LAST:
            best, size = np.full(2, -1), np.zeros(2)
            for s in range(2):
                levels = 0
                for p in range(1_000, -1, -1):
                    if depth[s, p] > 0 and levels < 5:
                        best[s] = p * 10 if levels == 0 else best[s]
                        size[s] += depth[s, p]
                        levels += 1
            out[n, 0] = best[0]
            out[n, 1] = 10_000 - best[1] if best[1] >= 0 and best[0] >= 0 else -1
            out[n, 2] = (size[0] - size[1]) / max(size[0] + size[1], 1.0)
            n += 1


@njit
def imbalance_rule(book, settlement_e4):
    """Hold +1 above ENTER, -1 below -ENTER, nothing when the imbalance turns; dollars and trades."""
    position, cash_e6, trades = 0, 0, 0
    for t in range(len(book)):
        bid, ask, imbalance = int(book[t, 0]), int(book[t, 1]), book[t, 2]
        if ask < 0:
            continue
        want = position
        if abs(imbalance) > ENTER:
            want = 1 if imbalance > 0 else -1
        elif position * imbalance < -LEAVE:
            want = 0
        change = want - position
        if change != 0:
            price, qty = (ask, change * QTY_E2) if change > 0 else (bid, -change * QTY_E2)
            revenue = -price * qty if change > 0 else price * qty
            fee = model_fee_e6(TAKER_RATE_E6, price, qty)
            balance, _, _ = apply_fill(revenue, fee, 0, DIRECT_UNIT_E6, MICRO)
            cash_e6 += balance
            position = want
            trades += 1
    return (cash_e6 + position * QTY_E2 * settlement_e4) / 1e6, trades


def market_book(market):
    e = market.rows
    out = np.empty((market.fair_e4.size, 3))
    books(e.kind, e.side, e.price_e4, e.qty_e2, e.flags, np.zeros((2, 1_001), "i8"), out)
    times = e.recv_ns[e.flags & FLAG_LAST != 0]
    quiet = np.append(np.diff(times) > QUIET_NS, True)
    return out[quiet], market.fair_e4[quiet]


def rule_by_event(config, n_events):
    """(dollars, trades) of the rule, summed over each event's markets."""
    out = []
    for index in range(n_events):
        results = [
            imbalance_rule(market_book(m)[0], m.settlement.value_e4) for m in generate_event(config, index)
        ]
        out.append(np.sum(results, axis=0))
    return np.array(out).T


def t_value(x):
    return x.mean() / (x.std(ddof=1) / np.sqrt(x.size))


@pytest.fixture(scope="module")
def default_rule():
    return rule_by_event(SimConfig(), 50)


def test_a_plain_imbalance_rule_earns_after_fees_on_the_default_preset(default_rule):
    dollars, trades = default_rule
    assert trades.mean() > 5
    assert t_value(dollars) > 4.0, f"{dollars.mean():.3f} dollar an event, t = {t_value(dollars):.1f}"


def test_the_same_rule_only_pays_fees_on_the_martingale_preset():
    dollars, trades = rule_by_event(SimConfig.martingale(), 50)
    assert trades.sum() > 50
    assert t_value(dollars) < 0.0


def test_the_imbalance_tells_the_error_of_the_mid_with_noise():
    pairs = []
    for index in range(10):
        for market in generate_event(SimConfig(), index):
            book, fair_e4 = market_book(market)
            two_sided = book[:, 1] >= 0
            error = book[two_sided, :2].mean(axis=1) - fair_e4[two_sided]
            pairs.append(np.corrcoef(book[two_sided, 2], error)[0, 1])
    assert -0.98 < np.mean(pairs) < -0.7


def test_the_error_has_the_configured_size_and_the_spread_is_one_to_two_cents():
    errors, spreads = [], []
    for index in range(25):
        for market in generate_event(SimConfig(), index):
            book, fair_e4 = market_book(market)
            central = (book[:, 1] >= 0) & (np.abs(fair_e4 - 5_000) < 2_500)
            errors.append(book[central, :2].mean(axis=1) - fair_e4[central])
            spreads.append(book[central, 1] - book[central, 0])
    # 6 cents at p = 0.5; 2 sqrt(p (1 - p)) >= 0.87 within 0.25..0.75
    assert 400 < np.concatenate(errors).std() < 700
    assert 100 <= np.concatenate(spreads).mean() <= 200
