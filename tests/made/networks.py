"""Observations of a made-up feature table, and a network asked by itself about them."""

import numpy as np
import torch

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.spec import PolicySpec

N_SLOTS, N_HISTORY = 4, 3


class MadeHistory:
    """40 rows in two unbroken segments of 20."""

    temporal = np.random.default_rng(1).normal(size=(40, N_HISTORY)).astype(np.float32)
    age = np.tile(np.arange(20, dtype=np.int32), 2)


def spec_of(level: str) -> PolicySpec:
    return PolicySpec(
        level=level_named(level),
        n_slots=N_SLOTS,
        market=("a", "b", "c"),
        portfolio=("p", "q"),
        n_history=N_HISTORY,
        feature_digest="f" * 12,
        groups=("orderbook",),
    )


def made_batch(spec: PolicySpec, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat observations (n, width) and rows (n, S); empty slots zero and -1, HOLD always legal."""
    flat = rng.normal(size=(n, spec.width)).astype(np.float32)
    view = spec.split(torch.from_numpy(flat))
    rows = rng.integers(0, 40, size=(n, spec.n_slots)).astype(np.int32)
    present = rng.random((n, spec.n_slots)) < 0.7
    rows[~present] = -1
    view.slot_mask[:] = torch.from_numpy(present.astype(np.float32))
    view.action_mask[:] = torch.from_numpy(
        (rng.random((n, spec.n_slots, N_ACTIONS)) < 0.5).astype(np.float32)
    )
    view.action_mask[~torch.from_numpy(present)] = 0.0
    view.action_mask[..., HOLD] = 1.0
    return flat, rows


def run(network: PolicyNetwork, flat: np.ndarray, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    spec = network.spec
    view = spec.split(torch.from_numpy(flat))
    windows = index = None
    if spec.reads_history:
        windows, index = WindowGatherer(MadeHistory(), spec.level.window).distinct(rows)
    out: tuple[torch.Tensor, torch.Tensor] = network(
        view.market, windows, index, view.portfolio, view.slot_mask
    )
    return out
