"""Guards over a registry of three models, whose engines a test may damage."""

import numpy as np

from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHAMPION
from kalshi_platform.models.registry.tiers import TierRecord, TierSet
from kalshi_platform.serving.guard.guard import GuardConfig, ModelGuard
from kalshi_platform.serving.inference.batch import Batch, holding
from kalshi_platform.serving.inference.ready import ReadyModel
from kalshi_platform.serving.inference.tiered import ReadyTier, free
from made.serving_tiers import PlainEngine

MS, S = 1_000_000, 1_000_000_000


class Clock:
    now_ns = 1_000 * S

    def __call__(self) -> int:
        return self.now_ns


class Loader:
    """Runs the registered network as the only tier; ``damage`` does something to the engine of a model."""

    def __init__(self) -> None:
        self.damage, self.loaded = {}, []

    def __call__(self, registry, loaded, tier_set):
        self.loaded.append(loaded.record.id)
        engine = PlainEngine(loaded.policy.network)
        self.damage.get(loaded.record.id, lambda engine: None)(engine)
        return ReadyModel(loaded, (ReadyTier(3, engine, 1.0, None),), (), tier_set)


def guard_of(registry, loader, clock=None, start=True, deployed=None, **config):
    clock = clock or Clock()
    guard = ModelGuard(registry, GuardConfig(**config), deployed=deployed, load=loader, clock=clock)
    if start:
        guard.start()
    return guard


def kinds(guard):
    return [event.kind for event in guard.events]


def tier_set(record, created_at):
    return TierSet(
        model=record.id,
        dataset_digest=record.dataset_digest,
        tiers=(
            TierRecord(number=3, spec=record.spec, weights=WEIGHTS_NAME, temperature=1, exit_threshold=None),
        ),
        artefacts={},
        max_value_loss=0.02,
        machine="made",
        created_at=created_at,
    )


def answered(guard, n, latency_ms=1.0, failed=False, served=None):
    """``n`` requests answered by the active model, or by ``served``."""
    served = served or guard.active
    nothing = Batch(np.empty((0, served.policy.spec.width), np.float32), None, free(0, 2))
    for _ in range(n):
        if failed:
            guard.failed(served, round(latency_ms * MS))
        else:
            guard.answered(served, nothing, holding(0, 2), round(latency_ms * MS))


def swapped(registry, models, loader, clock=None, **config):
    """A guard that swapped the second model in, the first having answered 300 requests in 1 ms each."""
    guard = guard_of(registry, loader, clock, **config)
    answered(guard, 300)
    registry.promote(CHAMPION, models[1], reason="better")
    assert guard.refresh().accepted
    return guard


def damaged(engine):
    engine.broken = True
