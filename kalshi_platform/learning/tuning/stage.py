"""One stage of a sweep under Ray Tune: trials at the same time, each in a process of its own."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import TrialScheduler

from kalshi_platform.domain.saying import Say
from kalshi_platform.learning.tuning.experiment import SweepConfig, Variant
from kalshi_platform.learning.tuning.ledger import Ledger
from kalshi_platform.learning.tuning.room import WaitingForRoom, room_for
from kalshi_platform.learning.tuning.same_program import program_facts
from kalshi_platform.learning.tuning.schedulers import ExplainedASHA
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper
from kalshi_platform.learning.tuning.sweep_record import RUN_FOLDERS, TrialRecord
from kalshi_platform.learning.tuning.sweep_store import SweepStore
from kalshi_platform.learning.tuning.tracking import MlflowTracker
from kalshi_platform.learning.tuning.trial import Task, reports_of_run, run_trial


class SweepPlaces(NamedTuple):
    """Places of a sweep: its dataset, and the store of everything else."""

    dataset: str
    store: SweepStore


def run_stage(
    stage: Literal["sweep", "finalist"],
    planned: Sequence[Variant],
    scheduler: TrialScheduler,
    sweep: SweepConfig,
    place: SweepPlaces,
    tracker: MlflowTracker,
    say: Say,
    ended: Callable[[Iterable[TrialRecord]], object] = lambda records: None,
) -> dict[str, TrialRecord]:
    """Run every trial of ``planned`` that has no final record yet; returns the records of all, by id.

    The runs of all of them are on this machine then, with what is needed to judge and to show them. ``ended``
    is called with all records so far whenever one trial more has ended. KeyboardInterrupt where a trial has
    none at the end: Tune takes Ctrl-C as the end of a stage, and cut trials must not be judged as whole ones.
    """
    stopper = HeldOutMarketStopper(sweep.patience, sweep.min_gain, sweep.grace_validations)
    store = place.store

    def why_stopped(trial_id: str) -> str | None:
        cut = scheduler.reasons.get(trial_id) if isinstance(scheduler, ExplainedASHA) else None
        return cut or stopper.reasons.get(trial_id)

    ledger = Ledger(store, stage, planned, why_stopped, say, ended, stopper.end_all)
    if ledger.records:
        say(f"{len(ledger.records)} of {len(planned)} trials had ended before")
        store.pull_runs(record.run for record in ledger.records.values())
    if not ledger.open:
        return ledger.records
    if isinstance(scheduler, ExplainedASHA):
        for record in ledger.records.values():
            scheduler.remember(record.id, reports_of_run(store.out / record.run))
    _run(stage, ledger, scheduler, stopper, tracker, sweep, place, say)
    for record in ledger.records.values():
        tracker.close(record)
    if ledger.refusal is not None:
        raise type(ledger.refusal)(
            f"{ledger.refusal}; trials that ended are kept: continue with --resume then"
        )
    if ledger.open:
        raise KeyboardInterrupt
    store.pull_runs(record.run for record in ledger.records.values())
    return ledger.records


def _run(
    stage: str,
    ledger: Ledger,
    scheduler: TrialScheduler,
    stopper: HeldOutMarketStopper,
    tracker: MlflowTracker,
    sweep: SweepConfig,
    place: SweepPlaces,
    say: Say,
) -> None:
    """Run the ledger's open trials under Ray Tune until all have ended."""
    room = room_for([v.settings for v in ledger.open])
    callbacks: list[Callback] = [ledger, tracker, WaitingForRoom(room.bundles, say)]
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


def _tuner(
    stage: str,
    planned: Sequence[Variant],
    scheduler: TrialScheduler,
    stopper: HeldOutMarketStopper,
    callbacks: list[Callback],
    sweep: SweepConfig,
    place: SweepPlaces,
) -> tune.Tuner:
    trials = [{"id": v.id, "task": _task(v, stage, place, sweep).model_dump(mode="json")} for v in planned]
    return tune.Tuner(
        tune.with_resources(run_trial, room_for([v.settings for v in planned])),
        param_space={"trial": tune.grid_search(trials)},
        tune_config=TuneConfig(
            scheduler=scheduler,
            max_concurrent_trials=sweep.concurrent or None,
            # A start costs ten seconds; a population's changes in one process are not tried.
            reuse_actors=not _is_population(stage, sweep),
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=RunConfig(
            name=f"{stage}-{place.store.starts_of(stage)}",
            storage_path=place.store.address("tune"),
            stop=stopper,
            failure_config=FailureConfig(max_failures=sweep.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=8 if _is_population(stage, sweep) else None),
            callbacks=callbacks,
            verbose=0,
        ),
    )


def _task(variant: Variant, stage: str, place: SweepPlaces, sweep: SweepConfig) -> Task:
    name, store = RUN_FOLDERS[stage], place.store
    return Task(
        settings=variant.settings,
        dataset=place.dataset,
        folder=store.run_folder(name),
        storage=store.mirror_of(name),
        claim=store.claim,
        population=_is_population(stage, sweep),
        min_gain=sweep.min_gain,
        program=program_facts(),
    )


def _is_population(stage: str, sweep: SweepConfig) -> bool:
    """True where trials may take over each other's checkpoints."""
    return sweep.scheduler == "pbt" and stage == "sweep"


def _name(trial: Any) -> str:
    """Name of a trial in Ray: its name in the sweep."""
    return str(trial.config["trial"]["id"])
