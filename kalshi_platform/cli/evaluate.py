"""``kalshi-platform evaluate``: judge a checkpoint on held-out events and write its report.

With ``--json`` stdout carries one JSON object only, the content of report.json; progress goes to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.given import refuse_beside
from kalshi_platform.cli.options import (
    DatasetOption,
    JsonOption,
    RunOption,
    VerboseOption,
    page_folder,
    require_page_folder,
)
from kalshi_platform.data.dataset.certified import coverage_words
from kalshi_platform.data.dataset.inspect import doubts_of
from kalshi_platform.data.dataset.manifest import Asked, Manifest
from kalshi_platform.data.dataset.split import SPLITS
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.mistyped import refused_choice
from kalshi_platform.domain.program import command_line
from kalshi_platform.evaluation.judging.evaluate import evaluate, trained
from kalshi_platform.evaluation.judging.evaluation import TRAIN_JUDGED, EvalConfig, Subject, opened_words
from kalshi_platform.evaluation.judging.held_out import open_held_out
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables
from kalshi_platform.evaluation.judging.report import print_view, write_report
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.judging.train_sample import sample_training
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.learning.tuning.load_runs import RUN_FILE
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.settings import read_environment
from kalshi_platform.simulation.replay.open import open_bank

app = CommandApp(help="Judge a checkpoint on held-out events and write its report.")

_DEFAULT = EvalConfig()


@app.command()
def judge_run(
    context: typer.Context,
    run: RunOption,
    dataset: DatasetOption,
    split: Annotated[
        str | None,
        typer.Option(
            help="the part of the dataset that is judged: train, validation, test, judge_only, or all: every "
            "event  [default: validation; all where the whole dataset is judge only]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder of the report  [default: RUN/evaluation]", callback=page_folder),
    ] = None,
    as_json: JsonOption = False,
    episodes_per_market: Annotated[
        int,
        typer.Option(
            min=0, help="random stretches played per market and seed; 0 = every market once, start to end"
        ),
    ] = 0,
    evaluation_seeds: Annotated[
        int, typer.Option(min=1, help="number of seeds with which the held-out episodes are played")
    ] = len(_DEFAULT.seeds),
    final: Annotated[
        bool, typer.Option(help="allow --split test, and all where there is a test split; each use is logged")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Play the policy and the baselines on the same held-out episodes.

    Exit 4 if the test split stays shut.
    """
    named = None if split is None else _split(split)
    if named not in (None, "test", "all"):
        refuse_beside(context, f"beside --split {named}", "it opens the test split alone", "final")
    require_one_run(run)
    place = out or run / "evaluation"
    require_page_folder(place)
    policy = FrozenPolicy.load(run)
    env_config = read_environment(run)
    opened = Dataset.open(dataset)
    wanted = named or _default_split(opened.manifest)
    policy.require_features(opened.manifest.feature_digest, env_config.groups)
    trained_on = _trained_on(run)
    subject = Subject(
        checkpoint=str(run),
        dataset=dataset,
        dataset_digest=opened.digest,
        feature_digest=opened.manifest.feature_digest,
        level=policy.spec.level.name,
        doubts=doubts_of(opened.manifest.counters) | _train_events(opened.manifest, wanted, trained_on),
        worlds=opened.manifest.worlds,
        recorded=coverage_words(opened.manifest.recordings),
        trained_on=trained_on,
        descends=opened.manifest.descends_from(trained_on) if trained_on else None,
    )
    metrics = _training_metrics(run)
    earlier = open_held_out(opened, wanted, final, _log_folder(dataset, run), subject)
    subject = subject.replace(opened_before=earlier)
    if earlier:
        tell.note(opened_words(earlier))
    bank = open_bank(dataset, wanted, env_config.groups)
    config = _config(wanted, episodes_per_market, evaluation_seeds, bank.n_rows)
    ledgers: list[LedgerTables] = []
    found = evaluate(
        trained(policy),
        bank,
        env_config,
        config,
        subject=subject,
        train=sample_training(trained(policy), dataset, env_config, config, trained_on, tell),
        rules=choose_on_train(dataset, env_config, say=tell),
        training_metrics=metrics,
        keep_ledger=ledgers.append,
        say=tell,
    )
    which = "all events" if wanted == "all" else f"the {wanted} events"
    tell(f"judged {run} on {which}: {found.policy.n_blocks} independent blocks")
    html, _ = write_report(found, place, metrics, ledger=ledgers[0])
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    print_view(found, html)
    typer.echo(f"next: {command_line('models', 'register', '--run', run, '--dataset', dataset)}")


