"""A sweep from a question to a winner: check everything, run the trials, try the best with further seeds.

Folder     see learning/tuning/sweep_record.py; plan.json holds the question, sweep.json the results
Repeat     with ``resume`` trials that ended are kept and the others go on from their last checkpoint. Tune's
           own restore is not used: it keeps no scheduler state, and it unpickles files of the storage.
"""

import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ray.tune.schedulers import FIFOScheduler

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.saying import Say
from kalshi_platform.learning.training.session import require_ready
from kalshi_platform.learning.tuning.experiment import Experiment, space_in_words, variants
from kalshi_platform.learning.tuning.schedulers import build_scheduler
from kalshi_platform.learning.tuning.selection import WinnerChoice, best_trials, choose, further_seeds
from kalshi_platform.learning.tuning.stage import SweepPlaces, run_stage
from kalshi_platform.learning.tuning.sweep_record import SWEEP_FILE, SweepRecord, TrialRecord
from kalshi_platform.learning.tuning.tracking import MlflowTracker, require_tracking
from kalshi_platform.storage.storage import open_storage
from kalshi_platform.storage.whole_file import write_whole

PLAN_FILE: Final = "plan.json"


class SweepRequest(Config):
    """Places of one sweep: its dataset, its folder, its mirror, and whether to resume."""

    dataset: str
    out: Path
    storage: str = ""
    resume: bool = False
    command: str = ""


def run_sweep(experiment: Experiment, request: SweepRequest, say: Say) -> SweepRecord:
    """Run ``experiment`` on a connected Ray; returns its record, which is also written as sweep.json.

    ContractError or DataError before anything expensive where a setting, the dataset or the folder is wrong;
    TrainingError where no trial reached a score.
    """
    started = time.monotonic()
    sweep = experiment.sweep
    planned = variants(experiment, sweep)
    scheduler = build_scheduler(experiment, sweep)
    dataset = Dataset.open(request.dataset)
    for variant in planned:
        require_ready(variant.settings, dataset)
    require_tracking()
    plan = _plan(experiment, dataset)
    if request.storage:
        # Credentials and bucket are tried by a write before anything expensive starts.
        open_storage(request.storage).write_bytes_atomic(PLAN_FILE, json_text(plan, indent=1).encode())
    _claim(request, plan)
    place = SweepPlaces(dataset.uri, request.out, request.storage)
    say(f"settings of every trial: {experiment.base.in_words}; varied: {', '.join(experiment.space)}")
    say(f"{experiment.question}\n{len(planned)} trials of {planned[0].settings.train.iterations} iterations")
    tags = {"sweep": digest_of([plan, str(request.out.absolute())]), "dataset": dataset.digest}
    tracker = MlflowTracker(experiment.name, tags, {v.id: v.values for v in planned}, say)
    records = run_stage("sweep", planned, scheduler, sweep, place, tracker, say)
    found = _Found(experiment, request, dataset, started, tags["sweep"])
    found.write(records.values())
    chosen = best_trials(records, sweep.finalists)
    more = further_seeds(chosen, planned, sweep.seeds)
    say(f"finalists: {', '.join(r.id for r in chosen)}; {len(more)} runs with further seeds")
    tracker = MlflowTracker(experiment.name, tags, {v.id: v.values for v in more}, say)
    fifo = FIFOScheduler()  # type: ignore[no-untyped-call]
    further = run_stage("finalist", more, fifo, sweep, place, tracker, say)
    choice = choose(chosen, further)
    say(f"winner: {choice.winner}, {choice.why}")
    return found.write((*records.values(), *further.values()), choice)


class _Found:
    """A writer of the sweep's record; it writes again whenever more is known."""

    def __init__(
        self, experiment: Experiment, request: SweepRequest, dataset: Dataset, started: float, id: str = ""
    ) -> None:
        self._experiment, self._request, self._dataset = experiment, request, dataset
        self._started, self._id = started, id
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def write(self, trials: Iterable[TrialRecord], choice: WinnerChoice | None = None) -> SweepRecord:
        """Write sweep.json as a whole file and return the record."""
        asked = self._experiment
        record = SweepRecord(
            name=asked.name,
            id=self._id,
            question=asked.question,
            expectation=asked.expectation,
            command=self._request.command,
            dataset=self._dataset.uri,
            dataset_digest=self._dataset.digest,
            feature_digest=FEATURE_DIGEST,
            scheduler=asked.sweep.scheduler,
            space=space_in_words(asked.space),
            commit=git_commit(),
            started_at=self._started_at,
            wall_s=time.monotonic() - self._started,
            trials=tuple(sorted(trials, key=lambda r: (r.stage != "sweep", r.id))),
            winner=choice.winner if choice else None,
            why=choice.why if choice else "",
            winner_run=choice.run if choice else None,
        )
        write_json(self._request.out / SWEEP_FILE, record.model_dump(mode="json"))
        return record


def _plan(experiment: Experiment, dataset: Dataset) -> dict[str, Any]:
    """Everything that decides which trials there are and what they compute, as JSON values."""
    return {
        "experiment": experiment.name,
        "dataset": dataset.digest,
        "features": FEATURE_DIGEST,
        "base": experiment.base.model_dump(mode="json"),
        "space": space_in_words(experiment.space),
        "sweep": experiment.sweep.model_dump(mode="json"),
    }


def _claim(request: SweepRequest, plan: Mapping[str, Any]) -> None:
    """Take the folder for this sweep, or check that it holds the sweep to continue."""
    path = request.out / PLAN_FILE
    if path.exists():
        if not request.resume:
            raise ContractError(
                f"{request.out} holds a sweep: continue it with --resume or name another --out"
            )
        was = json.loads(path.read_text())
        if changed := [part for part in plan if was.get(part) != plan[part]]:
            shown = "; ".join(f"{part}: {was.get(part)!r} -> {plan[part]!r}" for part in changed)
            raise ContractError(
                f"{request.out} was begun with another {' and '.join(changed)} ({shown}): resume it as it "
                "began, or name another --out"
            )
        return
    if request.resume:
        raise ContractError(f"{request.out} holds no sweep to resume: leave out --resume")
    request.out.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as a whole file: a reader sees the old one or the new one."""
    write_whole(path, json_text(value, indent=1) + "\n")
