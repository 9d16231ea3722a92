"""The cache of opened datasets: one folder a bank; above a size limit the least recently used one leaves.

Layout     <cache>/banks/<key>/<array>.npy, ``in_use.lock`` and ``manifest.json`` with sizes and digests
           (``storage/sealed.py``), written last; while it is written, a hidden folder.
Locks      a process that maps a bank holds a shared flock on its ``in_use.lock`` while one of the arrays
           lives. Only the holder of the exclusive lock deletes, so a bank in use is never removed.
           One process writes a bank, under the flock of ``<cache>/building/<key>``; the others wait.
           Who is about to write one claims its size first (``<cache>/claims/<key>``, locked): two processes
           that open two banks at once do not both take the last room.
Invariant  a folder under its key is complete: it is synced and renamed; an evicted one is renamed away first.
           Every opening verifies every byte: a bank that is not what was written is thrown away, the log
           says so in one line, and the caller builds it again.
Units      bytes; 1 GB = 1e9 bytes.
"""

import errno
import logging
import math
import os
import shutil
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.places import user_home
from kalshi_platform.storage import locks
from kalshi_platform.storage.sealed import seal, verify
from kalshi_platform.storage.whole_file import whole_folder

#: Environment variables: where the cache lies, and how much it may hold in GB.
CACHE_VARIABLE: Final = "KALSHI_PLATFORM_CACHE"
LIMIT_VARIABLE: Final = "KALSHI_PLATFORM_CACHE_GB"
GB: Final = 10**9
_MOST_BYTES: Final = 20 * GB
_DISK_SHARE: Final = 10
_LOCK: Final = "in_use.lock"
#: A bank is written so often before the disk is blamed that it does not read back.
_TRIES: Final = 3
#: Age in seconds at which a writer's folder is surely locked by it; younger ones are left alone.
_LOCKED_BY_THEN_S: Final = 60.0

#: A function that writes arrays into a folder and returns the sha256 of the files it knows, by name.
Write = Callable[[Path], Mapping[str, str]]

_log = logging.getLogger(__name__)


class CachedBank(NamedTuple):
    """One bank in the cache: its size, its last use, and whether a process holds it."""

    key: str
    n_bytes: int
    used_s: float  # Unix time of the last opening
    in_use: bool


class Evicted(NamedTuple):
    """Result of evicting: banks and leftovers removed, bytes freed, banks kept because they are in use."""

    banks: int
    leftovers: int
    freed_bytes: int
    kept_in_use: int

    def line(self) -> str:
        """The result in one line, for people."""
        return (
            f"{self.banks} banks and {self.leftovers} leftovers of killed writers removed, "
            f"{self.freed_bytes / GB:.3f} GB freed, {self.kept_in_use} kept because they are in use"
        )


def cache_folder() -> Path:
    """Return the folder with the banks that this machine keeps: ``banks`` in $KALSHI_PLATFORM_CACHE.

    Without the variable it lies in ``~/.cache/kalshi-platform``. The folder may not exist yet.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else user_home(CACHE_VARIABLE) / ".cache" / "kalshi-platform") / "banks"


def made(folder: Path) -> Path:
    """Return ``folder`` of the cache, made where it is absent; StorageError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from None
    return folder


def _unusable(place: Path, error: OSError) -> StorageError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free room on its disk, or " if is_full else ""
    return StorageError(
        f"the cache of opened datasets cannot use {place}: {error.strerror}; {remedy}set {CACHE_VARIABLE} to "
        f"a folder {'on another one' if is_full else 'that you may write to'}"
    )


@contextmanager
def using(place: Path) -> Iterator[None]:
    """Name ``place`` of the cache by StorageError where the block may not lock or write there.

    A file that is gone stays a FileNotFoundError: another process may have removed it meanwhile.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(place, error) from None


def usual_limit_bytes(disk_bytes: float) -> int:
    """Bytes that the cache may hold on a disk of that size, where nobody set a limit."""
    return int(min(_MOST_BYTES, disk_bytes // _DISK_SHARE))


def limit_bytes() -> int:
    """Bytes that the cache may hold: the variable's limit, else the lesser of 20 GB and a tenth of the disk.

    ContractError where the variable is no positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if text is None or not text.strip():
        root = made(cache_folder())
        return usual_limit_bytes(shutil.disk_usage(root).total)
    try:
        value = float(text) * GB
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ContractError(f"{LIMIT_VARIABLE}={text!r} is no positive number of GB; set e.g. 20 or unset it")
    return int(value)


