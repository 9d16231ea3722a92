"""From a registry to a model ready to decide.

Not    choosing when to load (watching the registry) nor whether a loaded model may answer (its checks).
"""

import time

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.registry.record import MODEL_ID
from kalshi_platform.registry.store import Registry
from kalshi_platform.serving.load import ready_tiers
from kalshi_platform.serving.tiered import TieredConfig, TieredPolicy
from serve_deployments.service import Served, probe_batch


def require_model(registry: Registry, name: str) -> str:
    """The id that ``name`` stands for; ContractError says how to get a model where there is none."""
    if MODEL_ID.fullmatch(name):
        if registry.holds(name):
            return name
        raise ContractError(f"{registry.uri} has no model {name!r}: kalshi-platform models list shows them")
    model = registry.aliases().model(name)
    if model is None:
        raise ContractError(
            f"{registry.uri} has no {name}: train a model and promote it (kalshi-platform quickstart, then "
            "kalshi-platform models), or name another registry"
        )
    return model


def load_served(registry: Registry, model: str, config: TieredConfig) -> Served:
    """The model with id ``model``, every tier of its newest tier set ready to be asked."""
    ready = ready_tiers(registry, model)
    policy = TieredPolicy(ready.model.record.spec, ready.tiers, config)
    warm(policy)
    return Served(model, ready.tier_set.digest if ready.tier_set else None, policy)


def warm(policy: TieredPolicy) -> None:
    """Ask every tier once, so that no request waits for a kernel or a graph to be compiled."""
    batch, now_ns = probe_batch(policy), time.monotonic_ns()
    policy.decide(batch, now_ns)
    for tier in policy.tiers:
        policy.ask(tier.number, batch, now_ns)
    policy.forget()
