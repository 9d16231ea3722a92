"""Tracking: every trial is shown as an MLflow run, with settings as parameters and validations as metrics.

Experiment  one a question. A sweep is a run of its own in it, and its trials are that run's children: two
            sweeps of one name are told apart by it, and by the sweep's id before the name of every run.
Columns     MLflow's table shows no metric and no setting by itself. The experiment carries a saved view that
            does; ``dashboard mlflow`` prints its address.
Resume      goes on in the same runs: figures that a trial reports again are left out.
Cost        one request a validation, from the driver; trials themselves know nothing of it.
Models      a sweep's challenger stands in MLflow's registry too, to be looked at; ours alone decides.
Failure     a server that cannot be reached is refused before a sweep starts. One that goes away later costs
            the tracking and not the sweep: the tracker says so once, and the runs' folders have the figures.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from ray.tune import Callback

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.saying import Say, note
from kalshi_platform.learning.tuning.sweep_record import SweepRecord, TrialRecord
from kalshi_platform.learning.tuning.tracking_place import (
    TRACKING_ERRORS,
    VIEW_TAG,
    TrackingPlace,
    tracking_place,
)
from kalshi_platform.learning.tuning.words import value_text

if TYPE_CHECKING:  # it loads RLlib and torch, which nothing here needs
    from kalshi_platform.learning.tuning.experiment import Variant

#: Name of our models in MLflow's registry.
MODELS_NAME: Final = "kalshi-platform"
#: Digits of a sweep's id that stand before the names of its runs.
SHORT_ID: Final = 6
_PARENT: Final = "mlflow.parentRunId"
#: Trial of the run that stands for the sweep itself.
_WHOLE: Final = ""


def require_tracking(storage: str = "") -> None:
    """Raise StorageError where no run can be tracked; called before anything expensive.

    Without a server, a sweep with a ``storage`` has a file there: the claim proves that place.
    """
    place = tracking_place()
    if place.file is None or not storage:
        place.open()


class SweepTracking:
    """The runs of one sweep in MLflow: its own, and those of its trials."""

    def __init__(
        self,
        place: TrackingPlace,
        experiment: str,
        tags: Mapping[str, str],
        settings: Sequence[str],
        say: Say,
        still_driven: Callable[[], None] = lambda: None,
    ) -> None:
        """``tags`` holds the sweep's id as ``sweep``; ``settings`` are the names of what it varies.

        ``still_driven`` raises where another driver has taken the sweep over: its copy is newer than ours.
        """
        self.place, self.say, self._still_driven = place, say, still_driven
        self.experiment, self.tags = experiment, dict(tags)
        self._settings = tuple(settings)
        self._lost = False
        self._runs: dict[str, str] = {}  # trial -> MLflow's run id
        self._written: dict[str, int] = {}  # trial -> environment steps of the last validation written
        self._client: MlflowClient | None = None
        self._number: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune stores its callbacks; a client holds connections.
        return {**self.__dict__, "_client": None, "say": None, "_still_driven": None}

    def stage(self, planned: "Sequence[Variant]") -> "MlflowTracker":
        """Return Ray Tune's callback for the trials of one stage."""
        return MlflowTracker(self, {v.id: {**v.values, "train.seed": v.settings.train.seed} for v in planned})

    def open(self, machines: int = 1) -> None:
        """Fetch what an earlier machine tracked of this sweep; ``machines`` = those of the cluster.

        StorageError where the place cannot be reached. A place that dies with this machine is said.
        """
        self.place.open()
        if caution := self.place.caution(machines):
            note(self.say)(caution)

    def keep(self) -> None:
        """Copy the file of the runs to the sweep's storage, where it has one."""
        try:
            self._still_driven()
            self.place.keep()
        except (PlatformError, sqlite3.Error, OSError) as err:
            self.say(f"MLflow's runs are not copied: {err}; the sweep goes on")

    def conclude(self, record: SweepRecord) -> None:
        """Write to the sweep's own run what came of it, and end the run."""
        won = next((t for t in record.trials if t.run == record.winner_run), None)

        def write() -> None:
            client, run = self.connected(), self.run(_WHOLE, {})
            if won is not None and won.score is not None:
                client.log_metric(run, "best_score", won.score, step=won.env_steps)
            client.set_tag(run, "winner", record.winner or "none")
            client.set_tag(run, "outcome", f"winner {record.winner}: {record.why}"[:5000])
            client.set_terminated(run, "FINISHED")

        self.attempt(write)
        self.keep()

    def attempt(self, request: Callable[[], None]) -> None:
        """Make a request of MLflow; after the first that fails say so once, and make no more."""
        if self._lost:
            return
        try:
            request()
        except TRACKING_ERRORS as err:
            self._lost = True
            self.say(f"tracking at {self.place.shown} ended: {self.place.reason(err)}; the sweep goes on")

    def connected(self) -> MlflowClient:
        """Return the client, made on first use."""
        if self._client is None:
            self._client = self.place.client()
        return self._client

    def run(self, trial: str, params: Mapping[str, Any]) -> str:
        """Id of MLflow's run of a trial; an earlier start of this sweep may have made it."""
        if trial not in self._runs:
            client, number = self.connected(), self._experiment_number()
            wanted = f"tags.sweep = '{self.tags['sweep']}' and tags.trial = '{trial}'"
            found = client.search_runs([number], filter_string=wanted, max_results=1)
            if found:
                self._runs[trial] = str(found[0].info.run_id)
                self._written[trial] = self._steps_known(self._runs[trial])
            else:
                self._runs[trial] = self._create(number, trial, params)
        return self._runs[trial]

    def is_new(self, trial: str, env_steps: int) -> bool:
        """True the first time that a trial has come this far; a resumed one reports its past again."""
        if env_steps <= self._written.get(trial, -1):
            return False
        self._written[trial] = env_steps
        return True

    def _steps_known(self, run: str) -> int:
        history = self.connected().get_metric_history(run, "best_score")
        return max((point.step for point in history), default=-1)

    def _experiment_number(self) -> str:
        if self._number is None:
            client = self.connected()
            known = client.get_experiment_by_name(self.experiment)
            self._number = str(known.experiment_id if known else client.create_experiment(self.experiment))
            client.set_experiment_tag(self._number, VIEW_TAG, json_text(view(self._settings)))
            client.set_experiment_tag(self._number, "mlflow.experimentKind", "custom_model_development")
        return self._number

    def _create(self, number: str, trial: str, params: Mapping[str, Any]) -> str:
        client, short = self.connected(), self.tags["sweep"][:SHORT_ID]
        tags = {**self.tags, "trial": trial}
        name = f"{short} {trial}"
        if trial == _WHOLE:
            name = f"{short} sweep of {datetime.now(UTC):%Y-%m-%d %H:%M}"
        else:
            tags[_PARENT] = self.run(_WHOLE, {})
        run = client.create_run(number, run_name=name)
        client.log_batch(
            run.info.run_id,
            params=[Param(k, value_text(v)[:500]) for k, v in params.items()],
            tags=[RunTag(k, v) for k, v in tags.items()],
        )
        return str(run.info.run_id)


