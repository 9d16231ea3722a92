"""``validation.json``: the result of one validation, block by block; it lies in the checkpoint it judged.

Owns   the record. Selection, early stopping and every correction for having looked at many trials are
       computed from it.
Units  returns are fractions of the episode's capital, an event the mean of its markets, a block that of its
       events.
"""

from pathlib import Path
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.judging.checkup_habits import collapse_of
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.models.registry.provenance import DataCounts
from kalshi_platform.storage.sealed import verify

VALIDATION_FILE: Final = "validation.json"


class Validation(Config):
    """Result of a policy on the validation events."""

    score: float  # mean return over blocks: what runs are selected by; larger is better
    low: float | None  # interval of the score, which resamples blocks; None below three of them
    high: float | None
    sharpe: float | None  # of the blocks' returns, per block; None below three of them
    trade_rate: float  # share of decisions that were an order
    max_drawdown: float
    events: dict[str, float]  # event -> mean return of its markets
    blocks: dict[str, float] | None = Field(
        None, description="block -> mean return of its events; None in files of an earlier version"
    )
    collapse: Finding | None = Field(
        None,
        description="what the checkup says of a policy that answers every market alike; None: it does not, "
        "or the file is of an earlier version",
        exclude_if=lambda found: found is None,
    )
    judged_on: DataCounts | None = Field(
        None,
        description="events and blocks by provenance; None in files of an earlier version",
        exclude_if=lambda counts: counts is None,
    )

    @classmethod
    def of(cls, result: PolicyResult) -> "Validation":
        """Record of an evaluated policy; DataError where no event could be scored."""
        mean = result.mean_return
        if mean.estimate is None:
            raise DataError(f"no held-out episode could be scored ({mean.note}); validate on more events")
        return cls(
            score=mean.estimate,
            low=mean.low,
            high=mean.high,
            sharpe=result.event_sharpe,
            trade_rate=result.trading.trade_rate,
            max_drawdown=result.max_drawdown,
            events={e.event: e.mean_return for e in result.events},
            blocks=result.block_returns,
            collapse=collapse_of(result),
            judged_on=result.judged_on,
        )

    @property
    def block_returns(self) -> dict[str, float]:
        """Return of each block by its name; in files of an earlier version each event was one."""
        return self.events if self.blocks is None else self.blocks

    @property
    def numbers(self) -> dict[str, float]:
        """Scalars for every line of metrics.jsonl; a figure that is not known is left out."""
        found = self.model_dump(exclude={"events", "blocks", "collapse", "judged_on"})
        return {name: value for name, value in found.items() if value is not None}


def read_validation(checkpoint: Path) -> Validation | None:
    """Validation of the policy in ``checkpoint``; None where nobody validated it.

    Every file of the checkpoint is verified first: a score counts for the policy that it was measured of.
    """
    verify(Path(checkpoint))
    path = Path(checkpoint) / VALIDATION_FILE
    if not path.is_file():
        return None
    try:
        return Validation.parse(json_value(path.read_text()))
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}); the checkpoint is damaged, take another") from None
