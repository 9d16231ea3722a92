"""Processes of a test: who listens on a port, and an end for a whole family.

Children come and go while a test looks at them: MLflow and Ray start and end workers all the time. A process
that is gone neither listens nor needs to be killed.
"""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill every one of ``processes`` that still lives."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def family_of(pid: int) -> list[psutil.Process]:
    """Descendants of process ``pid``; none where it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_of(process: psutil.Process) -> str:
    """Command line of ``process``, empty where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def hosts_listening(pid: int, port: int) -> set[str]:
    """Addresses on which descendants of ``pid`` listen at ``port``."""
    found: set[str] = set()
    for child in family_of(pid):
        with suppress(psutil.NoSuchProcess):
            connections = child.net_connections("tcp")
            found |= {
                c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.port == port
            }
    return found
