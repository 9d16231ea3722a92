"""``sweep.json``: the question of a sweep and the fate of every trial.

Folder   <sweep>/sweep.json, trials/<id>/ (a training run each, see learning/training/session.py),
         finalists/<id>/ (the same for further seeds of the best), compare.html, winner/ (evaluation of the
         winner)
"""

from pathlib import Path
from typing import Any, Final, Literal

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value

SWEEP_FILE: Final = "sweep.json"
TRIAL_FILE: Final = "trial.json"
#: Stage -> folder of its runs.
RUN_FOLDERS: Final = {"sweep": "trials", "finalist": "finalists"}

#: finished: used its whole budget · stopped: ended early, see ``reason`` · failed: raised, see ``reason``
#: unfinished: the sweep ended or was killed before it
TrialStatus = Literal["finished", "stopped", "failed", "unfinished"]


class TrialRecord(Config):
    """Record of one trial: the values it was given and how it ended."""

    id: str
    stage: Literal["sweep", "finalist"]
    values: dict[str, Any]  # dotted setting -> value, only what the sweep varies
    seed: int
    status: TrialStatus
    reason: str  # in words, e.g. "no gain of 0.001 in 4 validations; best +0.0412 at iteration 24"
    iterations: int
    env_steps: int
    restarts: int  # times it was continued from a checkpoint after a failure
    score: float | None  # best validation score; None where none was reached
    run: str  # folder of the run, relative to the sweep's

    @property
    def is_ranked(self) -> bool:
        """True where the trial has a score and did not fail; a failed one may have been lucky before."""
        return self.score is not None and self.status != "failed"


class SweepRecord(Config):
    """Record of one sweep."""

    name: str
    #: Tells two sweeps of one name apart; empty in records of an earlier version.
    id: str = ""
    question: str
    expectation: str
    command: str
    dataset: str
    dataset_digest: str
    feature_digest: str
    scheduler: str
    space: dict[str, Any]  # dotted setting -> what was searched, in words or a list of values
    commit: str | None
    started_at: str  # of its first start
    wall_s: float  # of all its starts together, each up to the last thing it recorded
    trials: tuple[TrialRecord, ...]
    winner: str | None  # id of a trial of stage "sweep": the settings that won
    why: str  # why it won, in words
    winner_run: str | None = (
        None  # folder of the run to use, relative to the sweep's: the seed of median score
    )


def read_sweep(folder: Path) -> SweepRecord:
    """Record in ``folder``; DataError where there is none or it is damaged."""
    path = Path(folder) / SWEEP_FILE
    try:
        return SweepRecord.parse(json_value(path.read_text()))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {folder} is not the folder of a sweep") from None
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}); run the sweep again with --resume") from None
    except ContractError as err:
        raise DataError(
            f"{path} is no record of a sweep ({err}); run the sweep again with --resume"
        ) from None
