"""One market-agnostic reinforcement-learning policy for every Kalshi prediction market."""

import hashlib
import os
import sys
from pathlib import Path

__version__ = "0.1.0"


_LOCATORS = "kalshi_platform.domain.kernel_cache.PackageCacheLocator,UserProvidedCacheLocator"


def _name_kernel_cache() -> None:
    """Keep compiled kernels in a folder named by the sources they were compiled from.

    numba looks only at a kernel's own file: where a kernel it calls has changed in another file, it would
    run the old machine code. ``NUMBA_CACHE_DIR``, where set, is left alone.
    """
    # Copies of the package in other folders share one cache: domain/kernel_cache.py says why.
    os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", _LOCATORS)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_LOCATOR_CLASSES = os.environ["NUMBA_CACHE_LOCATOR_CLASSES"]
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if "cli" not in path.relative_to(package).parts:  # no kernel there
            digest.update(path.read_bytes())
    home = Path(os.environ.get("KALSHI_PLATFORM_CACHE") or Path.home() / ".cache" / "kalshi-platform")
    folder = str(home / "kernels" / digest.hexdigest()[:12])
    os.environ["NUMBA_CACHE_DIR"] = folder  # also for the processes this one starts
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


_name_kernel_cache()
