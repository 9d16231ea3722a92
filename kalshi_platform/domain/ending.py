"""SIGTERM as an exception, so that a run ends as it does on Ctrl-C: its blocks are left, its children ended.

Kubernetes, systemd and ``docker stop`` end a program with SIGTERM. Ray replaces the handler when it starts,
by one that aborts the process with a trace of C++: install this one again after ``ray.init``.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM; whoever cleans up after Ctrl-C cleans up after this as well."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise Terminated in the main thread on SIGTERM inside the block; in another thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _raise(number: int, frame: Any) -> None:
    raise Terminated
