"""Ctrl-C and SIGTERM: a sentence and the exit code that a shell expects, whenever they come.

Owns   two kinds of handlers. From its first line a program ends in words (:func:`end_in_words`): nothing is
       begun yet, heavy modules are being imported. Around its work SIGTERM is an exception
       (:func:`sigterm_raises`), so that a run ends as on Ctrl-C: its blocks are left, its children ended.
Who    Kubernetes, systemd and ``docker stop`` end a program with SIGTERM.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

#: Exit statuses that a shell reports for a process ended by Ctrl-C and by SIGTERM: 128 + the signal.
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM; whoever cleans up after Ctrl-C cleans up after this as well."""


def end_in_words() -> None:
    """From now on end this process at once on Ctrl-C and SIGTERM, with a sentence and 130 or 143.

    A signal that the process was started to ignore (Ctrl-C in a shell's background jobs) stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM inside the block, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with sigterm_raises():
            yield
    finally:
        if before is _end:
            signal.signal(signal.SIGINT, _end)


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


def _end(number: int, frame: Any) -> None:
    """End the process without cleaning up: outside its work nothing is left open."""
    words, code = (
        ("interrupted", INTERRUPTED) if number == signal.SIGINT else ("ended by SIGTERM", TERMINATED)
    )
    os.write(2, f"kalshi-platform: {words}\n".encode())
    os._exit(code)
