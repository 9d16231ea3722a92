"""One stage of a sweep under Ray Tune: trials at the same time, each in a process of its own."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, TuneConfig
from ray.tune.schedulers import TrialScheduler

from kalshi_platform.domain.saying import Say
from kalshi_platform.learning.tuning.experiment import SweepConfig, Variant
from kalshi_platform.learning.tuning.ledger import Ledger, read_trial
from kalshi_platform.learning.tuning.schedulers import ExplainedASHA
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper
from kalshi_platform.learning.tuning.sweep_record import TrialRecord
from kalshi_platform.learning.tuning.tracking import MlflowTracker
from kalshi_platform.learning.tuning.trial import TRIALS, Task, reports_of_run, run_trial


class SweepPlaces(NamedTuple):
    """Places of a sweep: its dataset, the folder of its runs, and the store they are mirrored to."""

    dataset: str
    out: Path
    storage: str  # s3://bucket/prefix that runs are mirrored to; empty = every machine reaches ``out``


def run_stage(
    stage: Literal["sweep", "finalist"],
    planned: Sequence[Variant],
    scheduler: TrialScheduler,
    sweep: SweepConfig,
    place: SweepPlaces,
    tracker: MlflowTracker,
    say: Say,
) -> dict[str, TrialRecord]:
    """Run every trial of ``planned`` that has no final record yet; returns the records of all, by id.

    KeyboardInterrupt where one has none at the end: Tune takes Ctrl-C as the end of a stage, and cut trials
    must not be judged as whole ones.
    """
    stopper = HeldOutMarketStopper(sweep.patience, sweep.min_gain, sweep.grace_validations)
    folder = place.out / TRIALS[stage]

    def why_stopped(trial_id: str) -> str | None:
        cut = scheduler.reasons.get(trial_id) if isinstance(scheduler, ExplainedASHA) else None
        return cut or stopper.reasons.get(trial_id)

    ledger = Ledger(folder, stage, planned, why_stopped, say)
    if ledger.records:
        say(f"{len(ledger.records)} of {len(planned)} trials had ended before")
    if not ledger.open:
        return ledger.records
    if isinstance(scheduler, ExplainedASHA):
        for name in ledger.records:
            scheduler.remember(name, reports_of_run(folder / name))
    callbacks: list[Callback] = [ledger, tracker]
    # The ledger says what happens; Tune's newer display ignores verbose=0, and it logs every failed trial
    # with the stack traces of several processes, which it also writes beside the trial's logs.
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    # Every run writes its own curves for TensorBoard, a trial's as any other's; Tune's would be a second set.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # A population's trials are processes of their own on purpose: none may leave anything to the next.
        warnings.filterwarnings("ignore", message="Consider boosting PBT performance")
        _tuner(stage, ledger.open, scheduler, stopper, callbacks, sweep, place).fit()
    for variant in planned:
        if (record := read_trial(folder / variant.id)) is not None:
            tracker.close(record)
    if ledger.open:
        raise KeyboardInterrupt
    return ledger.records


def _tuner(
    stage: str,
    planned: Sequence[Variant],
    scheduler: TrialScheduler,
    stopper: HeldOutMarketStopper,
    callbacks: list[Callback],
    sweep: SweepConfig,
    place: SweepPlaces,
) -> tune.Tuner:
    population = sweep.scheduler == "pbt" and stage == "sweep"
    trials = [
        {"id": v.id, "task": _task(v, stage, place, population).model_dump(mode="json")} for v in planned
    ]
    logs = f"{place.storage}/tune" if place.storage else str((place.out / "tune").absolute())
    samplers = max(v.settings.train.num_env_runners for v in planned)
    # Sampling workers are actors of the trial and live in its placement group.
    room = PlacementGroupFactory([{"CPU": 1.0}] + [{"CPU": 1.0}] * samplers)
    return tune.Tuner(
        tune.with_resources(run_trial, room),
        param_space={"trial": tune.grid_search(trials)},
        tune_config=TuneConfig(
            scheduler=scheduler,
            max_concurrent_trials=sweep.concurrent or None,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=RunConfig(
            name=f"{stage}-{_attempts(place.out, stage)}",
            storage_path=logs,
            stop=stopper,
            failure_config=FailureConfig(max_failures=sweep.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=8 if population else None),
            callbacks=callbacks,
            verbose=0,
        ),
    )


def _task(variant: Variant, stage: str, place: SweepPlaces, population: bool) -> Task:
    name = TRIALS[stage]
    return Task(
        settings=variant.settings,
        dataset=place.dataset,
        folder=str((place.out / name).absolute()),
        storage=f"{place.storage}/{name}" if place.storage else "",
        population=population,
    )


def _name(trial: Any) -> str:
    """Name of a trial in Ray: its name in the sweep."""
    return str(trial.config["trial"]["id"])


def _attempts(out: Path, stage: str) -> int:
    """Number of earlier starts of this stage; Tune's logs of all starts lie beside each other."""
    return len(list((out / "tune").glob(f"{stage}-*")))
