"""``kalshi-platform train``: a policy from the training events of a dataset, validated on held-out ones."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.option_words import option_words
from kalshi_platform.cli.options import DATASET_HELP, JsonOption, with_steps
from kalshi_platform.cli.refusal import going_on
from kalshi_platform.cli.run_settings import ListSettings, PresetOption, list_settings, require_given
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.saying import Say
from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.checkpoint import newest_number
from kalshi_platform.learning.training.collapse import end_words
from kalshi_platform.learning.training.machine import Machine, learner_device, plan_workers
from kalshi_platform.learning.training.page import RUN_PAGE, with_page
from kalshi_platform.learning.training.presets import STANDARD
from kalshi_platform.learning.training.progress import shown_to
from kalshi_platform.learning.training.run import TrainResult
from kalshi_platform.learning.training.session import (
    RunSettings,
    run_training,
    stored_dataset,
    stored_settings,
)
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.simulation.replay.open import bank_bytes

app = CommandApp(help="Train a policy on the training events of a dataset.")

_DEFAULT = RunSettings()
#: Settings that have an option of their own beside ``--set``.
OPTION_OF: Final = {
    "RunSettings.train.level": "--level",
    "RunSettings.train.total_env_steps": "--steps",
    "RunSettings.train.seed": "--seed",
    "RunSettings.train.num_env_runners": "--workers",
    "RunSettings.train.learner_device": "--device",
    "RunSettings.env.order_style": "--order-style",
    "RunSettings.curriculum.name": "--curriculum",
}


@app.command()
def run(
    out: Annotated[
        Path | None, typer.Option(help="new folder for the run  [required]", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help=DATASET_HELP, show_default="with --resume the run's own"),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="complexity of the network: tiny, simple, moderate, advanced, complex",
            show_default=_DEFAULT.train.level,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="environment steps of one training run; with --resume more than before extends it",
            show_default=f"{_DEFAULT.train.total_env_steps}",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="root of all randomness", show_default=f"{_DEFAULT.train.seed}"),
    ] = None,
    order_style: Annotated[
        str | None, typer.Option(help="taker or maker", show_default=_DEFAULT.env.order_style)
    ] = None,
    curriculum: Annotated[
        str | None,
        typer.Option(help="none, phases or difficulty", show_default=_DEFAULT.curriculum.name),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="sampling processes; 0 = the trainer samples, auto = as many as the machine can use",
            show_default=f"{_DEFAULT.train.num_env_runners}",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="where the network learns: auto, cpu or cuda", show_default=_DEFAULT.train.learner_device
        ),
    ] = None,
    preset: PresetOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="any other setting, e.g. train.learning_rate=3e-4; repeat for more"),
    ] = None,
    listing: ListSettings = False,
    resume: Annotated[
        bool,
        typer.Option(
            help="continue the run in --out from its last checkpoint, with its dataset and all its settings; "
            "of these only how long it runs may be given anew (--steps, --set train.patience=...)"
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a policy and validate it on held-out events; keep the best checkpoint.

    --resume continues a run.
    """
    if listing:
        list_settings(RunSettings.of_preset(preset or STANDARD), as_json)
        return
    out = require_given(out, "--out", "a new folder for the run")
    options = {
        "train.level": level,
        "train.seed": seed,
        "train.num_env_runners": None if workers in (None, "auto") else parse_workers(str(workers)),
        "train.learner_device": device,
        "env.order_style": order_style,
        "curriculum.name": curriculum,
    }
    given = {name: value for name, value in options.items() if value is not None}
    given |= with_steps(settings, steps)
    if resume and preset:
        raise ContractError(
            f"--preset {preset} and --resume: a resumed run keeps its own settings; leave one out"
        )
    chosen = stored_settings(out) if resume else RunSettings.of_preset(preset or STANDARD)
    with option_words(OPTION_OF):
        chosen = chosen.with_values(given)
    level_named(chosen.train.level)  # refused before anything is opened, as the device is
    learner_device(chosen.train.learner_device)
    place = dataset or (stored_dataset(out) if resume else None)
    if place is None:
        raise ContractError("--dataset is missing: name a dataset's folder or s3://bucket/prefix")
    if workers == "auto" and not resume:
        chosen = fitted(chosen, place, given, tell)
    tell(f"settings: {chosen.in_words}")
    with going_on(lambda: how_to_go_on(out)):
        result = run_training(chosen, place, out, with_page(shown_to(tell), out), resume)
    report(result, place, as_json)


def how_to_go_on(out: Path) -> str:
    """Advice after an interruption."""
    done = newest_number(out)
    if done is None:
        return "no checkpoint was written yet; the same command starts again"
    again = command_line("train", "--resume", "--out", out)
    return f"{out} holds everything up to iteration {done}; continue with: {again}"


def parse_workers(text: str) -> int:
    """Number in ``--workers``; ``auto`` is settled when the dataset is known."""
    if not text.isdecimal():
        raise ContractError(f"--workers {text!r} is neither a number of processes nor auto")
    return int(text)


def fitted(chosen: RunSettings, dataset: str, given: dict[str, Any], say: Say) -> RunSettings:
    """Settings ``chosen`` with the machine's plan where ``given`` is silent.

    ``say`` receives the plan's reasons.
    """
    size = bank_bytes(Dataset.open(dataset), "train", chosen.env.groups)
    plan = plan_workers(Machine.here(), chosen.train.level, size, chosen.train)
    say(plan.line())
    for reason in plan.because:
        say(f"  {reason}")
    decided = {f"train.{name}": value for name, value in plan.settings().items()}
    return chosen.with_values(decided | given)


def report(result: TrainResult, dataset: str, as_json: bool) -> None:
    """Print the result of the run and the command to call next; ``dataset`` is what it learned from."""
    if as_json:
        values = {k: str(v) if isinstance(v, Path) else v for k, v in result._asdict().items()}
        typer.echo(json_text(values))
        return
    best = (
        "not validated"
        if result.best_score is None
        else f"best validation return {signed_percent(result.best_score)} of capital"
    )
    collapse = end_words(result.collapse, result.best_collapse, result.best_iteration)
    words = {"budget": "budget used up", "patience": "no better validation for too long"}
    reason = words.get(result.stopped, result.stopped)
    typer.echo(
        f"{result.env_steps:,} steps in {result.iterations} iterations ({reason}); {best}\n"
        f"page: {result.out / RUN_PAGE}\n"
        f"next: {command_line('evaluate', '--run', result.out, '--dataset', dataset)}"
        + (f"\n{collapse}" if collapse else "")
    )