def require_one_run(run: Path) -> None:
    """Refuse a folder that is no run but holds some, such as one folder a seed; DataError names them."""
    if any((folder / RUN_FILE).is_file() for folder in _run_folders(run)) or not run.is_dir():
        return
    below = sorted(found.parent for found in run.glob(f"*/{RUN_FILE}"))
    if below:
        named = ", ".join(str(path) for path in below[:5])
        more = f" and {len(below) - 5} more" if len(below) > 5 else ""
        raise DataError(f"{run} holds no policy but runs, one of which can be judged: --run {named}{more}")


def _split(name: str) -> Asked:
    choices = get_args(Asked)
    if name in choices:
        return name  # type: ignore[return-value]
    raise ContractError(refused_choice("--split", name, choices))


def _default_split(manifest: Manifest) -> Asked:
    """Validation; every event where none is in a split, which is said."""
    if manifest.events("judge_only") and not any(manifest.events(part) for part in SPLITS):
        tell.note("judging every event: the recordings are judge only, too short to be divided")
        return "all"
    return "validation"


def _train_events(manifest: Manifest, split: Asked, trained_on: str) -> dict[str, int]:
    """Number of judged events that taught the policy, or may have where no run says what did."""
    n = len(manifest.events("train"))
    may_have_taught = not trained_on or manifest.descends_from(trained_on)
    return {TRAIN_JUDGED: n} if split in ("all", "train") and n and may_have_taught else {}


def _config(split: Asked, episodes_per_market: int, seeds: int, n_rows: int) -> EvalConfig:
    """Settings of the evaluation: windows if the user wants them, else as the size of the split allows."""
    changes: dict[str, Any] = {"split": split, "seeds": tuple(range(seeds))}
    if episodes_per_market:
        changes |= {"schedule": "windows", "episodes_per_market": episodes_per_market}
        return _DEFAULT.replace(**changes)
    return EvalConfig.for_rows(n_rows).replace(**changes)


def _run_folders(checkpoint: Path) -> list[Path]:
    """Folders that may hold a run's files.

    The run itself, or the run of run/checkpoints/000012 (links resolved).
    """
    return [checkpoint, *checkpoint.resolve().parents[:2]]


def _log_folder(dataset: str, checkpoint: Path) -> Path:
    """Folder of the log of openings: beside a local dataset, else beside the checkpoint."""
    return checkpoint if "://" in dataset else Path(dataset)


def _trained_on(checkpoint: Path) -> str:
    """Digest of the dataset that the run was trained on; "" where the checkpoint stands alone."""
    path = next((f / RUN_FILE for f in _run_folders(checkpoint) if (f / RUN_FILE).is_file()), None)
    if path is None:
        return ""
    try:
        return str(json_value(path.read_text())["dataset_digest"])
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} does not say which dataset the run was trained on: restore it, or judge a copy of the "
            "checkpoint without it"
        ) from None


def _training_metrics(checkpoint: Path) -> list[dict[str, Any]]:
    """Rows of the run's metrics.jsonl; an empty list where the checkpoint stands alone."""
    run = next((f for f in _run_folders(checkpoint) if (f / METRICS).exists()), None)
    return [] if run is None else read_metrics(run)
