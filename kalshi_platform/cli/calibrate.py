"""``kalshi-platform calibrate``: how far a simulated market is from a recorded one, measure by measure.

With ``--json`` stdout carries one JSON object only, the content of calibration.json; progress goes to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.options import DATASET_HELP, JsonOption, VerboseOption, page_folder
from kalshi_platform.evaluation.pages.terminal import show, tell
from kalshi_platform.evaluation.realism.compare import compare_datasets
from kalshi_platform.evaluation.realism.page import realism_view, write_realism

app = CommandApp(help="Set a simulated dataset beside a recorded one, measure by measure.")


@app.command()
def calibrate(
    recorded: Annotated[str, typer.Option(help=f"the recorded side: {DATASET_HELP}", show_default=False)],
    simulated: Annotated[str, typer.Option(help=f"the simulated side: {DATASET_HELP}", show_default=False)],
    select: Annotated[
        list[str] | None,
        typer.Option(help="recorded events whose names begin so; repeat for more  [default: all]"),
    ] = None,
    select_simulated: Annotated[
        list[str] | None,
        typer.Option(help="simulated events whose names begin so; repeat for more  [default: all]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder of calibration.html and calibration.json", callback=page_folder),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Measure both datasets and the distance of every measure, beside the recorded data's sampling noise.

    Events of a test split stay shut. The simulated side may be recorded too: two days side by side show how
    much real days differ.
    """
    found = compare_datasets(recorded, simulated, select or (), select_simulated or (), say=tell)
    html = write_realism(found, out)[0] if out is not None else None
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    show(realism_view(found), html)
    if html is None:
        tell.note("no page was written: --out FOLDER writes calibration.html and calibration.json")
