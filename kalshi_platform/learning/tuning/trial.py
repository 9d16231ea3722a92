"""One trial: a training run in a process of its own that reports to Ray Tune after every iteration.

Owns       the report, the run's folder, and the second start of a process.
State      lies in the run's folder (where the sweep has a storage: in its mirror, and the folder is a copy
           that can be lost), never in Tune. Whatever was lost, a trial started again goes on from its last
           checkpoint and replays its earlier reports, so that the scheduler knows as much as before.
"""

import gc
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field
from ray import tune

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.learning.training.checkpoint import (
    BEST,
    LATEST,
    newest_number,
    read_checkpoint,
    write_checkpoint,
)
from kalshi_platform.learning.training.folder import MAY_MUTATE
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.learning.training.stopping import without_gain
from kalshi_platform.learning.tuning.same_program import require_same_program
from kalshi_platform.learning.tuning.sweep_store import enter_cache, require_reached, sweeps_folder
from kalshi_platform.storage.sealed import seal, verify
from kalshi_platform.storage.whole_file import write_whole

_ORIGIN: Final = "origin.json"


class Task(Config):
    """Everything that the process of a trial needs; it travels in Tune's configuration."""

    settings: RunSettings
    dataset: str
    folder: str  # holds the run folders of the stage: a path, or one below this machine's sweeps folder
    storage: str = ""  # mirror of ``folder``; empty = the folder is reachable from every machine
    claim: str = ""  # of the sweep, whose cache ``folder`` lies in
    population: bool = False  # trials may take over each other's checkpoints
    min_gain: float = 0.0  # smallest gain of the validation return that counts
    program: dict[str, str] = Field(default_factory=dict, description="the driver's: same_program.py")

    @property
    def runs(self) -> Path:
        """Folder of the stage's runs on this machine."""
        return sweeps_folder() / self.folder  # an absolute path stays as it is


def run_trial(config: Mapping[str, Any]) -> None:
    """Train and report, or go on where an earlier start left off.

    Ray Tune calls this in the trial's process.
    """
    gc.collect()  # an algorithm refers to itself: files of the trial before in this process stay open
    task = Task.parse(dict(config["trial"]["task"]))
    require_same_program(task.program)
    # Not from the configuration: population-based training copies that from trial to trial.
    trial = tune.get_context().get_trial_name()
    assert trial is not None, "run_trial() outside of Ray Tune"
    run = task.runs / trial
    mirror = None
    if task.storage:
        enter_cache(task.runs.parent, task.storage.rpartition("/")[0], task.claim)
        mirror = Mirror(f"{task.storage}/{trial}")
        mirror.take()
        mirror.pull(run)
    elif task.claim:
        require_reached(task.runs.parent, task.claim)
    if task.population:
        _take_over(run, trial)
    else:
        _replay(run, task.min_gain)

    def report(progress: Progress) -> None:
        if mirror is not None:
            mirror.push(run)
        found = report_of_progress(progress, task.min_gain)
        if task.population:
            _report_with_checkpoint(found, run, trial)
        else:
            tune.report(found)

    try:
        run_training(
            task.settings,
            task.dataset,
            run,
            report,
            resume=newest_number(run) is not None,
            mutated=MAY_MUTATE if task.population else frozenset(),
        )
    except StorageError as error:
        raise StorageError(f"machine {socket.gethostname()}: {error}") from None


def report_of_progress(progress: Progress, min_gain: float = 0.0) -> dict[str, Any]:
    """Report to Tune after an iteration; every report has every key, and none grows with the run."""
    return {
        **_validated(progress.validations, min_gain),
        "iteration": progress.iteration,
        "env_steps": progress.env_steps,
        "episode_return": progress.episode_return,
        "steps_per_s": progress.steps_per_s,
        "train_s": progress.elapsed_s,
        "collapse": progress.collapse,
        "replayed": False,
    }


