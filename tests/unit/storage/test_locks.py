"""Locks between processes: one writer, many readers, nothing held by the dead."""

import os
import signal
import subprocess
import sys

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.storage import locks

HOLDER = """
import sys
from pathlib import Path
from kalshi_platform.storage import locks
with locks.writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_one_process_at_a_time_writes_a_folder(tmp_path):
    other = locks.writing(tmp_path, patience_s=0.0)
    with locks.writing(tmp_path), pytest.raises(ContractError, match=f"written by process {os.getpid()}:"):
        other.__enter__()
    with locks.writing(tmp_path, patience_s=0.0):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_the_writing_process_is_named_and_a_killed_one_holds_nothing(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ContractError) as refused, locks.writing(tmp_path, patience_s=0.3):
            pass
        assert str(refused.value) == (
            f"{tmp_path} is being written by process {holder.pid}: wait for it, end it, or choose another "
            "folder"
        )
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locks.writing(tmp_path, patience_s=0.0):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_readers_share_and_keep_the_exclusive_lock_away_until_the_last_is_gone(tmp_path):
    path = tmp_path / "in_use.lock"
    first, second = locks.take_shared(path), locks.take_shared(path)
    duplicate = os.dup(second)
    for handle in (first, second, duplicate):
        with locks.exclusive_if_free(path) as is_free:
            assert not is_free
        os.close(handle)
    with locks.exclusive_if_free(path) as is_free:
        assert is_free
        with locks.exclusive_if_free(path) as is_free_twice:
            assert not is_free_twice


def test_a_lock_of_a_deleted_file_is_taken_again_on_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "in_use.lock"
    path.touch()
    flock = locks.fcntl.flock

    def replaced_first(handle: int, how: int) -> None:
        monkeypatch.setattr(locks.fcntl, "flock", flock)
        path.unlink()
        path.touch()
        flock(handle, how)

    monkeypatch.setattr(locks.fcntl, "flock", replaced_first)
    handle = locks.take_shared(path)
    assert os.path.samestat(os.fstat(handle), path.stat())
    os.close(handle)


def test_a_folder_that_is_gone_holds_no_lock(tmp_path):
    with pytest.raises(FileNotFoundError):
        locks.take_shared(tmp_path / "gone" / "in_use.lock")


def test_who_only_looks_whether_a_lock_is_free_holds_it_from_nobody(tmp_path, monkeypatch):
    path = tmp_path / "in_use.lock"
    looking = locks.exclusive_if_free(path)
    assert looking.__enter__()
    monkeypatch.setattr(locks.time, "sleep", lambda _: looking.__exit__(None, None, None))
    with locks.exclusive_if_free(path) as is_free:
        assert is_free
