"""``kalshi-platform tiers``: make, show and judge the small networks that stand before a registered model.

With ``--json`` stdout carries one JSON value only; progress and refusals go to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import (
    DatasetOption,
    JsonOption,
    RegistryOption,
    VerboseOption,
    page_folder,
    parse_assignments,
)
from kalshi_platform.cli.registries import registry_to_change, registry_to_read
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.program import command_line
from kalshi_platform.evaluation.judging.evaluation import opened_words
from kalshi_platform.evaluation.judging.held_out import openings
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import TierSet, newest_tier_set
from kalshi_platform.serving.distillation.build import NOT_STORED, build_tiers, report_tiers
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.page import print_view, write_page
from kalshi_platform.serving.distillation.report import stored_report

app = CommandApp(help="Make, show and judge the tiers of a registered model.", no_args_is_help=True)

_MODEL = Annotated[str, typer.Argument(help="an alias or an id, e.g. champion")]
_OUT = Annotated[
    Path | None,
    typer.Option(
        help="folder of tiers.html and tiers.json  [default: tiers/MODEL-ID beside the registry]",
        callback=page_folder,
    ),
]


@app.command()
def build(
    model: _MODEL,
    dataset: DatasetOption,
    out: _OUT = None,
    registry: RegistryOption = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of all random draws")] = 0,
    max_value_loss: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="share of the model's return that early exits may cost")
    ] = TiersConfig().thresholds.max_value_loss,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="another setting, e.g. learn.epochs=4")
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option(help="take every step in its smallest form, in seconds; only to see that all works"),
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make, calibrate and judge tiers 1 and 2 of a model, and store the set, in minutes."""
    config = TiersConfig.smoke() if smoke else TiersConfig()
    values = {"seed": seed, "thresholds.max_value_loss": max_value_loss, **parse_assignments(settings or [])}
    with option_words({"TiersConfig.thresholds.max_value_loss": "--max-value-loss"}):
        config = config.with_values(values)
    with registry_to_change(registry, model) as store:
        report, tier_set = build_tiers(store, model, dataset, config, tell)
    html, _ = write_page(report, out or _folder_of(store, report.model))
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
        return
    print_view(report, html)
    if tier_set is not None:
        typer.echo(f"stored as tiers-{tier_set.digest} beside {tier_set.model} in {store.uri}")
        return
    typer.echo(NOT_STORED)
    older = newest_tier_set(store, report.model)
    if older is not None:
        typer.echo(f"{report.model} is still served with tiers-{older.digest} of {older.created_at[:19]}")


@app.command()
def show(model: _MODEL, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Show the newest tier set of a model, and its report from when it was made."""
    store = registry_to_read(registry)
    tier_set = _newest(store, model)
    if as_json:
        sys.stdout.write(tier_set.model_dump_json() + "\n")
        return
    print_view(stored_report(store, tier_set), None)
    typer.echo(f"tiers-{tier_set.digest}, made {tier_set.created_at[:19]} on {tier_set.machine}")


@app.command()
def report(
    model: _MODEL,
    dataset: DatasetOption,
    out: _OUT = None,
    registry: RegistryOption = None,
    final: Annotated[bool, typer.Option(help="judge on the test split; every opening is recorded")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Judge the newest tier set again, on the half of the validation events not used for its thresholds."""
    store = registry_to_read(registry)
    # In a bucket nothing can be appended to: the log of openings then lies beside the report.
    folder = (out or _folder_of(store, _newest(store, model).model)) if "://" in dataset else Path(dataset)
    found = report_tiers(store, model, dataset, final=final, log_folder=folder, say=tell)
    if found.opened_before:
        tell.note(opened_words(openings(folder)[:-1]))
    html, _ = write_page(found, out or _folder_of(store, found.model))
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    print_view(found, html)


def _newest(store: Registry, model: str) -> TierSet:
    tier_set = newest_tier_set(store, store.resolve(model))
    if tier_set is None:
        make = command_line("tiers", "build", model, "--dataset", "DATASET", "--registry", store.uri)
        raise ContractError(
            f"{model} has no tiers and is served alone: nobody made any, or they would have saved next to "
            f"nothing; make them: {make}"
        )
    return tier_set


def _folder_of(store: Registry, model: str) -> Path:
    """Folder of the page where none is named: beside the registry; below ``runs`` for a bucket's."""
    beside = Path("runs") if "://" in store.uri else Path(store.uri).parent
    return beside / "tiers" / model
