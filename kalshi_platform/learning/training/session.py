"""A training run on a dataset: opens its splits, trains, validates on held-out events, leaves a folder.

Folder   the files of ``learning/training/run.py``, plus run.json (all settings, dataset and feature digests,
         commit, versions) and env.json (the environment in which the policy must be judged)
"""

import importlib.metadata
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kalshi_platform.data.dataset.manifest import Split, judge_only_words
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST, features_of
from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.judging.evaluate import score, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.validation import Validation
from kalshi_platform.learning.training.annealing import annealing_note
from kalshi_platform.learning.training.checkpoint import newest_number
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.folder import (
    CONFIG,
    MAY_CHANGE,
    MAY_MUTATE,
    read_object,
    require_same,
    sections,
)
from kalshi_platform.learning.training.machine import learner_device
from kalshi_platform.learning.training.presets import (
    PRESETS,
    STANDARD_ENV,
    STANDARD_EPISODES,
    preset_named,
)
from kalshi_platform.learning.training.progress import Progress
from kalshi_platform.learning.training.run import Stop, TrainResult, train
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.simulation.envs.curriculum import CurriculumConfig, volume_note
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, RUN_FILE, environment_text
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.open import SplitOpener, open_bank

_log = logging.getLogger(__name__)

_PACKAGES: Final = ("kalshi-platform", "numpy", "numba", "pyarrow", "polars", "ray", "torch")


class RunSettings(Config):
    """Settings that decide a run together with the data; the defaults are the preset ``standard``."""

    env: EnvConfig = STANDARD_ENV
    episodes: EpisodeConfig = STANDARD_EPISODES
    curriculum: CurriculumConfig = CurriculumConfig()
    train: TrainConfig = TrainConfig()

    @classmethod
    def of_preset(cls, name: str) -> "RunSettings":
        """Settings of the preset ``name``; ``RunSettings()`` is ``standard``."""
        return cls().with_values(dict(preset_named(name).changes))

    @property
    def in_words(self) -> str:
        """The preset that these settings are nearest to, and every setting that differs from it."""
        name, differs = min(((p, _differences(self, p)) for p in PRESETS), key=lambda found: len(found[1]))
        if not differs:
            return f"preset {name}"
        return f"preset {name} with " + ", ".join(f"{k}={v}" for k, v in differs.items())


def _differences(settings: RunSettings, preset: str) -> dict[str, Any]:
    """Settings, by dotted name, that differ from those of the preset."""
    own, its = (
        sections(**{name: getattr(s, name) for name in RunSettings.model_fields})
        for s in (settings, RunSettings.of_preset(preset))
    )
    return {name: value for name, value in own.items() if value != its[name]}


def stored_settings(out: Path) -> RunSettings:
    """Settings of the run in ``out``, its steps included; DataError where its records cannot be read.

    ContractError where there is no run.
    """
    if newest_number(out) is None:
        raise ContractError(
            f"{out} holds no checkpoint to resume from: leave out --resume, and the run starts from its "
            "beginning"
        )
    began = _settings(out / RUN_FILE, _recorded(out)["settings"])
    # config.json is the newer one: population-based training changes it.
    now = _settings(out / CONFIG, {**began.model_dump(mode="json"), "train": read_object(out / CONFIG)})
    was, found = sections(train=began.train), sections(train=now.train)
    fixed = [name for name in found if name.removeprefix("train.") not in MAY_CHANGE | MAY_MUTATE]
    changed = [
        f"{name} {shown_value(found[name])} and {shown_value(was[name])}"
        for name in fixed
        if found[name] != was[name]
    ]
    if changed:
        shown = bounded_message(", ".join(changed), 200)
        raise DataError(
            f"{out / CONFIG} and {out / RUN_FILE} tell different settings ({shown}): one of "
            "them was changed after the run wrote it; restore it, or start the run in another --out"
        )
    return now


def _settings(path: Path, values: Any) -> RunSettings:
    """Settings that ``path`` holds; DataError where they are none."""
    try:
        return RunSettings.parse(values)
    except ContractError as err:
        raise DataError(f"{path}: {err}; restore it, or start the run in another --out") from None


