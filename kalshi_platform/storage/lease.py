"""A lease: one writer of a folder in a bucket at a time, though nothing there can be locked.

Layout     ``<folder>/<number>.lease``: who holds it, how often it was renewed, whether it ended. The highest
           number is in force. The next number is created exclusively, so of several takers one succeeds.
Killed     a holder renews its lease every ``BEAT_S``. One that stays unchanged for ``QUIET_S`` of the
           waiting process's own clock has no holder any more: clocks of two machines need not agree.
Not        a fence: a holder that was suspended for longer learns that it lost the lease when it asks
           (:meth:`WriteLease.require`), which it does before it writes what cannot be taken back.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.storage.storage import Storage

BEAT_S: Final = 10.0
QUIET_S: Final = 45.0
PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 1.0
_SUFFIX: Final = ".lease"
_log = logging.getLogger(__name__)


class WriteLease:
    """The right to write, as long as nobody created the next number."""

    def __init__(self, storage: Storage, folder: str, number: int) -> None:
        self._storage, self._folder, self.number = storage, folder, number
        self._token, self._beats = uuid.uuid4().hex, 0

    def create(self) -> bool:
        """Create this lease; returns False where another process has this number."""
        if self._storage.create_exclusive(self._path, self._content(ended=False)):
            return True
        # Where the first answer was lost, the repetition met this process's own lease.
        return bytes(self._storage.read_bytes(self._path)) == self._content(ended=False)

    def beat(self) -> None:
        """Show that the holder lives."""
        self._beats += 1
        self._storage.write_bytes_atomic(self._path, self._content(ended=False))

    def end(self) -> None:
        """Let the next writer in at once."""
        self._storage.write_bytes_atomic(self._path, self._content(ended=True))

    def require(self) -> None:
        """Raise ContractError where another process took the lease because this one seemed dead."""
        newest = _newest(self._storage, self._folder)
        if newest is None or newest.number != self.number:
            by = "nobody" if newest is None else newest.holder
            raise ContractError(
                f"{self._storage.uri} was taken over by {by}, because this process gave no sign for "
                f"{QUIET_S:g} s (suspended, or its network broke): nothing more was written; repeat this "
                "command"
            )

    @property
    def _path(self) -> str:
        return f"{self._folder}/{self.number:06d}{_SUFFIX}"

    def _content(self, *, ended: bool) -> bytes:
        holder = f"process {os.getpid()} of {socket.gethostname()}"
        told = {"holder": holder, "token": self._token, "beats": self._beats, "ended": ended}
        told["process"] = _process(os.getpid())
        return json_text(told).encode()


class _Newest(NamedTuple):
    """The lease in force, as a waiting process reads it."""

    number: int
    content: bytes

    @property
    def _told(self) -> dict[str, Any]:
        try:
            return dict(json_value(self.content))
        except (ValueError, TypeError):
            return {}  # nobody renews what is no lease: it counts as quiet soon

    @property
    def holder(self) -> str:
        return str(self._told.get("holder", "an unknown process"))

    @property
    def ended(self) -> bool:
        return bool(self._told.get("ended", False))

    @property
    def is_dead(self) -> bool:
        """True where the holder was a process of this machine, by its present boot, and is there no more."""
        told = self._told.get("process")
        if not isinstance(told, dict) or not isinstance(told.get("pid"), int):
            return False
        here = _process(told["pid"])
        same_machine = here["machine"] is not None and here["machine"] == told.get("machine")
        if not same_machine or here["began"] == told.get("began"):
            return False
        return here["began"] is not None or not _is_hidden(told["pid"])


def _process(pid: int) -> dict[str, Any]:
    """Facts that tell a process from every other: machine and boot, space of process numbers, its begin.

    ``machine`` is None where the system does not tell, ``began`` where there is no such process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        machine = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return {"pid": pid, "machine": None, "began": None}
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        began = stat[19] if stat[0] != "Z" else None  # a zombie writes no more
    except (OSError, IndexError):
        began = None
    return {"pid": pid, "machine": machine, "began": began}


def _is_hidden(pid: int) -> bool:
    """True where a process lives that this user may not see: /proc can be mounted so (``hidepid``)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@contextmanager
def leased(
    storage: Storage, folder: str, patience_s: float = PATIENCE_S, *, refuse_living: bool = False
) -> Iterator[WriteLease]:
    """Hold the lease of ``folder`` for the block, renewed by a thread; ContractError as :func:`take`."""
    lease = take(storage, folder, patience_s, refuse_living=refuse_living)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(BEAT_S):
            with suppress(StorageError):  # the store was away for longer than its patience
                lease.beat()

    thread = threading.Thread(target=renew, name=f"lease of {storage.uri}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join()
        with suppress(StorageError):  # then the next writer waits until it is quiet
            lease.end()


def take(
    storage: Storage,
    folder: str,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
    *,
    refuse_living: bool = False,
) -> WriteLease:
    """Take the lease of ``folder``; ContractError names the process that keeps it for ``patience_s``.

    ``clock`` gives seconds, ``wait`` waits for some. ``refuse_living``: refuse as soon as the holder renews
    its lease, because it will hold it for hours. A holder that was killed on this machine is succeeded at
    once, one of another machine when it was quiet for ``QUIET_S``.
    """
    end_s, seen, since_s = clock() + patience_s, None, clock()
    while True:
        newest = _newest(storage, folder)
        if newest != seen:
            if seen is None and newest is not None and not newest.ended and not newest.is_dead:
                _log.warning(
                    "%s is being written by %s: waiting for up to %g s",
                    storage.uri,
                    newest.holder,
                    patience_s,
                )
            renewed = seen is not None and newest is not None and newest.number == seen.number
            seen, since_s = newest, clock()
            if refuse_living and renewed and newest is not None and not newest.ended:
                end_s = since_s
        quiet = newest is not None and not newest.ended and clock() - since_s >= QUIET_S
        if newest is None or newest.ended or quiet or newest.is_dead:
            lease = WriteLease(storage, folder, 1 if newest is None else newest.number + 1)
            if lease.create():
                if quiet and newest is not None:
                    _log.warning("%s gave no sign for %g s: its lease is taken over", newest.holder, QUIET_S)
                _forget(storage, folder, lease.number - 1)
                return lease
        elif clock() >= end_s:
            raise ContractError(
                f"{storage.uri} is being written by {newest.holder}: wait for it, end it, or choose another "
                "folder"
            )
        wait(_PAUSE_S)


def _newest(storage: Storage, folder: str) -> _Newest | None:
    numbers = _numbers(storage, folder)
    if not numbers:
        return None
    number = max(numbers)
    return _Newest(number, bytes(storage.read_bytes(numbers[number])))


def _numbers(storage: Storage, folder: str) -> dict[int, str]:
    paths = [file.path for file in storage.list_files(folder) if file.path.endswith(_SUFFIX)]
    stems = {path: PurePosixPath(path).name.removesuffix(_SUFFIX) for path in paths}
    return {int(stem): path for path, stem in stems.items() if stem.isdecimal()}


def _forget(storage: Storage, folder: str, below: int) -> None:
    """Delete leases older than the one before the present, which somebody may just be reading."""
    for number, path in _numbers(storage, folder).items():
        if number < below:
            storage.delete(path)
