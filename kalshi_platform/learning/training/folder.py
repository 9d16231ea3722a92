"""The folder of a run: is the run in it the one to continue?

Files      config.json     TrainConfig, written here
           run.json        all settings, dataset and feature digests, commit, versions (``session.py``)
           env.json        the environment in which the policy must be judged (``session.py``)
           metrics.jsonl   one line per iteration (``run.py``, ``metrics.py``)
           tensorboard/    the learning curves for TensorBoard, from metrics.jsonl (``curves.py``)
           run.html        the page of the run, written again after each validation (``page.py``)
           checkpoints/    one folder per checkpoint, named by its iteration (``checkpoint.py``)
           latest, best    name the newest checkpoint, and the one with the best validation score
           trial.json      only in a trial of a sweep (``learning/tuning/trial.py``)
           evaluation/     only after the run was judged: report.html, report.json (``evaluation/judging``)
           .lock           held by the process that writes the folder
Invariant  one process writes a folder at a time (``storage/locks.py``): an actor that Ray has given up for
           lost may live a while.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.learning.training.checkpoint import newest_number
from kalshi_platform.learning.training.config import TrainConfig
from kalshi_platform.learning.training.metrics import require_whole
from kalshi_platform.storage.sealed import MANIFEST
from kalshi_platform.storage.whole_file import write_whole

CONFIG: Final = "config.json"
#: Settings a resumed run may have changed: they decide how long it runs, not what it computes.
MAY_CHANGE: Final = frozenset(
    {"total_env_steps", "patience", "min_gain", "keep_checkpoints", "checkpoint_every", "max_restarts"}
)
#: Settings population-based training may change as well, between two iterations.
MAY_MUTATE: Final = frozenset(
    {"learning_rate", "entropy_coeff", "clip", "value_coeff", "value_clip", "gamma", "gae_lambda"}
)


def claim(
    out: Path,
    config: TrainConfig,
    resume: bool,
    mutated: frozenset[str] = frozenset(),
    papers: Mapping[str, str] | None = None,
) -> None:
    """Take the folder for this run, or go on with the run in it: write config.json and ``papers``.

    ``papers`` are further files by name. Refusals are those of :func:`require_claimable`; they write nothing.
    """
    require_claimable(out, config, resume, mutated)
    for name, text in (papers or {}).items():
        write_whole(out / name, text)
    write_whole(out / CONFIG, config.model_dump_json(indent=1) + "\n")


def require_claimable(
    out: Path, config: TrainConfig, resume: bool, mutated: frozenset[str] = frozenset()
) -> None:
    """Refuse a folder that holds another run, or none where one should be resumed; nothing is written.

    A run without a checkpoint holds nothing that could be lost: it may be started again.
    ``mutated`` names settings that may differ besides those of MAY_CHANGE.
    """
    if out.exists() and not out.is_dir():
        raise ContractError(f"--out {out} is a file: name a folder")
    if (out / MANIFEST).exists():
        raise ContractError(
            f"--out {out} has a {MANIFEST}: it is a checkpoint or a dataset, and another file in it would "
            "damage it; name the folder of a run, or a new one"
        )
    done = newest_number(out)
    if not resume:
        if done is not None:
            raise ContractError(
                f"{out} already holds a run: continue it with --resume, or choose another --out"
            )
        return
    if done is None:
        raise ContractError(
            f"{out} holds no checkpoint to resume from: leave out --resume, and the run starts from its "
            "beginning"
        )
    was = TrainConfig.parse(read_object(out / CONFIG))
    require_same(out, sections(train=was), sections(train=config), mutated)
    if config.iterations < done:
        raise ContractError(
            f"{out} has made {done * config.batch_size:,} steps already, {config.total_env_steps:,} are "
            "asked for: leave out --steps, or ask for more"
        )
    require_whole(out, done)


def sections(**of_run: Any) -> dict[str, Any]:
    """Settings by dotted name, such as train.seed, of the sections of a run's settings."""
    return {
        f"{section}.{name}": value
        for section, model in of_run.items()
        for name, value in model.model_dump(mode="json").items()
    }


def require_same(
    out: Path, was: Mapping[str, Any], asked: Mapping[str, Any], mutated: frozenset[str] = frozenset()
) -> None:
    """Refuse to resume with a setting that decides what a run computes and differs from the run's."""
    allowed = {f"train.{name}" for name in MAY_CHANGE | mutated}
    refused = [name for name in asked if was.get(name) != asked[name] and name not in allowed]
    if refused:
        shown = ", ".join(f"{name} {was.get(name)!r} -> {asked[name]!r}" for name in refused)
        raise ContractError(
            f"{out} was started with other settings ({shown}): leave these options out, and --resume takes "
            "the run's, or choose another --out"
        )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a run's folder; DataError where it is missing or damaged."""
    remedy = "restore it, or start the run in another --out"
    try:
        found = json_value(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {remedy}") from None
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}): {remedy}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object: {remedy}")
    return found
