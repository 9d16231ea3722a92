"""What a rule earns in a world of agents: fills and figures by hand, and no public pattern pays a taker."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from kalshi_platform.simulation.simexchange import preset_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("earnings", ROOT / "benchmarks" / "earnings.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["earnings"] = module
    spec.loader.exec_module(module)
    return module


def filled(made, print_own, print_e2, other, ahead, own=4_800):
    n, out = len(print_own), np.zeros(1, "i8")
    made.fill_rows(
        np.array([0]), np.array([1_000]), np.arange(n), np.ones(n, "u1"), np.ones(n, "u1"), np.array([own]),
        np.array(other), np.array([ahead]), np.array(print_own), np.array(print_e2, "i8"), out,
    )  # fmt: skip
    return int(out[0])


def test_a_resting_order_waits_for_the_size_displayed_before_it(made):
    far = [5_000] * 4
    # 300 ahead: prints of 250 and 100 leave 50 of our 100; the next 60 ends it
    assert filled(made, [4_800, 4_800, -1, 4_800], [250, 100, 0, 60], far, 300) == -1
    assert filled(made, [4_800, 4_800, -1, 4_800], [250, 50, 0, 100], far, 300) == 3
    # a print through the price, and the other side at the price, fill at once
    assert filled(made, [-1, 4_700, -1, -1], [0, 1, 0, 0], far, 300) == 1
    assert filled(made, [-1] * 4, [0] * 4, [5_000, 5_000, 4_800, 4_900], 300) == 2


def test_a_mean_over_events_does_not_weigh_an_event_by_its_trades(made):
    # event 0 earns 1 and 3, event 2 loses 4, event 1 did nothing: (2 - 4) / 2
    event, gain = np.array([0, 0, 1, 2]), np.array([1.0, 3.0, np.nan, -4.0])
    assert made.by_event(event, gain).tolist() == [2.0, -4.0]
    found = made.judged(event, gain)
    assert (found["cents"], found["contracts"], found["events"]) == (-1.0, 3, 2)
    assert (found["low"], found["high"]) == (-4.0, 2.0)


def test_a_rule_buys_either_outcome_where_its_signal_is_beyond_the_threshold(made):
    signal = np.array([-3.0, -1.0, 0.0, 2.0])
    assert made.directed(signal, 1, 2.0).tolist() == [-1, 0, 0, 1]
    assert made.directed(signal, -1, 0.0).tolist() == [1, 1, 0, -1]


def test_an_isolated_best_quote_pays_no_taker_in_the_calibrated_world(made):
    # before makers bought stale orders, this rule earned 2.3 cents a contract after fees
    seen = made.moments(preset_of("calibrated", 31), 0, 8)
    gap = seen.signals[:, made.RULES.index("ladder: gap behind the best ask less that behind the best bid")]
    imbalance = seen.signals[:, made.RULES.index("imbalance of three levels")]
    for signal in (gap, imbalance):
        side = made.directed(signal, 1, float(np.quantile(np.abs(signal), 0.98)))
        found = made.judged(seen.event, made.gains_of(side, seen.buy, seen.sell))
        assert found["contracts"] > 300
        assert found["high"] < 0
