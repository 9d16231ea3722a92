"""A training run on a dataset: opens its splits, trains, validates on held-out events, leaves a folder.

Folder   the files of ``learning/training/run.py``, plus run.json (all settings, dataset and feature digests,
         commit, versions) and env.json (the environment in which the policy must be judged)
"""

import importlib.metadata
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kalshi_platform.data.dataset.manifest import Split, judge_only_words
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST, features_of
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.judging.evaluate import score, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.machine import learner_device
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.run import Stop, TrainResult, train
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig
from kalshi_platform.simulation.envs.settings import write_environment
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.open import SplitOpener, open_bank
from kalshi_platform.storage.whole_file import write_whole

RUN_FILE: Final = "run.json"
_PACKAGES: Final = ("kalshi-platform", "numpy", "numba", "pyarrow", "polars", "ray", "torch")


class RunSettings(Config):
    """Settings that decide a run together with the data."""

    env: EnvConfig = EnvConfig()
    episodes: EpisodeConfig = EpisodeConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    train: TrainConfig = TrainConfig()

    def with_values(self, assignments: dict[str, Any]) -> "RunSettings":
        """Copy with dotted settings replaced, e.g. train.learning_rate; a ContractError names a wrong one."""
        values = self.model_dump()
        for path, value in assignments.items():
            section, _, name = path.partition(".")
            if section not in values or name not in values[section]:
                known = [f"{s}.{n}" for s, fields in values.items() for n in fields]
                raise ContractError(f"unknown setting {path!r}; there are {', '.join(known)}")
            values[section][name] = value
        return RunSettings.parse(values)


def run_training(
    settings: RunSettings,
    dataset_uri: str,
    out: Path,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    mutated: frozenset[str] = frozenset(),
) -> TrainResult:
    """Train on the train split of the dataset at ``dataset_uri``, validated on its validation split.

    ``stop`` and ``mutated`` as in :func:`kalshi_platform.learning.training.run.train`. ContractError where a
    resumed run meets another dataset or other settings than it began with.
    """
    dataset = _open(dataset_uri, out, resume)
    require_ready(settings, dataset)
    feature_sets, state = settings.env.groups, dataset.digest
    open_train = SplitOpener(dataset_uri, "train", feature_sets, state=state)
    held_out = open_bank(dataset_uri, "validation", feature_sets, state=state)
    out.mkdir(parents=True, exist_ok=True)
    _record(out, settings, dataset, resume)
    write_environment(out, settings.env)
    source = TrainingSource(open_train, FEATURE_DIGEST, settings.env, settings.episodes, settings.curriculum)
    try:
        return train(
            source,
            out,
            settings.train,
            validator(held_out, settings.env),
            progress,
            resume,
            stop,
            mutated,
        )
    finally:
        source.close()


def _open(uri: str, out: Path, resume: bool) -> Dataset:
    """The dataset; for a resumed run the state that the run began on, where the dataset has grown since."""
    dataset, path = Dataset.open(uri), out / RUN_FILE
    if resume and path.exists():
        began: str = json.loads(path.read_text())["dataset_digest"]
        if began in dataset.manifest.parents:
            return Dataset.open(uri, began)
    return dataset


def require_ready(settings: RunSettings, dataset: Dataset) -> None:
    """Refuse a run that could not begin; called before anything expensive, for one run or a whole sweep.

    DataError where the dataset has another feature table or no market in a split the run needs; ContractError
    names an unknown feature set or level, or a GPU that the settings ask for and the machine lacks.
    """
    made = dataset.manifest.feature_digest
    if made != FEATURE_DIGEST:
        raise DataError(
            f"{dataset.uri} was made with feature table {made}, this program has {FEATURE_DIGEST}: build the "
            "dataset again from its recordings"
        )
    features_of(settings.env.groups)
    level_named(settings.train.level)
    learner_device(settings.train.learner_device)
    needed: tuple[Split, ...] = ("train", "validation")
    for split in needed:
        if not dataset.entries(split):
            raise DataError(
                f"{dataset.uri} has no market in its {split} split: record or simulate more events"
                f"{judge_only_words(dataset.manifest)}"
            )


def validator(bank: Bank, env: EnvConfig) -> Callable[[FrozenPolicy], Validation]:
    """A function that scores a policy in training: its returns on held-out events, as shares of capital."""
    config = EvalConfig.for_rows(bank.n_rows).replace(seeds=(0,), fee_ladder=False)

    def validate(policy: FrozenPolicy) -> Validation:
        return Validation.of(score(trained(policy), bank, env, config))

    return validate


def _record(out: Path, settings: RunSettings, dataset: Dataset, resume: bool) -> None:
    """Write run.json; on resume compare with the one that is there."""
    path = out / RUN_FILE
    record = {
        "settings": settings.model_dump(mode="json"),
        "dataset": dataset.uri,
        "dataset_digest": dataset.digest,
        "feature_digest": FEATURE_DIGEST,
        "commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if resume and path.exists():
        was = json.loads(path.read_text())
        if was["dataset_digest"] != record["dataset_digest"]:
            raise ContractError(
                f"{out} began on dataset {was['dataset_digest']}, {dataset.uri} is {dataset.digest}: "
                "resume on the dataset it began with, or start a new run in another folder"
            )
        for part in ("env", "episodes", "curriculum"):
            if was["settings"][part] != record["settings"][part]:  # type: ignore[index]
                raise ContractError(f"{out} began with other {part} settings: {was['settings'][part]}")
    write_whole(path, json.dumps(record, indent=1) + "\n")
