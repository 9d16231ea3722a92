"""Tier 3 of a few models, in a process of its own: an answer never mixes versions.

Invariant  a question is answered by the model and tier set it names or not at all.
Threads    decisions on the event loop; a thread loads a model that is not there, once for all askers.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.models.registry.tiers import newest_tier_set, tier_sets
from kalshi_platform.serving.inference.batch import Batch, Decisions, Tier
from kalshi_platform.serving.inference.ready import ModelKey, key_of, probe_batch, ready_model
from kalshi_platform.serving.inference.tiered import TieredConfig, TieredPolicy
from kalshi_platform.serving.server.args import require_model

#: Number of models kept: the served one, and the one that is about to be or was.
KEPT: Final = 2
_LOG: Final = logging.getLogger(__name__)


class Tier3Models:
    """Tier 3 of the models asked for last, at most KEPT."""

    def __init__(self, registry: Registry, alias: str) -> None:
        self._registry, self._alias = registry, alias
        self._config = TieredConfig(inference_ttl_ms=0)  # the ingress remembers answers, this side only codes
        self._loading: dict[ModelKey, asyncio.Task[TieredPolicy]] = {}
        self._models: OrderedDict[ModelKey, TieredPolicy] = OrderedDict()

    async def decide(self, key: ModelKey, batch: Batch) -> Decisions:
        """Decide ``batch`` by tier 3 of ``key``; TierError where the network fails."""
        policy = self._models.get(key) or await self.prepare(key)
        return policy.ask(int(Tier.TIER_3), batch, time.monotonic_ns())

    async def prepare(self, key: ModelKey) -> TieredPolicy:
        """Return the policy of ``key``, loaded now unless it is here already."""
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(asyncio.to_thread(self._load, key))
            task.add_done_callback(lambda _: self._loading.pop(key))
        policy = await asyncio.shield(task)  # who stops waiting does not stop the loading
        self._models[key] = policy
        while len(self._models) > KEPT:
            self._models.popitem(last=False)
        return policy

    async def follow(self) -> None:
        """Load the model that the alias names now; errors of the registry come through as they are."""
        await self.prepare(await asyncio.to_thread(self._wanted))

    def _wanted(self) -> ModelKey:
        model = require_model(self._registry, self._alias)
        return key_of(model, newest_tier_set(self._registry, model))

    def _load(self, key: ModelKey) -> TieredPolicy:
        model = load_model(self._registry, key.model)
        found = {each.digest: each for each in tier_sets(self._registry, key.model)}
        if key.tier_set is not None and key.tier_set not in found:
            raise DataError(f"{self._registry.uri}: {key.model} has no tier set {key.tier_set}")
        ready = ready_model(self._registry, model, found[key.tier_set] if key.tier_set else None)
        # Every tier, though one is asked: windows come as long as the longest-sighted one reads.
        policy = TieredPolicy(model.record.spec, ready.tiers, self._config)
        policy.ask(int(Tier.TIER_3), probe_batch(policy), time.monotonic_ns())  # kernels are compiled here
        policy.forget()
        _LOG.info("tier 3 of %s", ready.note)
        return policy
