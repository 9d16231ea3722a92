"""The place of a compiled kernel in numba's cache, named by the kernel's package, not by the checkout.

``ray job submit`` runs a job from a copy of the checkout in a folder of its own. By numba's own rule every
copy would compile all kernels again, which takes a minute of two cores; by this rule a copy finds the kernels
that the machine already has. numba still compares the hash of the kernel's file before it trusts a stored
one.
"""

import os
from pathlib import Path
from typing import Any

from numba.core.caching import UserProvidedCacheLocator

_PACKAGE = Path(__file__).resolve().parents[1]


class PackageCacheLocator(UserProvidedCacheLocator):
    """The locator that NUMBA_CACHE_LOCATOR_CLASSES names (``kalshi_platform/__init__.py`` sets it)."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """Folder below NUMBA_CACHE_DIR: the kernel's package, e.g. ``kalshi_platform.domain``."""
        folder = Path(py_file).resolve().parent
        return ".".join((_PACKAGE.name, *folder.relative_to(_PACKAGE).parts))

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """A locator for a kernel of this package.

        None for any other function, which numba places by its own rules.
        """
        if not os.path.abspath(py_file).startswith(f"{_PACKAGE}{os.sep}"):
            return None
        return super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]
