"""The command line of every file of ``tune_experiments``: ``python -m tune_experiments.NAME --help``.

An experiment runs as it is on a Ray cluster, as a job (``ray job submit --working-dir . -- python -m
tune_experiments.NAME``), or with ``--local`` on a Ray of its own. A job's command line can carry a lone
``--`` before the options; it is ignored.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import ray
import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import (
    DATASET_HELP,
    REGISTRY_HELP,
    JsonOption,
    VerboseOption,
    parse_assignments,
    with_steps,
)
from kalshi_platform.cli.quickstart import simulated
from kalshi_platform.cli.refusal import going_on, refusals
from kalshi_platform.cli.run_settings import ListSettings, list_settings
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.manifest import MANIFEST_NAME
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.program import command_line, this_command
from kalshi_platform.domain.quiet_ray import start_ray
from kalshi_platform.domain.saying import Countdown
from kalshi_platform.evaluation.pages.terminal import output, show, tell
from kalshi_platform.learning.tuning.claim import claimed
from kalshi_platform.learning.tuning.conclude import judge_winner, register_winner
from kalshi_platform.learning.tuning.experiment import Experiment
from kalshi_platform.learning.tuning.page import (
    COMPARE_HTML,
    COMPARE_JSON,
    compare_runs,
    terminal_view,
    write_page,
)
from kalshi_platform.learning.tuning.sweep import PreparedSweep, SweepRequest, prepare_sweep, run_sweep
from kalshi_platform.learning.tuning.sweep_store import PLAN_FILE, SweepStore, sweeps_folder
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE, Registry
from kalshi_platform.simulation.simexchange import SimConfig
from kalshi_platform.storage.storage import open_storage

#: Simulated events where no dataset is named: enough for a smoke run, and for a first whole one.
_EVENTS = {True: 100, False: 300}


def main(experiment: Experiment) -> None:
    """Run ``experiment`` with the options of the command line, and exit with the codes of every command."""
    arguments = sys.argv[1:]
    application(experiment)(arguments[1:] if arguments[:1] == ["--"] else arguments)


def application(experiment: Experiment) -> typer.Typer:
    """Command line of one experiment."""
    app = CommandApp(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=f"{experiment.question}\n\nExpected: {experiment.expectation}")(_command(experiment))
    return app


def _command(experiment: Experiment) -> Any:
    default = experiment.sweep

    def run(
        context: typer.Context,
        dataset: Annotated[
            str, typer.Option(help=f"{DATASET_HELP}  [default: a simulated one, made beside the sweep]")
        ] = "",
        out: Annotated[
            Path | None,
            typer.Option(
                help="folder of the sweep, or with --storage of its copies on this machine  [default: "
                f"{sweeps_folder()}/NAME, for copies one that --storage names]"
            ),
        ] = None,
        storage: Annotated[
            str,
            typer.Option(
                help="where the sweep lies: s3://bucket/prefix, or a folder that machines share; needed "
                "where they share no disk  [default: --out]"
            ),
        ] = "",
        local: Annotated[
            bool, typer.Option(help="start a Ray on this machine instead of joining one")
        ] = False,
        smoke: Annotated[
            bool, typer.Option(help="run every step with tiny settings (about two minutes)")
        ] = False,
        resume: Annotated[
            bool, typer.Option(help="continue the sweep in --storage or --out, from any machine")
        ] = False,
        steps: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="environment steps of one training run: of each trial",
                show_default=f"{experiment.base.train.total_env_steps}",
            ),
        ] = None,
        settings: Annotated[
            list[str] | None,
            typer.Option("--set", help="a setting of every trial, e.g. train.learning_rate=3e-4"),
        ] = None,
        sweep_settings: Annotated[
            list[str] | None,
            typer.Option(
                "--sweep",
                help=f"e.g. scheduler=none; there are {', '.join(type(default).model_fields)}",
            ),
        ] = None,
        registry: Annotated[
            str | None, typer.Option(help=f"{REGISTRY_HELP}; with --storage: STORAGE/registry")
        ] = None,
        register: Annotated[
            bool, typer.Option(help="register the winner, as challenger of --registry")
        ] = True,
        final: Annotated[bool, typer.Option(help="open the test split for the winner, once")] = True,
        listing: ListSettings = False,
        as_json: JsonOption = False,
        verbose: VerboseOption = False,
    ) -> None:
        chosen = experiment.smoked() if smoke else experiment
        with refusals(), option_words():
            _require_folder(out)
            if not register:
                refuse_beside(context, "beside --no-register", "no model is registered", "registry")
            chosen = chosen.with_settings(
                with_steps(settings, steps), parse_assignments(sweep_settings or [], "--sweep")
            )
        if listing:
            list_settings(chosen.base, as_json)
            return
        at_home = sweeps_folder() / chosen.name
        place = storage or str((out or at_home).absolute())
        with refusals(), going_on(lambda: _how_to_go_on(place)), _ray(local):
            request = SweepRequest(
                dataset=dataset
                or _simulated_dataset(place, at_home if storage else Path(place), smoke, resume),
                out=out.absolute() if out else None,
                storage=storage,
                resume=resume,
                command=f"{this_command()} {shlex.join(sys.argv[1:])}",
            )
            models = _registry(registry, storage) if register else None
            _whole_way(prepare_sweep(chosen, request), models, final, as_json)

    return run


def _require_folder(out: Path | None) -> None:
    """Refuse an address as ``out``: as a path it would be a folder of that name in the working directory."""
    if out is not None and re.match(r"[a-z0-9]+:/", str(out)):
        raise ContractError(
            f"--out {out} is an address, and --out is a folder of this machine: give --storage"
        )


def _how_to_go_on(place: str) -> str:
    """Advice after an interruption: a sweep goes on with all of its own options."""
    with suppress(StorageError):  # a store that is away cannot say: the sweep began, or it says so itself
        if not open_storage(place, patience_s=0.0).exists(PLAN_FILE):
            return "the same command starts again"
    words = [word for word in sys.argv[1:] if word not in ("--", "--resume")]
    return f"continue with: {this_command()} {shlex.join([*words, '--resume'])}"


def _registry(given: str | None, storage: str) -> Registry:
    """Registry of the winner: the named one, else one in the sweep's storage, which outlives this machine."""
    if given or os.environ.get(REGISTRY_VARIABLE) or not storage:
        return Registry(given)
    return Registry(f"{open_storage(storage).uri}/registry")


