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
    """Memory this process may still take: the machine's, or less where a cgroup (2, else 1) limits it.

    Pages of files, which the system gives up when memory is asked for, are free in both.
    """
    available = int(psutil.virtual_memory().available)
    for limit, used in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory" / "memory.limit_in_bytes", root / "memory" / "memory.usage_in_bytes"),
    ):
        if limit.is_file() and used.is_file():
            text = limit.read_text().strip()
            if text != "max":
                taken = int(used.read_text()) - _file_pages(limit.parent / "memory.stat")
                available = min(available, max(0, int(text) - taken))
            break
    return available


def _file_pages(stat: Path) -> int:
    """Bytes of a cgroup's pages of files, which it counts as used; a bank that is mapped is of them."""
    if not stat.is_file():
        return 0
    told = dict(line.split() for line in stat.read_text().splitlines())
    prefix = "total_" if "total_inactive_file" in told else ""  # version 1: with the groups below
    return sum(int(told.get(f"{prefix}{name}", 0)) for name in ("inactive_file", "active_file"))


def free_disk_bytes(place: Path) -> int:
    """Bytes that are free where ``place`` lies, or would lie: its nearest folder that exists is asked."""
    there = place.absolute()
    while not _is_there(there):
        there = there.parent
    return shutil.disk_usage(there).free


def _is_there(place: Path) -> bool:
    """True where ``place`` can be asked: it exists, and neither its name nor its owner forbids it."""
    try:
        return place.exists()
    except OSError:
        return False
