"""A local folder: whole files, names on the disk, and a remedy for each error of the system."""

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.storage.contract import StoreAwayError, StoreFailedError
from kalshi_platform.storage.folder import Folder
from kalshi_platform.storage.storage import open_storage


def test_a_full_disk_leaves_the_old_file_and_no_leftover(tmp_path, monkeypatch):
    storage = open_storage(tmp_path)
    storage.write_bytes_atomic("x", b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=rf"cannot write {tmp_path}/x: No space left .* free some space"):
        storage.write_bytes_atomic("x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_names_are_synced_once_a_folder(tmp_path, monkeypatch):
    storage = open_storage(tmp_path)
    for path in ("a/1", "a/2", "b/1", "top"):
        storage.write_bytes_atomic(path, b"x")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), fsync(handle)))
    storage.sync_folders(["a/1", "a/2", "b/1", "top"])
    assert synced == [os.stat(folder).st_ino for folder in (tmp_path, tmp_path / "a", tmp_path / "b")]


def test_a_write_that_the_kernel_cuts_short_is_refused(tmp_path):
    # A real short write: the kernel refuses to let the file grow beyond 4 kB.
    code = (
        "import sys\n"
        "from kalshi_platform.domain.errors import StorageError\n"
        "from kalshi_platform.storage.storage import open_storage\n"
        "try:\n"
        f"    open_storage({str(tmp_path)!r}).write_bytes_atomic('x', bytes(100_000))\n"
        "except StorageError as err:\n"
        "    sys.exit(f'refused: {err}')\n"
    )

    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096))

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=limit_file_size,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stderr.startswith(f"refused: cannot write {tmp_path}/x: ")
    assert os.listdir(tmp_path) == []


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="a part of the path is a file"):
        open_storage(tmp_path / "file").write_bytes_atomic("x", b"1")


def test_listing_a_folder_that_does_not_exist_is_empty(tmp_path):
    assert open_storage(tmp_path / "nothing").list_files() == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EACCES, "change its owner"),
        (errno.EROFS, "read-only"),
        (errno.ENOENT, "check the address"),
        (errno.EIO, "check the folder and the disk"),  # any other
    ],
)
def test_each_error_of_the_system_has_its_remedy_and_none_is_worth_another_try(
    tmp_path, monkeypatch, number, remedy
):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFailedError) as failed:
        Folder(tmp_path).write("x", b"1")
    assert failed.value.reason == os.strerror(number)
    assert remedy in failed.value.remedy
    assert not isinstance(failed.value, StoreAwayError)


def test_a_folder_and_a_file_are_not_taken_for_each_other(tmp_path):
    folder = Folder(tmp_path)
    folder.write("a/b", b"1")
    assert folder.exists("a/b")
    assert not folder.exists("a")
    with pytest.raises(StoreFailedError) as failed:
        folder.read("a")
    assert "a folder, not a file" in failed.value.remedy
    with pytest.raises(StoreFailedError) as failed:
        folder.create("a/b/c", b"1")
    assert "a part of the path is a file" in failed.value.remedy


def test_files_at_any_depth_are_listed_with_their_sizes(tmp_path):
    folder = Folder(tmp_path)
    for path in ("top", "a/1", "a/b/22", "c/333"):
        folder.write(path, path.rpartition("/")[2].encode())
    assert sorted(folder.list("")) == [("a/1", 1), ("a/b/22", 2), ("c/333", 3), ("top", 3)]
    assert sorted(folder.list("a")) == [("a/1", 1), ("a/b/22", 2)]
    assert folder.list("nothing") == []


def test_a_mapped_file_is_the_file(tmp_path):
    folder = Folder(tmp_path)
    folder.write("x", b"hello")
    assert bytes(folder.map("x")) == bytes(folder.read("x")) == b"hello"
    with pytest.raises(StoreFailedError):
        folder.map("nothing")
