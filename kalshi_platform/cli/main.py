"""The command ``kalshi-platform``: one group a module of this package, imported only when it is used.

Owns   the list of commands, ``--version``, and the way an error becomes one message and an exit code.
Not    the commands: each module named in COMMANDS exposes ``app``, a ``typer.Typer``.

``--help`` must answer at once, so ray, torch and numba are imported by the command that needs them.
"""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand

from kalshi_platform import __version__
from kalshi_platform.cli.command_app import CommandApp, WordedGroup
from kalshi_platform.cli.refusal import refusals
from kalshi_platform.domain.extras import require_extras

#: name -> what ``--help`` says; the command is ``app`` of ``kalshi_platform.cli.<name>``.
COMMANDS: Final = {
    "quickstart": "Go from data (simulated or yours) to a policy and its held-out report, in minutes.",
    "dataset": "Build, inspect and verify datasets.",
    "record": "Record the exchange's stream until stopped, and say what a recording covers.",
    "trade": "Trade with a registered model: on paper, at a simulated exchange, in the demo, or live.",
    "simulate": "Generate recordings of a simulated exchange.",
    "simexchange": "Serve a simulated exchange over REST and WebSocket, with faults on demand.",
    "calibrate": "Set a simulated dataset beside a recorded one, measure by measure, a distance each.",
    "train": "Train a policy on the training events of a dataset.",
    "progressive": "Train from a simple network to a complex one, as far as it pays.",
    "evaluate": "Judge a checkpoint on held-out events and write its report.",
    "runs": "Compare training runs and sweeps, or list them.",
    "dashboard": "Open MLflow, TensorBoard, Ray's dashboard or a sweep's page, on loopback.",
    "models": "Register, promote through the gates, roll back and list models.",
    "tiers": "Make, show and judge the small networks that stand before a registered model.",
    "serve": "Serve the registry's model over HTTP on this machine.",
    "loadtest": "Measure how fast a running server answers, at a fixed rate.",
    "exchange": "Compare the exchange's documents with what the client uses.",
    "bench": "Run the benchmarks against their peers.",
    "plan": "Say what memory, disk and time a number of markets and rows needs, and what breaks first.",
    "doctor": "Check that this machine can do the above, and say what to do where it cannot.",
}

#: Commands that need more than a base installation, and the extras of pyproject.toml that bring it.
NEEDS: Final = {
    "quickstart": ("train", "serve"),
    "train": ("train",),
    "progressive": ("train",),
    "tiers": ("serve",),
    "serve": ("serve",),
    "loadtest": ("serve",),
    "record": ("trade",),
    "simexchange": ("trade",),
    "trade": ("trade", "serve"),
}


def load_command(name: str) -> Any:
    """Click command behind ``name``, one of COMMANDS; this function imports its module."""
    command = typer.main.get_command(import_module(f"kalshi_platform.cli.{name}").app)
    # Shell completion is installed once, for the whole program.
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    command.name = name
    return command


class LazyGroup(WordedGroup):
    """A group that lists its commands without importing them.

    It turns a deliberate error into one message and an exit code.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Command names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Stand-in that knows the command's name and help only; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name], short_help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Command named by the first argument, and the arguments left for it."""
        name, _, rest = super().resolve_command(ctx, args)
        require_extras(str(name), *NEEDS.get(str(name), ()))
        return name, load_command(str(name)), rest

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read the words before the command's name; a disk that takes no help text is told as any error."""
        with refusals():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a deliberate error ends with its message and exit code, without a stack trace."""
        with refusals():
            return super().invoke(ctx)


app = CommandApp(
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
