"""Locks between the processes of one machine: each ends with the process that holds it, even a killed one.

Owns       the lock of a folder for one writer, whose process number the refusal names; shared locks of
           readers, and the exclusive lock that a process gets only while no reader holds one.
Units      seconds of a monotonic clock.
Invariant  a lock counts only while its file still has its name: where the file was deleted with its folder,
           :func:`take_shared` locks the new file.
"""

import fcntl
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError

_WRITER: Final = ".lock"
_PAUSE_S: Final = 0.2
#: Who looks whether a lock is free holds it for microseconds: so often is looked again, with a pause between.
_LOOKS, _LOOK_PAUSE_S = 4, 0.001
_log = logging.getLogger(__name__)


@contextmanager
def writing(folder: Path, patience_s: float = 60.0, name: str | None = None) -> Iterator[None]:
    """Hold ``folder`` for this process; ContractError where another one keeps it for ``patience_s``.

    ``name`` stands for the folder in the error; None: its path. With a patience of ``math.inf`` the process
    waits until the other one is done, or gone: the lock of a killed one ends with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _WRITER).open("a+") as file:
        end_s, told = time.monotonic() + patience_s, ""
        while not _try_exclusive(file.fileno()):
            file.seek(0)
            words = f"{name or folder} is being written by process {file.read().strip() or 'unknown'}"
            if time.monotonic() >= end_s:
                raise ContractError(f"{words}: wait for it, end it, or choose another folder")
            if words != told:
                wait = "until it is done" if patience_s == math.inf else f"for up to {patience_s:g} s"
                _log.warning("%s: waiting %s", told := words, wait)
            time.sleep(_PAUSE_S)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def take_shared(path: Path) -> int:
    """Take a shared lock on the file ``path`` (created if absent); closing the returned handle ends the lock.

    A duplicate of the handle (``os.dup``) shares the lock, which ends when the last of them is closed.
    FileNotFoundError or NotADirectoryError where the folder of ``path`` is gone.
    """
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the file was deleted between opening and locking; there may be a new one, or none


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lock ``path`` for the block alone, after all who hold a lock on it: for blocks of milliseconds."""
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def exclusive_if_free(path: Path) -> Iterator[bool]:
    """Lock ``path`` for the block alone; yields False, without a lock, where somebody holds one.

    While the block runs with True, nobody else gets a lock on ``path``. Others who only look whether it is
    free do not count: False means that the lock was held for some milliseconds.
    """
    handle = _open(path)
    try:
        yield _try_several_times(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _try_several_times(handle: int) -> bool:
    for left in reversed(range(_LOOKS)):
        if _try_exclusive(handle):
            return True
        if left:
            time.sleep(_LOOK_PAUSE_S)
    return False


def _try_exclusive(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