def banks() -> list[CachedBank]:
    """Banks in the cache, least recently used first."""
    found = []
    for folder in _folders():
        with suppress(FileNotFoundError):  # evicted by another process meanwhile
            with using(folder), locks.exclusive_if_free(folder / _LOCK) as free:
                in_use = not free
            found.append(CachedBank(folder.name, _size(folder), _used_s(folder), in_use))
    return sorted(found, key=lambda bank: bank.used_s)


def open_arrays(key: str) -> dict[str, np.ndarray] | None:
    """Arrays of bank ``key``, memory-mapped and held against eviction.

    None where the cache has no such bank, or had one that is not as it was written.
    """
    folder = cache_folder() / key
    try:
        lease = locks.take_shared(folder / _LOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        if not _is_fit(folder, lease):
            return None
        os.utime(folder / _LOCK)
        return {path.stem: _mapped(path, lease) for path in sorted(folder.glob("*.npy"))}
    finally:
        os.close(lease)


def build_arrays(key: str, n_bytes: int, write: Write, what: str) -> dict[str, np.ndarray]:
    """Open bank ``key``, or write it where the cache lacks it, and map it.

    ``write`` fills a folder with arrays of about ``n_bytes`` and returns the sha256 of the files that it
    knows, by name. One process of the machine writes; others wait for it, and the log says for what
    (``what``). If the writer is killed, the next one begins anew. StorageError where the disk is full or does
    not keep what is written to it.
    """
    found = open_arrays(key)
    if found is not None:
        return found
    turn = made(cache_folder().parent / "building" / key)
    with ExitStack() as held:
        with using(turn):
            held.enter_context(locks.writing(turn, math.inf, f"{what} (bank {key})"))
        found = open_arrays(key)
        return _write(key, n_bytes, write) if found is None else found


@contextmanager
def claimed(key: str, n_bytes: int, fits: Callable[[int], bool]) -> Iterator[bool]:
    """Claim the room of bank ``key`` for the block where ``fits(bytes)`` allows it, else yield False.

    The bytes are ``n_bytes`` and what other processes have claimed for other banks. A claim ends with the
    block, or with its process.
    """
    folder = made(cache_folder().parent / "claims")
    with ExitStack() as held:
        with using(folder), locks.exclusive(folder / ".lock"):
            has_room = fits(n_bytes + claimed_bytes(but=key))
            if has_room:
                held.callback(os.close, locks.take_shared(folder / key))
                (folder / key).write_text(str(n_bytes))
        yield has_room


def claimed_bytes(but: str) -> int:
    """Bytes of the banks, except ``but``, that processes are about to write, or are writing."""
    total = 0
    for path in (cache_folder().parent / "claims").glob("[!.]*"):
        if path.name == but or (cache_folder() / path.name).exists():
            continue
        with suppress(FileNotFoundError), using(path), locks.exclusive_if_free(path) as free:
            if free:
                path.unlink()
            else:
                total += int(path.read_text() or 0)
    return total


def store_arrays(key: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Write ``arrays`` under ``key`` and map them; if another process was first, the ones that it wrote."""

    def write(folder: Path) -> Mapping[str, str]:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", np.asarray(array).view(np.ndarray))
        return {}

    return build_arrays(key, sum(array.nbytes for array in arrays.values()), write, "arrays")


def _write(key: str, n_bytes: int, write: Write) -> dict[str, np.ndarray]:
    """Make room, let ``write`` fill the folder of bank ``key``, read it back and map it."""
    root = made(cache_folder())
    for _ in range(_TRIES):
        _make_room(n_bytes, key)
        with ExitStack() as held:
            try:
                with whole_folder(root / key) as folder:
                    # Held over the rename: nobody evicts what is about to be mapped.
                    held.callback(os.close, locks.take_shared(folder / _LOCK))
                    seal(folder, write(folder))
            except OSError as error:
                raise StorageError(
                    f"cannot write {root / key} of {n_bytes / GB:.3f} GB: {error.strerror}; free room on its "
                    f"disk, or set {CACHE_VARIABLE} to a folder on another one"
                ) from error
            found = open_arrays(key)
        if found is not None:
            return found
    raise StorageError(
        f"{root / key} was written {_TRIES} times and never read back as written: the disk fails, or "
        f"something changes the cache; set {CACHE_VARIABLE} to a folder on another disk"
    )


def leave_room(n_bytes: int) -> None:
    """Evict banks that nobody uses until ``n_bytes`` more fit under the limit, or none is left."""
    done = _evict(sum(map(_size, _folders())) + n_bytes - limit_bytes(), keep="")
    if done.banks or done.leftovers:
        _log.warning("cache %s: %s", cache_folder(), done.line())


def empty_cache() -> Evicted:
    """Remove every bank that nobody uses, and the leftovers of killed writers."""
    return _evict(need_bytes=math.inf, keep="")


def _is_fit(folder: Path, lease: int) -> bool:
    """True where ``folder`` holds what was written; else it is thrown away, and the log says why.

    The folder goes although other processes may map it: they keep the pages of deleted files.
    """
    try:
        verify(folder, kind="cached bank", remedy="it is thrown away and built again from the dataset")
    except (DataError, OSError) as error:
        _log.warning("%s", error)
    else:
        return True
    away = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        # Only the folder that was verified: another process may have built a new one meanwhile.
        if os.path.samestat(os.fstat(lease), os.stat(folder / _LOCK)):
            folder.rename(away)
            shutil.rmtree(away, ignore_errors=True)
    except FileNotFoundError:  # another process was faster
        pass
    except OSError as error:
        raise StorageError(
            f"{folder} is damaged and cannot be removed ({error.strerror}): delete it, or set "
            f"{CACHE_VARIABLE} to a folder of your own"
        ) from None
    return False


def _make_room(n_bytes: int, keep: str) -> None:
    """Evict banks until ``n_bytes`` more fit under the limit, but never ``keep``."""
    limit = limit_bytes()
    n_bytes += claimed_bytes(but=keep)
    done = _evict(sum(map(_size, _folders())) + n_bytes - limit, keep)
    if done.banks or done.leftovers:
        _log.warning("cache %s (limit %.3g GB): %s", cache_folder(), limit / GB, done.line())
    held = sum(map(_size, _folders())) + n_bytes
    if held > limit:
        _log.warning(
            "cache %s will hold %.3f GB, above its limit of %.3f GB, and nothing more can leave; "
            "raise %s or use fewer datasets at once",
            cache_folder(), held / GB, limit / GB, LIMIT_VARIABLE,
        )  # fmt: skip


def _evict(need_bytes: float, keep: str) -> Evicted:
    freed = banks = leftovers = kept = 0
    root = cache_folder()
    for temporary in sorted(root.glob(".*")) if root.is_dir() else ():
        if _is_stale(temporary) and (size := _remove(temporary)) is not None:
            leftovers, freed = leftovers + 1, freed + size
    for folder in sorted(_folders(), key=_used_s):
        if freed >= need_bytes:
            break
        if folder.name == keep:
            continue
        size = _remove(folder)
        if size is None:
            kept += 1
        else:
            banks, freed = banks + 1, freed + size
    return Evicted(banks, leftovers, freed, kept)


def _remove(folder: Path) -> int | None:
    """Delete ``folder``; returns the bytes freed, None where somebody holds it."""
    with suppress(FileNotFoundError), using(folder), locks.exclusive_if_free(folder / _LOCK) as free:
        if not free:
            return None
        size = _size(folder)
        away = folder.with_name(f".{folder.name.lstrip('.')}.{uuid.uuid4().hex}")
        folder.rename(away)
        shutil.rmtree(away)
        return size
    return 0  # another process removed it first


def _is_stale(temporary: Path) -> bool:
    """True where a writer would have taken its lock by now, so that the lock says whether it still writes."""
    with suppress(FileNotFoundError):
        return time.time() - temporary.stat().st_mtime > _LOCKED_BY_THEN_S
    return False


def _mapped(path: Path, lease: int) -> np.ndarray:
    """Array in ``path``; the lock behind ``lease`` is held until nobody refers to the map."""
    array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    # A duplicate shares the lock, which ends when the last duplicate is closed.
    weakref.finalize(array._mmap, os.close, os.dup(lease)).atexit = False
    return np.asarray(array)


def _folders() -> list[Path]:
    root = cache_folder()
    return [p for p in root.iterdir() if p.is_dir() and p.name[0] != "."] if root.is_dir() else []


def _size(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):  # evicted by another process meanwhile
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def _used_s(folder: Path) -> float:
    for path in (folder / _LOCK, folder):  # folders of older versions have no lock
        with suppress(FileNotFoundError):
            return path.stat().st_mtime
    return 0.0