def _whole_way(prepared: PreparedSweep, models: Registry | None, final: bool, as_json: bool) -> None:
    """Claim the place, sweep, judge the winner, make it challenger, write the page, and show the result."""
    if models is not None:
        models.aliases()  # a registry that cannot be read is refused before the sweep
    asked = prepared.request
    with claimed(
        prepared.experiment.name, prepared.plan, asked.out, asked.storage, resume=asked.resume, say=tell
    ) as store:
        _to_the_end(prepared, store, models, final, as_json)


def _to_the_end(
    prepared: PreparedSweep, store: SweepStore, models: Registry | None, final: bool, as_json: bool
) -> None:
    record = run_sweep(prepared, store, tell)
    judge_winner(record, store, final, tell)
    registered = register_winner(record, store, models, tell) if models is not None else None
    comparison = compare_runs([store.out])
    write_page(comparison, store.out)
    store.keep(COMPARE_HTML, COMPARE_JSON)
    if as_json:
        typer.echo(record.model_dump_json())
        return
    lines = [f"winner {record.winner}: {record.why}", f"page: {store.out / COMPARE_HTML}"]
    if store.is_remote:
        lines[-1] += f", also {store.address(COMPARE_HTML)}"
    if models is not None and registered is not None:
        where = ("--dataset", record.dataset, "--registry", models.uri)
        lines.append(f"next: {command_line('models', 'promote', registered.model, *where)}")
    show(terminal_view(comparison))
    output().print("\n".join(lines), soft_wrap=True, highlight=False)


@contextmanager
def _ray(local: bool) -> Iterator[None]:
    """Connect to the job's or the machine's Ray, or start one that ends with the block."""
    if local:
        start_ray(ray, include_dashboard=False)
    else:
        try:
            start_ray(ray, "auto")
        except ConnectionError:
            raise ContractError(
                "there is no Ray to join: start one (ray start --head), submit this as a job "
                "(docs/sweeps.md), or add --local"
            ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _simulated_dataset(place: str, recordings_in: Path, smoke: bool, resume: bool) -> str:
    """Address of a simulated dataset beside the sweep in ``place``, made unless the sweep has it already.

    ``recordings_in`` is a folder of this machine: nobody needs the recordings again, so no storage has them.
    """
    storage = open_storage(place)
    dataset = storage.address("dataset")
    if storage.exists(PLAN_FILE):
        if not resume:  # before anything of that sweep is overwritten
            raise ContractError(f"{place} holds a sweep: continue it with --resume or name another place")
        tell(f"dataset: the simulated one that the sweep began with, {Dataset.open(dataset).uri}")
        return dataset
    if resume:  # before a dataset is made there, over another perhaps
        raise ContractError(f"{place} holds no sweep to resume: leave out --resume")
    recordings = simulated(SimConfig(n_events=_EVENTS[smoke]), recordings_in, tell)
    show = Countdown(tell, "building")
    try:
        manifest = build_dataset(
            [recordings], dataset, BuildConfig(), lambda p: show(p.rows_done, p.rows, "rows")
        )
    except (ContractError, DataError) as err:
        if isinstance(err, ContractError) and "--overwrite" not in str(err):
            raise  # another process builds there
        if not storage.exists(f"dataset/{MANIFEST_NAME}"):
            raise
        raise DataError(
            f"{dataset} holds another dataset, which the simulated one would replace: name it with "
            "--dataset, delete it, or begin in another place"
        ) from None
    tell(f"dataset: {len(manifest.markets):,} markets in {dataset}")
    return dataset
