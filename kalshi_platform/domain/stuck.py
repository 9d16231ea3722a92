"""An end within bounds for work that waits inside C, where Python raises no exception for a signal.

Why     ``ray.init`` waits in C++ for its processes; on a busy machine Ctrl-C and SIGTERM were heard half a
        minute later, when a supervisor has long sent a SIGKILL and Ray's processes are orphans.
How     C writes the number of each signal to a pipe at once (``signal.set_wakeup_fd``); a thread reads it and
        gives the block some seconds to be left before it ends what the block began, and the process.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from kalshi_platform.domain.ending import ENDS, exit_in_words

_ENDING: Final = tuple(ENDS)


@contextmanager
def signal_ends_within(patience_s: float, clean: Callable[[], None]) -> Iterator[None]:
    """End this process where the block is not left within ``patience_s`` of Ctrl-C or SIGTERM.

    ``clean`` is called first, in another thread: it ends what the block began. Signals that the process
    ignores end nothing. Outside the main thread nothing is watched: only there may it be.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    is_left = threading.Event()

    def watch() -> None:
        while heard := reading.recv(64):
            if before >= 0:  # an event loop's own pipe
                with suppress(OSError):
                    os.write(before, heard)
            number = next((n for n in heard if n in _ENDING), None)
            if number is None:
                continue
            if is_left.wait(patience_s):
                return
            try:
                clean()
            finally:
                exit_in_words(number)

    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        is_left.set()
        writing.close()
        watcher.join()
        reading.close()
