"""Checkpoints on disk: written whole or not at all, read without unpickling, refused when damaged.

Layout     run/checkpoints/000012/   policy.json policy.pt optimizer.pt state.json arrays.npz manifest.json,
                                     validation.json where the policy was validated
           run/best, run/latest      links to one of them, replaced atomically
           run/checkpoints/best-000012   the best one, once another was written under its number: a run that
                                     took over another run's weights counts on from that run's iteration
Invariant  manifest.json names every other file with its digest and is written last (``storage/sealed.py``);
           whoever reads a checkpoint verifies all of it. The folder appears under its name only when
           everything in it has reached the disk.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from kalshi_platform.domain.bounded import bounded_message
from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.evaluation.judging.validation import VALIDATION_FILE, Validation
from kalshi_platform.models.networks.policy import FrozenPolicy, read_tensors
from kalshi_platform.storage.sealed import seal, verify
from kalshi_platform.storage.whole_file import point_to, whole_folder

CHECKPOINTS: Final = "checkpoints"
BEST: Final = "best"
LATEST: Final = "latest"
_log = logging.getLogger(__name__)
_ASIDE: Final = "best-"
_OPTIMIZER, _STATE, _ARRAYS = "optimizer.pt", "state.json", "arrays.npz"


class TrainingState(NamedTuple):
    """Everything that a run continues from, apart from the policy's weights."""

    optimizer: dict[str, Any]
    values: dict[str, Any]  # plain values: counters, settings, states of generators
    arrays: dict[str, np.ndarray]  # states of the environments


def write_checkpoint(
    run: Path,
    iteration: int,
    policy: FrozenPolicy,
    state: TrainingState,
    validation: Validation | None = None,
    *,
    is_best: bool = False,
) -> Path:
    """Write checkpoint ``iteration`` and point ``latest`` at it, and ``best`` first where ``is_best``.

    A run that is killed between the two links goes on from the checkpoint before and writes this one again.
    After a StorageError no partial one is left.
    """
    target = run / CHECKPOINTS / f"{iteration:06d}"
    try:
        if not is_best and (run / BEST).exists() and (run / BEST).resolve() == target.resolve():
            _set_aside(run, target)
        with new_checkpoint(target) as folder:
            policy.save(folder)
            torch.save(state.optimizer, folder / _OPTIMIZER)
            (folder / _STATE).write_text(json_text(state.values, indent=1) + "\n")
            np.savez(folder / _ARRAYS, allow_pickle=False, **state.arrays)
            if validation is not None:
                (folder / VALIDATION_FILE).write_text(validation.model_dump_json(indent=1) + "\n")
            seal(folder)
        if is_best:
            point(run, BEST, target)
        point(run, LATEST, target)
    except (OSError, RuntimeError) as err:  # torch.save says RuntimeError where the disk is full
        told = str(err).splitlines()[0] if str(err) else type(err).__name__
        again = "continue with --resume" if newest_number(run) is not None else "start the run again"
        raise StorageError(
            f"checkpoint {target} could not be written: {told}; free space and {again}"
        ) from err
    return target


def _set_aside(run: Path, best: Path) -> None:
    """Keep the best checkpoint under a name of its own: another is about to be written under its number."""
    aside = best.with_name(f"{_ASIDE}{best.name}")
    with new_checkpoint(aside) as folder:
        for path in best.iterdir():
            shutil.copyfile(path, folder / path.name)
    point(run, BEST, aside)


@contextmanager
def new_checkpoint(target: Path) -> Iterator[Path]:
    """A folder to fill that becomes the checkpoint ``target``; folders that a killed writer left are deleted.

    One process writes a run's folder at a time (``storage/locks.py``): no other fills one of them now.
    """
    for leftover in target.parent.glob(".*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    with whole_folder(target, replace=True) as folder:
        yield folder


def point(run: Path, name: str, target: Path) -> None:
    """Make ``run/name`` a link to the checkpoint ``target``, atomically and durably."""
    point_to(run / name, target)


def read_checkpoint(folder: Path) -> tuple[FrozenPolicy, TrainingState]:
    """Policy and state in ``folder``; a DataError names the file that is missing or damaged."""
    policy = FrozenPolicy.load(folder)  # verifies every file
    for name in (_OPTIMIZER, _STATE, _ARRAYS):
        if not (folder / name).exists():
            raise DataError(f"{folder / name} is missing: {folder} holds a policy and no run to continue")
    values = _values(folder / _STATE)
    try:
        with (folder / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (
        Exception
    ) as err:  # numpy and zipfile raise a dozen kinds for a damaged file; all mean the same here
        told = f"{type(err).__name__}: {bounded_message(str(err), 200)}"
        raise DataError(
            f"{folder / _ARRAYS} holds no plain arrays ({told}); take another checkpoint"
        ) from None
    return policy, TrainingState(read_tensors(folder / _OPTIMIZER), values, arrays)


def _values(path: Path) -> dict[str, Any]:
    """Content of state.json; DataError where it is no JSON object."""
    try:
        found = json_value(path.read_bytes())
    except ValueError as err:
        raise DataError(f"{path} is not JSON ({err}); take another checkpoint") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object; take another checkpoint")
    return found


def newest_sound(run: Path) -> Path:
    """The checkpoint ``latest`` names or, where its files are damaged, the newest sound one before it.

    The log names a damaged checkpoint, and ``latest`` is pointed at the sound one. Where all are damaged, the
    error of the newest is raised.
    """
    first: DataError | None = None
    newest = (run / LATEST).resolve().name
    for folder in reversed([f for f in stored_checkpoints(run) if f.name <= newest]):
        try:
            verify(folder)
        except DataError as err:
            first = first or err
            _log.warning("%s; going on from the checkpoint before it", err)
        else:
            if first is not None or not (run / LATEST).exists():
                point(run, LATEST, folder)
            return folder
    raise first or DataError(f"{run / CHECKPOINTS} holds no checkpoint: start the run again")


def stored_checkpoints(run: Path) -> list[Path]:
    """Folders of all complete checkpoints, oldest first; what else lies beside them is none."""
    if not (run / CHECKPOINTS).is_dir():
        return []
    found = (path for path in (run / CHECKPOINTS).iterdir() if path.name.isdecimal() and path.is_dir())
    return sorted(found, key=lambda path: int(path.name))


def newest_number(run: Path) -> int | None:
    """Iteration of the checkpoint that a resumed run goes on from, damaged or not; None where none is."""
    if (run / LATEST).exists():
        return int((run / LATEST).resolve().name)
    found = stored_checkpoints(run)
    return int(found[-1].name) if found else None


def best_number(run: Path) -> int | None:
    """Iteration of the best checkpoint; None where none is named."""
    if not (run / BEST).exists():
        return None
    return int((run / BEST).resolve().name.removeprefix(_ASIDE))


def remove_old(run: Path, keep: int) -> None:
    """Delete all checkpoints but the ``keep`` newest, the latest and the best."""
    named = {(run / name).resolve() for name in (BEST, LATEST) if (run / name).exists()}
    beside = (run / CHECKPOINTS).glob(f"{_ASIDE}*")
    aside = [path for path in beside if path.name.removeprefix(_ASIDE).isdecimal()]
    for path in (*stored_checkpoints(run)[:-keep], *aside):
        if path.resolve() not in named:
            shutil.rmtree(path)
