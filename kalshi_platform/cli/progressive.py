"""``kalshi-platform progressive``: from a simple network to a complex one, as far as it pays."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.options import VerboseOption, parse_assignments
from kalshi_platform.cli.refusal import REPEAT, going_on
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.workflows.complexity import PlateauConfig
from kalshi_platform.workflows.progressive import run_progressive
from kalshi_platform.workflows.progressive_record import PAGE_FILE, ProgressiveConfig

app = typer.Typer(help="Train from a simple network to a complex one, as far as it pays.")

_DEFAULT = ProgressiveConfig()


@app.command()
def run(
    dataset: Annotated[str, typer.Option(help="a folder or s3://bucket/prefix", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(help="folder for the levels and the report; repeat to continue", show_default=False),
    ],
    levels: Annotated[str, typer.Option(help="levels to try, in this order")] = ",".join(_DEFAULT.levels),
    steps_per_level: Annotated[
        int, typer.Option(min=1, help="environment steps a level may use")
    ] = _DEFAULT.steps_per_level,
    plateau_window: Annotated[
        int,
        typer.Option(
            min=1,
            help="training stops when the mean Sharpe ratio of the last N validations is less than "
            f"{_DEFAULT.plateau.min_gain:g} above that of the N before",
        ),
    ] = _DEFAULT.plateau.window,
    min_gain: Annotated[
        float, typer.Option(help="Sharpe ratio per event that a level must gain over the last one kept")
    ] = _DEFAULT.min_gain_sharpe,
    min_sharpe: Annotated[
        float, typer.Option(help="Sharpe ratio per event that the first level must reach")
    ] = _DEFAULT.min_first_sharpe,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="a setting of every level's run, e.g. train.learning_rate=3e-4"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the report as JSON on stdout")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Train each level from the last one kept, and keep it only if it is surely better and fast enough.

    Exit code 4 where even the first level is not worth using. The test split stays shut.
    """
    config = ProgressiveConfig.parse(
        {
            "run": RunSettings().with_values(parse_assignments(settings or [])),
            "levels": tuple(name.strip() for name in levels.split(",")),
            "steps_per_level": steps_per_level,
            "plateau": PlateauConfig(window=plateau_window),
            "min_gain_sharpe": min_gain,
            "min_first_sharpe": min_sharpe,
        }
    )
    with going_on(lambda: REPEAT):
        record = run_progressive(config, dataset, out, tell)
    if as_json:
        typer.echo(record.model_dump_json())
    else:
        typer.echo(f"report: {out / PAGE_FILE}")
    kept = record.require_kept()
    if not as_json:
        typer.echo(
            f"next: kalshi-platform evaluate --checkpoint {out / kept.run} "
            f"--dataset {dataset} --split validation"
        )
