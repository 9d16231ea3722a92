"""Refusals: every program of this package turns a deliberate error into one message and an exit code."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import typer

from kalshi_platform.domain.bounded import bounded_message, shown_value
from kalshi_platform.domain.ending import INTERRUPTED, Terminated, signals_raise, sigterm_came, termination
from kalshi_platform.domain.errors import ExitCode, PlatformError
from kalshi_platform.domain.hidden_user import without_users
from kalshi_platform.evaluation.pages.terminal import tell

#: Advice of a command that keeps its finished parts.
REPEAT: Final = (
    "repeat the command: finished parts are kept, a run goes on from its last checkpoint if it has one"
)
#: Errors of the system about a path that somebody named, not about the state of a disk.
_OF_A_NAME: Final = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)


def message_of(error: PlatformError) -> str:
    """Message for the user; Ray glues the remote stack trace to it, so an error's cause is asked first."""
    cause = getattr(error, "cause", None)
    return str(cause if isinstance(cause, PlatformError) else error)


@contextmanager
def refusals() -> Iterator[None]:
    """End the program without a stack trace on a deliberate error, Ctrl-C or a full disk in the block."""
    try:
        with signals_raise():
            yield
    except PlatformError as err:
        if sigterm_came():  # the error is of the end: a process that the signal reached first, say
            raise _terminated() from None
        raise _refuse(message_of(err), err.exit_code) from None
    except Terminated as err:
        raise _terminated(_after(err)) from None
    except KeyboardInterrupt as err:
        if sigterm_came():
            raise _terminated(_after(err)) from None
        raise _refuse(f"interrupted{_after(err)}", INTERRUPTED) from None
    except OSError as err:
        if sigterm_came():
            raise _terminated() from None
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            place = f" while writing {err.filename}" if err.filename else ""
            raise _refuse(f"disk full{place}: free some space and repeat", ExitCode.DATA_REFUSED) from None
        if err.errno not in _OF_A_NAME or err.filename is None:
            raise
        words = f"{shown_value(str(err.filename), 120)} cannot be used ({err.strerror}): name another place"
        raise _refuse(words, ExitCode.USAGE) from None
    except Exception:
        # Compiled code and Ray make other errors of the signal's exception, or swallow it and find faults.
        if sigterm_came():
            raise _terminated() from None
        raise


@contextmanager
def going_on(advice: Callable[[], str]) -> Iterator[None]:
    """Add ``advice()``, how to go on, to the message of an end by Ctrl-C or SIGTERM in the block."""
    try:
        yield
    except KeyboardInterrupt as err:
        raise type(err)(advice()) from None


def _after(error: KeyboardInterrupt) -> str:
    return f": {error}" if str(error) else ""


def _terminated(after: str = "") -> typer.Exit:
    words, code = termination()
    return _refuse(f"{words}{after}", code)


def _refuse(message: str, code: int) -> typer.Exit:
    try:
        sys.stdout.flush()
        tell.settle()
        typer.echo(f"kalshi-platform: {bounded_message(without_users(message))}", err=True)
    except OSError as error:
        if error.errno != errno.EIO:  # that of a terminal which was closed
            raise
    return typer.Exit(int(code))
