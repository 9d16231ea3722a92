"""Questions and answers of an evaluation: frozen records that travel as JSON.

Owns   EvalConfig and Evaluation; everything the report shows lies in an Evaluation and nothing else.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import AliasChoices, ConfigDict, Field, model_validator

from kalshi_platform.data.dataset.manifest import Asked, playable_words
from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Finding, TrainSample
from kalshi_platform.evaluation.judging.compare import Comparison
from kalshi_platform.evaluation.judging.drawdowns import Drawdown
from kalshi_platform.evaluation.judging.event_map import EventMap
from kalshi_platform.evaluation.judging.fee_ladder import FeeRung
from kalshi_platform.evaluation.judging.fee_times import DatedFees
from kalshi_platform.evaluation.judging.ledger import LedgerNote
from kalshi_platform.evaluation.judging.needed import Needed
from kalshi_platform.evaluation.judging.rollout import RolloutConfig
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.judging.targets import Target
from kalshi_platform.evaluation.judging.what_if import WhatIf
from kalshi_platform.evaluation.judging.worth import WorthFigures, worth_figures
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.models.registry.evidence import RuleChoice
from kalshi_platform.models.rules.baselines import BASELINES
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered

REPORT_VERSION = 1
#: Doubt of a Subject: judged events that taught the policy, or may have.
TRAIN_JUDGED: Final = "events_of_train_judged"
#: Held-out rows up to which markets are played for their whole lives (about a minute a policy).
WHOLE_LIVES_UP_TO: Final = 1_000_000
#: markets: every market alone, its whole life · events: the markets of an event together ·
#: windows: seeded stretches of each market alone
Schedule = Literal["markets", "events", "windows"]


class EvalConfig(Config):
    """Settings by which a policy is judged; files call ``checkup`` by its first name, ``doctor``."""

    model_config = ConfigDict(serialize_by_alias=True)

    split: Asked = "validation"
    schedule: Schedule = "markets"
    episodes_per_market: int = Field(20, ge=1, description="schedule windows: episodes per market and seed")
    window_steps: int = Field(1_000, ge=2, description="schedule windows: messages per episode")
    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, description="seeds of windows and random baselines"
    )
    n_envs: int = Field(128, ge=1, description="environments stepped together")
    torch_threads: int = Field(
        1, ge=1, description="batches are small: 2 threads on 2 busy cores took 15 times as long as 1"
    )
    baselines: tuple[str, ...] = tuple(b.name for b in BASELINES)
    fee_ladder: bool = Field(True, description="play the policy again under other fees")
    fee_times: bool = Field(True, description="play the policy under the fees of the time and under today's")
    what_if: bool = Field(True, description="replay the policy under other latency and without a queue")
    bootstrap: BootstrapConfig = BootstrapConfig()
    rollout: RolloutConfig = RolloutConfig()
    checkup: CheckupConfig = Field(
        CheckupConfig(), validation_alias=AliasChoices("checkup", "doctor"), serialization_alias="doctor"
    )

    @classmethod
    def for_rows(cls, n_rows: int) -> "EvalConfig":
        """Settings that fit ``n_rows`` held-out rows: whole lives of every market, else one window each."""
        if n_rows <= WHOLE_LIVES_UP_TO:
            return cls()
        return cls(schedule="windows", episodes_per_market=1)

    @model_validator(mode="after")
    def _known(self) -> "EvalConfig":
        known = {b.name for b in BASELINES}
        if unknown := sorted(set(self.baselines) - known):
            raise ValueError(f"unknown baselines {unknown}; known: {sorted(known)}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds={self.seeds} repeat: a repeated seed is not a further draw")
        return self


def opened_words(opened_before: Sequence[str]) -> str:
    """Warning that the test events were looked at before, at these moments (ISO 8601); empty without any."""
    if not opened_before:
        return ""
    days = list(dict.fromkeys(at[:10] or "an unknown day" for at in opened_before))
    shown = days if len(days) <= 4 else [days[0], "...", days[-1]]
    times = "once" if len(opened_before) == 1 else f"{len(opened_before)} times"
    return (
        f"the test events were opened {times} before ({', '.join(shown)}): "
        "a figure that was looked at before is worth less"
    )


class Subject(Config):
    """Names of the judged policy and of the data it was judged on."""

    checkpoint: str = ""
    dataset: str = ""
    dataset_digest: str = ""
    feature_digest: str = ""
    level: str = ""
    trained_on: str = ""  # digest of the dataset that the policy was trained on; "" where no run says it
    descends: bool | None = None  # the dataset is the one it was trained on, or grew from it

    opened_before: tuple[str, ...] = Field(
        default=(), description="when the test events of the dataset had been opened before this judgement"
    )
    doubts: dict[str, int] = Field(
        default={}, description="counters of the dataset that bear on results: docs/formats.md explains each"
    )
    worlds: tuple[str, ...] = Field(default=(), description="worlds of the dataset's simulated markets")
    recorded: str = Field("", description="certified coverage of the dataset's recordings, in words")

    @property
    def doubts_words(self) -> str:
        """Words on the counters in ``doubts`` and on earlier looks at the test events; empty without any."""
        said = [opened_words(self.opened_before)] if self.opened_before else []
        if self.doubts:
            counted = ", ".join(f"{name} {n:,}" for name, n in self.doubts.items())
            said.insert(0, f"the data (docs/formats.md): {counted}")
        return "; ".join(said)

    @property
    def lineage(self) -> str:
        """Words that set the dataset that judges beside the one that taught; empty where no run says it."""
        if not self.trained_on:
            return ""
        if self.trained_on == self.dataset_digest:
            return f"trained and judged on {self.trained_on}"
        relation = (
            "which grew from it" if self.descends else "another one: it may hold what taught the policy"
        )
        return f"trained on {self.trained_on}, judged on {self.dataset_digest}, {relation}"


class Coverage(Config):
    """Events and markets of the split, and those that cannot be played because no episode can step there."""

    n_events: int
    n_markets: int
    unplayable_events: int
    unplayable_markets: int

    @classmethod
    def of(cls, bank: Bank) -> "Coverage":
        """Count the markets of ``bank`` that have a segment, and their events."""
        with_segment = np.unique(bank.arrays.segments["market"])
        events, event = numbered(bank.markets, "event")
        return cls(
            n_events=len(events),
            n_markets=len(bank.markets),
            unplayable_events=len(events) - np.unique(event[with_segment]).size,
            unplayable_markets=len(bank.markets) - with_segment.size,
        )

    @property
    def words(self) -> str:
        """The same sentence as in ``dataset info``."""
        many = "" if self.n_events == 1 else "s"
        return f"{self.n_events:,} event{many}, {playable_words(self.n_markets, self.unplayable_markets)}"


class OracleResult(Config):
    """Hindsight optimum of the same markets, and the share of it that the policy captured."""

    pnl_e6: int
    captured: float | None
    note: str


class Evaluation(Config):
    """Everything that an evaluation found; ``report.json`` is this record."""

    version: int = REPORT_VERSION
    made: Stamp | None = Field(default=None, description="None in reports of an earlier version")
    worth: str = Field(default="", description="the first line; empty in reports of an earlier version")
    subject: Subject
    config: EvalConfig
    env: EnvConfig
    coverage: Coverage | None = Field(default=None, description="None in reports of an earlier version")
    policy: PolicyResult
    baselines: tuple[PolicyResult, ...]
    comparisons: tuple[Comparison, ...]
    rules: RuleChoice | None = Field(
        default=None, description="rules as training events chose them; None where nobody chose"
    )
    needed: tuple[Needed, ...] = Field((), description="blocks that the gate's questions need")
    targets: tuple[Target, ...] = Field((), description="the brief's; empty in reports of an earlier version")
    fee_ladder: tuple[FeeRung, ...]
    fee_times: tuple[DatedFees, ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    what_if_s: float = Field(default=0.0, description="that these replays added to ``wall_s``")
    drawdowns: tuple[Drawdown, ...] = ()
    event_map: EventMap | None = Field(default=None, description="None in reports of an earlier version")
    train: TrainSample | None = Field(default=None, description="None where no training block was played")
    ledger: LedgerNote | None = Field(default=None, description="None in reports of an earlier version")
    oracle: OracleResult | None
    findings: tuple[Finding, ...]
    wall_s: float

    @property
    def beats_every_baseline(self) -> bool:
        """True where a rule was chosen on training events and every difference lies above zero."""
        return bool(self.rules and self.rules.rules and self.comparisons) and all(
            c.beats for c in self.comparisons
        )

    @property
    def figures(self) -> WorthFigures:
        """Figures that decide what the result is worth."""
        return worth_figures(
            {s.label: s.n_blocks for s in self.policy.by_provenance},
            self.subject.worlds,
            self.policy.mean_return,
            {c.baseline: c.difference for c in self.comparisons},
            self.rules,
            self.subject.doubts.get(TRAIN_JUDGED, 0),
            self.subject.descends is False,
            idle=self.policy.trading.decisions > 0 and self.policy.trading.n_fills == 0,
        )

    @property
    def score(self) -> float:
        """Mean return over blocks, a fraction of capital: the figure to select by."""
        return self.policy.mean_return.estimate or 0.0
