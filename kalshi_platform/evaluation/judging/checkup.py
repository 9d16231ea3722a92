"""The checkup of a run: its diseases, from facts recomputed by rolling its policy out.

Owns   one small pure rule a disease: Facts -> Finding or None; ``examine`` applies them all.
Units  money 1e-6 dollar, returns fractions of capital; thresholds in CheckupConfig.
Not    claims: no rule reads what a checkpoint says of itself.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from pydantic import Field

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.judging.watch import CLOSE_LABELS, STAT_BAD, STAT_COUNT, STAT_MAX, STAT_MIN
from kalshi_platform.evaluation.statistics import metrics
from kalshi_platform.simulation.replay.observation import PORTFOLIO

Severity = Literal["error", "warning", "info"]
#: Time-to-close bins that count as the last seconds: under a minute.
_LAST_SECONDS: Final = CLOSE_LABELS[:2]
_UNKNOWN_CLOSE: Final = CLOSE_LABELS[-1]


class CheckupConfig(Config):
    """Thresholds at which a figure becomes a finding."""

    collapse_share: float = Field(0.95, gt=0, le=1, description="one trade's share of all trades")
    collapse_entropy: float = Field(0.02, ge=0, le=1, description="mean entropy of the policy, of the most")
    min_trades: int = Field(20, ge=1, description="fewer trades than this say nothing about habits")
    fee_share: float = Field(0.5, gt=0, description="fees as a share of the profit before fees")
    trade_rate: float = Field(0.5, gt=0, le=1, description="share of the decisions at which it trades")
    concentration: float = Field(0.5, gt=0, le=1, description="one market's or event's share of the profit")
    min_events: int = Field(10, ge=2, description="fewer events than this make every interval a guess")
    hit_rate: float = Field(0.95, gt=0, le=1, description="share of winning round trips")
    event_sharpe: float = Field(3.0, gt=0, description="mean over spread of event returns")
    generalisation: float = Field(0.5, ge=0, le=1, description="held-out over training return")


class Finding(Config):
    """One disease that a rule found, with its evidence and a remedy."""

    severity: Severity
    rule: str
    message: str
    evidence: dict[str, float | int | str]
    remedy: str


@dataclass(frozen=True)
class Facts:
    """Facts that the rules look at; everything but ``result`` may be unknown."""

    result: PolicyResult
    stats: np.ndarray | None = None  # (F, 6) f8: see watch.STAT_*
    feature_names: tuple[str, ...] = ()
    oracle_pnl_e6: int | None = None  # the most a taker limited to the position limit could make
    train_return: float | None = None
    unprinted_markets: int = 0  # of the judged ones, those whose data show no trade at all
    training_metrics: tuple[Mapping[str, object], ...] = field(default=())


Rule = Callable[[Facts, CheckupConfig], Finding | None]


def never_trades(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy held at every decision that had a choice, else None."""
    t = facts.result.trading
    if sum(t.action_counts[1:]) > 0 or t.decisions == 0:
        return None
    free = t.decisions - t.idle_decisions
    return Finding(
        severity="error",
        rule="policy_collapse",
        message=f"the policy never trades: HOLD at all {free} decisions that had a choice",
        evidence={"decisions_with_choice": free},
        remedy="raise the entropy coefficient or lower the holding cost and fees early in the curriculum",
    )


