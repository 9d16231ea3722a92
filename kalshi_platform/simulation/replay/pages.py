"""Banks that are larger than the cache may hold: rows come from the shards when somebody needs them.

Owns       sparse files of a bank's full size, private to the process and without a name, so that they end
           with it; which events' rows are filled; who keeps which of them; the least recently used leave.
Guard      ``BankArrays`` of such a bank hold a :class:`PagedColumn` in place of each array with an entry a
           row. Reading one is refused by an error, so nobody meets a row that was not filled. A reader asks
           :func:`reading` for the arrays in which its rows are filled; environments keep the rows of their
           episodes filled by a :class:`RowLease`.
Invariant  row numbers and bits are those of the whole bank. A row that somebody keeps is never emptied, even
           above the bound (the log says so once): the bound gives way, not the result.
Forks      a forked process shares the files but not the knowledge of what is filled, so it is refused.
Units      bytes; an event's rows, those of all its markets, come and go together.
"""

import ctypes
import errno
import logging
import mmap
import os
import tempfile
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.simulation.replay.assemble import PER_ROW, MarketPart
from kalshi_platform.simulation.replay.bank import BankArrays, read_only

_PUNCH_HOLE_KEEP_SIZE: Final = 3  # of linux/falloc.h
_GB: Final = 10**9
_POISON: Final = b"\xff"
_NO_EVENTS: Final = np.zeros(0, np.int64)

_log = logging.getLogger(__name__)

#: Shape and type of an array.
Kind = tuple[tuple[int, ...], np.dtype]


