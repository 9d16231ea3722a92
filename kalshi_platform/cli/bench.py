"""``kalshi-platform bench``: runs ``benchmarks/run.py`` of the checkout this package is installed from."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

import kalshi_platform
from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.domain.errors import ContractError

#: Peers of the extra ``bench``; a benchmark without its peer measures nothing.
PEERS: Final = ("hftbacktest", "stable_baselines3")

app = CommandApp(help="Run the benchmarks against their peers.")


def runner_script() -> Path:
    """Path of ``benchmarks/run.py`` beside the package; ContractError where this is not a checkout."""
    script = Path(kalshi_platform.__file__).resolve().parents[1] / "benchmarks" / "run.py"
    if not script.is_file():
        raise ContractError(f"{script} is not there: benchmarks run from a checkout, with `make bench`")
    return script


@app.command()
def bench(
    only: Annotated[
        list[str] | None, typer.Option(help="Run this benchmark; repeat for more. [default: all]")
    ] = None,
    record: Annotated[bool, typer.Option(help="Append a section to benchmarks/RESULTS.md.")] = True,
) -> None:
    """Run the benchmarks, print one JSON object a line, and append them to benchmarks/RESULTS.md."""
    if absent := [name for name in PEERS if find_spec(name) is None]:
        raise ContractError(f"{', '.join(absent)} not installed: run `make bench`, or install '.[bench]'")
    command = [sys.executable, str(runner_script())]
    for name in only or ():
        command += ["--only", name]
    if not record:
        command.append("--no-record")
    raise typer.Exit(subprocess.run(command, check=False).returncode)
