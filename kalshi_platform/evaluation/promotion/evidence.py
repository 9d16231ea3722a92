"""Evidence about a registered model, recomputed from the artefact and the dataset, never from its claims.

Owns   the rollouts that a judgement needs; their figures become the record of models/registry/evidence.py.
Fees   a model is judged at the exchange's full fees of today, whatever fees it was trained with.
Pairs  the champion plays the same episodes in its own environment: a return is a share of the capital
       its own settings give a market, so the comparison is of what a dollar earns.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.dataset.manifest import Split
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.actions import ACTIONS
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.evaluation.judging.checkup_facts import Finding
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.evaluate import evaluate, play, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig, Evaluation
from kalshi_platform.evaluation.judging.fee_ladder import FULL_E6
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.promotion.latency import measure_latency
from kalshi_platform.evaluation.statistics.blocks import nested_means
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval, block_mean_interval
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.evidence import (
    CLAIMS_DATASET,
    Estimate,
    Evidence,
    FeeResult,
    Latency,
    Match,
    Performance,
    RuleChoice,
)
from kalshi_platform.models.registry.flaws import Flaw
from kalshi_platform.models.registry.load import LoadedModel, load_model, match_digests
from kalshi_platform.models.registry.provenance import SIMULATED, DataCounts
from kalshi_platform.models.registry.record import ModelRecord
from kalshi_platform.models.registry.store import CHAMPION, Registry, now
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank, MarketInfo
from kalshi_platform.simulation.replay.open import open_bank

Measure = Callable[[FrozenPolicy], Latency]
#: The test split stays shut: it belongs to the final evaluation alone.
JUDGED_SPLIT: Final[Split] = "validation"


class Measured(NamedTuple):
    """Figures of a model, the data they were measured on, and the mean return on the real part of them."""

    performance: Performance
    judged_on: DataCounts
    real_return: Estimate | None  # None: every market was simulated
    flaws: tuple[Flaw, ...] = ()  # errors of the checkup


def gather_evidence(
    registry: Registry,
    model: str,
    dataset_uri: str,
    *,
    champion: str | None = None,
    config: EvalConfig | None = None,
    measure: Measure = measure_latency,
    say: Say = silent,
) -> Evidence:
    """Gather everything the gates ask about ``model`` (an id), on the validation split of ``dataset_uri``.

    ``champion`` is the id to compare with; ``config`` defaults to what the size of the split allows. A
    model that cannot be loaded or played, or a champion that cannot be compared, yields evidence that says
    why (``found`` or ``against_champion`` is None); storage failures and a missing dataset are raised.
    """
    record = registry.record(model)
    dataset = Dataset.open(dataset_uri)
    found: Measured | None = None
    against: Estimate | None = None
    why_not = ""
    try:
        loaded = load_model(registry, model)
        env = judged_environment(record)
        loaded.policy.require_features(dataset.manifest.feature_digest, env.groups)
        bank = open_bank(dataset_uri, JUDGED_SPLIT, env.groups)
        config = config or judging_config(bank)
        rules = choose_on_train(dataset_uri, env, say=say)
        found = measure_performance(loaded.policy, bank, env, config, measure, say, rules=rules)
        if champion is not None and champion != model:
            against = _against(registry, champion, loaded, dataset_uri, bank, config, say)
    except (ContractError, DataError) as err:
        why_not = str(err)
    return Evidence(
        model=model,
        level=record.spec.level.name,
        split=JUDGED_SPLIT,
        dataset=dataset_uri,
        digests=match_digests(record),
        datasets=_match_datasets(record, dataset),
        commit=record.commit,
        champion=champion,
        against_champion=against,
        claimed=record.claims.performance if record.claims else None,
        found=found.performance if found else None,
        why_not=why_not,
        judged_at=now(),
        judged_on=found.judged_on if found else None,
        worlds=dataset.manifest.worlds if found else (),
        real_return=found.real_return if found else None,
    )


def judged_environment(record: ModelRecord) -> EnvConfig:
    """Environment settings that the model was trained in, at full fees of today and behind the queue."""
    return EnvConfig.parse(record.environment).replace(fee_scale_e6=FULL_E6, fees="today", maker_queue=True)


def judging_config(bank: Bank) -> EvalConfig:
    """Settings that play whole lives of every validation market if the split is small enough."""
    return EvalConfig.for_rows(bank.n_rows).replace(split=JUDGED_SPLIT, what_if=False)


def measure_performance(
    policy: FrozenPolicy,
    bank: Bank,
    env: EnvConfig,
    config: EvalConfig,
    measure: Measure = measure_latency,
    say: Say = silent,
    *,
    rules: RuleChoice | None = None,
) -> Measured:
    """Play the policy, the baselines and the fee ladder over ``bank`` and time its decisions.

    ``rules``: the rules to beat, as training events chose them.
    """
    judged = evaluate(trained(policy), bank, env, config, rules=rules, say=say)
    return Measured(
        performance_of(judged, measure(policy)),
        judged.policy.judged_on,
        _real_return(judged, bank, config.bootstrap),
        flaws_of(judged.findings, config.split),
    )


def flaws_of(findings: Iterable[Finding], split: str) -> tuple[Flaw, ...]:
    """Errors among the findings of a checkup on the events of ``split``."""
    return tuple(
        Flaw(rule=f.rule, message=f.message, split=split, idle=f.evidence.get("fills") == 0)
        for f in findings
        if f.severity == "error"
    )


def _played(judged: Evaluation, bank: Bank) -> list[MarketInfo]:
    """Markets of ``bank`` that the policy really played, in the order of its figures."""
    info = {market.ticker: market for market in bank.markets}
    return [info[market.ticker] for market in judged.policy.markets]


def _real_return(judged: Evaluation, bank: Bank, config: BootstrapConfig) -> Estimate | None:
    """Mean return over the blocks that are not simulated; None where there is none."""
    played = zip(judged.policy.markets, _played(judged, bank), strict=True)
    real = [(m.mean_return, info) for m, info in played if info.provenance != SIMULATED]
    if not real:
        return None
    events, blocks = np.array([i.event for _, i in real]), np.array([i.block for _, i in real])
    _, means = nested_means(np.array([value for value, _ in real]), [events, blocks])
    return _estimate(block_mean_interval(means, config))


def performance_of(judged: Evaluation, latency: Latency) -> Performance:
    """Figures of an evaluation that the gates look at."""
    policy = judged.policy
    worst = min(policy.markets, key=lambda market: market.mean_return)
    counts = policy.trading.action_counts
    return Performance(
        n_events=policy.n_events,
        n_episodes=policy.n_episodes,
        mean_return=_estimate(policy.mean_return),
        baselines={c.baseline: _estimate(c.difference) for c in judged.comparisons},
        fees=tuple(
            FeeResult(scale=r.fee_scale_e6 / FULL_E6, mean_return=_estimate(r.mean_return))
            for r in judged.fee_ladder
        ),
        fee_times={dated.fees: _estimate(dated.mean_return) for dated in judged.fee_times},
        action_counts={name: counts[number] for name, number in ACTIONS.items()},
        entropy_share=policy.trading.mean_entropy,
        trade_rate=policy.trading.trade_rate,
        worst_market=worst.ticker,
        worst_market_return=worst.mean_return,
        worst_drawdown=policy.worst_episode_drawdown,
        latency=latency,
        rules=judged.rules,
        n_blocks=policy.n_blocks,
    )


def _against(
    registry: Registry,
    champion: str,
    challenger: LoadedModel,
    dataset_uri: str,
    bank: Bank,
    config: EvalConfig,
    say: Say,
) -> Estimate:
    """Paired difference challenger - champion; raises where this program cannot play the champion."""
    rival = load_model(registry, champion)
    own, other = judged_environment(challenger.record), judged_environment(rival.record)
    rival_bank = bank if other.groups == own.groups else open_bank(dataset_uri, JUDGED_SPLIT, other.groups)
    left = play(trained(challenger.policy), bank, own, config, say=say)
    right = play(trained(rival.policy), rival_bank, other, config, say=say)
    return _estimate(compare(left, right, CHAMPION, config.bootstrap).difference)


def _match_datasets(record: ModelRecord, dataset: Dataset) -> tuple[Match, ...]:
    table = dataset.manifest.feature_digest
    found = [
        _match_states("dataset", record.dataset_digest, dataset),
        Match(name="feature table", recorded=record.spec.feature_digest, found=table),
    ]
    if record.claims is not None:
        found.append(_match_states(CLAIMS_DATASET, record.claims.dataset_digest, dataset))
    return tuple(found)


def _match_states(name: str, recorded: str, dataset: Dataset) -> Match:
    grown = recorded != dataset.digest and dataset.manifest.descends_from(recorded)
    return Match(name=name, recorded=recorded, found=dataset.digest, grown=grown)


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.estimate, low=interval.low, high=interval.high)
