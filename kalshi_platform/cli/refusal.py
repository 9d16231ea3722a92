"""Refusals: every program of this package turns a deliberate error into one message and an exit code."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import typer

from kalshi_platform.domain.ending import INTERRUPTED, TERMINATED, Terminated, signals_raise
from kalshi_platform.domain.errors import ExitCode, PlatformError
from kalshi_platform.evaluation.pages.terminal import tell

#: Advice of a command that keeps its finished parts.
REPEAT: Final = (
    "repeat the command: finished parts are kept, a run goes on from its last checkpoint if it has one"
)


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
    tell.settle()
    typer.echo(f"kalshi-platform: {message}", err=True)
    return typer.Exit(int(code))
