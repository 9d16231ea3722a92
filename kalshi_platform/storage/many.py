"""Many objects of a bucket at once: each request waits for the network, and several can wait together.

Bounds   at most PARALLEL requests of one caller are on their way, and twice as many results wait for the
         caller, so memory follows the size of an object and not their number.
Disk     a folder is read and written one file after the other: threads gain nothing there.
Failure  the first failure is raised; requests that wait are dropped, running ones end first.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Final, Self, TypeVar

import pyarrow as pa

from kalshi_platform.storage.storage import Storage

_T = TypeVar("_T")
_Item = TypeVar("_Item")
#: Below the connections that a bucket's client keeps (``bucket.py``), so that none waits for another.
PARALLEL: Final = 16


def each(storage: Storage, operation: Callable[[_Item], _T], items: Iterable[_Item]) -> Iterator[_T]:
    """Yield ``operation(item)`` for each item, in order; in a bucket PARALLEL of them at a time."""
    if not _is_far(storage):
        yield from map(operation, items)
        return
    threads = ThreadPoolExecutor(PARALLEL)
    try:
        source = iter(items)
        running = deque(threads.submit(operation, item) for item in islice(source, 2 * PARALLEL))
        while running:
            result = running.popleft().result()
            running.extend(threads.submit(operation, item) for item in islice(source, 1))
            yield result
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


class Writer:
    """Writes files while its caller goes on; at the end of the block all of them are written.

    In a folder each file is written at once.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._threads = ThreadPoolExecutor(PARALLEL) if _is_far(storage) else None
        self._running: deque[Future[None]] = deque()

    def write(self, path: str, data: bytes | pa.Buffer) -> None:
        """Write one file as a whole, now or soon; raises the failure of an earlier file."""
        if self._threads is None:
            self._storage.write_bytes_atomic(path, data)
            return
        while len(self._running) >= PARALLEL:
            self._running.popleft().result()
        self._running.append(self._threads.submit(self._storage.write_bytes_atomic, path, data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for future in self._running:
                future.result()


def _is_far(storage: Storage) -> bool:
    """True for a bucket."""
    return "://" in storage.uri
