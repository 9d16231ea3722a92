"""Room for rows on demand: how much a process may fill, and how many processes do.

Owns       the files ``<cache>/on-demand/<number>``, one an open bank on demand, each locked by its process
           while the bank is open: a killed process's lock ends with it. The cache's limit less the banks that
           are in use is divided by their number.
Units      bytes.
"""

import os
import shutil
import time
import uuid
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.simulation.replay import cache
from kalshi_platform.storage import locks

#: A disk with less room cannot hold the rows of the episodes of one trainer.
LEAST_FREE_BYTES: Final = 256 * 2**20
#: Share of what is free that rows may take: checkpoints are written meanwhile.
_DISK_SHARE: Final = 0.9
_FRESH_S: Final = 1.0


class Room:
    """The share of the cache's limit that one bank on demand may fill."""

    def __init__(self) -> None:
        """Take part; StorageError where the disk has no room for any episode."""
        self.folder = cache.made(_folder())
        free = shutil.disk_usage(self.folder).free
        if free < LEAST_FREE_BYTES:
            raise StorageError(
                f"the disk of {self.folder} has {free / cache.GB:.3f} GB free, rows on demand take at least "
                f"{LEAST_FREE_BYTES / cache.GB:.3f}: free room on it, or set {cache.CACHE_VARIABLE} to a "
                "folder on another disk"
            )
        self._mark, self._leases = self.folder / uuid.uuid4().hex, list[int]()
        weakref.finalize(self, _leave, self._leases, self._mark, os.getpid())
        self._take_part()
        self._looked_s, self._bound = -1e9, 0

    def bound_bytes(self, filled_bytes: int = 0) -> int:
        """Bytes that this bank's rows may take now, of which they take ``filled_bytes``."""
        now_s = time.monotonic()
        if now_s - self._looked_s > _FRESH_S:
            self._looked_s = now_s
            if not self._mark.exists():
                self._take_part()  # somebody deleted the cache: rows, which have no name, are there still
            in_use = sum(bank.n_bytes for bank in cache.banks() if bank.in_use)
            left = cache.limit_bytes() - in_use - cache.claimed_bytes(but="")
            on_disk = int(shutil.disk_usage(self.folder).free * _DISK_SHARE) + filled_bytes
            self._bound = max(0, min(left // max(1, open_banks()), on_disk))
        return self._bound

    def _take_part(self) -> None:
        """Mark this bank as open."""
        cache.made(self.folder)
        with cache.using(self._mark):
            self._leases.append(locks.take_shared(self._mark))


def open_banks() -> int:
    """Number of banks on demand that are open on this machine; marks of killed processes are removed."""
    found = 0
    for path in _folder().iterdir() if _folder().is_dir() else ():
        if path.name[0] == ".":  # a bank's rows, which lose their name as soon as they are made
            continue
        with suppress(FileNotFoundError), cache.using(path), locks.exclusive_if_free(path) as free:
            if free:
                path.unlink()
            else:
                found += 1
    return found


def fits(n_bytes: int) -> bool:
    """True where a bank of ``n_bytes`` may lie in the cache, once all that nobody uses has left."""
    held = cache.banks()
    in_use = sum(bank.n_bytes for bank in held if bank.in_use)
    root = cache.made(cache.cache_folder())
    unused = sum(bank.n_bytes for bank in held if not bank.in_use)
    free: Any = shutil.disk_usage(root).free
    return n_bytes <= cache.limit_bytes() - in_use and n_bytes <= (free + unused) * _DISK_SHARE


def _folder() -> Path:
    return cache.cache_folder().parent / "on-demand"


def _leave(leases: list[int], path: Path, process: int) -> None:
    if os.getpid() == process:  # the end of a fork takes no mark away
        with suppress(OSError):
            path.unlink()
    for lease in leases:
        os.close(lease)
