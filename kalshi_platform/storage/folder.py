"""Files below one local folder; a disk does not recover, so each of its failures stays.

Owns   the remedy for each error number of the system.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from kalshi_platform.storage.contract import StoredFile, StoreFailedError
from kalshi_platform.storage.whole_file import create_whole, sync, write_whole

_CHECK: Final = "check the address"
_REMEDIES: Final = {
    errno.ENOSPC: "disk full: free some space and repeat",
    errno.EDQUOT: "quota used up: free some space and repeat",
    errno.EFBIG: "larger than the file size limit of this process or file system (ulimit -f)",
    errno.EACCES: "no permission: choose another folder or change its owner",
    errno.EPERM: "no permission: choose another folder or change its owner",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOENT: f"it does not exist: {_CHECK}",
    errno.ENOTDIR: f"a part of the path is a file, not a folder: {_CHECK}",
    errno.EEXIST: f"a part of the path is a file, not a folder: {_CHECK}",
    errno.EISDIR: f"it is a folder, not a file: {_CHECK}",
}


class Folder:
    """The files below ``root``; every failure is a StoreFailedError with the remedy for its error number."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def exists(self, path: str) -> bool:
        """True where ``path`` is a file."""
        with _failures():
            return (self._root / path).is_file()

    def read(self, path: str) -> pa.Buffer:
        """The whole file."""
        with _failures():
            return pa.py_buffer((self._root / path).read_bytes())

    def map(self, path: str) -> pa.Buffer:
        """The whole file as a memory map."""
        with _failures(), pa.memory_map(str(self._root / path)) as file:
            return file.read_buffer()

    def write(self, path: str, data: bytes | pa.Buffer) -> None:
        """Replace a file; its new content survives a power cut once :meth:`sync_folders` has run."""
        with _failures():
            write_whole(self._place_for(path), data, sync_name=False)

    def create(self, path: str, data: bytes) -> bool:
        """Create a file if ``path`` is free; return False if a file is there already."""
        with _failures():
            return create_whole(self._place_for(path), data)

    def sync_folders(self, paths: Iterable[str]) -> None:
        """Sync the folders of ``paths``, each once, so that the names in them are on the disk."""
        with _failures():
            for folder in sorted({(self._root / path).parent for path in paths}):
                sync(folder)

    def list(self, prefix: str) -> list[StoredFile]:
        """Files at any depth below the folder ``prefix``; empty where there is none."""
        found = []
        with _failures():
            for folder, _, names in os.walk(self._root / prefix, onerror=_unless_absent):
                for name in names:
                    path = Path(folder, name)
                    with suppress(FileNotFoundError):  # deleted or renamed meanwhile
                        if path.is_file():
                            found.append(
                                StoredFile(path.relative_to(self._root).as_posix(), path.stat().st_size)
                            )
        return found

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens where it is absent."""
        with _failures():
            (self._root / path).unlink(missing_ok=True)

    def _place_for(self, path: str) -> Path:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as err:
        number = getattr(err, "errno", None) or 0
        reason = os.strerror(number) if number else str(err)
        raise StoreFailedError(reason, _REMEDIES.get(number, "check the folder and the disk")) from None


def _unless_absent(err: OSError) -> None:
    if not isinstance(err, FileNotFoundError):
        raise err
