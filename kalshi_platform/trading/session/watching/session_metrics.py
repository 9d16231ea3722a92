"""Metrics of a session in Prometheus's text form: one table of names, and their values of this moment.

Labels   are bounded: states, stages, limits, levels, and the session's own markets while they have a slot;
         never an order.
Units    stand in the names; ``_total`` counts since the session began.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.snapshot import SessionSnapshot
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_watch import SessionWatch


class TradeMetric(NamedTuple):
    """Name, labels and meaning of a metric."""

    name: str
    labels: tuple[str, ...]
    help: str

    @property
    def kind(self) -> str:
        """Kind for Prometheus."""
        return "counter" if self.name.endswith("_total") else "gauge"


TRADE_METRICS: Final = tuple(
    TradeMetric("kalshi_trade_" + name, labels, words)
    for name, labels, words in (
        ("info", ("mode", "simulated", "model"), "1; what the session is"),
        ("state", ("state",), "1 for the state of trading, 0 for the others"),
        ("equity_dollars", (), "cash and positions at their marks"),
        ("cash_dollars", (), "cash"),
        ("pnl_dollars", (), "equity less capital"),
        ("fees_dollars", (), "fees paid"),
        ("decisions_total", (), "groups decided"),
        ("policy_failures_total", (), "decisions that no tier made: the session held"),
        ("fallbacks_total", (), "groups decided by a lower tier because another one failed"),
        ("frames_total", (), "frames taken"),
        ("frame_age_seconds", (), "time since the newest frame, or since the start where none came"),
        ("orders_total", (), "orders sent"),
        ("fills_total", (), "fills"),
        ("refusals_total", ("limit",), "orders that a limit, or the exchange, refused"),
        ("unknown_outcomes", (), "orders whose outcome is unknown"),
        ("unknown_outcome_seconds", (), "age of the oldest unknown outcome"),
        ("limit_used_ratio", ("limit",), "share of a limit of the account that is used"),
        ("latency_seconds", ("stage", "quantile"), "time from the socket to the end of a stage, newest ones"),
        ("connections", (), "connections of the stream"),
        ("backlog_frames", (), "frames received and not yet taken"),
        ("holes_total", (), "holes of the recording"),
        ("alarms", (), "alarms that stand"),
        ("problems", (), "problems that stand"),
        ("log_lines_total", ("level",), "lines of the log"),
        ("position_contracts", ("market",), "position, YES positive"),
        ("position_value_dollars", ("market",), "position at its mark"),
    )
)
_NAMES: Final = {metric.name.removeprefix("kalshi_trade_"): metric for metric in TRADE_METRICS}
_Value = tuple[str, tuple[str, ...], float]


def metrics_text(watch: SessionWatch, state: str, log: EventLog, now_ns: int) -> str:
    """All metrics at ``now_ns``; before the first snapshot only those that need none."""
    values = list(_values(watch, state, log, now_ns))
    lines = []
    for short, metric in _NAMES.items():
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [
            f"{metric.name}{_labels(metric.labels, labels)} {value:.10g}"
            for name, labels, value in values
            if name == short
        ]
    return "\n".join(lines) + "\n"


def _values(watch: SessionWatch, state: str, log: EventLog, now_ns: int) -> Iterator[_Value]:
    """Every value: short name, values of the labels, number."""
    for mode in RiskMode:
        yield "state", (mode.value,), float(mode.value == state)
    for level, n in sorted(log.counts.items()):
        yield "log_lines_total", (level,), n
    yield "fallbacks_total", (), watch.fallbacks
    yield "unknown_outcome_seconds", (), watch.unknown_s
    if watch.latest is not None:
        yield from _of_snapshot(watch.latest, now_ns)
        yield from _of_risk(watch.latest)
        yield from _of_markets(watch.latest)


def _of_snapshot(shown: SessionSnapshot, now_ns: int) -> Iterator[_Value]:
    """Money, counts and health."""
    yield "info", (shown.mode, str(shown.is_simulated).lower(), shown.model), 1
    for name in ("equity", "cash", "pnl", "fees"):
        yield f"{name}_dollars", (), getattr(shown, f"{name}_e6") / DOLLAR_E6
    for name in ("decisions", "frames", "orders", "fills"):
        yield f"{name}_total", (), getattr(shown, name)
    yield "policy_failures_total", (), shown.counters.get("policy_failures", 0)
    health = shown.health
    # By the clock of now: a snapshot that is not made any more must not keep the feed young.
    newest_ns = health["frame_ns"] or shown.started_ns
    yield "frame_age_seconds", (), max(now_ns - newest_ns, 0) / NS_PER_SECOND
    yield "connections", (), health["connections"]
    yield "backlog_frames", (), health["backlog"]
    yield "holes_total", (), health["holes"]
    yield "alarms", (), len(health["alarms"])
    yield "problems", (), len(shown.problems)
    for stage, figures in shown.latency["stages"].items():
        for quantile, key in (("0.5", "p50_ms"), ("0.99", "p99_ms")):
            if key in figures:
                yield "latency_seconds", (stage, quantile), figures[key] / 1e3


def _of_risk(shown: SessionSnapshot) -> Iterator[_Value]:
    """Limits in use and what they refused; on paper there are none."""
    risk = shown.risk or {}
    yield "unknown_outcomes", (), len(risk.get("undecided", ()))
    for used in risk.get("used", ()):
        if used["most"] > 0:
            yield "limit_used_ratio", (used["limit"],), used["value"] / used["most"]
    for cause, each in sorted(shown.refused.items()):
        yield "refusals_total", (cause,), each["n"]


def _of_markets(shown: SessionSnapshot) -> Iterator[_Value]:
    """Positions of the session's own markets, and those of the account in others."""
    for market in shown.markets:
        yield "position_contracts", (market.ticker,), market.position_e2 / CONTRACT_E2
        if market.value_e6 is not None:
            yield "position_value_dollars", (market.ticker,), market.value_e6 / DOLLAR_E6


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Labels in braces, escaped; empty where there are none."""
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    """Label value as the text form wants it."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
