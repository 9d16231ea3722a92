"""Facts of a healthy run, changed one at a time: what the tests of the checkup's rules look at."""

import re

import numpy as np

from kalshi_platform.evaluation.judging.checkup import examine
from kalshi_platform.evaluation.judging.checkup_facts import (
    BookLooks,
    CheckupConfig,
    Facts,
    Openings,
    TrainSample,
)
from kalshi_platform.evaluation.judging.compare import Comparison
from kalshi_platform.evaluation.judging.summary import EventReturn, PolicyResult, Slice, Trading
from kalshi_platform.evaluation.judging.what_if import WhatIf
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.evaluation.statistics.metrics import AggregateMetrics, MarketMetrics

CONFIG = CheckupConfig()


def at(estimate, half=0.005, n_clusters=12):
    """Interval of ``half`` on both sides of ``estimate``."""
    return Interval(
        estimate=estimate, low=estimate - half, high=estimate + half, confidence=0.95, n_clusters=n_clusters
    )


NONE = at(0.01, 0.01)


def against(baseline, estimate, half=0.005):
    """Comparison with a baseline whose paired difference is ``estimate``."""
    gap = at(estimate, half)
    return Comparison(
        baseline=baseline, difference=gap, beats=gap.above_zero, share_of_events_better=0.6,
        probability_better=0.9,
    )  # fmt: skip


def replayed(latency_ms, estimate, is_as_set=None):
    """Row of the table what-if at a latency; 50 ms is as set."""
    is_own = latency_ms == 50 if is_as_set is None else is_as_set
    setting = "as set" if is_own else f"latency_ms = {latency_ms}"
    return WhatIf(
        label="", setting=setting, is_as_set=is_own, mean_return=at(estimate),
        change=None if is_own else at(0.0), pnl_e6=1, fees_e6=1, n_fills=1,
    )  # fmt: skip


def learned(*scores, trade_rate=0.04, every=10):
    """Lines of metrics.jsonl: a validation every ``every`` iterations, carried forward between them."""
    return tuple(
        {"iteration": every * k + j, "loss": 0.3, "validation": {"score": score, "trade_rate": trade_rate}}
        for k, score in enumerate(scores)
        for j in range(every)
    )


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
        "n_blocks": len(profits),
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
    train=TrainSample(mean_return=at(0.012), n_blocks=9, of_blocks=60, n_events=9, seed=0),
    openings=Openings(yes=70, no=80),
    books=BookLooks(decisions=10_000, crossed=10, old_polled=20, old_fed=30, old_after_ms=60_000),
    baselines=(
        result(name="do_nothing", mean_return=at(0.0)),
        result(name="random", mean_return=at(-0.02)),
        result(name="hold_to_settlement", mean_return=at(0.004)),
        result(name="join_the_bid", mean_return=at(-0.001)),
    ),
    comparisons=(
        against("do_nothing", 0.01),
        against("random", 0.03),
        against("hold_to_settlement", 0.006),
        against("join_the_bid", 0.011),
    ),
    what_if=(replayed(50, 0.01), replayed(0, 0.011), replayed(1_000, 0.008)),
    training_metrics=learned(0.0, 0.004, 0.007, 0.012),
)


def facts(**changes):
    return Facts(**{**HEALTHY.__dict__, **changes})


def with_trading(**changes):
    return facts(result=result(trading=trading(**changes)))


def says(rule, sick, severity, words):
    """Assert that ``rule`` finds ``sick`` ill, says ``words`` (a pattern) and what to do, and is heard."""
    finding = rule(sick, CONFIG)
    assert finding is not None
    assert finding.severity == severity
    assert re.search(words, finding.message), finding.message
    assert finding.remedy
    assert finding.evidence
    assert finding in examine(sick)
    return finding
