"""Refusals: every program of this package turns a deliberate error into one message and an exit code."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from kalshi_platform.domain.errors import ExitCode, PlatformError

#: Exit status that a shell reports for a process ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED: Final = 130


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
    except KeyboardInterrupt:
        raise _refuse("interrupted", INTERRUPTED) from None
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" while writing {err.filename}" if err.filename else ""
        raise _refuse(f"disk full{place}: free some space and repeat", ExitCode.DATA_REFUSED) from None


def _refuse(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    typer.echo(f"kalshi-platform: {message}", err=True)
    return typer.Exit(int(code))
