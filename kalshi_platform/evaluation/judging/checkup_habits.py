"""Rules of the checkup on how a policy trades: whether it does, on which side, how often, with what doubt."""

import numpy as np

from kalshi_platform.domain.actions import ACTION_NAMES, BUY_NO, BUY_YES
from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Facts, Finding
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.statistics import metrics


def never_trades(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the policy held wherever it had a choice, or if nothing filled, else None."""
    t = facts.result.trading
    if t.n_fills > 0 or t.decisions == 0:
        return None
    free = t.decisions - t.idle_decisions
    orders = sum(t.action_counts[1:])
    if orders == 0:
        message = f"the policy never trades: HOLD at all {free} decisions that had a choice"
        remedy = (
            "train for more steps, decide less often (env.decision_interval_ms; the preset standard takes "
            "30000), or raise train.entropy_coeff, so that it tries more"
        )
    else:
        message = f"nothing ever fills: {orders} orders at {free} decisions that had a choice, 0 fills"
        remedy = "check order_style, order_ttl_ms and improve_ticks: its orders rest where nobody trades"
    return Finding(
        severity="error",
        rule="policy_collapse",
        message=message,
        evidence={"decisions_with_choice": free, "orders": orders, "fills": 0},
        remedy=remedy,
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
        remedy="check the reward and the mask of the other side; raise train.entropy_coeff",
    )


def collapse_of(result: PolicyResult, config: CheckupConfig | None = None) -> Finding | None:
    """Return a Finding if the policy answers every market alike, else None.

    It never trades, nearly all of its trades are one action, or it trades at most decisions for nothing.
    """
    facts, config = Facts(result), config or CheckupConfig()
    always = overtrading if result.trading.trade_rate > config.trade_rate else None
    for rule in filter(None, (never_trades, one_trade_only, always)):
        if (found := rule(facts, config)) is not None:
            return found
    return None


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
        remedy="stop earlier or raise train.entropy_coeff: such a policy no longer explores",
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


def one_sided(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if nearly all positions are opened on one side, else None.

    Sales only end what a purchase began, so they are not counted. A side that is asked for and never filled
    is one-sided as well: the orders and the trips are looked at apart.
    """
    counts = facts.result.trading.action_counts
    seen = [("orders to open", counts[BUY_YES], counts[BUY_NO])]
    if facts.openings is not None:
        seen.append(("positions opened", facts.openings.yes, facts.openings.no))
    for what, yes, no in seen:
        total = yes + no
        if total < config.min_trades or max(yes, no) / total < config.one_side:
            continue
        side = "YES" if yes > no else "NO"
        return Finding(
            severity="warning",
            rule="one_sided",
            message=f"{max(yes, no):,} of {total:,} {what} are {side} ({100 * max(yes, no) / total:.1f} %)",
            evidence={"yes": yes, "no": no, "share": max(yes, no) / total, "threshold": config.one_side},
            remedy="ask whether the markets all went one way: a bet on a side is no skill; compare it with "
            "holding that side to settlement, and check the mask of the other side",
        )
    return None
