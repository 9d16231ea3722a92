"""A run's copy in a store is always one whole iteration of it."""

import json
import shutil
from pathlib import Path

import pytest

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.learning.training import mirror as mirror_module
from kalshi_platform.learning.training.checkpoint import BEST, LATEST, point
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.storage.sealed import seal


def made_run(folder: Path, iterations: int, best: int) -> Path:
    """A run's files as far as a mirror looks at them."""
    for k in range(1, iterations + 1):
        checkpoint = folder / "checkpoints" / f"{k:06d}"
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / "state.json").write_text(json.dumps({"iteration": k}))
        point(folder, LATEST, checkpoint)
    point(folder, BEST, folder / "checkpoints" / f"{best:06d}")
    (folder / "metrics.jsonl").write_text(
        "".join(f'{{"iteration": {k}}}\n' for k in range(1, iterations + 1))
    )
    (folder / "config.json").write_text("{}")
    return folder


def test_a_lost_run_comes_back_as_it_was_pushed(tmp_path):
    run = made_run(tmp_path / "run", 3, best=2)
    Mirror(str(tmp_path / "store")).push(run)
    shutil.rmtree(run)
    assert Mirror(str(tmp_path / "store")).pull(run)
    assert (run / LATEST).resolve().name == "000003"
    assert json.loads((run / BEST / "state.json").read_text()) == {"iteration": 2}
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


def test_only_checkpoints_that_are_named_stay_in_the_store(tmp_path):
    run, mirror = tmp_path / "run", Mirror(str(tmp_path / "store"))
    for k in (1, 2, 3):
        mirror.push(made_run(run, k, best=1))
    stored = sorted(p.name for p in (tmp_path / "store" / "checkpoints").iterdir() if any(p.iterdir()))
    assert stored == ["000001", "000003"]


def test_a_run_that_is_further_here_is_left_alone(tmp_path):
    mirror = Mirror(str(tmp_path / "store"))
    mirror.push(made_run(tmp_path / "run", 2, best=1))
    run = made_run(tmp_path / "run", 3, best=1)
    assert mirror.pull(run)
    assert (run / LATEST).resolve().name == "000003"


def test_a_run_left_behind_on_a_machine_is_not_further_than_one_that_took_over_anothers_weights(tmp_path):
    left, mirror = made_run(tmp_path / "left", 8, best=1), Mirror(str(tmp_path / "store"))
    for folder in (left / "checkpoints").iterdir():
        seal(folder)
    mirror.push(left)
    # Elsewhere the trial took over weights of another's iteration 6, and trained one iteration more.
    moved = made_run(tmp_path / "moved", 7, best=1)
    (moved / LATEST / "state.json").write_text('{"taken": "over"}')
    for folder in (moved / "checkpoints").iterdir():
        seal(folder)
    mirror.push(moved)
    assert mirror.pull(left)
    assert (left / LATEST).resolve().name == "000007"
    assert json.loads((left / LATEST / "state.json").read_text()) == {"taken": "over"}


