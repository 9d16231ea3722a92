"""Registration of a training run: its best policy is exported, proved equal, and judged once for its claims.

Reads      run.json and env.json of the run (learning/training/session.py writes them) and its best
           checkpoint.
Not        promotion: evidence.py measures every claim again before anybody relies on it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.promotion.evidence import (
    JUDGED_SPLIT,
    Measure,
    judged_environment,
    judging_config,
    measure_performance,
)
from kalshi_platform.evaluation.promotion.example import judged_example
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.examples import add_example, read_example
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.flaws import Flaw
from kalshi_platform.models.registry.provenance import DataCounts, count_data
from kalshi_platform.models.registry.record import WEIGHTS_NAME, Claims, ModelRecord, digests_of, model_id
from kalshi_platform.models.registry.store import Registry, now
from kalshi_platform.simulation.envs.settings import RUN_FILE, read_environment
from kalshi_platform.simulation.replay.open import open_bank

_KEYS: Final = ("dataset", "dataset_digest", "commit", "packages")


def register_run(
    registry: Registry,
    run: Path,
    dataset_uri: str,
    *,
    config: EvalConfig | None = None,
    measure: Measure = measure_latency,
    flaws: Sequence[Flaw] = (),
    say: Say = silent,
) -> ModelRecord:
    """Register the best policy of ``run`` (a run's folder, or one of its checkpoints).

    Its claims are measured on the validation split of ``dataset_uri``, which must be the dataset it was
    trained on or have grown from it (ContractError otherwise). The errors of that checkup are kept with them,
    and further ``flaws`` that others found, such as on test events. Registering the same model again returns
    the record that is there.
    """
    policy = FrozenPolicy.load(run)
    environment = read_environment(run)
    about = _read_run(run)
    dataset = Dataset.open(dataset_uri)
    taught_by: str = about["dataset_digest"]
    if not dataset.manifest.descends_from(taught_by):
        raise ContractError(
            f"{run} was trained on dataset {taught_by}, {dataset_uri} is {dataset.digest} and did not grow "
            "from it: register it with the dataset it was trained on, or train on this one"
        )
    policy.require_features(dataset.manifest.feature_digest, environment.groups)
    weights = export_weights(policy)
    sha256, digests = hashlib.sha256(weights).hexdigest(), digests_of(policy.spec)
    settings = environment.model_dump(mode="json")
    model = model_id(sha256, policy.spec, settings, digests, taught_by, about["commit"])
    where = f"dataset {dataset.digest}, {JUDGED_SPLIT} split"
    if registry.holds(model):
        return _held(registry, model, dataset_uri, where)
    record = ModelRecord(
        id=model,
        artefacts={WEIGHTS_NAME: sha256},
        spec=policy.spec,
        environment=settings,
        digests=digests,
        dataset=about["dataset"],
        dataset_digest=taught_by,
        commit=about["commit"],
        packages={"python": str(about.get("python", "unknown")), **about["packages"]},
        claims=None,
        created_at=now(),
        source_run=str(Path(run).resolve()),
        trained_on=_taught_on(dataset_uri, taught_by),
        worlds=dataset.manifest.worlds,
    )
    env = judged_environment(record)
    bank = open_bank(dataset_uri, JUDGED_SPLIT, env.groups)
    rules = choose_on_train(dataset_uri, env, say=say)
    judging = config or judging_config(bank)
    claimed = measure_performance(policy, bank, env, judging, measure, say, rules=rules)
    claims = Claims(
        dataset_digest=dataset.digest, split=JUDGED_SPLIT, performance=claimed.performance,
        judged_on=claimed.judged_on, flaws=tuple(dict.fromkeys((*claimed.flaws, *flaws))),
    )  # fmt: skip
    added = registry.add(record.replace(claims=claims.model_dump()), {WEIGHTS_NAME: weights})
    add_example(registry, model, judged_example(bank, env, policy.spec, where))
    return added


def _held(registry: Registry, model: str, dataset_uri: str, where: str) -> ModelRecord:
    """Record of a model that is there; one that an earlier release registered gets its example now."""
    record = registry.record(model)
    if read_example(registry, model) is None:
        env = judged_environment(record)
        bank = open_bank(dataset_uri, JUDGED_SPLIT, env.groups)
        add_example(registry, model, judged_example(bank, env, record.spec, where))
    return record


def _taught_on(dataset_uri: str, digest: str) -> DataCounts | None:
    """Events and blocks of the training split by provenance, in the state that taught.

    None where that state is no longer kept: the present one holds events that the model has never seen.
    """
    try:
        markets = Dataset.open(dataset_uri, state=digest).entries("train")
    except DataError:
        return None
    taught = markets.take(np.flatnonzero(markets.is_playable))
    return count_data((m.provenance, m.event, m.block) for m in taught)


def _read_run(run: Path) -> dict[str, Any]:
    """Content of run.json, in the run's folder or above the checkpoint named.

    DataError where there is none.
    """
    folder = Path(run).resolve()
    path = next((p / RUN_FILE for p in (folder, *folder.parents[:2]) if (p / RUN_FILE).is_file()), None)
    if path is None:
        raise DataError(f"{run} has no {RUN_FILE} in it or above it: name the folder that `train` wrote")
    try:
        values = json_value(path.read_text())
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}): restore it from the run that made it") from None
    if not isinstance(values, dict) or (missing := [key for key in _KEYS if key not in values]):
        raise DataError(f"{path} lacks {missing if isinstance(values, dict) else 'its fields'}: train anew")
    return values
