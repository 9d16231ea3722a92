"""Refusals: every program of this package turns a deliberate error into one message and an exit code."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import typer

from kalshi_platform.domain.ending import Terminated
from kalshi_platform.domain.errors import ExitCode, PlatformError

#: Exit statuses that a shell reports for a process ended by Ctrl-C and by SIGTERM: 128 + the signal.
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def message_of(error: PlatformError) -> str:
    """Message for the user; Ray glues the remote stack trace to it, so an error's cause is asked first."""
    cause = getattr(error, "cause", None)
    return str(cause if isinstance(cause, PlatformError) else error)


@contextmanager
def refusals() -> Iterator[None]:
    """End the program without a stack trace on a deliberate error, Ctrl-C or a full disk in the block."""
    try:
        yield
    except PlatformError as err:
        raise _refuse(message_of(err), err.exit_code) from None
    except Terminated as err:
        raise _refuse(f"ended by SIGTERM{_after(err)}", TERMINATED) from None
    except KeyboardInterrupt as err:
        raise _refuse(f"interrupted{_after(err)}", INTERRUPTED) from None
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" while writing {err.filename}" if err.filename else ""
        raise _refuse(f"disk full{place}: free some space and repeat", ExitCode.DATA_REFUSED) from None


@contextmanager
def going_on(advice: Callable[[], str]) -> Iterator[None]:
    """Add ``advice()``, how to go on, to the message of an end by Ctrl-C or SIGTERM in the block."""
    try:
        yield
    except KeyboardInterrupt as err:
        raise type(err)(advice()) from None


def _after(error: KeyboardInterrupt) -> str:
    return f": {error}" if str(error) else ""


def _refuse(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    typer.echo(f"kalshi-platform: {message}", err=True)
    return typer.Exit(int(code))
