"""Settings by which tiers are made and judged: one frozen record, kept with the report.

Units  shares and losses of value are fractions, latencies milliseconds.
"""

from typing import Any, Final, Self

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config, with_present_names
from kalshi_platform.evaluation.judging.evaluation import Schedule
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.serving.inference.hop import HOP_MS, INSIDE_MS, hop_ms
from kalshi_platform.serving.inference.saving import LEAST_SAVING_MS
from kalshi_platform.simulation.rollout.discount import Discount

#: Settings that reports of older releases call otherwise: old name -> name.
_OLDER_NAMES: Final = {"full_overhead_ms": "tier_3_hop_ms", "tier3_inside_ms": "tier_3_inside_ms"}


class StatesConfig(Config):
    """Settings of the states that students learn from: the champion meets them on training events."""

    n_envs: int = Field(64, ge=4, description="environments played together")
    steps: int = Field(1_600, ge=8, description="decisions of every environment")
    kept: int = Field(40_000, ge=64, description="states kept of them, an even sample (bounds the memory)")
    sampled_share: float = Field(
        0.5, ge=0, le=1, description="environments that draw actions: states beside the best actions' path"
    )
    held_out_share: float = Field(
        0.125, gt=0, lt=0.5, description="environments whose states only decide when learning stops"
    )
    gamma: float = Field(0.98, gt=0, le=1, description="discount a step, as in training")
    gamma_per_s: float = Field(
        0.0, ge=0, le=1, description="discount a second, in place of gamma, as in training; 0 = by the step"
    )
    gae_lambda: float = Field(0.95, ge=0, le=1)

    @property
    def discount(self) -> Discount:
        """Discount of a step of the champion's, as in training."""
        return Discount(self.gamma, self.gamma_per_s)


class LearnConfig(Config):
    """Settings of one student's learning."""

    epochs: int = Field(6, ge=1, description="most passes over the states")
    patience: int = Field(3, ge=1, description="passes without a better held-out loss before it stops")
    limit_s: float = Field(75, gt=0, description="no pass begins after so many seconds; the report says so")
    batch: int = Field(512, ge=16, description="states a step")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's, falling to a tenth over the passes")
    value_coeff: float = Field(0.1, ge=0, description="weight of the value's squared error beside the KL")
    weight_floor: float = Field(
        0.5, ge=0, le=1, description="what a decision without advantage weighs; 1 = all weigh the same"
    )
    weight_cap: float = Field(10, gt=1, description="an advantage counts at most as so many mean ones")
    torch_threads: int = Field(1, ge=1, description="on two busy cores two threads are slower than one")


class ThresholdsConfig(Config):
    """Settings by which exit thresholds are chosen."""

    max_value_loss: float = Field(
        0.02, ge=0, lt=1, description="share of the champion's return they may cost"
    )
    agreement_floor: float = Field(
        0.9,
        ge=0,
        le=1,
        description="same actions as the champion, whatever was earned: a set that acts otherwise is another "
        "model than the one that passed the gates",
    )
    min_agreement: float = Field(
        0.98, gt=0, le=1, description="same actions as the champion, where its return is not positive"
    )
    leaving: tuple[float, ...] = Field(
        (1.0, 0.95, 0.9, 0.8, 0.65, 0.4),
        min_length=1,
        description="candidates a tier: thresholds that these shares of the calibration states reach",
    )
    limit_s: float = Field(
        240, gt=0, description="no further pair is played after so many seconds; the report says so"
    )
    tier_3_hop_ms: float = Field(
        HOP_MS, ge=0, description="added to tier 3 where it is asked behind a hop to its deployment"
    )
    tier_3_inside_ms: float = Field(
        INSIDE_MS,
        ge=0,
        description="a replica asks its own tier 3, without a hop, where one group takes less; the "
        "service has the same setting",
    )
    least_saving_ms: float = Field(
        LEAST_SAVING_MS,
        ge=0,
        description="exits that save less than this a group are not worth deciding otherwise than the model",
    )
    for_fallback: bool = Field(
        False,
        description="store also a set that surely loses too much, for where tier 3 is late or fails",
    )

    def hop_ms(self, tier_3_p50_ms: float) -> float:
        """Cost ms of tier 3 beside its own time, which is ``tier_3_p50_ms``: a hop or nothing."""
        return hop_ms(tier_3_p50_ms, self.tier_3_inside_ms, self.tier_3_hop_ms)

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, values: Any) -> Any:
        return with_present_names(values, _OLDER_NAMES)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if any(not 0 < share <= 1 for share in self.leaving):
            raise ValueError(f"leaving={self.leaving}: shares of states lie in (0, 1]")
        return self


class JudgeConfig(Config):
    """Settings of the episodes and states that serve calibration, thresholds and the report."""

    schedule: Schedule = Field("events", description="events: the markets of an event stand in one group")
    max_steps: int = Field(2_000, ge=2, description="decisions an episode; longer lives are cut there")
    n_envs: int = Field(64, ge=1, description="environments played together")
    kept: int = Field(20_000, ge=64, description="states a half keeps for calibration and reliability")
    bins: int = Field(15, ge=2, le=100, description="of confidence, equally wide (Guo et al. 2017: 15)")
    latency_calls: int = Field(1_000, ge=20, description="decisions timed of the cascade")
    bootstrap: BootstrapConfig = BootstrapConfig()


class TiersConfig(Config):
    """Everything that decides what a tier set is.

    Equal settings and data give equal networks unless ``learn.limit_s`` ended the learning.
    """

    seed: int = Field(0, ge=0)
    states: StatesConfig = StatesConfig()
    learn: LearnConfig = LearnConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    judge: JudgeConfig = JudgeConfig()

    @classmethod
    def smoke(cls) -> Self:
        """Smallest settings with which every step still runs: for tests and the quickstart's smoke budget."""
        return cls(
            states=StatesConfig(n_envs=8, steps=64, kept=400),
            learn=LearnConfig(epochs=2, batch=64),
            thresholds=ThresholdsConfig(leaving=(1.0, 0.8), for_fallback=True),
            judge=JudgeConfig(
                max_steps=60, n_envs=16, kept=400, latency_calls=20, bootstrap=BootstrapConfig(resamples=200)
            ),
        )

    def with_values(self, assignments: dict[str, Any]) -> Self:
        """A copy with dotted settings replaced, e.g. learn.epochs; ContractError names a wrong one."""
        part = "thresholds."
        older = {part + name: part + present for name, present in _OLDER_NAMES.items()}
        return super().with_values({older.get(name, name): value for name, value in assignments.items()})
