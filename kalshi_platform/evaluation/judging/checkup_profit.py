"""Rules of the checkup on where the profit comes from and whether it would be there in trading."""

from typing import Final

from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Facts, Finding
from kalshi_platform.evaluation.judging.watch import CLOSE_LABELS
from kalshi_platform.evaluation.judging.what_if import LATE_MS, late_row
from kalshi_platform.evaluation.statistics.bootstrap import Interval

#: Time-to-close bins that count as the last seconds: under a minute.
_LAST_SECONDS: Final = CLOSE_LABELS[:2]
_UNKNOWN_CLOSE: Final = CLOSE_LABELS[-1]


def concentrated_profit(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy earns nothing without its best event, market or block, else None."""
    result = facts.result
    total = result.trading.pnl_e6
    for kind, profits in (
        ("event", {e.event: e.pnl_e6 for e in result.events}),
        ("market", {m.ticker: m.pnl_e6 for m in result.markets}),
        ("block", {b.block: b.pnl_e6 for b in result.blocks}),
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


def loses_before_fees(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy loses even before fees, else None."""
    t, mean = facts.result.trading, facts.result.mean_return
    if t.n_fills == 0 or t.gross_e6 >= 0:
        return None
    sure = mean.excludes_zero and not mean.above_zero
    return Finding(
        severity="error" if sure else "warning",
        rule="loses_before_fees",
        message=f"loses money, before fees too: {t.gross_e6 / 1e6:,.2f} $ before {t.fees_e6 / 1e6:,.2f} $ of "
        f"fees, {t.pnl_e6 / 1e6:,.2f} $ after",
        evidence={"gross_e6": t.gross_e6, "fees_e6": t.fees_e6, "pnl_e6": t.pnl_e6, "threshold": 0},
        remedy="cheaper fees do not help: it buys at prices that turn against it. Do not trade it; look at "
        "the tables by price and by time to close for where it loses",
    )


#: Baselines that take no view: to do as well as these is no finding about rules.
_NO_RULES: Final = ("do_nothing", "random")


def equals_a_rule(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if a rule of one line does as well as the policy, or better, else None.

    Looked at are the rule that training events chose and the one that earns most here. A rule does as well
    where the paired difference is not distinguishable from zero, and small beside the larger return.
    """
    earned = {b.name: b.mean_return.estimate for b in facts.baselines if b.name not in _NO_RULES}
    against = {c.baseline: c.difference for c in facts.comparisons if earned.get(c.baseline) is not None}
    if not against:
        return None
    best = max(against, key=lambda name: earned[name] or 0.0)
    for rule in dict.fromkeys((facts.chosen_rule, best)):
        if rule in against and (found := _equality(facts, config, rule, earned[rule] or 0.0, against[rule])):
            return found
    return None


def _equality(facts: Facts, config: CheckupConfig, rule: str, earned: float, gap: Interval) -> Finding | None:
    """Finding on one rule that earned ``earned``; ``gap`` is the paired difference policy - rule."""
    own = facts.result.mean_return.estimate
    if own is None or gap.estimate is None or gap.low is None or gap.high is None or gap.above_zero:
        return None
    is_worse, small = gap.excludes_zero, config.equal_share * max(abs(own), abs(earned))
    if not is_worse and abs(gap.estimate) > small:
        return None
    in_hindsight = facts.chosen_rule not in (None, rule)
    return Finding(
        severity="error" if is_worse and not in_hindsight else "warning",
        rule="equals_a_rule",
        message=f"a one-line rule does {'better' if is_worse else 'as well'}: {rule} earns "
        f"{100 * earned:.3f} %, the policy {100 * own:.3f} %, paired difference {100 * gap.estimate:.3f} % "
        f"[{100 * gap.low:.3f} %, {100 * gap.high:.3f} %] on {gap.n_clusters} independent observations"
        f"{'; picked among the rules for what it earned here' if in_hindsight else ''}",
        evidence={
            "rule": rule,
            "rule_return": earned,
            "policy_return": own,
            "difference": gap.estimate,
            "low": gap.low,
            "high": gap.high,
            "threshold": small,
        },
        remedy="the network adds nothing to that rule: judge on more events, or use the rule",
    )


def late_profit(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the profit vanishes where orders arrive a second later, else None."""
    late = late_row(facts.what_if)
    own = facts.result.mean_return.estimate
    if late is None or own is None or own <= 0 or late.mean_return.estimate is None:
        return None
    left = late.mean_return.estimate / own
    if left >= config.late_share:
        return None
    return Finding(
        severity="warning",
        rule="late_profit",
        message=f"the profit needs speed: {100 * own:.3f} % as set, {100 * late.mean_return.estimate:.3f} % "
        f"where orders arrive after {LATE_MS / 1_000:g} s",
        evidence={
            "as_set": own,
            "late": late.mean_return.estimate,
            "left": left,
            "threshold": config.late_share,
        },
        remedy="measure the latency of your own orders; train with a larger latency_ms, or a longer "
        "decision_interval_ms, so that it learns what lasts",
    )
