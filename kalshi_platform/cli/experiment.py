"""The command line of every file of ``tune_experiments``: ``python -m tune_experiments.NAME --help``.

An experiment runs as it is on a Ray cluster, as a job (``ray job submit --working-dir . -- python -m
tune_experiments.NAME``), or with ``--local`` on a Ray of its own. A job's command line can carry a lone
``--`` before the options; it is ignored.
"""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import ray
import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import DATASET_HELP, REGISTRY_HELP, JsonOption, parse_assignments, with_steps
from kalshi_platform.cli.quickstart import simulated
from kalshi_platform.cli.refusal import going_on, refusals
from kalshi_platform.cli.run_settings import ListSettings, list_settings
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.places import home
from kalshi_platform.domain.program import command_line, this_command
from kalshi_platform.evaluation.pages.terminal import output, show, tell
from kalshi_platform.learning.tuning.conclude import judge_winner, register_winner
from kalshi_platform.learning.tuning.experiment import Experiment
from kalshi_platform.learning.tuning.page import compare_runs, terminal_view, write_page
from kalshi_platform.learning.tuning.sweep import PLAN_FILE, SweepRequest, run_sweep
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.simexchange import SimConfig

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
        dataset: Annotated[
            str, typer.Option(help=f"{DATASET_HELP}  [default: a simulated one, made in --out]")
        ] = "",
        out: Annotated[
            Path | None, typer.Option(help=f"folder of the sweep  [default: {home()}/sweeps/NAME]")
        ] = None,
        storage: Annotated[
            str, typer.Option(help="s3://bucket/prefix to mirror runs to, where machines share no disk")
        ] = "",
        local: Annotated[
            bool, typer.Option(help="start a Ray on this machine instead of joining one")
        ] = False,
        smoke: Annotated[
            bool, typer.Option(help="run every step with tiny settings (about two minutes)")
        ] = False,
        resume: Annotated[bool, typer.Option(help="continue the sweep in --out")] = False,
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
        registry: Annotated[str | None, typer.Option(help=REGISTRY_HELP)] = None,
        register: Annotated[
            bool, typer.Option(help="register the winner, as challenger of --registry")
        ] = True,
        final: Annotated[bool, typer.Option(help="open the test split for the winner, once")] = True,
        listing: ListSettings = False,
        as_json: JsonOption = False,
    ) -> None:
        chosen = experiment.smoked() if smoke else experiment
        with refusals(), option_words():
            chosen = chosen.with_settings(
                with_steps(settings, steps), parse_assignments(sweep_settings or [], "--sweep")
            )
        if listing:
            list_settings(chosen.base, as_json)
            return
        place = (out or home() / "sweeps" / chosen.name).absolute()
        with refusals(), going_on(lambda: _how_to_go_on(place)), _ray(local):
            request = SweepRequest(
                dataset=dataset or _simulated_dataset(place, smoke),
                out=place,
                storage=storage,
                resume=resume,
                command=f"{this_command()} {shlex.join(sys.argv[1:])}",
            )
            _whole_way(chosen, request, Registry(registry) if register else None, final, as_json)

    return run


def _how_to_go_on(place: Path) -> str:
    """Advice after an interruption: a sweep goes on with all of its own options."""
    if not (place / PLAN_FILE).exists():
        return "the same command starts again"
    words = [word for word in sys.argv[1:] if word not in ("--", "--resume")]
    return f"continue with: {this_command()} {shlex.join([*words, '--resume'])}"


def _whole_way(
    experiment: Experiment,
    request: SweepRequest,
    models: Registry | None,
    final: bool,
    as_json: bool,
) -> None:
    """Sweep, judge the winner, make it challenger, write the page, and show the result."""
    if models is not None:
        models.aliases()  # a registry that cannot be read is refused before the sweep
    record = run_sweep(experiment, request, tell)
    judge_winner(record, request.out, final, tell)
    model = register_winner(record, request.out, models, tell) if models is not None else None
    comparison = compare_runs([request.out])
    html, _ = write_page(comparison, request.out)
    if as_json:
        typer.echo(record.model_dump_json())
        return
    lines = [f"winner {record.winner}: {record.why}", f"page: {html}"]
    if models is not None and model is not None:
        where = ("--dataset", record.dataset, "--registry", models.uri)
        lines.append(f"challenger: {model.id}\nnext: {command_line('models', 'promote', model.id, *where)}")
    show(terminal_view(comparison))
    output().print("\n".join(lines), soft_wrap=True, highlight=False)


@contextmanager
def _ray(local: bool) -> Iterator[None]:
    """Connect to the job's or the machine's Ray, or start one that ends with the block."""
    if local:
        ray.init("local", include_dashboard=False, log_to_driver=False, configure_logging=False)
    else:
        try:
            ray.init(address="auto", log_to_driver=False, configure_logging=False)
        except ConnectionError:
            raise ContractError(
                "there is no Ray to join: start one (ray start --head), submit this as a job "
                "(docs/sweeps.md), or add --local"
            ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _simulated_dataset(place: Path, smoke: bool) -> str:
    """Address of a simulated dataset beside the sweep, made unless it is there."""
    recordings = simulated(SimConfig(n_events=_EVENTS[smoke]), place, tell)
    dataset = place / "dataset"
    tell(f"building the dataset from {recordings}")
    build_dataset([recordings], str(dataset), BuildConfig(overwrite=True))
    return str(dataset)
