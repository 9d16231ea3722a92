"""Rules that a policy must beat, chosen on training events: each rule's few thresholds play a sample of them.

Owns   the draw of the training blocks, the plays, and which rule at which threshold earned most there.
Rule   no validation or test event is opened here, so a rule meets those events as the policy does: for the
       first time. Latency, fees, position limit and decision interval are the policy's.
Hold   hold_to_settlement plays training events at the position limit; beside a policy it holds that policy's
       mean exposure.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from pydantic import Field

from kalshi_platform.data.dataset.entries import MarketEntries
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.saying import Say, detail, silent
from kalshi_platform.evaluation.judging.evaluate import PlayStage
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.pages.formats import percent
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.models.registry.evidence import Estimate, RuleChoice, TrainedRule
from kalshi_platform.models.rules.baselines import BASELINES, Baseline
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import numbered
from kalshi_platform.simulation.replay.open import Share, open_bank

_TAG: Final = 0x72756C65
#: A train split of so many times the rows to play is opened in part.
_SHARES_ABOVE: Final = 4
_DO_NOTHING: Final = TrainedRule(
    name="do_nothing", threshold=None, train_return=Estimate(value=0.0, low=0.0, high=0.0), tried=1
)


class RivalsConfig(Config):
    """Bounds of the sample of training events on which the rules are chosen."""

    blocks: int = Field(40, ge=MIN_BLOCKS, description="independent training blocks played, at most")
    rows: int = Field(1_000_000, ge=1, description="rows of those blocks, at most")
    seed: int = Field(0, ge=0, description="of the draw of the blocks")
    n_envs: int = Field(128, ge=1, description="environments stepped together")
    resamples: int = Field(2_000, ge=100, description="draws behind an interval of a training return")


def choose_on_train(
    dataset_uri: str, env: EnvConfig, config: RivalsConfig | None = None, say: Say = silent
) -> RuleChoice:
    """Choose the rules on the train split of the dataset at ``dataset_uri``, under the settings ``env``.

    A dataset without a train split that can be played gives a choice without rules that says why. The same
    question in one process is answered once. StorageError and ChecksumError as in opening any split.
    """
    detail(say)("choosing the rules to beat on training events")
    choice = _chosen(dataset_uri, Dataset.open(dataset_uri).digest, env, config or RivalsConfig())
    detail(say)(choice_words(choice))
    return choice


def choice_words(choice: RuleChoice) -> str:
    """Words on the best rule and on what it was chosen, or on why none was."""
    if choice.best is None:
        return f"no rule chosen: {choice.why_not}"
    earned = choice.best.train_return.value
    return (
        f"best rule on {choice.n_blocks} of {choice.n_train_blocks} training blocks: {choice.best.words}, "
        f"{'no return' if earned is None else percent(earned)} a block"
    )


@lru_cache(maxsize=8)
def _chosen(dataset_uri: str, digest: str, env: EnvConfig, config: RivalsConfig) -> RuleChoice:
    entries = Dataset.open(dataset_uri).entries("train")
    if not entries:
        return no_choice(digest, config, "the dataset has no train split")
    try:
        bank = open_bank(dataset_uri, "train", env.groups, share=_share(entries, config))
    except (ContractError, DataError) as err:
        return no_choice(digest, config, f"the train split cannot be played: {err}")
    return choose_rules(bank, env, digest, config)


def _share(entries: MarketEntries, config: RivalsConfig) -> Share | None:
    """Share of a large train split that is opened, its number by the seed; None where the whole is small."""
    rows, events = int(entries.numbers("n_rows").sum()), entries.event_codes.size
    workers = min(rows // (_SHARES_ABOVE * config.rows), events // config.blocks)
    return Share(config.seed % workers, workers) if workers > 1 else None


def no_choice(digest: str, config: RivalsConfig, why_not: str, n_train_blocks: int = 0) -> RuleChoice:
    """Choice without any rule, and the reason."""
    return RuleChoice(
        dataset_digest=digest, n_blocks=0, n_train_blocks=n_train_blocks, seed=config.seed, rules=(),
        why_not=why_not,
    )  # fmt: skip


def choose_rules(
    bank: Bank, env: EnvConfig, dataset_digest: str, config: RivalsConfig | None = None
) -> RuleChoice:
    """Play every rule at each of its thresholds on a sample of the blocks of ``bank``, the train split.

    Every rule keeps the threshold with the highest mean return a block; the best rule stands first. Doing
    nothing is among them, so where every rule loses it is the best.
    """
    config = config or RivalsConfig()
    drawn, total = draw_blocks(bank, config)
    if len(drawn) < MIN_BLOCKS:
        words = f"the train split has {len(drawn)} independent blocks to play, {MIN_BLOCKS} are needed"
        return no_choice(dataset_digest, config, words, total)
    judging = EvalConfig(schedule="markets", seeds=(config.seed,), n_envs=config.n_envs)
    stage = PlayStage(bank, judging, silent, frozenset(drawn))
    bootstrap = BootstrapConfig(resamples=config.resamples)
    candidates = [b for b in BASELINES if b.name != _DO_NOTHING.name and not b.is_random]
    rules = [_DO_NOTHING, *(_best_threshold(stage, b, env, bootstrap) for b in candidates)]
    rules.sort(key=_earned, reverse=True)
    return RuleChoice(
        dataset_digest=dataset_digest, n_blocks=len(drawn), n_train_blocks=total, seed=config.seed,
        rules=tuple(rules),
    )  # fmt: skip


def draw_blocks(bank: Bank, config: RivalsConfig) -> tuple[list[str], int]:
    """Blocks to play, drawn by the seed within both bounds, and the number of playable blocks opened."""
    segments = bank.arrays.segments
    blocks, block = numbered(bank.markets, "block")
    of_block, lengths = block[segments["market"]], segments["stop"] - segments["start"]
    total = np.zeros(len(blocks), np.int64)
    np.add.at(total, of_block, lengths)
    rows = {blocks[at]: int(total[at]) for at in np.unique(of_block)}
    names = sorted(rows)
    drawn: list[str] = []
    left = config.rows
    for k in np.random.default_rng([config.seed, _TAG]).permutation(len(names)).tolist():
        left -= rows[names[k]]
        if len(drawn) == config.blocks or (left < 0 and len(drawn) >= MIN_BLOCKS):
            break
        drawn.append(names[k])
    return drawn, len(names)


def _best_threshold(
    stage: PlayStage, baseline: Baseline, env: EnvConfig, bootstrap: BootstrapConfig
) -> TrainedRule:
    thresholds: Sequence[float | None] = baseline.grid or (None,)
    tried = []
    for threshold in thresholds:
        sample = stage.play_baseline(baseline, env, exposure=1.0, threshold=threshold)
        earned = _estimate(sample.mean_interval(bootstrap))
        tried.append(
            TrainedRule(name=baseline.name, threshold=threshold, train_return=earned, tried=len(thresholds))
        )
    return max(tried, key=_earned)


def _earned(rule: TrainedRule) -> float:
    return float("-inf") if rule.train_return.value is None else rule.train_return.value


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.estimate, low=interval.low, high=interval.high)