def test_nothing_pushed_is_nothing_to_pull(tmp_path):
    assert not Mirror(str(tmp_path / "store")).pull(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_push_that_breaks_off_leaves_the_earlier_copy_whole(tmp_path, monkeypatch):
    run, mirror = made_run(tmp_path / "run", 1, best=1), Mirror(str(tmp_path / "store"))
    mirror.push(run)
    write = mirror._storage.write_bytes_atomic

    def breaks(path, data):
        if path == "mirror.json":
            raise StorageError("the store is gone")
        write(path, data)

    monkeypatch.setattr(mirror._storage, "write_bytes_atomic", breaks)
    with pytest.raises(StorageError, match="the store is gone"):
        mirror.push(made_run(run, 2, best=1))
    assert Mirror(str(tmp_path / "store")).pull(tmp_path / "other")
    assert (tmp_path / "other" / LATEST).resolve().name == "000001"


def test_a_checkpoint_missing_in_the_store_is_named(tmp_path):
    Mirror(str(tmp_path / "store")).push(made_run(tmp_path / "run", 1, best=1))
    shutil.rmtree(tmp_path / "store" / "checkpoints")
    with pytest.raises(DataError, match="names checkpoint 000001, absent there"):
        Mirror(str(tmp_path / "store")).pull(tmp_path / "other")


def recorded_writes(mirror: Mirror, monkeypatch) -> list[tuple[str, int]]:
    """Paths that the mirror writes from now on, with their bytes."""
    found: list[tuple[str, int]] = []
    write = mirror._storage.write_bytes_atomic

    def noted(path, data):
        found.append((path, len(data)))
        write(path, data)

    monkeypatch.setattr(mirror._storage, "write_bytes_atomic", noted)
    return found


def test_a_push_sends_the_new_checkpoint_and_what_changed_and_does_not_grow_with_the_run(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(mirror_module, "LINES_A_BLOCK", 4)
    run, mirror = tmp_path / "run", Mirror(str(tmp_path / "store"))
    mirror.push(made_run(run, 9, best=1))
    made_run(run, 10, best=1)
    written = recorded_writes(mirror, monkeypatch)
    mirror.push(run)
    assert [path for path, _ in written] == [
        "checkpoints/000010/state.json", "metrics/000002.jsonl", "mirror.json",
    ]  # fmt: skip
    (sent,) = [size for path, size in written if path.startswith("metrics")]
    assert sent == len('{"iteration": 9}\n{"iteration": 10}\n')
    assert mirror.pull(tmp_path / "other")
    assert (tmp_path / "other" / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()


def pushed_and_written_anew(tmp_path: Path) -> tuple[Path, Mirror]:
    """A run whose last checkpoint has other content than its copy, and the mirror of the copy."""
    run, mirror = made_run(tmp_path / "run", 2, best=1), Mirror(str(tmp_path / "store"))
    folder = run / "checkpoints" / "000002"
    seal(folder)
    mirror.push(run)
    (folder / "state.json").write_text('{"taken": "over"}')
    seal(folder)
    return run, mirror


def test_a_checkpoint_that_was_written_anew_under_its_number_travels_again(tmp_path):
    run, mirror = pushed_and_written_anew(tmp_path)
    mirror.push(run)
    assert mirror.pull(tmp_path / "other")
    assert json.loads((tmp_path / "other" / LATEST / "state.json").read_text()) == {"taken": "over"}


def test_a_push_that_breaks_off_while_a_checkpoint_is_written_anew_leaves_the_earlier_one(
    tmp_path, monkeypatch
):
    run, mirror = pushed_and_written_anew(tmp_path)
    write = mirror._storage.write_bytes_atomic

    def breaks(path, data):
        if path.endswith("manifest.json"):
            raise StorageError("the store is gone")
        write(path, data)

    monkeypatch.setattr(mirror._storage, "write_bytes_atomic", breaks)
    with pytest.raises(StorageError, match="the store is gone"):
        mirror.push(run)
    assert mirror.pull(tmp_path / "other")
    assert json.loads((tmp_path / "other" / LATEST / "state.json").read_text()) == {"iteration": 2}


def test_a_process_that_was_given_up_for_lost_writes_nothing_once_another_has_taken_its_place(tmp_path):
    run, lost = made_run(tmp_path / "run", 1, best=1), Mirror(str(tmp_path / "store"))
    lost.push(run)
    present = Mirror(str(tmp_path / "store"))
    present.take()
    with pytest.raises(ContractError, match="started this run again while this process was out of reach"):
        lost.push(made_run(run, 2, best=1))
    present.push(run)
    present.push(made_run(run, 3, best=3))
    stored = sorted(p.name for p in (tmp_path / "store" / "checkpoints").iterdir() if any(p.iterdir()))
    assert stored == ["000003"]  # those of the first process too


def test_the_best_alone_is_brought_once(tmp_path, monkeypatch):
    run, mirror = made_run(tmp_path / "run", 3, best=2), Mirror(str(tmp_path / "store"))
    for folder in (run / "checkpoints").iterdir():
        seal(folder)
    mirror.push(run)
    other = tmp_path / "other"
    assert mirror.pull(other, only_best=True)
    assert [p.name for p in (other / "checkpoints").iterdir()] == ["000002"]
    monkeypatch.delattr(Mirror, "_fetch_checkpoint")
    assert mirror.pull(other, only_best=True)


def test_a_copy_knows_whether_it_holds_the_best(tmp_path):
    run, mirror = made_run(tmp_path / "run", 2, best=1), Mirror(str(tmp_path / "store"))
    assert not mirror.has_best()
    seal(run / "checkpoints" / "000001")
    mirror.push(run)
    assert mirror.has_best()
    shutil.rmtree(tmp_path / "store" / "checkpoints")
    assert not mirror.has_best()


def test_a_writer_that_was_superseded_while_it_sent_leaves_the_new_ones_record(tmp_path, monkeypatch):
    run, slow = made_run(tmp_path / "run", 1, best=1), Mirror(str(tmp_path / "store"))
    slow.push(run)
    write = slow._storage.write_bytes_atomic

    def suspended(path, data):
        write(path, data)
        if path.startswith("checkpoints/000002"):
            monkeypatch.undo()
            newer = Mirror(str(tmp_path / "store"))
            newer.take()
            newer.push(made_run(tmp_path / "elsewhere", 5, best=5))

    monkeypatch.setattr(slow._storage, "write_bytes_atomic", suspended)
    with pytest.raises(ContractError, match="is written by process"):
        slow.push(made_run(run, 2, best=1))
    assert Mirror(str(tmp_path / "store")).pull(tmp_path / "other")
    assert (tmp_path / "other" / LATEST).resolve().name == "000005"


@pytest.mark.parametrize("damaged", [b"{", b"[]", b'{"links": {}}'])
def test_a_damaged_record_of_a_copy_is_named_and_so_is_a_lost_owner(tmp_path, damaged):
    run, mirror = made_run(tmp_path / "run", 1, best=1), Mirror(str(tmp_path / "store"))
    mirror.push(run)
    (tmp_path / "store" / "mirror.json").write_bytes(damaged)
    with pytest.raises(
        DataError, match=r"store/mirror\.json is no record of a run's copy: restore it, or delete"
    ):
        Mirror(str(tmp_path / "store")).pull(tmp_path / "other")
    (tmp_path / "store" / "owner.json").write_bytes(damaged)
    with pytest.raises(ContractError, match="is written by an unknown process now"):
        mirror.push(run)


def test_curves_come_without_checkpoints(tmp_path):
    assert not Mirror(str(tmp_path / "store")).pull_curves(tmp_path / "curves")
    Mirror(str(tmp_path / "store")).push(made_run(tmp_path / "run", 2, best=1))
    assert Mirror(str(tmp_path / "store")).pull_curves(tmp_path / "curves")
    assert list((tmp_path / "curves").rglob("events.out.tfevents.*"))
    assert not (tmp_path / "curves" / "checkpoints").exists()
