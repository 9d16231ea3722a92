"""``kalshi-platform train``: a policy from the training events of a dataset, validated on held-out ones."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kalshi_platform.cli.options import parse_assignments
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.saying import Say
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.machine import Machine, learner_device, plan_workers
from kalshi_platform.learning.training.progress import shown_to
from kalshi_platform.learning.training.run import TrainResult
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.simulation.replay.open import bank_bytes

app = typer.Typer(help="Train a policy on the training events of a dataset.")


@app.command()
def run(
    dataset: Annotated[str, typer.Option(help="a folder or s3://bucket/prefix", show_default=False)],
    out: Annotated[Path, typer.Option(help="new folder for the run", show_default=False)],
    level: Annotated[
        str, typer.Option(help="complexity of the network: tiny, simple, moderate, advanced, complex")
    ] = "simple",
    steps: Annotated[int, typer.Option(min=1, help="environment steps to train for")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="root of all randomness")] = 0,
    order_style: Annotated[str, typer.Option(help="taker or maker")] = "taker",
    curriculum: Annotated[str, typer.Option(help="none, phases or difficulty")] = "none",
    workers: Annotated[
        str,
        typer.Option(
            help="sampling processes; 0 = the trainer samples, auto = as many as the machine can use"
        ),
    ] = "0",
    device: Annotated[str, typer.Option(help="where the network learns: auto, cpu or cuda")] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="any other setting, e.g. train.learning_rate=3e-4; repeat for more"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="continue the run in --out from its last checkpoint")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout at the end")] = False,
) -> None:
    """Train a policy and validate it on held-out events; keep the best checkpoint.

    --resume continues a run.
    """
    given = parse_assignments(settings or [])
    chosen = RunSettings().with_values(
        {
            "train.level": level,
            "train.total_env_steps": steps,
            "train.seed": seed,
            "train.num_env_runners": parse_workers(workers),
            "train.learner_device": device,
            "env.order_style": order_style,
            "curriculum.name": curriculum,
            **given,
        }
    )
    learner_device(chosen.train.learner_device)  # refused before anything is opened
    if workers == "auto":
        chosen = fitted(chosen, dataset, given, tell)
    result = run_training(chosen, dataset, out, shown_to(tell), resume)
    report(result, as_json)


def parse_workers(text: str) -> int:
    """Number in ``--workers``; 0 for ``auto``, which is settled when the dataset is known."""
    if text != "auto" and not text.isdecimal():
        raise ContractError(f"--workers {text!r} is neither a number of processes nor auto")
    return 0 if text == "auto" else int(text)


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


def report(result: TrainResult, as_json: bool) -> None:
    """Print the result of the run and the command to call next."""
    if as_json:
        values = {k: str(v) if isinstance(v, Path) else v for k, v in result._asdict().items()}
        typer.echo(json.dumps(values))
        return
    best = (
        "not validated" if result.best_score is None else f"best validation return {result.best_score:+.4f}"
    )
    words = {"budget": "budget used up", "patience": "no better validation for too long"}
    reason = words.get(result.stopped, result.stopped)
    typer.echo(
        f"{result.env_steps:,} steps in {result.iterations} iterations ({reason}); {best}\n"
        f"next: kalshi-platform evaluate --checkpoint {result.out} --dataset DATASET --split validation"
    )
