"""``kalshi-platform simulate``: recordings of a simulated exchange, in the formats of recorded data."""

from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import JsonOption, VerboseOption, dataset_beside
from kalshi_platform.cli.world_option import ExchangeOption
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.saying import Countdown
from kalshi_platform.domain.worlds import WORLDS, world_words
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.simulation.simexchange import (
    ExchangeConfig,
    FileFormat,
    Preset,
    SimFiles,
    preset_of,
    simulate,
)
from kalshi_platform.simulation.simexchange.presets import PRESETS, world_of

app = CommandApp(help="Generate recordings of a simulated exchange.")

_OPTIONS = (("n_events", "--events"), ("seed", "--seed"))


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="new folder for the recordings", show_default=False)],
    events: Annotated[int, typer.Option(help="number of events, three markets each on average")] = 80,
    seed: Annotated[int, typer.Option(help="root of all randomness; equal seeds give equal files")] = 0,
    exchange: ExchangeOption = "planted_imbalance",
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="level-2 Parquet, or WebSocket frames (slower)")
    ] = "parquet",
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write seeded recordings and their market metadata; build a dataset from the folder afterwards."""
    names = {f"{kind}.{name}": word for kind in ("SimConfig", "WorldConfig") for name, word in _OPTIONS}
    with option_words(names):
        config = preset_of(exchange).replace(n_events=events, seed=seed)
    show = Countdown(tell, "simulating")
    files = simulate(config, out, lambda done, total: show(done, total, "events"), file_format)
    tell(f"simulated {files.n_events} events")
    if as_json:
        typer.echo(json_text(_summary(exchange, config, files)))
        return
    gaps = f"{files.n_gaps} recordings with lost messages" if files.n_gaps else "no lost messages"
    typer.echo(
        f"{files.n_events} events, {files.n_markets} markets, {files.n_messages:,} messages, {gaps}\n"
        f"{world_words(world_of(config))}; {PRESETS[exchange].fitted}\n"
        f"{files.events}\n{files.markets}\n"
        f"next: {command_line('dataset', 'build', '--input', out, '--out', dataset_beside(out))}"
    )


def _summary(exchange: Preset, config: ExchangeConfig, files: SimFiles) -> dict[str, object]:
    return {
        "exchange": exchange,
        "world": world_of(config),
        "content": WORLDS[world_of(config)],
        "fitted": PRESETS[exchange].fitted,
        "events_path": str(files.events),
        "markets_path": str(files.markets),
        "config_digest": config.digest,
        **{k: v for k, v in files._asdict().items() if k.startswith("n_")},
    }
