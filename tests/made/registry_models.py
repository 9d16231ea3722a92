"""A registered model whose every figure is known, for the tests of the registry."""

import hashlib
from typing import Any

import torch

from kalshi_platform.data.features.spec import FEATURE_DIGEST, TEMPORAL, features_of
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.evidence import (
    Estimate,
    Evidence,
    FeeResult,
    Latency,
    Match,
    Performance,
    RuleChoice,
    TrainedRule,
)
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.flaws import Flaw
from kalshi_platform.models.registry.provenance import DataCount, DataCounts
from kalshi_platform.models.registry.record import WEIGHTS_NAME, Claims, ModelRecord, digests_of, model_id
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.envs.config import EnvConfig

GROUPS = ("orderbook", "temporal")
COMMIT = "0123456789ab"
DATASET = "d" * 12


def made_policy(level: str = "tiny", seed: int = 0) -> FrozenPolicy:
    """A policy of the running feature table that was never trained."""
    spec = PolicySpec(
        level=level_named(level),
        n_slots=2,
        market=tuple(f.name for f in features_of(GROUPS)),
        portfolio=tuple(f.name for f in features_of(["portfolio"])),
        n_history=len(TEMPORAL),
        feature_digest=FEATURE_DIGEST,
        groups=GROUPS,
    )
    torch.manual_seed(seed)
    return FrozenPolicy(PolicyNetwork(spec))


def estimate(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


#: Two rules as training events chose them.
CHOICE = RuleChoice(
    dataset_digest=DATASET,
    n_blocks=40,
    n_train_blocks=200,
    seed=0,
    rules=(
        TrainedRule(name="imbalance", threshold=0.5, train_return=estimate(0.03), tried=5),
        TrainedRule(name="do_nothing", threshold=None, train_return=estimate(0.0, 0.0), tried=1),
    ),
)
#: Passes every gate.
GOOD = Performance(
    n_events=12,
    n_episodes=40,
    mean_return=estimate(0.05),
    baselines={"do_nothing": estimate(0.05), "random": estimate(0.04), "imbalance": estimate(0.02)},
    rules=CHOICE,
    n_blocks=12,
    fees=tuple(
        FeeResult(scale=s, mean_return=estimate(v)) for s, v in ((0, 0.07), (0.5, 0.06), (1, 0.05), (2, 0.03))
    ),
    action_counts={"HOLD": 800, "BUY_YES": 60, "SELL_YES": 40, "BUY_NO": 60, "SELL_NO": 40},
    entropy_share=0.4,
    trade_rate=0.2,
    worst_market="M7",
    worst_market_return=-0.04,
    worst_drawdown=0.1,
    latency=Latency(p50_ms=0.2, p99_ms=1.5, wall_p99_ms=1.5, runs=1_000),
)

REAL: DataCounts = {"recorded": DataCount(events=12, blocks=12)}
SIMULATED: DataCounts = {"simulated": DataCount(events=12, blocks=12)}


def made_record(
    policy: FrozenPolicy, environment: dict[str, Any] | None = None, **changes: object
) -> tuple[ModelRecord, dict[str, bytes]]:
    """A record of ``policy``, trained in ``environment`` (EnvConfig as JSON), with its file."""
    weights = export_weights(policy)
    sha256, digests = hashlib.sha256(weights).hexdigest(), digests_of(policy.spec)
    environment = environment or EnvConfig(n_slots=2).model_dump(mode="json")
    record = ModelRecord(
        id=model_id(sha256, policy.spec, environment, digests, DATASET, COMMIT),
        artefacts={WEIGHTS_NAME: sha256},
        spec=policy.spec,
        environment=environment,
        digests=digests,
        dataset="/data",
        dataset_digest=DATASET,
        commit=COMMIT,
        packages={"torch": "2"},
        claims=Claims(dataset_digest=DATASET, split="validation", performance=GOOD, judged_on=REAL),
        created_at="2026-01-01T00:00:00+00:00",
        source_run="/runs/1",
        trained_on=REAL,
    )
    return record.replace(**changes), {WEIGHTS_NAME: weights}


def made_evidence(**changes: object) -> Evidence:
    """Evidence that passes every gate, but for ``changes``."""
    same = tuple(
        Match(name=n, recorded="a" * 12, found="a" * 12) for n in ("observation", "action", "feature")
    )
    data = tuple(
        Match(name=n, recorded=DATASET, found=DATASET)
        for n in ("dataset", "feature table", "claims' dataset")
    )
    evidence = Evidence(
        model="tiny-000000000001",
        level="tiny",
        split="validation",
        dataset="/data",
        digests=same,
        datasets=data,
        commit=COMMIT,
        champion="tiny-000000000002",
        against_champion=estimate(0.02),
        claimed=GOOD,
        found=GOOD,
        why_not="",
        judged_at="2026-01-01T00:00:00+00:00",
        judged_on=REAL,
        real_return=estimate(0.05),
        champion_standing="real",
    )
    return evidence.replace(**changes)


def flawed(record: ModelRecord, *flaws: Flaw, **performance: object) -> ModelRecord:
    """``record`` as a checkup with these ``flaws`` left it; ``performance``: changed figures."""
    claims = record.claims.replace(flaws=flaws, performance=record.claims.performance.replace(**performance))
    return record.replace(claims=claims.model_dump())


#: Action counts of a model that only holds.
IDLE = {"HOLD": 1_000, "BUY_YES": 0, "SELL_YES": 0, "BUY_NO": 0, "SELL_NO": 0}
OVERTRADING = Flaw(rule="overtrading", message="fees eat the whole profit", split="validation")


def add(registry: Registry, seed: int = 0, level: str = "tiny") -> ModelRecord:
    return registry.add(*made_record(made_policy(level, seed)))
