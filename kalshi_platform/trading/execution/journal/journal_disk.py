"""Disk of an order journal: rows go into one transaction, and a sync ends it for all who wait.

Thread   ``synced`` waits on a thread of its own, so that frames are read, and orders cancelled, while a disk
         is slow or hangs; orders that one decision sends wait for one sync together.
Order    rows are written in the order of the calls; those that come during a sync wait in memory for its end.
Whole    rows that are written without an ``await`` between them come to disk together: from when the thread
         has a sync to make until the loop heard of its end, no row joins the transaction.
Failing  a row that failed behind a sync is told to who waits next; so is one with which SQLite took back the
         whole transaction (a full disk): rows that were written before it are gone.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from kalshi_platform.domain.errors import StorageError

_Result = TypeVar("_Result")


class DatabaseAttempt(Protocol):
    """Does a piece of work at the database; StorageError in words where that fails."""

    def __call__(self, work: Callable[[], _Result], /) -> _Result:
        """Result of ``work``."""


class JournalDisk:
    """Writes and syncs of one connection, which other threads may use too; methods belong to one loop."""

    def __init__(self, database: sqlite3.Connection, attempt: DatabaseAttempt) -> None:
        self._db, self._attempt = database, attempt
        self._thread = ThreadPoolExecutor(1, "order-journal")
        self._held = threading.Lock()  # by a sync
        self._later: deque[tuple[str, tuple[Any, ...]]] = deque()  # rows that came during a sync
        self._late_failure: StorageError | None = None  # of a row that came during a sync
        self._taken_back: StorageError | None = None  # told at once to whoever wrote the row that failed
        self._waiting: list[asyncio.Future[None]] = []  # for the next sync
        self._is_syncing = False

    def write(self, statement: str, row: tuple[Any, ...]) -> None:
        """Write one row; StorageError where that fails at once."""
        if self._is_syncing:
            self._later.append((statement, row))
            return
        was_open = self._db.in_transaction
        try:
            self._attempt(lambda: self._db.execute(statement, row))
        except StorageError as err:
            if was_open and not self._db.in_transaction:
                self._taken_back = err
            raise

    def commit(self) -> None:
        """Bring everything to disk; a sync that is under way is waited for. StorageError where that fails."""
        self._write_later()
        self._sync()
        if (failure := self._failed()) is not None:
            raise failure

    async def synced(self) -> None:
        """Wait until everything written so far is on disk; StorageError where that fails."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        self._waiting.append(told)
        if len(self._waiting) == 1 and not self._is_syncing:
            loop.call_soon(self._begin_sync, loop)  # orders of the same decision come before it
        await told

    def close(self) -> None:
        """End the thread, and bring what is left to disk."""
        self._thread.shutdown()
        self._taken_back = None  # nobody waits any more
        self.commit()

    def _failed(self) -> StorageError | None:
        """Why rows written so far are not on disk, told once; None where nothing is known against it."""
        failure = self._late_failure or self._taken_back
        self._late_failure = self._taken_back = None
        return failure

    def _sync(self) -> None:
        """End the transaction."""
        with self._held:
            self._attempt(self._db.commit)

    def _write_later(self) -> None:
        """Write the rows that came during a sync, once that is over."""
        with self._held:
            while self._later:
                statement, row = self._later.popleft()
                try:
                    self._attempt(lambda: self._db.execute(statement, row))  # noqa: B023
                except StorageError as err:
                    self._late_failure = err

    def _begin_sync(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the thread sync for all who wait."""
        group, self._waiting = self._waiting, []
        self._write_later()
        failure = self._failed()
        self._is_syncing = True
        self._thread.submit(self._sync_for, group, failure, loop)

    def _sync_for(
        self,
        group: "list[asyncio.Future[None]]",
        failure: StorageError | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Sync, on the thread, and let the loop tell those who wait."""
        try:
            self._sync()
        except StorageError as err:
            failure = err
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(self._tell, group, failure, loop)

    def _tell(
        self,
        group: "list[asyncio.Future[None]]",
        failure: StorageError | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Tell a group that its rows are on disk, or why not; the next group's sync begins."""
        self._is_syncing = False
        for told in group:
            if told.cancelled():
                continue
            if failure is None:
                told.set_result(None)
            else:
                told.set_exception(failure)
        came = bool(self._later)
        self._write_later()
        if self._waiting or came:  # what came meanwhile would else wait for whoever waits next
            self._begin_sync(loop)
