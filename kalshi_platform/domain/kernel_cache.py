"""Where numba keeps a compiled kernel: by its place in the package, not by where the package lies.

A job of ``ray job submit`` runs from a copy of the checkout in a folder of its own. By numba's own rule every
copy would compile all kernels again, a minute of two cores; by this one it finds what the machine has.
numba itself compares the hash of the kernel's file before it trusts a stored copy.
"""

import os
from pathlib import Path
from typing import Any

from numba.core.caching import UserProvidedCacheLocator

_PACKAGE = Path(__file__).resolve().parents[1]


class PackageCacheLocator(UserProvidedCacheLocator):
    """Named to numba in NUMBA_CACHE_LOCATOR_CLASSES (``kalshi_platform/__init__.py``)."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """Folder below NUMBA_CACHE_DIR: the kernel's package, e.g. ``kalshi_platform.domain``."""
        folder = Path(py_file).resolve().parent
        return ".".join((_PACKAGE.name, *folder.relative_to(_PACKAGE).parts))

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """None for a function of another package, which numba then places by its own rules."""
        if not os.path.abspath(py_file).startswith(f"{_PACKAGE}{os.sep}"):
            return None
        return super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]
