"""The command ``kalshi-platform``: one group a module of this package, imported only when it is used.

Owns   the list of commands, ``--version``, and the way an error becomes one message and an exit code.
Not    what a command does: each module named in COMMANDS exposes ``app``, a ``typer.Typer``.

``--help`` must answer at once, so ray, torch and numba are imported by the command that needs them.
"""

import errno
import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from kalshi_platform import __version__
from kalshi_platform.domain.errors import ExitCode, PlatformError

#: name -> what ``--help`` says; the command is ``app`` of ``kalshi_platform.cli.<name>``.
COMMANDS: Final = {
    "quickstart": "Data (simulated or --data) to a trained policy and its held-out report, in minutes.",
    "dataset": "Build, inspect and verify datasets.",
    "simulate": "Generate recordings of a simulated exchange.",
    "train": "Train a policy on the training events of a dataset.",
    "progressive": "Train from a simple network to a complex one, as far as it pays.",
    "evaluate": "Judge a checkpoint on held-out events and write its report.",
    "bench": "Run the benchmarks against their peers.",
    "doctor": "Check that this machine can do the above, and say what to do where it cannot.",
}

#: What a shell reports for a process ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED: Final = 130


def load_command(name: str) -> Any:
    """The click command behind ``name``, one of COMMANDS; this is where its module is imported."""
    command = typer.main.get_command(import_module(f"kalshi_platform.cli.{name}").app)
    # Shell completion is installed once, for the whole program.
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    command.name = name
    return command


def message_of(error: PlatformError) -> str:
    """What the user reads; Ray glues the remote stack trace to the message, so ask its cause first."""
    cause = getattr(error, "cause", None)
    return str(cause if isinstance(cause, PlatformError) else error)


def _refuse(message: str, code: int) -> typer.Exit:
    sys.stdout.flush()
    typer.echo(f"kalshi-platform: {message}", err=True)
    return typer.Exit(int(code))


class LazyGroup(TyperGroup):
    """Lists its commands without importing them; maps deliberate errors to a message and a code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Command names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows the command's name and help only; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name], short_help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command named by the first argument, and the arguments left for it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a deliberate error ends with its message and exit code, without a stack trace."""
        try:
            return super().invoke(ctx)
        except PlatformError as err:
            raise _refuse(message_of(err), err.exit_code) from None
        except KeyboardInterrupt:
            raise _refuse("interrupted", INTERRUPTED) from None
        except OSError as err:
            if err.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            place = f" while writing {err.filename}" if err.filename else ""
            raise _refuse(f"disk full{place}: free some space and repeat", ExitCode.DATA_REFUSED) from None


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="One reinforcement-learning policy for every Kalshi prediction market, from recording to report.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 data refused, 4 a gate or limit said no.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kalshi-platform {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
    ),
) -> None:
    """One reinforcement-learning policy for every Kalshi prediction market, from recording to report."""
