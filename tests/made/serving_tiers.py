"""Made tiers for tests of serving: networks with seeded weights, run by torch."""

from typing import Literal

import numpy as np
import torch

from kalshi_platform.data.features.spec import FEATURE_DIGEST, TEMPORAL, features_of
from kalshi_platform.models.networks.levels import LEVELS, Level
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.export import probes
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredConfig, TieredPolicy, free

GROUPS = ("orderbook", "temporal")


class PlainEngine:
    """A network run by torch itself, one call after another; counts what it is asked."""

    form: Literal["torch"] = "torch"

    def __init__(self, network: PolicyNetwork) -> None:
        self.network, self.spec = network.eval(), network.spec
        self.n_asked = self.n_encoded = 0
        self.broken = False

    def encode(self, windows: np.ndarray) -> np.ndarray:
        self.n_encoded += len(windows)
        with torch.no_grad():
            return self.network.encode_history(torch.from_numpy(windows)).numpy()

    def logits(self, flat: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        self.n_asked += len(flat)
        if self.broken:
            raise RuntimeError("planted")
        seen = self.spec.split(torch.from_numpy(np.ascontiguousarray(flat)))
        with torch.no_grad():
            slots = self.network.represent(
                seen.market,
                None if codes is None else torch.from_numpy(codes),
                seen.portfolio,
                seen.slot_mask,
            )
            return self.network.judge(slots, seen.slot_mask)[0].numpy()


def spec_of(level: Level, n_slots: int = 5, groups: tuple[str, ...] = GROUPS) -> PolicySpec:
    """A policy of ``level``, over the order book and the clock unless other groups are named."""
    return PolicySpec(
        level=level,
        n_slots=n_slots,
        market=tuple(f.name for f in features_of(groups)),
        portfolio=tuple(f.name for f in features_of(["portfolio"])),
        n_history=len(TEMPORAL),
        feature_digest=FEATURE_DIGEST,
        groups=groups,
    )


def made_policy(
    thresholds: tuple[float | None, float | None] = (None, None), config: TieredConfig | None = None
) -> tuple[TieredPolicy, tuple[PlainEngine, PlainEngine, PlainEngine]]:
    """Tiers tiny, simple and moderate, whose heads are made decided; ``thresholds`` of tiers 1 and 2."""
    engines = []
    for seed, name in enumerate(("tiny", "simple", "moderate")):
        network = build_network(spec_of(LEVELS[name]), seed)
        last = network.action_head[-1]
        assert isinstance(last, torch.nn.Linear)
        torch.nn.init.normal_(last.weight, std=2.0, generator=torch.Generator().manual_seed(seed))
        engines.append(PlainEngine(network))
    tiers = tuple(
        ReadyTier(k + 1, engine, 1.0 + k / 2, (*thresholds, None)[k]) for k, engine in enumerate(engines)
    )
    return TieredPolicy(engines[-1].spec, tiers, config), (engines[0], engines[1], engines[2])


def made_batch(policy: TieredPolicy, n: int) -> Batch:
    """Seeded groups, every slot full."""
    flat, windows = probes(policy.spec, n)
    return Batch(flat, windows, free(n, policy.spec.n_slots))
