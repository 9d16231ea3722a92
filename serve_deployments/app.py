"""The Serve application: ``serve_deployments.app:build``.

Ingress    caches, rules, tiers 1 and 2 and the HTTP side in one process: a hop costs more than they do.
FullTier   tier 3, asked through a handle where the deadline allows.
Not        how either decides (service.py, full_tier.py); these classes only give them to Ray Serve.
"""

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from kalshi_platform.registry.store import Registry
from kalshi_platform.serving.batch import Batch, Decisions
from kalshi_platform.serving.tiered import TieredConfig
from serve_deployments.args import PolicyAppArgs
from serve_deployments.full_tier import FullTierModels
from serve_deployments.http import make_app
from serve_deployments.loading import load_served, require_model
from serve_deployments.observability import LOGGING, Observability, ObservabilityArgs
from serve_deployments.service import AskFull, Service


@serve.deployment
class FullTier:
    """Tier 3 of the models asked for last."""

    def __init__(self, args: PolicyAppArgs) -> None:
        self._models = FullTierModels(args)

    async def decide(self, model: str, batch: Batch) -> Decisions:
        """Tier 3's answer of the model with id ``model``."""
        return await self._models.decide(model, batch)


@serve.deployment
@serve.ingress()
class Ingress:
    """One replica of the HTTP service."""

    def __init__(self, args: PolicyAppArgs, full: DeploymentHandle | None) -> None:
        registry = Registry(args.registry)
        config = TieredConfig(inference_ttl_ms=args.inference_ttl_ms)
        served = load_served(registry, require_model(registry, args.model), config)
        told = ObservabilityArgs(log_share=args.log_share, export_s=args.export_s)
        self._observability = Observability(told)
        self._observability.start()
        asking = None if full is None else _asking(full)
        self._service = Service(args, lambda: served, asking, observer=self._observability)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The routes, built in the replica: nothing of them is pickled."""
        return make_app(self._service)


def _asking(full: DeploymentHandle) -> AskFull:
    async def ask(model: str, batch: Batch) -> Decisions:
        response = full.decide.remote(model, batch)
        try:
            return await response
        except BaseException:
            response.cancel()  # type: ignore[no-untyped-call]
            raise

    return ask


def build(args: PolicyAppArgs) -> serve.Application:
    """The application of ``args``; refused before anything starts where its settings cannot work."""
    common = {
        "max_ongoing_requests": args.max_ongoing_requests,
        "health_check_period_s": args.health_check_s,
        "logging_config": LOGGING,
    }
    full = None
    if args.tier3:
        full_tier: Any = FullTier
        full = full_tier.options(
            num_replicas=args.tier3_replicas,
            max_queued_requests=args.max_queued_requests,
            ray_actor_options={"num_cpus": args.tier3_cpus},
            **common,
        ).bind(args)
    ingress: Any = Ingress
    return ingress.options(
        num_replicas=args.replicas, ray_actor_options={"num_cpus": args.replica_cpus}, **common
    ).bind(args, full)
