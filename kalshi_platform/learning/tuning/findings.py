"""Findings of a comparison: the winner, and how much of its lead may be luck.

Owns   which runs are trials of one question, and applies the corrections of evaluation/statistics to them.
Units  returns are fractions of an episode's capital; a block is one draw.

Paired statistics need the same blocks, so only runs of one dataset enter them: the winner's. Finalists are
further seeds of settings that had won already, so they are not trials. The trial that won is not one of its
own seeds, because it was chosen for being lucky.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.judging.checkup_learning import idle_winner
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig
from kalshi_platform.evaluation.statistics.overfitting import (
    BacktestOverfitting,
    CscvConfig,
    DeflatedSharpe,
    EffectiveTrials,
    TrialReturns,
    backtest_overfitting,
    deflate,
    effective_trials,
)
from kalshi_platform.evaluation.statistics.seeds import SeedSpread, seed_spread
from kalshi_platform.evaluation.statistics.superiority import Superiority, SuperiorityConfig, superiority
from kalshi_platform.learning.tuning.load_runs import Loaded, Run, Sweep


class FindingsConfig(Config):
    """Settings of the draws behind the corrections."""

    cscv: CscvConfig = CscvConfig()
    superiority: SuperiorityConfig = SuperiorityConfig()
    bootstrap: BootstrapConfig = BootstrapConfig()


class LeftOut(Config):
    """A run that is not in the paired statistics, and the reason."""

    run: str
    why: str


class Finalist(Config):
    """One setting trained again from further seeds."""

    trial: str = ""  # whose settings they are; empty in pages of an earlier version
    values: dict[str, Any]
    spread: SeedSpread


class Findings(Config):
    """Everything computed over the runs."""

    dataset_digest: str | None  # of the runs in the paired statistics
    winner: str | None
    why: str
    trials: tuple[str, ...]
    events: tuple[str, ...]  # blocks every trial was judged on; the name is older than they are
    events_dropped: int  # blocks known to some of the trials only
    returns: tuple[tuple[float, ...], ...]  # trials x blocks
    left_out: tuple[LeftOut, ...]
    effective: EffectiveTrials
    deflated: DeflatedSharpe | None  # None without a winner
    overfitting: BacktestOverfitting
    superiority: tuple[Superiority, ...]
    finalists: tuple[Finalist, ...]
    warnings: tuple[Finding, ...] = ()  # about the winner


def find(loaded: Loaded, config: FindingsConfig | None = None) -> Findings:
    """Apply every correction to the runs that were validated on one dataset."""
    config = config or FindingsConfig()
    winner, why = _winner(loaded)
    digest = winner.dataset_digest if winner else _commonest_digest(loaded.runs)
    trials = [run for run in loaded.runs if run.stage != "finalist" and _why_not(run, digest) is None]
    rows = {run.name: run.validation.block_returns for run in trials if run.validation is not None}
    returns = TrialReturns.of(rows)
    every_block = {block for row in rows.values() for block in row}
    effective = effective_trials(returns)
    return Findings(
        dataset_digest=digest,
        winner=winner.name if winner else None,
        why=why,
        trials=returns.trials,
        events=returns.blocks,
        events_dropped=len(every_block) - len(returns.blocks),
        returns=tuple(map(tuple, returns.values.tolist())),
        left_out=tuple(
            LeftOut(run=run.name, why=reason)
            for run in loaded.runs
            if (reason := _why_not(run, digest)) is not None
        ),
        effective=effective,
        deflated=deflate(returns, winner.name, effective) if winner else None,
        overfitting=backtest_overfitting(returns, config.cscv),
        superiority=superiority(returns, _baselines(loaded.sweeps, digest), config.superiority),
        finalists=_finalists(loaded.runs, digest, config.bootstrap),
        warnings=_warnings(winner),
    )


def _winner(loaded: Loaded) -> tuple[Run | None, str]:
    """Winner, and the reason.

    The sweep's own winner where all runs belong to it, else the best score on the commonest dataset.
    A run on fewer than MIN_BLOCKS blocks is not ranked.
    """
    judged = [run for run in loaded.runs if run.stage != "finalist" and run.is_ranked]
    candidates = [run for run in judged if run.dataset_digest is not None]
    if not candidates:
        return None, "no run of a known dataset holds a validation of its best checkpoint"
    lost = ""
    alone = len(loaded.sweeps) == 1 and all(run.sweep is not None for run in loaded.runs)
    if alone and (chosen := loaded.sweeps[0].record.winner) is not None:
        named = next((run for run in candidates if run.name == chosen), None)
        if named is not None:
            few = decides_nothing(named.n_blocks)
            return named, loaded.sweeps[0].record.why + (f" ({few})" if few else "")
        lost = f"the sweep's own winner {chosen} holds no validation; "
    most = max(run.n_blocks for run in candidates)
    candidates = [run for run in candidates if run.n_blocks >= MIN_BLOCKS]
    if not candidates:
        few = f"no run was validated on at least {MIN_BLOCKS} independent blocks; {decides_nothing(most)}"
        return None, f"{lost}{few}"
    digest = _commonest_digest(candidates)
    same = [run for run in candidates if run.dataset_digest == digest]
    best = max(same, key=lambda run: run.score if run.score is not None else float("-inf"))
    return best, f"{lost}best validation score of the {len(same)} validated runs on dataset {digest}"


def _warnings(winner: Run | None) -> tuple[Finding, ...]:
    """Findings about the winner that its score hides: it may have won by doing nothing."""
    if winner is None or winner.validation is None:
        return ()
    found = idle_winner(f"the winner {winner.name}", winner.validation.trade_rate)
    return () if found is None else (found,)


def _commonest_digest(runs: Sequence[Run]) -> str | None:
    """Digest of the dataset that most runs were made on, the first one met if several; None where unknown."""
    counted = Counter(run.dataset_digest for run in runs if run.dataset_digest is not None)
    return counted.most_common(1)[0][0] if counted else None


def _why_not(run: Run, digest: str | None) -> str | None:
    """Reason why ``run`` is not in the paired statistics; None where it is in them."""
    if run.validation is None:
        return run.problems[0] if run.problems else f"never validated ({run.status}: {run.reason})"
    if run.dataset_digest is None:
        return "it does not say which dataset it was made on"
    if run.dataset_digest != digest:
        return (
            f"made on another dataset ({run.dataset_digest}, not {digest}): its blocks are not the same draws"
        )
    return None


#: The baseline that earns nothing on every block.
DO_NOTHING: Final = "do_nothing"


def _baselines(sweeps: Sequence[Sweep], digest: str | None) -> dict[str, dict[str, float]]:
    """Baselines played on the dataset; a baseline with other returns gets its sweep's name before its own."""
    found: dict[str, dict[str, float]] = {}
    for sweep in sweeps:
        if sweep.record.dataset_digest != digest:
            continue
        for name, row in sweep.baselines.items():
            if name == DO_NOTHING:  # tested in any case, from zeros
                continue
            known = found.get(name, row) == row
            found[name if known else f"{sweep.label}/{name}"] = row
    return found


def _finalists(runs: Sequence[Run], digest: str | None, config: BootstrapConfig) -> tuple[Finalist, ...]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.stage == "finalist" and _why_not(run, digest) is None:
            groups.setdefault(json_text([run.sweep, _setting(run)], sort_keys=True), []).append(run)
    return tuple(
        Finalist(
            trial=_trial_of(of[0].name),
            values=_setting(of[0]),
            spread=seed_spread(
                {r.name: r.validation.block_returns for r in of if r.is_ranked and r.validation}, config
            ),
        )
        for of in groups.values()
    )


def _trial_of(finalist: str) -> str:
    """Name of the trial that a finalist trains again: "t002-6d0f51-s5" -> "t002-6d0f51"."""
    trial, found, seed = finalist.rpartition("-s")
    return trial if found and seed.isdigit() else finalist


def _setting(run: Run) -> dict[str, Any]:
    """Values that tell the settings of two finalists apart: all that were varied but the seed."""
    return {name: value for name, value in run.values.items() if name != "train.seed"}
