"""``kalshi-platform quickstart``: data to a trained policy, its held-out report and a model to serve."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import INPUT_HELP, JsonOption, UseYesPrice, VerboseOption, with_steps
from kalshi_platform.cli.refusal import REPEAT, going_on
from kalshi_platform.cli.run_settings import ListSettings, PresetOption, list_settings
from kalshi_platform.cli.world_option import ExchangeOption
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.saying import Countdown, Say
from kalshi_platform.domain.worlds import world_words
from kalshi_platform.evaluation.judging.report import print_view
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.presets import STANDARD
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.simulation.simexchange import ExchangeConfig, Preset, preset_of, simulate
from kalshi_platform.simulation.simexchange.presets import world_of
from kalshi_platform.simulation.simexchange.world import WorldConfig
from kalshi_platform.workflows.quickstart import QuickstartConfig, quickstart

app = CommandApp(help="Data (simulated or yours) to a trained policy and its held-out report, in minutes.")

_DEFAULT = QuickstartConfig()
_EVENTS = 300
#: Trading times of events in a world of agents: a third of its preset's, so that a run takes minutes.
_SHORT = {"min_duration_s": 1_200, "max_duration_s": 2_400}
#: 50 of 300 simulated events judge. Half of the imbalance rule's edge needs about 40 blocks to show with 80 %
#: power (the report says how many); the usual 25 of 300 would miss it half of the time.
_SIMULATED_SPLIT = SplitConfig(train=200, validation=50, test=50)


@app.command()
def run(
    context: typer.Context,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help=f"{INPUT_HELP}  [default: a simulated exchange]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="where everything goes")] = Path("runs/quickstart"),
    seeds: Annotated[int, typer.Option(min=1, help="training runs, each with its own seed")] = _DEFAULT.seeds,
    events: Annotated[int, typer.Option(min=30, help="simulated events")] = _EVENTS,
    exchange: ExchangeOption = "calibrated",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="environment steps of one training run",
            show_default=f"{_DEFAULT.run.train.total_env_steps}",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="a setting of the training run, e.g. train.total_env_steps=200000"),
    ] = None,
    preset: PresetOption = None,
    listing: ListSettings = False,
    use_yes_price: UseYesPrice = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="judge on the test events anew, though a report of the same run is there"
        ),
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Simulate or import, build, train, and judge on test events.

    Repeat the command to continue a killed one.
    """
    if listing:
        list_settings(RunSettings.of_preset(preset or STANDARD), as_json)
        return
    _refuse_unread(context, bool(inputs))
    if absent := [str(path) for path in inputs or () if not path.exists()]:
        raise ContractError(f"--input {', '.join(absent)} does not exist")
    with option_words():
        run_settings = RunSettings.of_preset(preset or STANDARD).with_values(with_steps(settings, steps))
    split = _DEFAULT.split if inputs else _SIMULATED_SPLIT
    chosen = QuickstartConfig(seeds=seeds, run=run_settings, use_yes_price=use_yes_price, split=split)
    with going_on(lambda: REPEAT):
        recordings = inputs or [simulated(_world(exchange, events), out, tell)]
        outcome = quickstart(chosen, recordings, out, tell, again)
    if as_json:
        typer.echo(outcome.evaluation.model_dump_json())
        return
    print_view(outcome.evaluation, outcome.html)
    found = outcome.published
    asked = "challenger" if found.challenger else "held back, a better one is challenger"
    role = "champion" if found.champion else f"{asked}; the gates refused: " + "; ".join(found.refusals)
    typer.echo("; ".join((f"model: {found.record.id} in {outcome.registry}, {role}", *found.cautions)))
    typer.echo(f"serve it: {command_line('serve', '--registry', outcome.registry)}")


def _refuse_unread(context: typer.Context, has_inputs: bool) -> None:
    """Refuse options of the simulated exchange beside recordings, and those of recordings without any."""
    if has_inputs:
        refuse_beside(context, "beside --input", "nothing is simulated", "events", "exchange")
    else:
        why = "the simulated recordings tell it themselves"
        refuse_beside(context, "without --input", why, "use_yes_price")


def _world(exchange: Preset, events: int) -> ExchangeConfig:
    """Settings of the simulated exchange; events are short enough for a first result within minutes."""
    config = preset_of(exchange)
    return config.replace(n_events=events, **(_SHORT if isinstance(config, WorldConfig) else {}))


def simulated(config: ExchangeConfig, out: Path, say: Say) -> Path:
    """Folder of recordings of the simulated exchange ``config``, made unless they are there already."""
    folder = out / f"simulated-{config.digest}"
    if folder.exists():
        say(f"recordings: those simulated before, in {folder}")
    else:
        say(f"simulating {config.n_events:,} events (the first time kernels compile, a minute or two) ...")
        show = Countdown(say, "simulating")
        files = simulate(config, folder, lambda done, total: show(done, total, "events"))
        say(
            f"recordings: {files.n_events} simulated events, {files.n_markets:,} markets, in {folder}, of "
            f"{world_words(world_of(config))}"
        )
    return folder
