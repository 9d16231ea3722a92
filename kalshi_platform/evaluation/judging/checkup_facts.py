"""Records of the checkup: its thresholds, the facts that its rules look at, and what a rule finds.

Units  money 1e-6 dollar, returns fractions of capital.
Not    the rules: checkup_habits.py, checkup_inputs.py, checkup_profit.py and checkup_learning.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.compare import Comparison
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.judging.what_if import WhatIf
from kalshi_platform.evaluation.statistics.bootstrap import Interval

Severity = Literal["error", "warning", "info"]


class CheckupConfig(Config):
    """Thresholds at which a figure becomes a finding."""

    collapse_share: float = Field(0.95, gt=0, le=1, description="one trade's share of all trades")
    collapse_entropy: float = Field(0.02, ge=0, le=1, description="mean entropy of the policy, of the most")
    min_trades: int = Field(20, ge=1, description="fewer trades than this say nothing about habits")
    one_side: float = Field(0.95, gt=0.5, le=1, description="one side's share of the opening trades")
    fee_share: float = Field(0.5, gt=0, description="fees as a share of the profit before fees")
    trade_rate: float = Field(0.5, gt=0, le=1, description="share of the decisions at which it trades")
    concentration: float = Field(0.5, gt=0, le=1, description="one market's or event's share of the profit")
    min_events: int = Field(10, ge=2, description="fewer events than this make every interval a guess")
    hit_rate: float = Field(0.95, gt=0, le=1, description="share of winning round trips")
    event_sharpe: float = Field(3.0, gt=0, description="mean over spread of event returns")
    generalisation: float = Field(0.5, ge=0, le=1, description="held-out over training return")
    equal_share: float = Field(
        0.25, ge=0, le=1, description="a difference to a rule below this share of the larger return is small"
    )
    late_share: float = Field(
        0.25, ge=0, le=1, description="share of the profit that must be left at a second of latency"
    )
    bad_book_share: float = Field(
        0.05, gt=0, le=1, description="share of the decisions on crossed or old books"
    )
    early_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="the best of a run's first validations, at least one, was chosen too early",
    )
    min_validations: int = Field(
        3, ge=2, description="fewer validations than this say nothing about learning"
    )


class Finding(Config):
    """One disease that a rule found, with its evidence and a remedy."""

    severity: Severity
    rule: str
    message: str
    evidence: dict[str, float | int | str]
    remedy: str


class TrainSample(Config):
    """Result of the policy on a seeded sample of what it was trained on."""

    mean_return: Interval
    n_blocks: int
    of_blocks: int
    n_events: int
    seed: int


@dataclass(frozen=True)
class Openings:
    """Trips that the policy opened on each side."""

    yes: int
    no: int
    unknown: int = 0  # opened and ended between two looks


@dataclass(frozen=True)
class BookLooks:
    """Decisions in all, and those on a crossed book or on one older than ``old_after_ms``."""

    decisions: int
    crossed: int
    old_polled: int  # quotes and prints: nobody keeps such a book up to date between two polls
    old_fed: int  # of a feed that tells every change: an old book of it may still be right
    old_after_ms: int


@dataclass(frozen=True)
class Facts:
    """Facts that the rules look at; everything but ``result`` may be unknown."""

    result: PolicyResult
    stats: np.ndarray | None = None  # (F, 6) f8: see watch.STAT_*
    feature_names: tuple[str, ...] = ()
    oracle_pnl_e6: int | None = None  # the most a taker limited to the position limit could make
    train: TrainSample | None = None
    unprinted_markets: int = 0  # of the judged ones, those whose data show no trade at all
    training_metrics: tuple[Mapping[str, object], ...] = field(default=())
    openings: Openings | None = None
    books: BookLooks | None = None
    baselines: tuple[PolicyResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()  # with each of ``baselines``
    chosen_rule: str | None = None  # best of them on training events
    what_if: tuple[WhatIf, ...] = ()


Rule = Callable[[Facts, CheckupConfig], Finding | None]