def reports_of_run(run: Path, min_gain: float = 0.0) -> Iterator[dict[str, Any]]:
    """Reports that a run has made up to now, read from its metrics."""
    seen: list[Mapping[str, Any]] = []
    validated: dict[str, Any] = {}
    for line in read_metrics(run):
        numbers = line["validation"]
        if not seen or numbers["iteration"] != seen[-1]["iteration"]:
            seen.append(numbers)
            validated = _validated(seen, min_gain)
        yield {
            **validated,
            "iteration": line["iteration"],
            "env_steps": line["env_steps"],
            "episode_return": line["episode_return"],
            "steps_per_s": line["steps_per_s"],
            "train_s": line["elapsed_s"],
            "collapse": line.get("collapse") or "",  # runs of an earlier version do not tell
            "replayed": True,
        }


def _validated(validations: Sequence[Mapping[str, Any]], min_gain: float) -> dict[str, Any]:
    """Part of a report about validations; there is always one, because the first iteration is validated.

    The history stands in it as two counts, from which ``HeldOutMarketStopper`` decides: Tune writes every
    report to three files, and a list of all scores would make them grow with the square of a run's length.
    """
    last = validations[-1]
    best = max(validations, key=lambda numbers: numbers["score"])
    return {
        "score": last["score"],
        "validation": {k: v for k, v in last.items() if k not in ("iteration", "env_steps")},
        "validated_at": last["iteration"],
        "validations": len(validations),
        "without_gain": without_gain([numbers["score"] for numbers in validations], min_gain),
        "best_score": best["score"],
        "best_iteration": best["iteration"],
    }


def _replay(run: Path, min_gain: float) -> None:
    """Report again everything up to the run's last checkpoint, so that the scheduler knows it."""
    if not (run / LATEST).exists():
        return
    last = int((run / LATEST).resolve().name)
    for found in reports_of_run(run, min_gain):
        if found["iteration"] > last:
            return
        tune.report(found)


def _report_with_checkpoint(found: dict[str, Any], run: Path, trial: str) -> None:
    """Report together with the newest checkpoint, which another trial may take over.

    It lies in a folder of its own below Tune's: a trial that was paused between its copy and Tune's hearing
    of it copies its next checkpoint over that one, and files of two would be mixed.
    """
    newest = (run / LATEST).resolve()
    verify(newest)  # before the copy gets a seal of its own
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / newest.name
        copy.mkdir()
        for path in newest.iterdir():
            (copy / path.name).hardlink_to(path) if _same_device(path, copy) else _copy(path, copy)
        (copy / METRICS).write_bytes((run / METRICS).read_bytes())
        seal(copy)
        (Path(folder) / _ORIGIN).write_text(json_text({"trial": trial, "checkpoint": newest.name}))
        tune.report(found, checkpoint=tune.Checkpoint.from_directory(folder))


def _same_device(path: Path, folder: Path) -> bool:
    return path.stat().st_dev == folder.stat().st_dev


def _copy(path: Path, folder: Path) -> None:
    (folder / path.name).write_bytes(path.read_bytes())


def _take_over(run: Path, trial: str) -> None:
    """Continue from another trial's checkpoint where population-based training handed one over.

    The run keeps its own best policy: the foreign checkpoint is where it goes on, not something it found.
    """
    given = tune.get_checkpoint()
    if given is None:
        return
    with given.as_directory() as folder:
        origin = json_value((Path(folder) / _ORIGIN).read_text())
        if origin["trial"] == trial:
            return  # its own: the run's folder has it, and perhaps a newer one
        foreign = Path(folder) / origin["checkpoint"]
        policy, state = read_checkpoint(foreign)
        counters = state.values["run"]
        if (run / BEST).exists():
            _, own = read_checkpoint((run / BEST).resolve())
            counters |= {k: own.values["run"][k] for k in ("best_score", "best_iteration")}
        write_checkpoint(run, int(foreign.name), policy, state)
        write_whole(run / METRICS, (foreign / METRICS).read_bytes())
