"""The end of a sweep: the winner beside the baselines on validation events, then once on the test events.

Owns   winner/validation/ and winner/ (an evaluation each) and baselines.json, with which the corrections for
       having looked at many trials compare. The test split opens for the winner alone, and never again
       for the same sweep: the opening is recorded before a byte of it is read, beside the dataset or, for
       one in a bucket, in the sweep's storage.
"""

from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.manifest import Split
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.domain.saying import Say, detail, note
from kalshi_platform.evaluation.judging.evaluate import evaluate, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Evaluation, Subject, opened_words
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE, open_held_out
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables
from kalshi_platform.evaluation.judging.report import JSON_NAME, worth_line, write_report
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.judging.train_sample import sample_training
from kalshi_platform.learning.training.metrics import read_metrics
from kalshi_platform.learning.tuning.registered import Registered
from kalshi_platform.learning.tuning.registering import register_judged
from kalshi_platform.learning.tuning.sweep import write_json
from kalshi_platform.learning.tuning.sweep_record import SweepRecord
from kalshi_platform.learning.tuning.sweep_store import SweepStore
from kalshi_platform.learning.tuning.tracking import mirror_model
from kalshi_platform.learning.tuning.winner_report import WINNER
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.store import CHALLENGER, Registry
from kalshi_platform.simulation.envs.settings import read_environment
from kalshi_platform.simulation.replay.open import open_bank

BASELINES_FILE: Final = "baselines.json"


def judge_winner(record: SweepRecord, store: SweepStore, final: bool, say: Say) -> Path:
    """Evaluate the sweep's winner and return the folder of its report; a judgement already made is kept.

    Everything is in the sweep's storage when this returns, and an opening of the test split before its events
    are read. DataError where a judgement is there of another run: a trial that was run again can change who
    wins.
    """
    run, out = _winner_of(record, store), store.out
    winner = out / WINNER
    _require_of_winner(run, store)
    if not (out / BASELINES_FILE).exists():
        found = _judge(record, run, "validation", winner / "validation", say)
        store.keep(WINNER)  # before the file that says it is whole
        write_json(out / BASELINES_FILE, {b.name: b.block_returns for b in found.baselines})
    store.keep(BASELINES_FILE)
    if final and not (winner / JSON_NAME).exists():
        store.require_driven()
        log_folder = out if "://" in record.dataset else Path(record.dataset)
        earlier = open_held_out(Dataset.open(record.dataset), "test", True, log_folder, _subject(record, run))
        store.keep(OPENINGS_FILE)
        if earlier:
            note(say)(opened_words(earlier))
        _judge(record, run, "test", winner, say, earlier)
    store.keep(WINNER)
    return winner


def register_winner(record: SweepRecord, store: SweepStore, registry: Registry, say: Say) -> Registered:
    """Register the run that was judged; it becomes challenger unless it is flawed and a better one is there.

    Only a gated promotion makes it champion.
    """
    run = _winner_of(record, store)
    store.require_driven()
    reason = f"won the sweep {record.name} in {store.uri}"
    found = register_judged(record, run, store.out / WINNER, registry, reason, say)
    store.keep(WINNER)
    address, place = f"{registry.uri}/models/{found.model}", store.tracking_place()
    is_challenger = registry.aliases().model(CHALLENGER) == found.model  # a later sweep may have it by now
    mirror_model(found.model, CHALLENGER if is_challenger else "", address, place, say)
    return found


def _winner_of(record: SweepRecord, store: SweepStore) -> Path:
    """Folder of the winner's run on this machine; ContractError where the sweep has no winner yet."""
    if record.winner_run is None:
        raise ContractError(f"{store.uri} has no winner yet: finish the sweep with --resume")
    return store.out / record.winner_run


def _require_of_winner(run: Path, store: SweepStore) -> None:
    """Refuse reports on a run that is not the winner's: nothing may be shown or registered by them."""
    for name in (f"{WINNER}/{JSON_NAME}", f"{WINNER}/validation/{JSON_NAME}"):
        subject = _judged_subject(store.out / name)
        if subject and Path(subject).name != run.name:
            raise DataError(
                f"{store.address(name)} judges {Path(subject).name}, but {run.name} has won since: delete "
                f"{store.everywhere(WINNER)}, and {store.everywhere(BASELINES_FILE)}, and repeat with "
                "--resume, which judges the new winner"
            )


def _judged_subject(path: Path) -> str:
    """Checkpoint that a report judges; "" where there is none, or a damaged one that its reader names."""
    try:
        return str(json_value(path.read_text())["subject"]["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _judge(
    record: SweepRecord, run: Path, split: Split, out: Path, say: Say, earlier: tuple[str, ...] = ()
) -> Evaluation:
    env = read_environment(run)
    bank = open_bank(record.dataset, split, env.groups)
    metrics = read_metrics(run)
    detail(say)(f"judging {run.name} on {len(set(bank.segment_events.tolist()))} {split} events")
    policy, subject = FrozenPolicy.load(run), _subject(record, run).replace(opened_before=earlier)
    config = EvalConfig.for_rows(bank.n_rows).replace(split=split)
    ledgers: list[LedgerTables] = []
    found = evaluate(
        trained(policy),
        bank,
        env,
        config,
        subject=subject,
        rules=choose_on_train(record.dataset, env, say=say),
        train=sample_training(trained(policy), record.dataset, env, config, record.dataset_digest, say),
        training_metrics=metrics,
        keep_ledger=ledgers.append,
        say=say,
    )
    write_report(found, out, metrics, ledger=ledgers[0])
    say(f"judged {run.name} on the {split} events: {worth_line(found)}")
    return found


def _subject(record: SweepRecord, run: Path) -> Subject:
    try:
        level = str(json_value((run / "run.json").read_text())["settings"]["train"]["level"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{run}/run.json cannot be read: restore it from the run's copy in the storage"
        ) from None
    return Subject(
        checkpoint=str(run),
        dataset=record.dataset,
        dataset_digest=record.dataset_digest,
        feature_digest=record.feature_digest,
        level=level,
        worlds=Dataset.open(record.dataset).manifest.worlds,
    )
