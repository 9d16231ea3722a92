"""Every trial as an MLflow run: settings as parameters, validations as metrics.

Where      ``MLFLOW_TRACKING_URI``, or an SQLite file in this program's home (``domain/places.py``).
Cost       one request a validation, from the driver; trials themselves know nothing of it.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from ray.tune import Callback

from kalshi_platform.comparison.sweep_record import TrialRecord
from kalshi_platform.domain.places import home

URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"

logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # tables made on first use are no news


def tracking_uri() -> str:
    """Where runs are tracked."""
    given = os.environ.get(URI_VARIABLE)
    if given:
        return given
    home().mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home() / 'mlflow.db'}"


class MlflowTracker(Callback):
    """Ray Tune's callback that writes a sweep's trials to MLflow."""

    def __init__(
        self, experiment: str, tags: Mapping[str, str], values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._experiment = experiment
        self._tags = dict(tags)
        self._values = {name: dict(v) for name, v in values.items()}
        self._runs: dict[str, str] = {}  # trial -> MLflow's run id
        self._written: dict[str, int] = {}  # trial -> iteration of the last validation written
        self._client: MlflowClient | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune stores its callbacks; a client holds connections.
        return {**self.__dict__, "_client": None}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A report; only one with a new validation is written."""
        name = str(trial)
        if self._written.get(name) == result["validated_at"]:
            return
        self._written[name] = int(result["validated_at"])
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

    def close(self, record: TrialRecord) -> None:
        """Say how a trial ended."""
        client = self._connected()
        run = self._run(record.id)
        client.set_tag(run, "outcome", f"{record.status}: {record.reason}"[:5000])
        client.set_terminated(run, "FAILED" if record.status == "failed" else "FINISHED")

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = MlflowClient(tracking_uri=tracking_uri())
        return self._client

    def _run(self, name: str) -> str:
        """MLflow's run of a trial; the one an earlier start of this sweep has made, where there is one."""
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
