"""Tracking: every trial is shown as an MLflow run, with settings as parameters and validations as metrics.

Place      ``MLFLOW_TRACKING_URI``, or an SQLite file in this program's home (``domain/places.py``).
Cost       one request a validation, from the driver; trials themselves know nothing of it.
Models     a sweep's challenger stands in MLflow's registry too, to be looked at; ours alone decides.
Failure    a server that cannot be reached is refused before a sweep starts. One that goes away later costs
           the tracking and not the sweep: the tracker says so once, and the figures lie in the runs' folders.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from ray.tune import Callback

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.places import home
from kalshi_platform.domain.saying import Say
from kalshi_platform.learning.tuning.sweep_record import TrialRecord

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
#: Name of our models in MLflow's registry.
MODELS_NAME: Final = "kalshi-platform"


def tracking_uri() -> str:
    """Address of the MLflow tracking."""
    given = os.environ.get(URI_VARIABLE)
    if given:
        return given
    home().mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home() / 'mlflow.db'}"


def _client() -> MlflowClient:
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # tables made on first use are no news
    return MlflowClient(tracking_uri=tracking_uri())


def require_tracking() -> None:
    """Raise StorageError where the tracking address cannot be reached; called before a sweep starts."""
    # MLflow repeats a failed request for minutes; a sweep is told at once.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        _client().search_experiments(max_results=1)
    except MlflowException as err:
        raise StorageError(
            f"runs cannot be tracked at {_shown(tracking_uri())}: {_reason(err)}; start that server, or "
            f"unset {URI_VARIABLE} to track in a file"
        ) from None


def mirror_model(model: str, alias: str, address: str, say: Say) -> None:
    """Show ``model``, which lies at ``address`` in our registry, in MLflow's under the same alias."""
    client = _client()
    try:
        if not client.search_registered_models(f"name = '{MODELS_NAME}'"):
            client.create_registered_model(MODELS_NAME)
        known = client.search_model_versions(f"name = '{MODELS_NAME}'")
        version = next((v for v in known if v.tags.get("model") == model), None)
        if version is None:
            version = client.create_model_version(MODELS_NAME, address, tags={"model": model})
        client.set_registered_model_alias(MODELS_NAME, alias, version.version)
    except MlflowException as err:
        say(f"{model} is not shown in MLflow at {_shown(tracking_uri())}: {_reason(err)}")


def _reason(err: Exception) -> str:
    """First line of the error, with the address in a form that may be shown."""
    uri = tracking_uri()
    return str(err).splitlines()[0].replace(uri, _shown(uri))[:300]


def _shown(uri: str) -> str:
    """The address without a user's name and password."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.netloc.rpartition('@')[0]}@", "") if "@" in parts.netloc else uri


class MlflowTracker(Callback):
    """Ray Tune's callback that writes a sweep's trials to MLflow."""

    def __init__(
        self,
        experiment: str,
        tags: Mapping[str, str],
        values: Mapping[str, Mapping[str, Any]],
        say: Say,
    ) -> None:
        self._say = say
        self._lost = False
        self._experiment = experiment
        self._tags = dict(tags)
        self._values = {name: dict(v) for name, v in values.items()}
        self._runs: dict[str, str] = {}  # trial -> MLflow's run id
        self._written: dict[str, int] = {}  # trial -> iteration of the last validation written
        self._client: MlflowClient | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune stores its callbacks; a client holds connections.
        return {**self.__dict__, "_client": None, "_say": None}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write a report to MLflow if it holds a new validation."""
        name = str(trial)
        if self._written.get(name) != result["validated_at"]:
            self._written[name] = int(result["validated_at"])
            self._try(lambda: self._write(name, result))

    def close(self, record: TrialRecord) -> None:
        """Write to MLflow how a trial ended."""
        self._try(lambda: self._end(record))

    def _write(self, name: str, result: Mapping[str, Any]) -> None:
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
        self._connected().log_batch(self._run(name), metrics=metrics)

    def _end(self, record: TrialRecord) -> None:
        client = self._connected()
        run = self._run(record.id)
        client.set_tag(run, "outcome", f"{record.status}: {record.reason}"[:5000])
        client.set_terminated(run, "FAILED" if record.status == "failed" else "FINISHED")

    def _try(self, request: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            request()
        except MlflowException as err:
            self._lost = True
            self._say(f"tracking at {_shown(tracking_uri())} ended: {_reason(err)}; the sweep goes on")

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = _client()
        return self._client

    def _run(self, name: str) -> str:
        """Id of MLflow's run of a trial; an earlier start of this sweep may have made it."""
        if name not in self._runs:
            client = self._connected()
            known = client.get_experiment_by_name(self._experiment)
            number = known.experiment_id if known else client.create_experiment(self._experiment)
            wanted = f"tags.sweep = '{self._tags['sweep']}' and tags.trial = '{name}'"
            found = client.search_runs([number], filter_string=wanted, max_results=1)
            self._runs[name] = found[0].info.run_id if found else self._create(client, number, name)
        return self._runs[name]

    def _create(self, client: MlflowClient, number: str, name: str) -> str:
        run = client.create_run(number, run_name=name)
        params = [Param(k, str(v)[:500]) for k, v in self._values.get(name, {}).items()]
        tags = [RunTag(k, v) for k, v in {**self._tags, "trial": name}.items()]
        client.log_batch(run.info.run_id, params=params, tags=tags)
        return str(run.info.run_id)
