"""Cores, memory and disk that this process may use, as the system and a container's limits (cgroup) say.

Units   bytes; cores are whole.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import psutil

_CGROUP: Final = Path("/sys/fs/cgroup")


def own_cores() -> int:
    """Number of cores that this process may use: its affinity, or less where a quota allows less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores(_CGROUP)
    return cores if quota is None else max(1, min(cores, int(quota)))


def cgroup_cores(root: Path) -> float | None:
    """Number of cores that a container's quota allows (cgroup 2, else 1); None where there is no quota."""
    both = root / "cpu.max"
    if both.is_file():
        quota, period = both.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    old = root / "cpu" / "cpu.cfs_quota_us"
    if old.is_file() and (quota_us := int(old.read_text())) > 0:
        return quota_us / int((root / "cpu" / "cpu.cfs_period_us").read_text())
    return None


def free_memory_bytes(root: Path = _CGROUP) -> int:
    """Memory this process may still take: the machine's, or less where a cgroup (2, else 1) limits it."""
    available = int(psutil.virtual_memory().available)
    for limit, used in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory" / "memory.limit_in_bytes", root / "memory" / "memory.usage_in_bytes"),
    ):
        if limit.is_file() and used.is_file():
            text = limit.read_text().strip()
            if text != "max":
                available = min(available, max(0, int(text) - int(used.read_text())))
            break
    return available


def free_disk_bytes(place: Path) -> int:
    """Bytes that are free where ``place`` lies, or would lie: its nearest folder that exists is asked."""
    there = place.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
