"""Each rule of the checkup fires on its disease and stays silent on a healthy run."""

import re

import numpy as np
import pytest

from kalshi_platform.evaluation.judging import checkup
from kalshi_platform.evaluation.judging.checkup import CheckupConfig, Facts, examine
from kalshi_platform.evaluation.judging.summary import EventReturn, PolicyResult, Slice, Trading
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.evaluation.statistics.metrics import AggregateMetrics, MarketMetrics

CONFIG = CheckupConfig()
NONE = Interval(estimate=0.01, low=0.0, high=0.02, confidence=0.95, n_clusters=12)


def trading(**changes):
    healthy = {
        "decisions": 10_000,
        "idle_decisions": 100,
        "n_orders": 400,
        "n_fills": 300,
        "fill_rate": 0.7,
        "trade_rate": 0.04,
        "turnover_e6": 10**9,
        "fees_e6": 2_000_000,
        "gross_e6": 14_000_000,
        "pnl_e6": 12_000_000,
        "traded_e2": 300_000,
        "action_counts": (9_600, 120, 80, 110, 90),
        "masked_counts": (0, 10, 9_000, 12, 9_100),
        "round_trips": 150,
        "winning_trips": 90,
        "mean_entropy": 0.3,
    }
    return Trading(**{**healthy, **changes})


def result(profits=(1,) * 12, **changes):
    events = tuple(
        EventReturn(event=f"E{k}", mean_return=p / 100, pnl_e6=p * 1_000_000, start_ns=k, end_ns=k + 1)
        for k, p in enumerate(profits)
    )
    markets = tuple(
        MarketMetrics(
            ticker=f"M{k}",
            event=f"E{k}",
            provenance="simulated",
            n_episodes=1,
            mean_return=p / 100,
            std_return=0.0,
            sharpe=0.0,
            consistency=1.0,
            pnl_e6=p * 1_000_000,
        )
        for k, p in enumerate(profits)
    )
    healthy = {
        "name": "policy",
        "meaning": "",
        "order_style": "taker",
        "fee_scale_e6": 1_000_000,
        "n_events": len(profits),
        "n_episodes": 12,
        "mean_return": NONE,
        "aggregate": AggregateMetrics(
            n_markets=12, mean_return=0.01, return_consistency=1.0, mean_sharpe=0.1, share_profitable=0.7
        ),
        "markets": markets,
        "events": events,
        "trading": trading(),
        "event_sharpe": 0.8,
        "probabilistic_sharpe": 0.9,
        "annual_sharpe": None,
        "max_drawdown": 0.01,
        "worst_episode_drawdown": 0.05,
        "per_seed": (),
        "seed_iqm": 0.01,
        "by_provenance": (),
        "by_category": (),
        "by_price": (),
        "by_time_to_close": (closing("10-60 s", 3), closing("5-60 min", 9)),
        "curve_ns": (0, 1),
        "curve_return": (0.0, 0.01),
        "heat": (),
    }
    return PolicyResult(**{**healthy, **changes})


def closing(label, dollars):
    return Slice(label=label, n=40, n_events=5, n_blocks=5, pnl_e6=dollars * 1_000_000, estimate=NONE)


def stats(*rows):
    return np.array([(n, 0, 0, low, high, bad) for n, low, high, bad in rows], float)


HEALTHY = Facts(
    result=result(),
    stats=stats((100, 0, 1, 0), (100, -1, 1, 0)),
    feature_names=("spread", "imbalance"),
    oracle_pnl_e6=90_000_000,
    train_return=0.012,
    training_metrics=({"loss": 0.3, "iteration": 1},),
)


def facts(**changes):
    return Facts(**{**HEALTHY.__dict__, **changes})


def with_trading(**changes):
    return facts(result=result(trading=trading(**changes)))


def test_a_healthy_run_has_no_finding():
    assert examine(HEALTHY) == ()


@pytest.mark.parametrize("rule", checkup.RULES, ids=lambda rule: rule.__name__)
def test_every_rule_is_silent_on_a_healthy_run(rule):
    assert rule(HEALTHY, CONFIG) is None


