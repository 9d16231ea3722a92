"""A training run on a dataset: open its splits, train, validate on held-out events, leave a folder behind.

Folder   what ``training/run.py`` writes, plus run.json (all settings, dataset and feature digests, commit,
         versions) and env.json (what the policy must be judged in)
"""

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.envs.config import EnvConfig, EpisodeConfig
from kalshi_platform.envs.curriculum import CurriculumConfig
from kalshi_platform.envs.settings import write_environment
from kalshi_platform.evaluation.evaluate import score, trained
from kalshi_platform.evaluation.evaluation import EvalConfig
from kalshi_platform.events.store import Dataset
from kalshi_platform.features.spec import FEATURE_DIGEST
from kalshi_platform.models.policy import FrozenPolicy
from kalshi_platform.replay.bank import Bank
from kalshi_platform.replay.open import open_bank
from kalshi_platform.training.config import TrainConfig
from kalshi_platform.training.run import SCORE, Progress, Stop, TrainResult, train
from kalshi_platform.training.source import TrainingSource

RUN_FILE: Final = "run.json"
_PACKAGES: Final = ("kalshi-platform", "numpy", "numba", "ray", "torch")


class RunSettings(Config):
    """Everything that decides a run, apart from the data."""

    env: EnvConfig = EnvConfig()
    episodes: EpisodeConfig = EpisodeConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    train: TrainConfig = TrainConfig()

    def with_values(self, assignments: dict[str, Any]) -> "RunSettings":
        """A copy with dotted settings replaced, e.g. train.learning_rate; ContractError names a wrong one."""
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
) -> TrainResult:
    """Train on the train split of the dataset at ``dataset_uri``, validated on its validation split.

    ContractError where ``resume`` meets another dataset or other settings than the run began with.
    """
    dataset = Dataset.open(dataset_uri)
    groups = settings.env.groups
    open_train = partial(open_bank, dataset_uri, "train", groups)
    held_out = open_bank(dataset_uri, "validation", groups)
    out.mkdir(parents=True, exist_ok=True)
    _record(out, settings, dataset, resume)
    write_environment(out, settings.env)
    source = TrainingSource(open_train, FEATURE_DIGEST, settings.env, settings.episodes, settings.curriculum)
    try:
        return train(source, out, settings.train, validator(held_out, settings.env), progress, resume, stop)
    finally:
        source.close()


def validator(bank: Bank, env: EnvConfig) -> Callable[[FrozenPolicy], dict[str, float]]:
    """What training calls to score a policy: the mean return over held-out events, a share of the capital."""
    config = EvalConfig.for_rows(bank.n_rows).replace(seeds=(0,), fee_ladder=False)

    def validate(policy: FrozenPolicy) -> dict[str, float]:
        result = score(trained(policy), bank, env, config)
        mean = result.mean_return
        if mean.estimate is None:
            raise DataError(f"no held-out episode could be scored ({mean.note}); validate on more events")
        found = {SCORE: mean.estimate, "low": mean.low, "high": mean.high}
        # One event alone has no interval: its bounds are left out, not zero.
        known = {name: value for name, value in found.items() if value is not None}
        return known | {"trade_rate": result.trading.trade_rate, "sharpe": result.event_sharpe}

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
    partial_path = path.with_suffix(".partial")
    partial_path.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(partial_path, path)


def git_commit() -> str | None:
    """Commit of the checkout this program runs from, "-dirty" if it was changed; None outside one."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"],
            cwd=folder, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip()
