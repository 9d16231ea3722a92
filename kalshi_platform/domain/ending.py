"""End by a signal (Ctrl-C, SIGTERM, SIGHUP): a sentence and the exit code that a shell expects.

Owns   two kinds of handlers. From its first line a program ends in words (:func:`end_in_words`): nothing is
       begun yet, heavy modules are being imported. Around its work SIGTERM is an exception
       (:func:`sigterm_raises`), so that a run ends as on Ctrl-C: its blocks are left, its children ended.
Who    Kubernetes, systemd and ``docker stop`` end a program with SIGTERM, a terminal that is closed with
       SIGHUP. Words about SIGTERM hold for both, but where ``nohup`` has SIGHUP ignored.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn

#: Exit statuses that a shell reports for a process ended by Ctrl-C and by SIGTERM: 128 + the signal.
INTERRUPTED: Final = 130
TERMINATED: Final = 143
#: Signals that ask a program to end, and words and exit status of its end.
ENDS: Final = {
    signal.SIGINT: ("interrupted", INTERRUPTED),
    signal.SIGTERM: ("ended by SIGTERM", TERMINATED),
    signal.SIGHUP: ("ended by SIGHUP, as where a terminal is closed", 128 + signal.SIGHUP),
}
_TERMINATING: Final = (signal.SIGTERM, signal.SIGHUP)

_came: Final[list[int]] = []
#: Seconds after which a signal is sent again whose exception a callback from C has swallowed.
_AGAIN_S: Final = 0.05


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP; whoever cleans up after Ctrl-C cleans up after this as well."""


def end_in_words() -> None:
    """From now on end this process at once on Ctrl-C and SIGTERM, with a sentence and 130 or 143.

    A signal that the process was started to ignore (Ctrl-C in a shell's background jobs) stays ignored.
    """
    for number in ENDS:
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
    _came.clear()
    before = {number: signal.getsignal(number) for number in _TERMINATING}
    raise_on_termination()
    try:
        with _swallowed_come_again():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def raise_on_termination() -> None:
    """Raise Terminated on SIGTERM from now on, and on SIGHUP unless the process was started to ignore it."""
    for number in _TERMINATING:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raise_terminated)


@contextmanager
def _swallowed_come_again() -> Iterator[None]:
    """Send a signal again whose exception was raised where Python can only print it.

    A callback from C, such as the compiler's, cannot raise: without this the work would go on to its end.
    """
    before = sys.unraisablehook

    def hook(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            before(lost)
            return
        number = _came[-1] if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        again = threading.Timer(_AGAIN_S, send, (number,))
        again.daemon = True
        again.start()

    def send(number: int) -> None:
        if sys.unraisablehook is hook:  # the block was not left meanwhile
            os.kill(os.getpid(), number)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def raise_terminated(number: int, frame: Any) -> None:
    """Handle SIGTERM as an exception in the main thread."""
    _came[:] = [number]
    raise Terminated


def sigterm_came() -> bool:
    """True where SIGTERM came since the handler was set; Ray makes KeyboardInterrupt of any interruption."""
    return bool(_came)


def termination() -> tuple[str, int]:
    """Words and exit status of an end by the signal that came; those of SIGTERM where none did."""
    return ENDS[signal.Signals(_came[-1] if _came else signal.SIGTERM)]


def _end(number: int, frame: Any) -> None:
    """End the process without cleaning up: outside its work nothing is left open."""
    exit_in_words(number)


def exit_in_words(number: int) -> NoReturn:
    """End the process at once with the words and the status of the signal ``number``."""
    words, code = ENDS[signal.Signals(number)]
    with suppress(OSError):  # a terminal that was closed
        os.write(2, f"kalshi-platform: {words}\n".encode())
    os._exit(code)
