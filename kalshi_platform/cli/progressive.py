"""``kalshi-platform progressive``: from a simple network to a complex one, as far as it pays."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import DATASET_HELP, STEPS_SETTING, JsonOption, VerboseOption, with_steps
from kalshi_platform.cli.refusal import REPEAT, going_on
from kalshi_platform.cli.run_settings import ListSettings, PresetOption, list_settings, require_given
from kalshi_platform.domain.program import command_line
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.presets import STANDARD
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.workflows.complexity import PlateauConfig
from kalshi_platform.workflows.progressive import run_progressive
from kalshi_platform.workflows.progressive_record import PAGE_FILE, ProgressiveConfig

app = CommandApp(help="Train from a simple network to a complex one, as far as it pays.")

_DEFAULT = ProgressiveConfig()
_OPTIONS = {
    "ProgressiveConfig.levels": "--levels",
    "ProgressiveConfig.steps_per_level": "--steps",
    "ProgressiveConfig.min_gain_sharpe": "--min-gain",
    "ProgressiveConfig.min_first_sharpe": "--min-sharpe",
}


@app.command()
def run(
    dataset: Annotated[
        str | None, typer.Option(help=f"{DATASET_HELP}  [required]", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder for the levels and the report; repeat to continue  [required]", show_default=False
        ),
    ] = None,
    levels: Annotated[str, typer.Option(help="levels to try, in this order")] = ",".join(_DEFAULT.levels),
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="environment steps of one training run: so many each level may use",
            show_default=f"{_DEFAULT.steps_per_level}",
        ),
    ] = None,
    plateau_window: Annotated[
        int,
        typer.Option(
            min=1,
            help="training stops when the mean Sharpe ratio of the last N validations is less than "
            f"{_DEFAULT.plateau.min_gain:g} above that of the N before",
        ),
    ] = _DEFAULT.plateau.window,
    min_gain: Annotated[
        float, typer.Option(help="Sharpe ratio per block that a level must gain over the last one kept")
    ] = _DEFAULT.min_gain_sharpe,
    min_sharpe: Annotated[
        float, typer.Option(help="Sharpe ratio per block that the first level must reach")
    ] = _DEFAULT.min_first_sharpe,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="a setting of every level's run, e.g. train.learning_rate=3e-4"),
    ] = None,
    preset: PresetOption = None,
    listing: ListSettings = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train each level from the last one kept, and keep it only if it is surely better and fast enough.

    Exit code 4 where even the first level is not worth using. The test split stays shut.
    """
    if listing:
        list_settings(RunSettings.of_preset(preset or STANDARD), as_json)
        return
    dataset = require_given(dataset, "--dataset", "a built dataset: its folder or s3://bucket/prefix")
    out = require_given(out, "--out", "a folder for the levels and the report")
    values = with_steps(settings, steps)
    steps_per_level = values.pop(STEPS_SETTING, _DEFAULT.steps_per_level)
    with option_words(_OPTIONS):
        config = ProgressiveConfig.parse(
            {
                "run": RunSettings.of_preset(preset or STANDARD).with_values(values),
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
        evaluate = command_line("evaluate", "--run", out / kept.run, "--dataset", dataset)
        typer.echo(f"next: {evaluate}")