class PagedColumn:
    """Stands for an array whose rows are filled on demand; it has a shape and refuses to be read."""

    def __init__(self, pages: "Pages", name: str, kind: Kind) -> None:
        self.pages, self._name = pages, name
        self.shape, self.dtype = kind
        self.size, self.ndim = int(np.prod(self.shape)), len(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ContractError(
            f"{self._name} of a bank on demand was read without asking for its rows: read them inside "
            "`with pages.reading(bank.arrays, rows) as arrays`"
        )

    __getitem__ = __array__ = __iter__ = __len__ = _refuse


class _Forks:
    """Counter of the forks that lie between the first process and this one."""

    seen = 0

    def enter_child(self) -> None:
        """Count one more, in the new process."""
        self.seen += 1


@cache
def _forks() -> _Forks:
    forks = _Forks()
    os.register_at_fork(after_in_child=forks.enter_child)
    return forks


class RowLease:
    """The events whose rows one reader keeps filled; they are free again when it is gone."""

    def __init__(self, pages: "Pages") -> None:
        self._pages, self._kept = pages, set[int]()
        self._events = _NO_EVENTS  # those of ``_kept``, ascending, where all of them are filled
        weakref.finalize(self, pages.release, self._kept)

    def require_own_process(self) -> None:
        """Refuse by ContractError in a forked process: the rows kept here may be emptied by the other."""
        self._pages.require_own_process()

    def keep(self, rows: np.ndarray) -> None:
        """Fill the events of ``rows`` (any shape; negative ones are none) and keep them instead of others."""
        self._pages.require_own_process()
        events = self._pages.events_of(rows)
        if not np.array_equal(events, self._events):  # environments ask again at most steps
            self._events = _NO_EVENTS  # until all of the new ones are filled: a shard may be damaged
            self._pages.exchange(self._kept, set(events.tolist()))
            self._events = events


class Pages:
    """The rows of one bank in this process."""

    def __init__(
        self,
        folder: Path,
        kinds: Mapping[str, Kind],
        first_rows: np.ndarray,
        read_events: Callable[[Sequence[int]], Iterator[list[MarketPart]]],
        bound_bytes: Callable[[int], int],
        *,
        poisoned: bool = False,
    ) -> None:
        """Make the files in ``folder``.

        ``kinds``: arrays with an entry a row. ``first_rows`` (E + 1,) i8: first row of each event, then the
        number of rows. ``read_events`` yields the parts of the markets of events. ``bound_bytes`` says what
        may be filled, given the bytes that are. ``poisoned`` fills what is empty with ones instead of
        nothing, for tests.
        """
        self._first_rows, self._read_events, self._bound_bytes = first_rows, read_events, bound_bytes
        self._poisoned, self._warned = poisoned, False
        self._lock, self._process, self._forks = threading.RLock(), os.getpid(), _forks().seen
        self._is_wanted = np.zeros(first_rows.size, bool)  # scratch of ``events_of``
        self._filled = OrderedDict[int, None]()  # least recently used first
        self._holders = Counter[int]()
        self._files = {name: _SparseFile(folder, *kind, poisoned) for name, kind in kinds.items()}
        self._row_bytes = sum(file.row_bytes for file in self._files.values())
        self.filled_bytes = self.n_fills = self.n_emptied = 0

    def arrays(self, small: Mapping[str, np.ndarray]) -> BankArrays:
        """Arrays of the bank: guarded ones with an entry a row, and the ``small`` ones as they are."""
        guarded: dict[str, Any] = {
            name: PagedColumn(self, name, file.kind) for name, file in self._files.items()
        }
        whole = BankArrays(**{name: file.array for name, file in self._files.items()}, **small)
        self.raw = read_only(whole)
        kept = {name: getattr(self.raw, name) for name in small}
        return BankArrays(**guarded, **kept)

    def events_of(self, rows: np.ndarray) -> np.ndarray:
        """Events of ``rows``, each once, ascending; negative rows are none."""
        place = self._first_rows.searchsorted(rows.reshape(-1), side="right")  # 0 for a negative row
        with self._lock:
            self._is_wanted[place] = True
            self._is_wanted[0] = False
            found = np.flatnonzero(self._is_wanted)
            self._is_wanted[found] = False
        return found - 1

    def locked(self) -> threading.RLock:
        """The lock under which rows are filled and emptied, for a short block of the process's own."""
        self.require_own_process()
        return self._lock

    def is_filled(self, event: int) -> bool:
        """True where the rows of ``event`` are there, which counts as a use of them."""
        if event not in self._filled:
            return False
        self._filled.move_to_end(event)
        return True

    def event_of(self, row: int) -> int:
        """Event of ``row``, -1 for a negative one."""
        return int(self._first_rows.searchsorted(row, side="right")) - 1

    def require_own_process(self) -> None:
        """Refuse by ContractError in a process that was forked from the one that opened the bank."""
        if self._forks != _forks().seen:  # asked at every step: a call of the kernel took 3 % of it
            raise ContractError(
                f"a bank on demand is of process {self._process}, which opened it, and not of its fork "
                f"{os.getpid()}: open the bank in each process (SplitOpener), or start processes by spawn"
            )

    def exchange(self, kept: set[int], wanted: set[int]) -> None:
        """Fill and keep ``wanted`` for a holder that kept ``kept``, which is changed to them."""
        self.require_own_process()
        with self._lock:
            for event in wanted - kept:
                self._holders[event] += 1
            self.release(kept - wanted)
            kept.clear()
            kept |= wanted
            # all of them, not the fresh ones alone: an earlier reading may have failed on a damaged shard
            self._fill(sorted([event for event in wanted if event not in self._filled]))

    def release(self, events: Iterable[int]) -> None:
        """Let go of ``events``, each of which a holder kept."""
        with self._lock:
            for event in events:
                self._holders[event] -= 1
                if not self._holders[event]:
                    del self._holders[event]
                if event in self._filled:
                    self._filled.move_to_end(event)

    def _fill(self, events: list[int]) -> None:
        if not events:
            return
        self._make_room(sum(map(self._event_bytes, events)))
        for event, parts in zip(events, self._read_events(events), strict=True):
            first = int(self._first_rows[event])
            for part in parts:
                for name in PER_ROW:
                    self._files[name].write(first, getattr(part, name))
                first += part.age.size
            if first != self._first_rows[event + 1]:
                raise ContractError(
                    f"event {event} of a bank on demand has rows up to {first}, expected "
                    f"{self._first_rows[event + 1]}"
                )
            self._filled[event] = None
            self.n_fills += 1
            self.filled_bytes += self._event_bytes(event)

    def _make_room(self, n_bytes: int) -> None:
        """Empty events that nobody keeps until ``n_bytes`` more are within the bound."""
        bound = self._bound_bytes(self.filled_bytes)
        for event in list(self._filled):
            if self.filled_bytes + n_bytes <= bound:
                return
            if event not in self._holders:
                self._empty(event)
        if self.filled_bytes + n_bytes > bound and not self._warned:
            self._warned = True
            _log.warning(
                "episodes under way need %.3f GB of rows, above the %.3f GB that the cache's limit leaves "
                "this process: they are kept all the same; use fewer environments or a larger limit",
                (self.filled_bytes + n_bytes) / _GB, bound / _GB,
            )  # fmt: skip

    def _empty(self, event: int) -> None:
        del self._filled[event]
        self.filled_bytes -= self._event_bytes(event)
        self.n_emptied += 1
        for file in self._files.values():
            file.empty(*self._span(event, file.row_bytes), poisoned=self._poisoned)

    def _span(self, event: int, row_bytes: int) -> tuple[int, int]:
        """First and last byte, exclusive, to empty: up to whole pages where no filled event lies in them."""
        starts, page = self._first_rows, mmap.PAGESIZE
        low, high = int(starts[event]) * row_bytes, int(starts[event + 1]) * row_bytes
        if low == high or self._poisoned:
            return low, high
        floor, ceiling = low - low % page, min(-(-high // page) * page, int(starts[-1]) * row_bytes)
        before = int(np.searchsorted(starts, floor // row_bytes, side="right")) - 1
        after = int(np.searchsorted(starts, (ceiling - 1) // row_bytes, side="right")) - 1
        if not any(k in self._filled for k in range(before, event)):
            low = floor
        if not any(k in self._filled for k in range(event + 1, after + 1)):
            high = ceiling
        return low, high

    def _event_bytes(self, event: int) -> int:
        return int(self._first_rows[event + 1] - self._first_rows[event]) * self._row_bytes


@contextmanager
def reading(arrays: BankArrays, rows: np.ndarray | int) -> Iterator[BankArrays]:
    """Give the block arrays in which ``rows``, and all other rows of their events, are filled.

    For a bank in the cache these are ``arrays`` themselves. Copy what is used after the block.
    """
    pages = pages_of(arrays)
    if pages is None:
        yield arrays
        return
    if isinstance(rows, np.ndarray):
        wanted = set(pages.events_of(rows).tolist())
    else:
        event = pages.event_of(rows)
        with pages.locked():  # nobody empties it before the block has ended
            if pages.is_filled(event):
                yield pages.raw
                return
        wanted = {event} if event >= 0 else set()
    kept = set[int]()
    try:
        pages.exchange(kept, wanted)
        yield pages.raw
    finally:
        pages.release(kept)


def pages_of(arrays: BankArrays) -> Pages | None:
    """Pages of a bank on demand; None of any other."""
    column: Any = arrays.age  # all arrays with an entry a row are paged, or none
    return column.pages if isinstance(column, PagedColumn) else None


class _SparseFile:
    """A file without a name that holds one array; what nobody wrote takes no room on the disk."""

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype, poisoned: bool) -> None:
        self.kind: Kind = shape, dtype
        self.row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        n_bytes = shape[0] * self.row_bytes
        self.handle, name = tempfile.mkstemp(dir=folder, prefix=".rows-")
        weakref.finalize(self, os.close, self.handle)
        os.unlink(name)
        self.array: np.ndarray = np.zeros(0 if n_bytes else shape, dtype)
        if not n_bytes:
            return
        os.ftruncate(self.handle, n_bytes)
        if poisoned:
            self._put(_POISON * n_bytes, 0)
        else:
            self.empty(0, min(n_bytes, mmap.PAGESIZE), poisoned=False)  # refuse now what fails later
        mapped = mmap.mmap(self.handle, n_bytes, prot=mmap.PROT_READ)
        self.array = np.frombuffer(mapped, np.uint8).view(dtype).reshape(shape)

    def write(self, first_row: int, array: np.ndarray) -> None:
        """Write rows from ``first_row`` on."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if flat.size:
            self._put(flat.data, first_row * self.row_bytes)

    def _put(self, data: bytes | memoryview, at: int) -> None:
        # Not through the map: where the disk is full, that is a bus error, and this an OSError.
        left = memoryview(data)
        try:
            while left:
                done = os.pwrite(self.handle, left, at)
                left, at = left[done:], at + done
        except OSError as error:
            raise StorageError(
                f"cannot keep rows of a bank on demand: {error.strerror}; free room on the disk of "
                "KALSHI_PLATFORM_CACHE, or set it to a folder on another disk"
            ) from None

    def empty(self, low: int, high: int, *, poisoned: bool) -> None:
        """Give the bytes back to the disk and to memory."""
        if low == high or not self.row_bytes:
            return
        if poisoned:
            self._put(_POISON * (high - low), low)
            return
        number = _fallocate(self.handle, _PUNCH_HOLE_KEEP_SIZE, low, high - low)
        if number:
            raise StorageError(
                f"the disk of KALSHI_PLATFORM_CACHE cannot give back part of a file ({os.strerror(number)}), "
                "which a dataset larger than the cache needs: set it to a folder on a local disk (ext4, xfs, "
                "tmpfs), or raise KALSHI_PLATFORM_CACHE_GB"
            )


def _fallocate(handle: int, mode: int, offset: int, n_bytes: int) -> int:
    """Call fallocate(2), which Python does not have; returns the error number, 0 where it succeeded."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate", None)
    if call is None:
        return errno.EOPNOTSUPP
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
    return ctypes.get_errno() if call(handle, mode, offset, n_bytes) else 0
