"""The cache of compiled kernels: a folder named by the sources that their machine code is made of.

Sources    a kernel's file and every file of the package that it imports, and those import in turn: everything
           that a kernel calls, or freezes as a constant, comes from one of them. numba itself looks only at
           the kernel's own file, and would go on running machine code with an old callee inside.
Copies     a folder's name holds no path. A job of ``ray job submit`` runs from a copy of the checkout, and
           finds what the machine has compiled instead of compiling for a minute.
Processes  each finds the folders by itself, so that a Ray worker has the cache of its driver. Nothing is set
           in the environment. One compiles a kernel that several need at once: the others wait for its lock.

Cold       pasting kernels into the features' kernel took a fifth of its time to compile: ``_copy_of_scope``.

They lie in ``NUMBA_CACHE_DIR`` where that is set, else in ``kernels`` of ``KALSHI_PLATFORM_CACHE``, else of
``~/.cache/kalshi-platform``.
"""

import fcntl
import functools
import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from numba import config
from numba.core import ir
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.places import user_home

#: Longest wait for machine code that another process compiles: the largest kernel takes 100 s of a core with
#: all that it calls, and four processes may share two cores. A process that dies lets go of its lock.
_PATIENCE_S: Final = 600.0
_PAUSE_S: Final = 0.05
_VARIABLE: Final = "KALSHI_PLATFORM_CACHE"
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_NAME: Final = _PACKAGE.name
#: ``from kalshi_platform.a import b, c`` (one line or parentheses) and ``import kalshi_platform.a``.
_IMPORT: Final = re.compile(
    rf"^\s*(?:from ({_NAME}[.\w]*) import (\([^)]*\)|.*)|import ({_NAME}[.\w]*))", re.MULTILINE
)


def _copy_of_scope(scope: Any, memo: dict[int, Any]) -> Any:
    """A scope (numba's names of one function) with names of its own and the variables of ``scope``.

    Pasting an ``inline_kernel`` into its caller, numba copies the kernel block by block, and with each block
    every variable of the whole kernel: their number times that of the blocks. It asks of the copy only names
    and lines, and replaces the variables that a block uses, which are copied with it as ever.
    """
    made = memo[id(scope)] = ir.Scope(scope.parent, scope.loc)  # type: ignore[no-untyped-call]
    made.localvars._con.update(scope.localvars._con)
    made.redefined.update(scope.redefined)
    made.var_redefinitions.update({name: set(found) for name, found in scope.var_redefinitions.items()})
    return made


ir.Scope.__deepcopy__ = _copy_of_scope  # type: ignore[attr-defined]


def imported(source: str) -> set[Path]:
    """Files of this package that ``source``, the text of a module, imports."""
    files: set[Path] = set()
    for parent, names, module in _IMPORT.findall(source):
        wanted = [module] if module else [parent, *(f"{parent}.{name}" for name in re.findall(r"\w+", names))]
        files.update(file for name in wanted if (file := _file_of(name)))
    return files


def sources_of(file: Path) -> list[Path]:
    """``file`` and all files of the package that it imports, at first or second hand, ordered by path."""
    found = {file}
    waiting = [file]
    while waiting:
        fresh = _neighbours(waiting.pop()) - found
        found |= fresh
        waiting.extend(fresh)
    return sorted(found)


@functools.cache
def folder_name(file: Path) -> str:
    """Module and digest of the sources of ``file``, e.g. ``kalshi_platform.domain.fees-0123456789ab``."""
    digest = hashlib.sha256()
    for source in sources_of(file):
        digest.update(f"{_module_of(source)}\0{_read(source)}\0".encode())
    return f"{_module_of(file)}-{digest.hexdigest()[:12]}"


def root() -> Path:
    """Folder of all compiled kernels; those with bounds checks have one of their own."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        folder = Path(chosen)
    else:
        home = os.environ.get(_VARIABLE)
        folder = (Path(home) if home else user_home(_VARIABLE) / ".cache" / "kalshi-platform") / "kernels"
    # numba would run a kernel compiled without bounds checks although NUMBA_BOUNDSCHECK asks for them.
    checked = config.BOUNDSCHECK and folder.name != "checked"  # type: ignore[attr-defined]
    return folder / "checked" if checked else folder


@functools.cache
def _read(file: Path) -> str:
    """Text of ``file``, once a process: an edit made after the import is not in the code that runs."""
    return file.read_text(encoding="utf-8")


@functools.cache
def _neighbours(file: Path) -> set[Path]:
    return imported(_read(file))


@functools.cache
def _file_of(module: str) -> Path | None:
    place = _PACKAGE.parent.joinpath(*module.split("."))
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


def _module_of(file: Path) -> str:
    return ".".join(file.relative_to(_PACKAGE.parent).with_suffix("").parts)


class _Locator(InTreeCacheLocator):
    """Tells numba the folder of a kernel of this package."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)  # type: ignore[no-untyped-call]
        self._cache_path = str(root() / folder_name(Path(py_file).resolve()))

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """None for a function of another package, which numba then places by its own rules."""
        if not Path(py_file).resolve().is_relative_to(_PACKAGE):
            return None
        found = super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]
        if found is None:  # numba's word for a folder that cannot be written
            raise StorageError(
                f"compiled kernels cannot be kept in {root()}: name a writable folder in NUMBA_CACHE_DIR"
            )
        return found


class _Places(CompileResultCacheImpl):
    _locator_classes = [_Locator, *CompileResultCacheImpl._locator_classes]  # noqa: RUF012


class KernelCache(FunctionCache):
    """numba's cache of one function's machine code, in this package's folders.

    Where several processes need the same machine code at once, one compiles it and the others wait for it.
    """

    _impl_class = _Places

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)  # type: ignore[no-untyped-call]
        self._compiling: dict[str, int] = {}  # lock file -> handle, from a miss until the code is saved

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Machine code for ``sig``; None where this process is to compile it."""
        found = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        if found is None and self._hold(sig):
            found = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
            if found is not None:
                self._release(sig)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code ``data`` of ``sig``, and let the processes that wait for it go on."""
        super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        self._release(sig)

    def _hold(self, sig: Any) -> bool:
        """Lock ``sig`` for this process; True where another one had it, whose machine code may be there now.

        After ``_PATIENCE_S``, or where the disk knows no locks, this process compiles beside the other one.
        """
        end_s, waited, path = time.monotonic() + _PATIENCE_S, False, self._lock(sig)
        if path in self._compiling:  # an earlier attempt of this process failed
            return False
        with suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    waited = True
                    if time.monotonic() > end_s:
                        os.close(handle)
                        return True
                    time.sleep(_PAUSE_S)
                else:
                    self._compiling[path] = handle
                    break
        return waited

    def _release(self, sig: Any) -> None:
        path = self._lock(sig)
        if (handle := self._compiling.pop(path, None)) is not None:
            with suppress(OSError):
                os.unlink(path)
            os.close(handle)

    def _lock(self, sig: Any) -> str:
        name = hashlib.sha256(f"{self._impl.filename_base} {sig}".encode()).hexdigest()[:16]
        return os.path.join(self._cache_path, f"{name}.lock")
