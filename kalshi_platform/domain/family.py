"""Processes that this one began, and an end for those of them that outlive it.

Why      Ray ends its head process and leaves it to the others to notice; two agents listen on all interfaces
         for some seconds longer, and HAProxy goes on for ever where its manager died before it.
Rule     only descendants are ended; a process is told by its number and its start, because numbers return.
"""

from contextlib import suppress

import psutil


def descendants() -> list[psutil.Process]:
    """Children of this process, theirs, and so on."""
    return list(psutil.Process().children(recursive=True))


def end_those_left(family: list[psutil.Process], patience_s: float) -> int:
    """Wait up to ``patience_s`` seconds for ``family`` to end, kill who is left; returns how many were."""
    _, left = psutil.wait_procs(family, timeout=patience_s)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=1.0)
    return len(left)
