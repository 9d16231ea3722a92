"""Tier 3 of a few models by id: what the ingress asks about never mixes versions.

Invariant  a question is answered by the model it names or not at all.
Threads    decisions on the event loop; a model that is not there is loaded in a thread, once for all askers.
"""

import asyncio
import time
from collections import OrderedDict
from typing import Final

from kalshi_platform.registry.store import Registry
from kalshi_platform.serving.batch import Batch, Decisions, Tier
from kalshi_platform.serving.tiered import TieredConfig
from serve_deployments.args import PolicyAppArgs
from serve_deployments.loading import load_served, require_model
from serve_deployments.service import Served

#: The one that is served and the one that is about to be, or was.
KEPT: Final = 2


class FullTierModels:
    """The models asked for last, at most KEPT."""

    def __init__(self, args: PolicyAppArgs) -> None:
        """Loads the model that is served now, so that the first question does not wait."""
        self._registry = Registry(args.registry)
        self._config = TieredConfig(inference_ttl_ms=0)  # the ingress remembers answers, this side only codes
        self._loading: dict[str, asyncio.Task[Served]] = {}
        first = require_model(self._registry, args.model)
        self._models: OrderedDict[str, Served] = OrderedDict({first: self._load(first)})

    async def decide(self, model: str, batch: Batch) -> Decisions:
        """Tier 3's answer to ``batch``; TierError where the network fails."""
        served = self._models.get(model) or await self._fetch(model)
        self._models.move_to_end(model)
        return served.policy.ask(int(Tier.FULL), batch, time.monotonic_ns())

    async def _fetch(self, model: str) -> Served:
        task = self._loading.get(model)
        if task is None:
            task = self._loading[model] = asyncio.create_task(asyncio.to_thread(self._load, model))
            task.add_done_callback(lambda _: self._loading.pop(model))
        served = await asyncio.shield(task)  # who stops waiting does not stop the loading
        self._models[model] = served
        while len(self._models) > KEPT:
            self._models.popitem(last=False)
        return served

    def _load(self, model: str) -> Served:
        return load_served(self._registry, model, self._config)
