"""Checkpoints: whole or not at all, refused when damaged."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made.registry_models import made_policy

from kalshi_platform.domain.errors import (
    ChecksumError,
    DataError,
    StorageError,
)
from kalshi_platform.learning.training import checkpoint
from kalshi_platform.learning.training.checkpoint import TrainingState
from kalshi_platform.models.registry.export import probes
from kalshi_platform.storage.sealed import seal

STATE = TrainingState(
    {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]},
    {"run": {"iteration": 3}, "rounds_learned": 3},
    {"0/envs": np.arange(6, dtype=np.int64), "waiting/obs": np.ones((2, 3), np.float32)},
)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A run folder with the checkpoint of iteration 3, latest and best."""
    run = tmp_path / "run"
    written = checkpoint.write_checkpoint(run, 3, made_policy(), STATE)
    checkpoint.point(run, checkpoint.BEST, written)
    return run


def test_a_checkpoint_gives_back_what_was_written(kept: Path):
    policy, state = checkpoint.read_checkpoint((kept / "latest").resolve())
    flat, _ = probes(policy.spec)
    assert policy.values(flat).tobytes() == made_policy().values(flat).tobytes()
    assert state.values == STATE.values
    assert state.optimizer["state"][0]["step"] == 3.0
    assert state.arrays.keys() == STATE.arrays.keys()
    for name, array in STATE.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array)
        assert state.arrays[name].dtype == array.dtype


def test_a_folder_that_a_killed_writer_left_goes_when_the_next_checkpoint_is_written(kept: Path):
    leftover = kept / "checkpoints" / ".000004.abc.partial"
    leftover.mkdir()
    (leftover / "policy.pt").write_bytes(b"half")
    checkpoint.write_checkpoint(kept, 4, made_policy(), STATE)
    assert [f.name for f in checkpoint.stored_checkpoints(kept)] == ["000003", "000004"]
    assert not leftover.exists()


def test_the_newest_latest_and_best_checkpoints_stay(kept: Path):
    for k in (4, 5, 6):
        checkpoint.write_checkpoint(kept, k, made_policy(), STATE)
    checkpoint.remove_old(kept, keep=1)
    assert [f.name for f in checkpoint.stored_checkpoints(kept)] == ["000003", "000006"]  # best and newest


def test_the_newest_sound_checkpoint_is_the_one_before_a_damaged_one_and_becomes_the_latest(kept: Path):
    damaged = checkpoint.write_checkpoint(kept, 4, made_policy(), STATE)
    assert checkpoint.newest_sound(kept) == damaged
    (damaged / "arrays.npz").write_bytes(b"half")
    assert checkpoint.newest_sound(kept).name == "000003"
    assert (kept / "latest").resolve().name == "000003"