def stored_dataset(out: Path) -> str:
    """Address of the dataset that the run in ``out`` learned from."""
    return str(_recorded(out)["dataset"])


def run_training(
    settings: RunSettings,
    dataset_uri: str,
    out: Path,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    mutated: frozenset[str] = frozenset(),
    blocks: frozenset[str] | None = None,
) -> TrainResult:
    """Train on the train split of the dataset at ``dataset_uri``, validated on its validation split.

    ``blocks`` are the validation blocks that choose the best checkpoint; None: all of them.
    ``stop`` and ``mutated`` as in :func:`kalshi_platform.learning.training.run.train`. ContractError where a
    resumed run meets another dataset or other settings than it began with.
    """
    dataset = _open(dataset_uri, out, resume)
    require_ready(settings, dataset)
    began = None
    if resume:
        _require_same_run(out, settings, dataset, mutated)
        began = stored_settings(out).train
    if note := annealing_note(settings.train, began, (newest_number(out) or 0) * settings.train.batch_size):
        _log.warning(note)
    feature_sets, state = settings.env.groups, dataset.digest
    open_train = SplitOpener(dataset_uri, "train", feature_sets, state=state)
    held_out = open_bank(dataset_uri, "validation", feature_sets, state=state)
    papers = {RUN_FILE: _record(settings, dataset), ENVIRONMENT_FILE: environment_text(settings.env)}
    source = TrainingSource(open_train, FEATURE_DIGEST, settings.env, settings.episodes, settings.curriculum)
    if note := volume_note(source.bank, settings.curriculum):
        _log.warning(note)
    try:
        return train(
            source,
            out,
            settings.train,
            validator(held_out, settings.env, blocks),
            progress,
            resume,
            stop,
            mutated,
            papers,
        )
    finally:
        source.close()


def _open(uri: str, out: Path, resume: bool) -> Dataset:
    """The dataset; for a resumed run the state that the run began on, where the dataset has grown since."""
    dataset = Dataset.open(uri)
    if resume and (out / RUN_FILE).exists():
        began = _recorded(out)["dataset_digest"]
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


def validator(
    bank: Bank, env: EnvConfig, blocks: frozenset[str] | None = None
) -> Callable[[FrozenPolicy], Validation]:
    """A function that scores a policy in training: its returns on held-out blocks, as shares of capital.

    ``blocks`` None: on all of ``bank``.
    """
    config = EvalConfig.for_rows(bank.n_rows).replace(seeds=(0,), fee_ladder=False)

    def validate(policy: FrozenPolicy) -> Validation:
        return Validation.of(score(trained(policy), bank, env, config, blocks))

    return validate


def _record(settings: RunSettings, dataset: Dataset) -> str:
    """Text of run.json."""
    record = {
        "settings": settings.model_dump(mode="json"),
        "dataset": dataset.uri,
        "dataset_digest": dataset.digest,
        "feature_digest": FEATURE_DIGEST,
        "commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    return json_text(record, indent=1) + "\n"


def _recorded(out: Path) -> dict[str, Any]:
    """Content of run.json; DataError where it is damaged."""
    found = read_object(out / RUN_FILE)
    missing = [name for name in ("settings", "dataset", "dataset_digest") if name not in found]
    if missing:
        raise DataError(
            f"{out / RUN_FILE} lacks {', '.join(missing)}: restore it, or start the run in another --out"
        )
    return found


def _require_same_run(out: Path, settings: RunSettings, dataset: Dataset, mutated: frozenset[str]) -> None:
    """Refuse to resume the run in ``out`` on another dataset or with other settings than it began with."""
    stored = stored_settings(out)
    began = _recorded(out)["dataset_digest"]
    if began != dataset.digest:
        raise ContractError(
            f"{out} began on dataset {began}, {dataset.uri} is {dataset.digest}: leave out --dataset, and "
            "--resume takes the run's, or start a new run in another --out"
        )
    was, asked = (sections(**{name: getattr(s, name) for name in RunSettings.model_fields})
                  for s in (stored, settings))  # fmt: skip
    require_same(out, was, asked, mutated)
