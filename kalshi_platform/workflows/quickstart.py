"""The whole way in one call: recordings to trained policies, their held-out report, and a model to serve.

Folder   <out>/work-<digest>/, by settings and place of the recordings: dataset/ and, by the dataset's digest,
         runs-<digest>/seed-<k>/ (a training run and its own report);
         <out>/report.html and report.json of the seed with the median return, the others beside it;
         <out>/dataset and <out>/run: links to the dataset and the run of that seed, of the newest call;
         <out>/tiers.html and tiers.json: what its tiers cost and save;
         <out>/registry: that seed's policy as a model with its tiers, a registry of its own so that trying
         the program never changes what anybody trades with
Repeat   finished parts are kept, a killed run continues where it stopped; a report with nothing new to
         measure is shown again (judged.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import Field

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.certified import coverage_words
from kalshi_platform.data.dataset.inspect import doubts_of
from kalshi_platform.data.dataset.manifest import Manifest, judge_only_words
from kalshi_platform.data.dataset.split import SPLITS, SplitConfig
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.commit import git_commit
from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.program import command_line
from kalshi_platform.domain.saying import Countdown, Say, detail, note, passing
from kalshi_platform.evaluation.judging.evaluate import evaluate, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Evaluation, Subject, opened_words
from kalshi_platform.evaluation.judging.held_out import open_held_out
from kalshi_platform.evaluation.judging.ledger_tables import LedgerTables
from kalshi_platform.evaluation.judging.report import HTML_NAME, JSON_NAME, verdict, worth_line, write_report
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.judging.train_sample import sample_training
from kalshi_platform.evaluation.pages.formats import interval_text
from kalshi_platform.learning.training.checkpoint import newest_number
from kalshi_platform.learning.training.metrics import read_metrics
from kalshi_platform.learning.training.page import with_page
from kalshi_platform.learning.training.progress import shown_to
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.distillation.page import write_page
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.storage.whole_file import point_to
from kalshi_platform.workflows.judged import judged_from, remember, still_true
from kalshi_platform.workflows.publish import Published, publish_run

#: Links in the quickstart's folder to the dataset and the run of the newest call.
DATASET_LINK: Final = "dataset"
RUN_LINK: Final = "run"


class QuickstartConfig(Config):
    """Settings of the quickstart; the defaults take a few minutes on two cores."""

    seeds: int = Field(default=1, ge=1, description="training runs, each with its own seed")
    tiers: TiersConfig = TiersConfig()
    use_yes_price: bool | None = Field(
        default=None, description="how captures were subscribed, where they do not tell; None: found out"
    )
    split: SplitConfig = Field(default=SplitConfig(), description="shares of the dataset's splits")
    run: RunSettings = RunSettings()


class Outcome(NamedTuple):
    """Results of the quickstart."""

    evaluation: Evaluation  # the seed with the median return
    siblings: tuple[Evaluation, ...]  # every seed, in order
    html: Path
    json: Path
    published: Published
    registry: str


def quickstart(
    config: QuickstartConfig, recordings: Sequence[Path], out: Path, say: Say, again: bool = False
) -> Outcome:
    """Run every stage that is not finished yet; ``say`` receives one line a stage.

    ``recordings`` are files and folders.

    The test split is opened once, at the end, and every opening is recorded beside the dataset. A report of
    the same settings, data, code and policies is shown as it is, unless ``again`` asks for a new judgement.
    """
    places = [str(path.resolve()) for path in recordings]
    identity: dict[str, Any] = {
        "run": config.run.model_dump(mode="json"),
        "recordings": places[0] if len(places) == 1 else places,
    }
    if config.split != SplitConfig():
        identity["split"] = config.split.model_dump(mode="json")
    if config.use_yes_price is not None:
        identity["use_yes_price"] = config.use_yes_price
    work = out / f"work-{digest_of(identity)}"
    dataset = work / "dataset"
    say(f"settings: {config.run.in_words}")
    building = BuildConfig(overwrite=True, use_yes_price=config.use_yes_price, split=config.split)
    show = Countdown(say, "building")
    manifest = build_dataset(
        list(recordings), str(dataset), building, lambda p: show(p.rows_done, p.rows, "rows")
    )
    n_events = manifest.markets.event_codes.size
    say(f"dataset: {n_events:,} events, {len(manifest.markets):,} markets in {dataset}")
    _require_splits(manifest, dataset, out)
    runs = []
    for seed in range(config.seeds):
        run = work / f"runs-{manifest.digest}" / f"seed-{seed}"
        settings = config.run.with_values({"train.seed": seed})
        shown = with_page(shown_to(say, f"training seed {seed} ({seed + 1} of {config.seeds})"), run)
        done = run_training(settings, str(dataset), run, shown, resume=newest_number(run) is not None)
        say(f"trained seed {seed} ({seed + 1} of {config.seeds}): {done.env_steps:,} steps, {run}")
        runs.append(run)
    basis = judged_from(identity | {"seeds": config.seeds}, manifest.digest, runs, git_commit())
    reports = [run / "evaluation" / JSON_NAME for run in runs]
    judged = None if again else still_true(out, basis, reports)
    if judged is None:
        judged = _judge(config.run, dataset, runs, out, say)
        remember(out, basis)
    else:
        say(
            f"report: the one of {_written(out)} is shown; settings, data and code are the same, so the test "
            "events stay shut (--again judges anew)"
        )
    middle = _middle(judged)
    html, json_path = out / HTML_NAME, out / JSON_NAME
    name_places(out, dataset, runs[middle], say)
    registry = Registry(out / "registry")
    published = publish_run(registry, runs[middle], str(dataset), config.tiers, say)
    if published.tier_report is not None:
        write_page(published.tier_report, out)
    return Outcome(judged[middle], tuple(judged), html, json_path, published, registry.uri)


def _require_splits(manifest: Manifest, dataset: Path, out: Path) -> None:
    """Refuse, before anything is trained, data that cannot train, choose and judge a policy.

    DataError; it says how a policy of simulated events is judged on them.
    """
    if not (missing := [split for split in SPLITS if not manifest.events(split)]):
        return
    raise DataError(
        f"{dataset} has no event in {', '.join(missing)}: no policy can be trained and judged on it"
        f"{judge_only_words(manifest)}. It can judge a policy of simulated events:\n"
        f"  {command_line('quickstart', '--out', out)}    (unless {out / RUN_LINK} is there)\n"
        f"  {command_line('evaluate', '--run', out / RUN_LINK, '--dataset', dataset, '--split', 'all')}"
    )


def name_places(out: Path, dataset: Path, run: Path, say: Say) -> None:
    """Make ``out/dataset`` and ``out/run`` links to this call's dataset and run, and say where they lie.

    Where the disk knows no links, or something else has the name, the line tells the folders instead.
    """
    for name, place in ((DATASET_LINK, dataset), (RUN_LINK, run)):
        try:
            point_to(out / name, place)
        except OSError as err:
            say(f"{name}: {place} (no link {out / name} to it: {err.strerror})")
        else:
            say(f"{name}: {out / name} -> {place}")


def _middle(judged: Sequence[Evaluation]) -> int:
    """Index of the median return, the lower one of an even number."""
    return sorted(range(len(judged)), key=lambda k: judged[k].score)[(len(judged) - 1) // 2]


def _written(out: Path) -> str:
    """Minute in which the report in ``out`` was written, UTC."""
    at = datetime.fromtimestamp((out / JSON_NAME).stat().st_mtime, UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _judge(settings: RunSettings, dataset: Path, runs: list[Path], out: Path, say: Say) -> list[Evaluation]:
    """Open the test split once, judge every seed on it and write the report of the median one to ``out``."""
    opened = Dataset.open(dataset)
    subject = Subject(
        dataset=str(dataset),
        dataset_digest=opened.digest,
        feature_digest=opened.manifest.feature_digest,
        level=settings.train.level,
        doubts=doubts_of(opened.manifest.counters),
        worlds=opened.manifest.worlds,
        recorded=coverage_words(opened.manifest.recordings),
    )
    earlier = open_held_out(opened, "test", True, dataset, subject)
    subject = subject.replace(opened_before=earlier)
    if earlier:
        note(say)(opened_words(earlier))
    bank = open_bank(str(dataset), "test", settings.env.groups)
    config = EvalConfig.for_rows(bank.n_rows).replace(split="test")
    rules = choose_on_train(str(dataset), settings.env, say=say)
    judged: list[Evaluation] = []
    ledgers: list[LedgerTables] = []
    for run in runs:
        passing(say)(f"judging {run.name} on the test events")
        policy = trained(FrozenPolicy.load(run))
        found = evaluate(
            policy, bank, settings.env, config,
            subject=subject.replace(checkpoint=str(run)), rules=rules,
            train=sample_training(policy, str(dataset), settings.env, config, opened.digest, say),
            training_metrics=read_metrics(run), keep_ledger=ledgers.append, say=say,
        )  # fmt: skip
        write_report(found, run / "evaluation", read_metrics(run), ledger=ledgers[-1])
        earned = interval_text(found.policy.mean_return)
        say(f"judged {run.name} on the test events: {earned} of capital a block")
        detail(say)(f"{run.name}: {worth_line(found)} {verdict(found)}")
        judged.append(found)
    middle = _middle(judged)
    write_report(judged[middle], out, read_metrics(runs[middle]), judged, ledgers[middle])
    return judged
