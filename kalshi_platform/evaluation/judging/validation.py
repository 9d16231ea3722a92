"""``validation.json``: the result of one validation, event by event; it lies in the checkpoint it judged.

Owns   the record. Selection, early stopping and every correction for having looked at many trials are
       computed from it.
Units  returns are fractions of the episode's capital, an event the mean of its markets.
"""

import json
from pathlib import Path
from typing import Final

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.storage.sealed import verify

VALIDATION_FILE: Final = "validation.json"


class Validation(Config):
    """Result of a policy on the validation events."""

    score: float  # mean return over events: what runs are selected by; larger is better
    low: float | None  # interval of the score, clustered by event; None for one event alone
    high: float | None
    sharpe: float  # of the events' returns, per event
    trade_rate: float  # share of decisions that were an order
    max_drawdown: float
    events: dict[str, float]  # event -> mean return of its markets

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
        )

    @property
    def numbers(self) -> dict[str, float]:
        """Scalars for every line of metrics.jsonl; a bound that is not known is left out."""
        found = self.model_dump(exclude={"events"})
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
        return Validation.parse(json.loads(path.read_text()))
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}); the checkpoint is damaged, take another") from None
