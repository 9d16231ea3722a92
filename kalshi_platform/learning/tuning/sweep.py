"""A sweep from a question to a winner: check everything, run the trials, try the best with further seeds.

Files      see learning/tuning/sweep_record.py; plan.json holds the question, sweep.json the results
Place      the sweep's storage, or a folder that all machines reach (``sweep_store.py``, ``claim.py``)
Repeat     with ``resume`` trials that ended are kept and the others go on from their last checkpoint, on any
           machine. Tune's own restore is not used: it keeps no scheduler state, and it unpickles files of the
           storage.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.saying import Say, note, silent
from kalshi_platform.learning.training.session import require_ready
from kalshi_platform.learning.tuning.experiment import Experiment, Variant, space_in_words, variants
from kalshi_platform.learning.tuning.schedulers import build_scheduler
from kalshi_platform.learning.tuning.selection import WinnerChoice, best_trials, choose, further_seeds
from kalshi_platform.learning.tuning.stage import SweepPlaces, run_stage
from kalshi_platform.learning.tuning.sweep_record import (
    SWEEP_FILE,
    TRIAL_FILE,
    SweepRecord,
    TrialRecord,
    read_sweep,
)
from kalshi_platform.learning.tuning.sweep_store import SweepStore
from kalshi_platform.learning.tuning.tracking import SweepTracking, require_tracking
from kalshi_platform.storage.whole_file import write_whole


class SweepRequest(Config):
    """Places of one sweep: its dataset, its storage or folder, and whether to resume."""

    dataset: str
    out: Path | None = None  # None: chosen in this machine's home
    storage: str = ""  # empty: the sweep lies in ``out``, which every machine reaches
    resume: bool = False
    command: str = ""


class PreparedSweep(NamedTuple):
    """A sweep whose settings, dataset and tracking were checked; nothing of it is written yet."""

    experiment: Experiment
    request: SweepRequest
    planned: tuple[Variant, ...]
    scheduler: TrialScheduler
    dataset: Dataset
    plan: dict[str, Any]


def prepare_sweep(experiment: Experiment, request: SweepRequest) -> PreparedSweep:
    """Check ``experiment`` before anything expensive; ContractError or DataError where something is wrong."""
    scheduler = build_scheduler(experiment, experiment.sweep)
    dataset = Dataset.open(request.dataset)
    planned = variants(experiment, experiment.sweep, (dataset.digest, FEATURE_DIGEST))
    for variant in planned:
        require_ready(variant.settings, dataset)
    require_tracking(request.storage)
    return PreparedSweep(
        experiment, request, planned, scheduler, dataset, plan_of(experiment, dataset.digest)
    )


def plan_of(experiment: Experiment, dataset_digest: str) -> dict[str, Any]:
    """Everything that decides which trials there are and what they compute, as JSON values."""
    plan = {
        "experiment": experiment.name,
        "dataset": dataset_digest,
        "features": FEATURE_DIGEST,
        "base": experiment.base.model_dump(mode="json"),
        "space": space_in_words(experiment.space),
        "sweep": experiment.sweep.model_dump(mode="json"),
    }
    return dict(json.loads(json_text(plan)))  # tuples become lists here, as they do in a file


def run_sweep(prepared: PreparedSweep, store: SweepStore, say: Say) -> SweepRecord:
    """Run a sweep on a connected Ray; returns its record, which is also written as sweep.json.

    TrainingError where no trial reached a score.
    """
    experiment, request, planned, scheduler, dataset, _ = prepared
    sweep = experiment.sweep
    place = SweepPlaces(dataset.uri, store)
    found = _Found(experiment, request, dataset, store, say)
    found.begin()
    say(f"settings of every trial: {experiment.base.in_words}; varied: {', '.join(experiment.space)}")
    say(f"{experiment.question}\n{len(planned)} trials of {planned[0].settings.train.iterations} iterations")
    tags = {"sweep": store.claim, "dataset": dataset.digest}
    tracking = SweepTracking(
        store.tracking_place(), experiment.name, tags, list(experiment.space), say, store.require_driven
    )
    nodes: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
    tracking.open(sum(1 for node in nodes if node["Alive"]))
    records = run_stage("sweep", planned, scheduler, sweep, place, tracking.stage(planned), say, found.write)
    tracking.keep()
    chosen = best_trials(records, sweep.finalists)
    more = further_seeds(chosen, planned, sweep.seeds)
    say(f"finalists: {', '.join(r.id for r in chosen)}; {len(more)} runs with further seeds")
    fifo = FIFOScheduler()  # type: ignore[no-untyped-call]
    so_far, tracker = tuple(records.values()), tracking.stage(more)
    further = run_stage(
        "finalist", more, fifo, sweep, place, tracker, say, lambda ended: found.write((*so_far, *ended))
    )
    choice = choose(chosen, further)
    say(f"winner: {choice.winner}, {choice.why}")
    record = found.write((*so_far, *further.values()), choice)
    tracking.conclude(record)
    return record


class _Found:
    """A writer of the sweep's record; it writes again whenever more is known."""

    def __init__(
        self,
        experiment: Experiment,
        request: SweepRequest,
        dataset: Dataset,
        store: SweepStore,
        say: Say = silent,
    ) -> None:
        self._experiment, self._request, self._dataset, self._store = experiment, request, dataset, store
        self._started = time.monotonic()
        self._started_at, self._before_s = datetime.now(UTC).isoformat(timespec="seconds"), 0.0
        self._earlier: SweepRecord | None = None
        if (store.out / SWEEP_FILE).is_file():  # of an earlier start: this one adds its time
            try:
                self._earlier = read_sweep(store.out)
            except DataError as err:  # all of it but these times is known from the records of the trials
                note(say)(f"{err}: it is written again, and counts its time from now")
        if self._earlier is not None:
            self._started_at, self._before_s = self._earlier.started_at, self._earlier.wall_s

    def begin(self) -> SweepRecord:
        """Write what an earlier start found, for whoever looks at the sweep before the next trial has ended.

        A trial whose record was taken away runs again: it and the winner are left out.
        """
        if self._earlier is None:
            return self.write(())
        earlier = self._earlier
        kept = [t for t in earlier.trials if (self._store.out / t.run / TRIAL_FILE).is_file()]
        choice = None
        if earlier.winner and earlier.winner_run and len(kept) == len(earlier.trials):
            choice = WinnerChoice(earlier.winner, earlier.winner_run, earlier.why)
        return self.write(kept, choice)

    def write(self, trials: Iterable[TrialRecord], choice: WinnerChoice | None = None) -> SweepRecord:
        """Write sweep.json, here and in the storage, and return the record."""
        asked = self._experiment
        record = SweepRecord(
            name=asked.name,
            id=self._store.claim,
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
            wall_s=self._before_s + time.monotonic() - self._started,
            trials=tuple(sorted(trials, key=lambda r: (r.stage != "sweep", r.id))),
            winner=choice.winner if choice else None,
            why=choice.why if choice else "",
            winner_run=choice.run if choice else None,
        )
        write_json(self._store.out / SWEEP_FILE, record.model_dump(mode="json"))
        self._store.keep(SWEEP_FILE)
        return record


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as a whole file: a reader sees the old one or the new one."""
    write_whole(path, json_text(value, indent=1) + "\n")
