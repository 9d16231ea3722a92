"""The evidence of a promotion: numbers measured by playing a model, and the gates' answers to them.

Units  returns and drawdowns are fractions of the episode's capital, latencies milliseconds.
Not    the measuring nor the thresholds (both in evaluation/promotion).
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kalshi_platform.domain.actions import ACTION_NAMES, HOLD
from kalshi_platform.domain.config import Config
from kalshi_platform.models.registry.provenance import DataCounts, Standing

EVIDENCE_VERSION: Final = 1
#: Name of the match between the dataset that gave the claims and the one that judges.
CLAIMS_DATASET: Final = "claims' dataset"


class Estimate(Config):
    """A mean over events with its interval; the bounds are None where only one event was played."""

    value: float | None
    low: float | None
    high: float | None


class FeeResult(Config):
    """Mean return with the exchange's fees multiplied by ``scale``."""

    scale: float
    mean_return: Estimate


class Latency(Config):
    """Time of one decision for one group of slots, history windows included, on one thread."""

    p50_ms: float = Field(description="of the thread's own time, see evaluation/promotion/latency.py")
    p99_ms: float
    wall_p99_ms: float = Field(description="with what waiting for a processor added; not judged")
    runs: int


class TrainedRule(Config):
    """A rule at the threshold that earned most on training events."""

    name: str
    threshold: float | None = Field(description="None for a rule without one")
    train_return: Estimate = Field(description="mean return a block on the training events played")
    tried: int = Field(description="thresholds that were played")

    @property
    def words(self) -> str:
        """Name of the rule, with its threshold where it has one."""
        return self.name if self.threshold is None else f"{self.name} > {self.threshold:g}"


class RuleChoice(Config):
    """Rules written by hand as training events chose them; no held-out event has a say.

    ``rules`` stand with the best on training events first; none where nothing could be chosen.
    """

    dataset_digest: str
    split: str = "train"
    n_blocks: int = Field(description="independent blocks that were played")
    n_train_blocks: int = Field(description="independent blocks opened that can be played")
    seed: int = Field(description="of the draw of the blocks")
    rules: tuple[TrainedRule, ...]
    why_not: str = Field(default="", description="why no rule was chosen; else empty")

    @property
    def best(self) -> TrainedRule | None:
        """The rule that earned most on training events; None where none could be chosen."""
        return self.rules[0] if self.rules else None

    def threshold_of(self, name: str) -> float | None:
        """Threshold chosen for the rule ``name``; None where it has none or was not played."""
        return next((rule.threshold for rule in self.rules if rule.name == name), None)


class Performance(Config):
    """Results of a model on the validation markets."""

    n_events: int
    n_episodes: int
    mean_return: Estimate
    baselines: dict[str, Estimate] = Field(description="baseline -> paired difference to it")
    fees: tuple[FeeResult, ...]
    fee_times: dict[str, Estimate] = Field(
        default_factory=dict, description="setting of fees (as_of, today) -> mean return"
    )
    action_counts: dict[str, int]
    entropy_share: float | None = Field(description="of the policy's own probabilities, 1 = no preference")
    trade_rate: float
    worst_market: str
    worst_market_return: float
    worst_drawdown: float = Field(description="largest fall of an episode's equity, each market alone")
    latency: Latency
    #: Left out where unknown, so that older records and judgements keep their bytes.
    rules: RuleChoice | None = Field(
        default=None,
        description="rules as training events chose them; None in records of an earlier version",
        exclude_if=lambda rules: rules is None,
    )
    n_blocks: int | None = Field(
        default=None,
        description="independent blocks played; None in records of an earlier version",
        exclude_if=lambda n: n is None,
    )

    @property
    def n_orders(self) -> int | None:
        """Number of orders that it sent; None where the record does not tell its actions."""
        counts = self.action_counts
        return sum(counts.values()) - counts.get(ACTION_NAMES[HOLD], 0) if counts else None

    @property
    def action_shares(self) -> Mapping[str, float]:
        """Share of all decisions that each action has."""
        total = max(sum(self.action_counts.values()), 1)
        return {name: count / total for name, count in self.action_counts.items()}


class Match(Config):
    """A recorded value beside the value found now."""

    name: str
    recorded: str
    found: str
    grown: bool = Field(default=False, description="a dataset that grew from the recorded one")

    @property
    def equal(self) -> bool:
        """True where the value found is the recorded one."""
        return self.recorded == self.found

    @property
    def fits(self) -> bool:
        """True where the value found is the recorded one, or the dataset found grew from the recorded one."""
        return self.equal or self.grown

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave ``grown`` out where it says nothing: a kept judgement keeps its digest."""
        return {name: value for name, value in write(self).items() if name != "grown" or value}


class Evidence(Config):
    """Everything measured of one model at one time."""

    version: int = EVIDENCE_VERSION
    model: str
    level: str
    split: str
    dataset: str
    digests: tuple[Match, ...] = Field(description="observation, action, feature: recorded, running program")
    datasets: tuple[Match, ...] = Field(description="dataset and its feature table: recorded, opened")
    commit: str | None
    champion: str | None = Field(description="the champion it was compared with; None where there was none")
    against_champion: Estimate | None = Field(description="paired difference on the same episodes")
    claimed: Performance | None
    found: Performance | None = Field(description="None where the model could not be played")
    why_not: str = Field(description="why the model or the champion could not be played; else empty")
    judged_at: str
    judged_on: DataCounts | None = Field(
        None, description="events and blocks played, by provenance", exclude_if=lambda x: x is None
    )
    worlds: tuple[str, ...] = Field(
        (), description="worlds of the simulated ones", exclude_if=lambda worlds: not worlds
    )
    real_return: Estimate | None = Field(
        None, description="mean return over the blocks that are not simulated", exclude_if=lambda x: x is None
    )
    champion_standing: Standing | None = Field(
        None, description="of the champion it was compared with", exclude_if=lambda x: x is None
    )
    not_simulated: str | None = Field(
        None,
        description="a model that had the alias and is not marked simulated: such an alias gets no simulated "
        "model any more",
        exclude_if=lambda x: x is None,
    )


class GateResult(Config):
    """One gate's answer."""

    name: str
    passed: bool
    found: str
    allowed: str
    words: str = Field(description="why it refuses; empty where it passed")


class GateJudgement(Config):
    """Evidence, thresholds and answers together: what the registry keeps of a promotion."""

    evidence: Evidence
    gates: dict[str, Any] = Field(description="the thresholds it was judged by, as the gates were then")
    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """True where every gate passed."""
        return all(result.passed for result in self.results)

    @property
    def refusals(self) -> tuple[str, ...]:
        """The words of every gate that refused."""
        return tuple(result.words for result in self.results if not result.passed)