SICK = [
    (checkup.never_trades, with_trading(action_counts=(10_000, 0, 0, 0, 0)), "error", "9900 decisions"),
    (
        checkup.one_trade_only,
        with_trading(action_counts=(0, 2, 0, 1, 397)),
        "error",
        "99.2 % of 400 trades are SELL_NO",
    ),
    (checkup.no_uncertainty, with_trading(mean_entropy=0.001), "warning", "0.0010"),
    (
        checkup.overtrading,
        with_trading(fees_e6=15_000_000, gross_e6=14_000_000, pnl_e6=-1_000_000),
        "error",
        "eat",
    ),
    (
        checkup.overtrading,
        with_trading(fees_e6=8_000_000, gross_e6=14_000_000, pnl_e6=6_000_000),
        "warning",
        "57 %",
    ),
    (
        checkup.overtrading,
        with_trading(trade_rate=0.9, gross_e6=-1, pnl_e6=-2),
        "warning",
        "90 % of its decisions",
    ),
    (
        checkup.dead_features,
        facts(stats=stats((9, 0.5, 0.5, 0), (9, 0, 1, 0))),
        "warning",
        "1 of 2 features.*spread",
    ),
    (checkup.not_a_number, facts(stats=stats((9, 0, 1, 3), (9, 0, 1, 0))), "error", "1 features"),
    (checkup.not_a_number, facts(training_metrics=({"kl": float("nan")},)), "error", "1 training metrics"),
    (checkup.mask_never_binds, with_trading(masked_counts=(0, 0, 0, 0, 0)), "error", "10000 decisions"),
    (checkup.action_never_possible, with_trading(masked_counts=(0, 1, 2, 10_000, 3)), "error", "BUY_NO"),
    (checkup.concentrated_profit, facts(result=result((13, *[0] * 10, -1))), "error", "event E0 makes 108 %"),
    (
        checkup.concentrated_profit,
        facts(result=result((7, *[1] * 5, *[0] * 6))),
        "warning",
        "event E0 makes 58 %",
    ),
    (
        checkup.last_second_edge,
        facts(result=result(by_time_to_close=(closing("< 10 s", 20), closing("> 24 h", -8)))),
        "warning",
        "20.00",
    ),
    (checkup.too_good, facts(oracle_pnl_e6=11_000_000), "error", "profit_over_oracle = 1.09"),
    (checkup.too_good, with_trading(winning_trips=149), "warning", "hit_rate = 0.993"),
    (checkup.too_good, facts(result=result(event_sharpe=4.5)), "warning", "event_sharpe = 4.5"),
    (checkup.generalisation_gap, facts(train_return=0.05), "warning", "5.000 % on training"),
    (checkup.too_few_events, facts(result=result((4, 4, 4))), "info", "only 3"),
    (
        checkup.makers_without_prints,
        facts(result=result(order_style="maker"), unprinted_markets=2),
        "info",
        "2 of the judged markets show no trade",
    ),
]


@pytest.mark.parametrize(("rule", "sick", "severity", "says"), SICK, ids=lambda x: getattr(x, "__name__", ""))
def test_every_rule_names_its_disease(rule, sick, severity, says):
    finding = rule(sick, CONFIG)
    assert finding is not None
    assert finding.severity == severity
    assert re.search(says, finding.message)
    assert finding.remedy
    assert finding.evidence
    assert finding in examine(sick)


def test_every_rule_has_a_case_that_fires():
    assert {rule for rule, *_ in SICK} == set(checkup.RULES)


def test_the_worst_comes_first():
    sick = facts(
        result=result((4, 4, 4), trading=trading(masked_counts=(0, 0, 0, 0, 0), mean_entropy=0.0)),
        train_return=0.5,
    )
    assert [f.severity for f in examine(sick)] == ["error", "warning", "warning", "info"]


def test_few_trades_say_nothing_about_habits():
    assert checkup.one_trade_only(with_trading(action_counts=(9_990, 5, 0, 0, 0)), CONFIG) is None


def test_an_edge_with_unknown_close_is_not_called_late():
    late_only = result(by_time_to_close=(closing("unknown", 20),))
    assert checkup.last_second_edge(facts(result=late_only), CONFIG) is None


def test_a_taker_needs_no_print():
    assert checkup.makers_without_prints(facts(unprinted_markets=2), CONFIG) is None


def test_a_loss_is_not_a_concentrated_profit():
    assert checkup.concentrated_profit(facts(result=result(trading=trading(pnl_e6=-5))), CONFIG) is None