@pytest.mark.parametrize("name", ["policy.pt", "optimizer.pt", "state.json", "arrays.npz", "policy.json"])
def test_a_damaged_checkpoint_is_refused_by_the_file(name: str, kept: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree((kept / "latest").resolve(), copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ChecksumError, match=name):
        checkpoint.read_checkpoint(copy)
    (copy / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        checkpoint.read_checkpoint(copy)


def test_a_checkpoint_without_its_manifest_is_not_complete(kept: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree((kept / "latest").resolve(), copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(DataError, match="not a complete checkpoint"):
        checkpoint.read_checkpoint(copy)


def test_a_full_disk_leaves_the_older_checkpoint_and_nothing_partial(kept: Path, tmp_path, monkeypatch):
    policy, state = checkpoint.read_checkpoint((kept / "latest").resolve())
    first = checkpoint.write_checkpoint(tmp_path, 1, policy, state)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(StorageError, match="No space left"):
        checkpoint.write_checkpoint(tmp_path, 2, policy, state)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]
    assert (tmp_path / "latest").resolve() == first.resolve()


@pytest.mark.parametrize("earlier", [True, False])
def test_torch_that_cannot_write_is_a_full_disk_and_says_how_to_go_on(kept: Path, monkeypatch, earlier):
    def save(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nframe #0")

    run = kept if earlier else kept / "new"
    monkeypatch.setattr(torch, "save", save)
    advice = "continue with --resume" if earlier else "start the run again"
    with pytest.raises(
        StorageError, match=rf"could not be written: .*unexpected pos 64 vs 0; free space and {advice}$"
    ):
        checkpoint.write_checkpoint(run, 4, made_policy(), STATE)
    assert checkpoint.newest_number(run) == (3 if earlier else None)


def test_the_checkpoint_that_is_continued_is_the_latest_or_the_newest_where_no_link_was_made(
    kept: Path, tmp_path: Path
):
    assert checkpoint.newest_number(tmp_path / "nothing") is None
    assert checkpoint.newest_number(kept) == 3
    (kept / "latest").unlink()
    assert checkpoint.newest_number(kept) == 3
    assert checkpoint.newest_sound(kept).name == "000003"
    assert (kept / "latest").resolve().name == "000003"


def test_arrays_of_objects_are_refused_and_never_unpickled(kept: Path):
    folder = (kept / "latest").resolve()
    np.savez(folder / "arrays.npz", x=np.array([{}], dtype=object))
    seal(folder)
    with pytest.raises(DataError, match=r"arrays\.npz holds no plain arrays"):
        checkpoint.read_checkpoint(folder)


@pytest.mark.parametrize("killed_at", [checkpoint.BEST, checkpoint.LATEST])
def test_a_run_killed_between_the_links_never_leaves_an_old_best_beside_a_newer_latest(
    kept: Path, monkeypatch, killed_at: str
):
    point = checkpoint.point

    def pointed(run: Path, name: str, target: Path) -> None:
        if name == killed_at:
            raise KeyboardInterrupt
        point(run, name, target)

    monkeypatch.setattr(checkpoint, "point", pointed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_checkpoint(kept, 4, made_policy(), STATE, is_best=True)
    assert (kept / "latest").resolve().name == "000003"


def test_what_somebody_laid_beside_the_checkpoints_is_none_of_them(kept: Path):
    shutil.copytree(kept / "checkpoints" / "000003", kept / "checkpoints" / "000003 copy")
    (kept / "checkpoints" / "notes.txt").write_text("mine")
    (kept / "latest").unlink()
    assert checkpoint.newest_number(kept) == 3
    checkpoint.write_checkpoint(kept, 4, made_policy(), STATE, is_best=True)
    checkpoint.remove_old(kept, keep=1)
    names = sorted(path.name for path in (kept / "checkpoints").iterdir())
    assert names == ["000003 copy", "000004", "notes.txt"]


def weights(folder: Path) -> bytes:
    policy = checkpoint.read_checkpoint(folder.resolve())[0]
    return policy.values(probes(policy.spec)[0]).tobytes()


def test_the_best_stays_the_best_where_another_is_written_under_its_number(kept: Path):
    best = weights(kept / "best")
    for seed in (5, 6):
        checkpoint.write_checkpoint(kept, 3, made_policy(seed=seed), STATE)
        assert weights(kept / "best") == best
        assert weights(kept / "latest") != best
    assert checkpoint.best_number(kept) == 3
    assert [f.name for f in checkpoint.stored_checkpoints(kept)] == ["000003"]
    checkpoint.remove_old(kept, keep=1)
    assert weights(kept / "best") == best
    checkpoint.write_checkpoint(kept, 4, made_policy(seed=7), STATE, is_best=True)
    checkpoint.remove_old(kept, keep=1)
    assert [path.name for path in (kept / "checkpoints").iterdir()] == ["000004"]
    assert checkpoint.best_number(kept) == 4


def test_a_best_that_is_written_again_takes_its_own_place(kept: Path):
    checkpoint.write_checkpoint(kept, 3, made_policy(seed=5), STATE, is_best=True)
    assert (kept / "best").resolve() == kept / "checkpoints" / "000003"
    assert weights(kept / "best") == weights(kept / "latest")


def test_a_run_without_a_best_has_no_number_of_it(kept: Path):
    (kept / "best").unlink()
    assert checkpoint.best_number(kept) is None