class MlflowTracker(Callback):
    """Ray Tune's callback that writes the trials of one stage of a sweep to MLflow."""

    def __init__(self, sweep: SweepTracking, params: Mapping[str, Mapping[str, Any]]) -> None:
        self._sweep = sweep
        self._params = {name: dict(v) for name, v in params.items()}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write a report to MLflow if it holds a new validation."""
        self._sweep.attempt(lambda: self._write(str(trial), result))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Copy the runs to the storage: the machine of the driver may not live to the end of the stage."""
        self._sweep.keep()

    def close(self, record: TrialRecord) -> None:
        """Write to MLflow how a trial ended."""
        self._sweep.attempt(lambda: self._end(record))

    def _write(self, name: str, result: Mapping[str, Any]) -> None:
        # The iteration of the validation, in environment steps: reports between two validations repeat it.
        run = self._run(name)
        if result["validated_at"] != result["iteration"] or not self._sweep.is_new(name, result["env_steps"]):
            return
        numbers = {
            **{f"validation_{k}": v for k, v in result["validation"].items()},
            "best_score": result["best_score"],
            "episode_return": result["episode_return"],
            "steps_per_s": result["steps_per_s"],
            "iteration": result["iteration"],
        }
        at_ms = int(result["timestamp"]) * 1000
        step = int(result["env_steps"])
        metrics = [Metric(k, float(v), at_ms, step) for k, v in numbers.items() if v is not None]
        self._sweep.connected().log_batch(run, metrics=metrics)

    def _end(self, record: TrialRecord) -> None:
        client, run = self._sweep.connected(), self._run(record.id)
        outcome = f"{record.status}: {record.reason}"[:5000]
        if client.get_run(run).data.tags.get("outcome") == outcome:
            return  # an earlier start of the sweep wrote it; a second end would move the run's time
        # A run that an earlier machine lost the figures of still has its score.
        if record.score is not None and self._sweep.is_new(record.id, record.env_steps):
            client.log_metric(run, "best_score", record.score, step=record.env_steps)
        client.set_tag(run, "outcome", outcome)
        client.set_terminated(run, "FAILED" if record.status == "failed" else "FINISHED")

    def _run(self, name: str) -> str:
        return self._sweep.run(name, self._params.get(name, {}))


def view(settings: Sequence[str]) -> dict[str, Any]:
    """State of MLflow's table that shows score, settings and how a run ended, the best score first."""
    names = [*(s for s in settings if s != "train.seed"), "train.seed"]
    return {
        "selectedColumns": [
            "metrics.`best_score`",
            *(f"params.`{name}`" for name in names),
            "tags.`outcome`",
        ],
        "orderByKey": "metrics.`best_score`",
        "orderByAsc": False,
    }


def mirror_model(model: str, alias: str, address: str, place: TrackingPlace, say: Say) -> None:
    """Show ``model``, which lies at ``address`` in our registry, in MLflow's; an empty alias gives none."""
    try:
        client = place.client()
        if not client.search_registered_models(f"name = '{MODELS_NAME}'"):
            client.create_registered_model(MODELS_NAME)
        known = client.search_model_versions(f"name = '{MODELS_NAME}'")
        version = next((v for v in known if v.tags.get("model") == model), None)
        if version is None:
            version = client.create_model_version(MODELS_NAME, address, tags={"model": model})
        if alias:
            client.set_registered_model_alias(MODELS_NAME, alias, version.version)
    except TRACKING_ERRORS as err:
        say(f"{model} is not shown in MLflow at {place.shown}: {place.reason(err)}")
