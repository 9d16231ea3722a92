"""Durable writes to a local disk: a reader, a crash or a power cut meets the old content or the new, whole.

Order      bytes under a temporary name beside the target, fsync, rename (or link), fsync of the folder.
Leftovers  a killed writer leaves a hidden ``.<name>.<number>.partial``, never half a file under its name.
Errors     OSError as the system gives it: the caller knows what its user can do.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

_LEFTOVER: Final = re.compile(r"\.[^/]+\.\d+\.partial")


def write_whole(path: Path, data: bytes | str | pa.Buffer, *, sync_name: bool = True) -> None:
    """Replace ``path`` by ``data`` (text as UTF-8).

    ``sync_name=False`` leaves the fsync of the folder to the caller, who writes many files into one folder.
    """
    with _synced(path, data) as partial:
        os.replace(partial, path)
    if sync_name:
        sync(path.parent)


def create_whole(path: Path, data: bytes) -> bool:
    """Write ``data`` if ``path`` is free; return False, and write nothing, if a file is there already."""
    with _synced(path, data) as partial:
        try:
            os.link(partial, path)  # a link fails where its name is taken; a rename would replace it
        except FileExistsError:
            return False
        finally:
            partial.unlink()
    sync(path.parent)
    return True


def append_line(path: Path, line: str) -> None:
    """Add ``line`` to a log in one write and sync the log to the disk."""
    is_new = not path.exists()
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync(path.parent)


@contextmanager
def whole_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give the block a new folder to fill; without an error, the folder is then synced and named ``target``.

    Where files lie in ``target`` already, ``replace`` moves them away and deletes them; else OSError.
    """
    partial, old = _temporary(target), _temporary(target)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in (*partial.rglob("*"), partial):
            sync(path)
        if replace:  # deleting it in place would leave half of it under its name for a while
            with suppress(FileNotFoundError):
                target.rename(old)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def point_to(link: Path, target: Path) -> None:
    """Make ``link`` a relative symbolic link to ``target``, in place of the link that is there.

    OSError where the file system has no links, or where a folder stands at ``link``.
    """
    partial = _temporary(link)
    partial.symlink_to(os.path.relpath(target.absolute(), link.absolute().parent))
    try:
        os.replace(partial, link)
    except OSError:
        partial.unlink()
        raise
    sync(link.parent)


def file_digest(path: Path | str) -> str:
    """Sha256 of the bytes of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_leftover(path: str) -> bool:
    """True for the unfinished file or folder of a killed writer; delete it only where nobody writes."""
    return _LEFTOVER.fullmatch(path.rsplit("/", 1)[-1]) is not None


def sync(path: Path) -> None:
    """Put a file's bytes, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _synced(target: Path, data: bytes | str | pa.Buffer) -> Iterator[Path]:
    """Yield a synced file beside ``target`` that holds ``data``; delete the file where anything fails."""
    partial = _temporary(target)
    try:
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _temporary(target: Path) -> Path:
    """A name beside ``target`` that no other writer has."""
    return target.with_name(f".{target.name}.{int.from_bytes(os.urandom(6))}.partial")
