"""Progressive training: from a simple network to a complex one, as far as it pays (``run_progressive``).

Owns       the order: train a level from the last one kept, judge it on validation blocks, keep it or stop.
Halves     one half of the validation blocks, drawn by the hash of their names, chooses each level's
           checkpoint and ends its training; the other half, which chose nothing, decides on the level.
Invariant  the test split stays shut. A repeated command keeps finished levels and continues the interrupted
           one.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.commit import Stamp, git_commit
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.saying import Say, detail, silent
from kalshi_platform.evaluation.judging.evaluate import score, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.pages.formats import interval_text
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, hashed_halves
from kalshi_platform.evaluation.statistics.bootstrap import paired_sharpe_difference
from kalshi_platform.learning.training.checkpoint import newest_number
from kalshi_platform.learning.training.collapse import end_words
from kalshi_platform.learning.training.metrics import read_metrics
from kalshi_platform.learning.training.pace import validations_until
from kalshi_platform.learning.training.page import with_page
from kalshi_platform.learning.training.progress import shown_to
from kalshi_platform.learning.training.session import run_training
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.transfer import divergence, grown_network
from kalshi_platform.models.registry.evidence import Latency
from kalshi_platform.models.registry.provenance import count_data
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered
from kalshi_platform.simulation.replay.open import open_bank
from kalshi_platform.workflows.complexity import ComplexityScaler
from kalshi_platform.workflows.observe import observations
from kalshi_platform.workflows.progressive_record import (
    Judged,
    LevelRecord,
    ProgressiveConfig,
    ProgressiveRecord,
    Transfer,
    decide,
    decide_first,
    read_progressive,
)
from kalshi_platform.workflows.progressive_report import write_progressive

#: Times one decision of a policy.
Measure = Callable[[FrozenPolicy], Latency]
#: Observations on which a grown network is compared with its teacher.
_N_COMPARED = 512


def run_progressive(
    config: ProgressiveConfig,
    dataset_uri: str,
    out: Path,
    say: Say = silent,
    measure: Measure = measure_latency,
) -> ProgressiveRecord:
    """Train level after level while each is better than the last; progressive.json and .html say why.

    ContractError where ``out`` holds a pipeline of other settings or data. ``require_kept`` of the record
    raises where even the first level is not worth using.
    """
    out = Path(out)
    record = _begin(config, Dataset.open(dataset_uri), out)
    pipeline = _Pipeline(config, dataset_uri, out, say, measure)
    _say_reach(config, say)
    while not record.is_finished:
        done = pipeline.climb(record)
        record = record.replace(levels=(*record.levels, done))
        write_progressive(record, out)
        say(f"{done.level} is {'kept' if done.kept else 'not kept'}: {done.reason}")
    write_progressive(record, out)
    say(record.verdict)
    return record


def _say_reach(config: ProgressiveConfig, say: Say) -> None:
    """Say it where no level validates often enough to reach a plateau."""
    train = config.settings_of(config.levels[0], "").train
    if told := ComplexityScaler(config.plateau).out_of_reach(validations_until(train, train.iterations)):
        say(told)


def _begin(config: ProgressiveConfig, dataset: Dataset, out: Path) -> ProgressiveRecord:
    """A fresh record, or the one in ``out`` if it has the same settings and data."""
    fresh = ProgressiveRecord(
        config=config,
        dataset=dataset.uri,
        dataset_digest=dataset.digest,
        feature_digest=FEATURE_DIGEST,
        commit=git_commit(),
        made=Stamp.now(),
        judged_on=count_data((m.provenance, m.event, m.block) for m in dataset.entries("validation")),
    )
    found = read_progressive(out)
    if found is None:
        return fresh
    if (found.config, found.dataset_digest) != (config, dataset.digest):
        earlier = found.dataset_digest in dataset.manifest.parents
        grew = ", which grew from it: levels of one pipeline learn from one state" if earlier else ""
        raise ContractError(
            f"{out} holds a pipeline of other settings or data (dataset {found.dataset_digest}, settings "
            f"{found.config.digest}; asked for {dataset.digest}{grew}, {config.digest}); choose another --out"
        )
    return found


class _Pipeline:
    """Everything that stays the same over the levels: settings, validation bank, scaler."""

    def __init__(
        self, config: ProgressiveConfig, dataset_uri: str, out: Path, say: Say, measure: Measure
    ) -> None:
        self._config, self._dataset_uri, self._out = config, dataset_uri, out
        self._say, self._measure = say, measure
        self._bank = open_bank(dataset_uri, "validation", config.run.env.groups)
        self._choosing, self._deciding = require_halves(self._bank, dataset_uri)
        say(f"settings of every level: {config.run.in_words}")
        say(
            f"{len(self._choosing)} validation blocks choose the checkpoints, {len(self._deciding)} others "
            "decide on the levels"
        )
        self._scaler = ComplexityScaler(config.plateau)

    def climb(self, record: ProgressiveRecord) -> LevelRecord:
        """Train and judge the level after the last of ``record``."""
        config, rival = self._config, record.kept
        level = config.levels[len(record.levels)]
        teacher = "" if rival is None else str((self._out / rival.run).resolve())
        run = self._out / f"{len(record.levels)}-{level}"
        transfer = None if rival is None else self._transfer(level, Path(teacher))
        detail(self._say)(
            f"level {level}: at most {config.steps_per_level:,} steps" + _origin(rival, transfer)
        )
        result = run_training(
            config.settings_of(level, teacher),
            self._dataset_uri,
            run,
            with_page(shown_to(self._say, f"level {level}"), run),
            resume=newest_number(run) is not None,
            stop=self._scaler.stop,
            blocks=self._choosing,
        )
        if collapse := end_words(result.collapse, result.best_collapse, result.best_iteration):
            self._say(f"level {level}: {collapse}")
        policy = FrozenPolicy.load(run)
        judged = self._judge(policy)
        latency = self._measure(policy)
        budget_ms = level_named(level).latency_budget_ms
        difference = None
        kept, reason = decide_first(config, judged)
        if rival is not None:
            shared = sorted(rival.judged.block_returns)
            ours, theirs = (np.array([x.block_returns[b] for b in shared]) for x in (judged, rival.judged))
            difference = paired_sharpe_difference(ours, theirs, config.bootstrap)
            kept, reason = decide(config, rival.level, difference, latency, budget_ms)
        return LevelRecord(
            level=level,
            run=run.name,
            env_steps=result.env_steps,
            wall_s=float(read_metrics(run)[-1]["elapsed_s"]),
            stopped=result.stopped,
            judged=judged,
            transfer=transfer,
            difference=difference,
            latency=latency,
            budget_ms=budget_ms,
            kept=kept,
            reason=f"{reason}; {result.best_collapse}" if result.best_collapse else reason,
            collapse=result.best_collapse,
        )

    def _transfer(self, level: str, teacher_run: Path) -> Transfer:
        """Grow the network of ``level`` from its teacher; compare and judge it before any training."""
        settings, teacher = self._config.run, FrozenPolicy.load(teacher_run)
        spec = teacher.spec.replace(level=level_named(level))
        network, report = grown_network(teacher, spec, settings.train.seed)
        grown = FrozenPolicy(network)
        with torch_threads(1):
            seen = observations(self._bank, settings, teacher, _N_COMPARED)
            kl = divergence(teacher, grown, seen.flat, seen.rows, self._bank.arrays)
        return Transfer(
            report=report, kl=kl, n_observations=len(seen.flat), before_training=self._judge(grown)
        )

    def _judge(self, policy: FrozenPolicy) -> Judged:
        return judge(policy, self._bank, self._config.run.env, self._deciding)


def require_halves(bank: Bank, dataset_uri: str) -> tuple[frozenset[str], frozenset[str]]:
    """(choosing, deciding): the blocks of ``bank`` that can be played, halved by the hash of their names.

    DataError where too few blocks are left to decide: a level would train for hours to be decided by nothing.
    """
    blocks, block = numbered(bank.markets, "block")
    playable = {blocks[at] for at in np.unique(block[bank.arrays.segments["market"]]).tolist()}
    choosing, deciding = hashed_halves(playable)
    if len(deciding) < MIN_BLOCKS:
        raise DataError(
            f"{dataset_uri} has {len(playable)} independent blocks in its validation split: one half chooses "
            f"checkpoints, and of the other {len(deciding)} would decide on a level, which decides nothing; "
            f"record or simulate more events, at least {2 * MIN_BLOCKS} blocks are needed"
        )
    return choosing, deciding


def judge(policy: FrozenPolicy, bank: Bank, env: EnvConfig, blocks: frozenset[str] | None = None) -> Judged:
    """Judge the policy as training validates: on whole lives of the bank's markets, or on windows of them.

    ``blocks`` None: on all of ``bank``.
    """
    config = EvalConfig.for_rows(bank.n_rows).replace(seeds=(0,), fee_ladder=False)
    result = score(trained(policy), bank, env, config, blocks)
    return Judged(
        score=result.mean_return,
        sharpe=result.event_sharpe,
        events={e.event: e.mean_return for e in result.events},
        blocks=result.block_returns,
    )


def _origin(rival: LevelRecord | None, transfer: Transfer | None) -> str:
    if rival is None or transfer is None:
        return ""
    exact = "exactly" if transfer.report.exact else f"with a KL of {transfer.kl:.2g} nats"
    return f"; starts from {rival.level} {exact}, at {interval_text(transfer.before_training.score)}"
