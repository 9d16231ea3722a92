"""``kalshi-platform plan``: what a number of markets and rows needs on a machine, before anything is done."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.options import JsonOption
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.workflows.scale import (
    MACHINES,
    ScaleMachine,
    paper_table,
    plan_json,
    plan_lines,
    scale_plan,
    slopes_table,
)

app = CommandApp(help="Say what fits on a machine, and what breaks first.")


@app.command()
def run(
    context: typer.Context,
    markets: Annotated[int, typer.Option(min=1, help="number of markets")] = 10_000,
    rows: Annotated[
        int | None,
        typer.Option(help="rows of the recordings (messages or price levels)  [default: 2,000 a market]"),
    ] = None,
    machine: Annotated[
        str, typer.Option(help=f"this, cores,memory in GiB,disk in GB, or one of {', '.join(MACHINES)}")
    ] = "this",
    place: Annotated[Path, typer.Option(help="folder on the disk that counts, for --machine this")] = Path(),
    bucket: Annotated[bool, typer.Option(help="the dataset lies in a bucket, not on the disk")] = False,
    paper: Annotated[bool, typer.Option(help="write the tables of docs/scale.md instead")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what memory, disk and time a dataset of a size needs, what of it fits, and what breaks first.

    The figures are extrapolated from measured slopes; the last lines name the measurements.
    """
    if paper and as_json:
        raise ContractError("--paper writes Markdown, not JSON: leave out --json, or --paper for one size")
    if paper:
        sized = ("markets", "rows", "machine", "place", "bucket")
        refuse_beside(context, "beside --paper", "the tables have sizes and machines of their own", *sized)
        typer.echo(f"{paper_table()}\n{slopes_table()}", nl=False)
        return
    if machine != "this":
        refuse_beside(context, f"beside --machine {shown_value(machine)}", "its disk is not here", "place")
    wanted = 2_000 * markets if rows is None else rows
    plan = scale_plan(markets, wanted, ScaleMachine.parse(machine, place), bucket)
    typer.echo(json_text(plan_json(plan)) if as_json else "\n".join(plan_lines(plan)))
