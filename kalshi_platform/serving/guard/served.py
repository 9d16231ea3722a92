"""The record of a model that answers: its tiers, since when it answers, and how it has been doing.

Way        LoadedModel (bytes verified) -> ReadyModel (engines timed) -> ServedModel (checked and numbered).
Invariant  request, stream and metrics read the same record; a request keeps the one that it began with.
Not        how a model is found, checked and replaced (guard.py).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.registry.examples import Example
from kalshi_platform.models.registry.marks import UNMARKED, Marks
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.verdicts import Fault
from kalshi_platform.serving.guard.watch import Watch
from kalshi_platform.serving.inference.batch import Tier
from kalshi_platform.serving.inference.ready import ModelKey, ReadyModel
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.simulation.replay.trading import TradingConfig

#: Errors that say nothing about a model: ContractError where it does not fit this release.
_OF_MACHINES: Final = (MemoryError, ImportError, OSError, ContractError)


class Verdict(Config):
    """Result of a candidate's checks; ``reason`` is empty where the guard may serve it."""

    model: str
    tiers: str | None = Field(description="digest of its tier set; None: the network alone")
    reason: str = ""
    fault: Fault = Field("", description="cause of a refusal: the model, or this machine")
    probes: int = Field(0, description="seeded groups on which its numbers were checked")
    recorded: int = Field(0, description="recorded groups on which they were checked")
    compared_on: str = Field("nothing", description="recorded, probes, or nothing: there was no active model")
    compared_groups: int = 0
    compared_slots: int = 0
    agreement: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    budget_ms: float | None = Field(None, description="allowed p99")
    slow: str = Field("", description="how its p99 broke the bound; a reason only beside an active model")

    @property
    def accepted(self) -> bool:
        """True where the guard may serve the candidate."""
        return not self.reason

    @property
    def words(self) -> str:
        """One line for people: the reason, or the figures that passed."""
        if not self.accepted:
            return self.reason
        passed = [f"SLOW: {self.slow}"] if self.slow else []
        if self.p99_ms is not None and not self.slow:
            passed.append(f"p99 {self.p99_ms:.2f} of {self.budget_ms:g} ms")
        if self.agreement is not None:
            passed.append(
                f"decides as the active model in {self.agreement:.1%} of {self.compared_slots} slots of "
                f"{self.compared_groups} groups ({self.compared_on})"
            )
        return "; ".join(passed) or "no active model to compare with"


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that answers now, answered before, or passed its checks and may answer next."""

    number: int  # of this replica, ascending
    ready: ReadyModel
    policy: TieredPolicy  # its tiers and its caches
    verdict: Verdict
    probe_actions: np.ndarray  # (N, S) i1, its own answers to the probes of its check
    watch: Watch
    since_ns: int  # when it last became active; 0 before
    marks: Marks = UNMARKED  # under the alias by which it answers
    example: Example | None = None  # that the registry keeps of it

    @cached_property
    def key(self) -> ModelKey:
        """Model id and digest of the tier set."""
        return self.ready.key

    @property
    def record(self) -> ModelRecord:
        """The registry's record of the model."""
        return self.ready.model.record

    @cached_property
    def trading(self) -> TradingConfig:
        """Slots, feature sets and trading settings of the environment in which the model was trained."""
        return TradingConfig.of_environment(self.record.environment)

    @property
    def words(self) -> str:
        """One line for people: what its checks found, and what every answer says of it."""
        return "; ".join((self.verdict.words, *self.marks.cautions))

    @cached_property
    def mark_fields(self) -> dict[str, Any]:
        """Fields that every answer has from the marks; the sentences are made once, not for each request."""
        return self.marks.fields

    def marked(self, marks: Marks) -> "ServedModel":
        """Return the same model with ``marks``: its alias may have been judged anew."""
        return self if marks == self.marks else replace(self, marks=marks)

    @property
    def window(self) -> int:
        """Rows of history that the tier with the longest window reads."""
        return self.policy.window

    @cached_property
    def tier_3_ms(self) -> float:
        """Median ms of tier 3 on one group in this process; infinite without a tier 3 or a measurement."""
        last = self.policy.tiers[-1]
        return float("inf") if last.number != Tier.TIER_3 or last.group_p50_ms is None else last.group_p50_ms


def fault_of(error: BaseException) -> Fault:
    """Tell a fault of this machine or this program (memory, a missing package) from one of the model."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _OF_MACHINES) or "allocate memory" in str(cause):
            return "machine"
        cause = cause.__cause__
    return "model"