def one_trade_only(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if nearly all trades of the policy are the same action, else None."""
    trades = facts.result.trading.action_counts[1:]
    total = sum(trades)
    if total < config.min_trades or max(trades) / total < config.collapse_share:
        return None
    name = ACTION_NAMES[1 + int(np.argmax(trades))]
    return Finding(
        severity="error",
        rule="policy_collapse",
        message=f"{100 * max(trades) / total:.1f} % of {total} trades are {name}: one answer to every market",
        evidence={
            "share": max(trades) / total,
            "trades": total,
            "entropy": metrics.entropy_share(np.array(trades)),
        },
        remedy="check the reward and the mask of the other side; raise the entropy coefficient",
    )


def no_uncertainty(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy's own probabilities carry no uncertainty anywhere, else None."""
    entropy = facts.result.trading.mean_entropy
    if entropy is None or not entropy < config.collapse_entropy:
        return None
    return Finding(
        severity="warning",
        rule="policy_collapse",
        message=f"mean entropy of the action probabilities is {entropy:.4f} of the most possible",
        evidence={"mean_entropy": entropy, "threshold": config.collapse_entropy},
        remedy="stop earlier or raise the entropy coefficient: such a policy no longer explores",
    )


def overtrading(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy's fees take the profit, or if it trades at most decisions, else None."""
    t = facts.result.trading
    evidence: dict[str, float | int | str] = {
        "gross_e6": t.gross_e6,
        "fees_e6": t.fees_e6,
        "trade_rate": t.trade_rate,
    }
    remedy = "lengthen decision_interval_ms, add a holding or switching cost, or train with the full fees"
    if t.gross_e6 > 0 and t.fees_e6 >= t.gross_e6:
        message = (
            f"fees ({t.fees_e6 / 1e6:.2f} $) eat the whole profit before fees ({t.gross_e6 / 1e6:.2f} $)"
        )
        return Finding(
            severity="error", rule="overtrading", message=message, evidence=evidence, remedy=remedy
        )
    if t.gross_e6 > 0 and t.fees_e6 > config.fee_share * t.gross_e6:
        message = f"fees take {100 * t.fees_e6 / t.gross_e6:.0f} % of the profit before fees"
        return Finding(
            severity="warning", rule="overtrading", message=message, evidence=evidence, remedy=remedy
        )
    if t.trade_rate > config.trade_rate and t.pnl_e6 <= 0:
        message = f"trades at {100 * t.trade_rate:.0f} % of its decisions and earns nothing"
        return Finding(
            severity="warning", rule="overtrading", message=message, evidence=evidence, remedy=remedy
        )
    return None


def dead_features(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find market features that never change.

    The portfolio's features depend on the policy and are left out.
    """
    if facts.stats is None:
        return None
    flat = (facts.stats[:, STAT_COUNT] > 1) & (facts.stats[:, STAT_MIN] == facts.stats[:, STAT_MAX])
    named = zip(facts.feature_names, flat, strict=True)
    dead = [name for name, is_flat in named if is_flat and name not in PORTFOLIO]
    if not dead:
        return None
    return Finding(
        severity="warning",
        rule="dead_features",
        message=f"{len(dead)} of {len(facts.feature_names)} features never change: {', '.join(dead)}",
        evidence={"dead": len(dead), "features": len(facts.feature_names)},
        remedy="check what feeds them; quotes and trades carry no depth, so their book sizes stay empty",
    )


def not_a_number(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find NaN or infinity in the observations or in the training metrics."""
    bad_features = 0
    if facts.stats is not None:
        bad_features = int((facts.stats[:, STAT_BAD] > 0).sum())
    bad_metrics = sorted(
        {
            key
            for row in facts.training_metrics
            for key, value in row.items()
            if isinstance(value, float) and not math.isfinite(value)
        }
    )
    if not bad_features and not bad_metrics:
        return None
    return Finding(
        severity="error",
        rule="not_a_number",
        message=f"NaN or infinity in {bad_features} features and {len(bad_metrics)} training metrics",
        evidence={"features": bad_features, "training_metrics": ", ".join(bad_metrics)},
        remedy="rebuild the dataset with `dataset verify`, lower the learning rate, check the advantages",
    )


def mask_never_binds(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the mask never forbade a trade, else None.

    It must forbid SELL without a position, so such a mask is not connected.
    """
    t = facts.result.trading
    if t.decisions == 0 or sum(t.masked_counts[1:]) > 0:
        return None
    return Finding(
        severity="error",
        rule="mask_never_binds",
        message=f"the action mask forbade nothing in {t.decisions} decisions",
        evidence={"decisions": t.decisions},
        remedy="check that the environment writes the mask and that the policy's layout reads it",
    )


def action_never_possible(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find an opening trade that the mask forbade at every decision."""
    t = facts.result.trading
    shut = [ACTION_NAMES[a] for a in (1, 3) if t.decisions > 0 and t.masked_counts[a] >= t.decisions]
    if not shut:
        return None
    return Finding(
        severity="error",
        rule="mask_always_binds",
        message=f"never available: {', '.join(shut)}",
        evidence={"decisions": t.decisions},
        remedy="check capital, position_limit_e2 and order_qty_e2 against the prices",
    )


def concentrated_profit(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy earns nothing without its best event (or market), else None."""
    result = facts.result
    total = result.trading.pnl_e6
    for kind, profits in (
        ("event", {e.event: e.pnl_e6 for e in result.events}),
        ("market", {m.ticker: m.pnl_e6 for m in result.markets}),
    ):
        if total <= 0 or len(profits) < 2:
            continue
        best = max(profits, key=lambda k: profits[k])
        if profits[best] < total and profits[best] <= config.concentration * total:
            continue
        alone = profits[best] >= total
        return Finding(
            severity="error" if alone else "warning",
            rule="concentrated_profit",
            message=f"{kind} {best} makes {100 * profits[best] / total:.0f} % of the profit",
            evidence={
                "best": best,
                "profit_e6": profits[best],
                "total_e6": total,
                "of": len(profits),
                "without_it_e6": total - profits[best],
            },
            remedy="judge on more events; one lucky market is no edge",
        )
    return None


def last_second_edge(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if all profit is from positions opened a minute before the close, else None."""
    known = [s for s in facts.result.by_time_to_close if s.label != _UNKNOWN_CLOSE]
    late = sum(s.pnl_e6 for s in known if s.label in _LAST_SECONDS)
    early = sum(s.pnl_e6 for s in known if s.label not in _LAST_SECONDS)
    if late <= 0 or early > 0:
        return None
    trips = sum(s.n for s in known if s.label in _LAST_SECONDS)
    return Finding(
        severity="warning",
        rule="last_second_edge",
        message=f"opened in the last minute: {late / 1e6:.2f} $; all other positions: {early / 1e6:.2f} $",
        evidence={"late_e6": late, "early_e6": early, "late_trips": trips},
        remedy="near the close the outcome is often public: test with more latency and an earlier cut-off",
    )


def too_good(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find results beyond what trading can yield: they speak of a leak."""
    result, t = facts.result, facts.result.trading
    reasons: dict[str, float | int | str] = {}
    if facts.oracle_pnl_e6 is not None and t.pnl_e6 > facts.oracle_pnl_e6 and t.pnl_e6 > 0:
        reasons["profit_over_oracle"] = t.pnl_e6 / max(facts.oracle_pnl_e6, 1)
    if t.round_trips >= config.min_trades and t.winning_trips / t.round_trips > config.hit_rate:
        reasons["hit_rate"] = t.winning_trips / t.round_trips
    ratio = result.event_sharpe
    if result.n_blocks >= config.min_events and ratio is not None and ratio > config.event_sharpe:
        reasons["event_sharpe"] = ratio
    if not reasons:
        return None
    listed = ", ".join(f"{k} = {v:.3g}" for k, v in reasons.items())
    return Finding(
        severity="error" if "profit_over_oracle" in reasons else "warning",
        rule="too_good_to_be_true",
        message=f"beyond what trading can yield: {listed}",
        evidence=reasons,
        remedy="look for the future in the features, for free fills, for the outcome in the data",
    )


def generalisation_gap(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy does much worse on held-out than on training events, else None."""
    held_out, train = facts.result.mean_return.estimate, facts.train_return
    if train is None or held_out is None or train <= 0 or held_out >= config.generalisation * train:
        return None
    return Finding(
        severity="warning",
        rule="generalisation_gap",
        message=f"mean return {100 * held_out:.3f} % held out, {100 * train:.3f} % on training events",
        evidence={"held_out": held_out, "train": train},
        remedy="train on more events, stop earlier, use a smaller level; the policy remembers its markets",
    )


def too_few_events(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find too few independent draws for any interval to be trusted."""
    n = facts.result.n_events
    if n >= config.min_events:
        return None
    return Finding(
        severity="info",
        rule="too_few_events",
        message=f"only {n} held-out events: intervals rest on {n} independent draws",
        evidence={"events": n, "wanted": config.min_events},
        remedy="record or simulate more events; more episodes of the same events do not help",
    )


def makers_without_prints(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if a maker was judged on markets whose data show no trade, else None."""
    n, t = facts.unprinted_markets, facts.result.trading
    if n == 0 or facts.result.order_style != "maker":
        return None
    return Finding(
        severity="info",
        rule="makers_without_prints",
        message=f"{n} of the judged markets show no trade: there a resting order fills only when the "
        "opposite best reaches its price",
        evidence={"markets": n, "fills": t.n_fills, "reached_fills": t.n_reached_fills},
        remedy="record the trade channel beside the book, or import the trades of these markets",
    )


RULES: Final[tuple[Rule, ...]] = (
    not_a_number,
    never_trades,
    one_trade_only,
    mask_never_binds,
    action_never_possible,
    too_good,
    overtrading,
    concentrated_profit,
    last_second_edge,
    generalisation_gap,
    no_uncertainty,
    dead_features,
    too_few_events,
    makers_without_prints,
)
_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


def examine(facts: Facts, config: CheckupConfig | None = None) -> tuple[Finding, ...]:
    """Findings of all rules, the worst first."""
    found = [f for rule in RULES if (f := rule(facts, config or CheckupConfig())) is not None]
    return tuple(sorted(found, key=lambda f: _ORDER[f.severity]))
