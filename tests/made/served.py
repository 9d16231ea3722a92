"""Models that answer, made without a guard."""

from types import SimpleNamespace

import numpy as np

from kalshi_platform.models.networks.levels import LEVELS
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.load import LoadedModel
from kalshi_platform.models.registry.marks import Marks
from kalshi_platform.serving.guard.served import ServedModel, Verdict
from kalshi_platform.serving.guard.watch import Watch, WatchConfig
from kalshi_platform.serving.inference.ready import ReadyModel
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredPolicy
from kalshi_platform.simulation.replay.trading import TradingConfig
from made.registry_models import made_record
from made.serving_tiers import spec_of

#: Of a champion that enough recorded data judged: nothing is said of it.
REAL_MARKS = Marks("real", "12 events in 12 blocks recorded", passed_gates=True, n_real=12)
SIMULATED_MARKS = Marks("simulated", "12 events in 12 blocks simulated", passed_gates=True)


def served_by(ready: ReadyModel, policy: TieredPolicy) -> ServedModel:
    """``ready`` as it answers by ``policy``."""
    return ServedModel(
        number=1,
        ready=ready,
        policy=policy,
        verdict=Verdict(model=ready.key.model, tiers=ready.key.tier_set),
        probe_actions=np.empty((0, policy.spec.n_slots), np.int8),
        watch=Watch(WatchConfig()),
        since_ns=0,
        marks=REAL_MARKS,
    )


def made_served(policy: TieredPolicy, trading: TradingConfig, model: str) -> ServedModel:
    """A model called ``model`` that answers by ``policy`` and was trained with ``trading``."""
    frozen = FrozenPolicy(build_network(policy.spec, 0))
    record, _ = made_record(frozen, trading.model_dump(mode="json"), id=model)
    return served_by(ReadyModel(LoadedModel(frozen, record), policy.tiers, (), None), policy)


def reading(trading: TradingConfig, window: int, model: str) -> ServedModel:
    """A model that is shown what ``trading`` says and ``window`` rows of history; it cannot be asked."""
    level = LEVELS["simple"].replace(window=window, lstm_hidden=32 if window else 0)
    shown = tuple(group for group in trading.groups if group != "portfolio")
    engine = SimpleNamespace(spec=spec_of(level, trading.n_slots, shown), form="torch")
    policy = TieredPolicy(engine.spec, (ReadyTier(3, engine, 1.0, None),))
    return made_served(policy, trading, model)
