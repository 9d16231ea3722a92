"""Records of a progressive run, made by hand."""

from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.workflows.progressive_record import (
    Judged,
    LevelRecord,
    ProgressiveConfig,
    ProgressiveRecord,
    Transfer,
)

CONFIG = ProgressiveConfig(levels=("simple", "moderate"))


def interval(estimate: float | None, low: float | None = None, high: float | None = None) -> Interval:
    note = "" if low is not None else "one event only"
    return Interval(estimate=estimate, low=low, high=high, confidence=0.95, n_clusters=12, note=note)


def latency(p99_ms: float) -> Latency:
    return Latency(p50_ms=p99_ms / 2, p99_ms=p99_ms, wall_p99_ms=2 * p99_ms, runs=300)


def judged(sharpe: float) -> Judged:
    return Judged(score=interval(0.04, 0.01, 0.07), sharpe=sharpe, events={"A": 0.03, "B": 0.04, "C": 0.05})


def level(name: str, kept: bool, reason: str = "because", transfer: Transfer | None = None) -> LevelRecord:
    return LevelRecord(
        level=name,
        run=f"0-{name}",
        env_steps=1_000,
        wall_s=60.0,
        stopped="budget",
        judged=judged(0.8),
        transfer=transfer,
        difference=None if transfer is None else interval(0.2, 0.05, 0.4),
        latency=latency(1.0),
        budget_ms=2.0,
        kept=kept,
        reason=reason,
    )


def record(*levels: LevelRecord) -> ProgressiveRecord:
    return ProgressiveRecord(
        config=CONFIG,
        dataset="ds",
        dataset_digest="d" * 12,
        feature_digest="f" * 12,
        commit=None,
        levels=levels,
    )
