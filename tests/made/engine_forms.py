"""Every form of seeded networks, made once a session."""

import numpy as np
import torch

from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.serving.inference.export import (
    engine_of,
    onnx_files,
    quantised,
)
from made.registry_models import made_policy

#: Also the students' levels, which have no attention.
ALL_LEVELS = LEVELS | {level.name: level for level in TIER_LEVELS.values()}


_POLICIES: dict[str, FrozenPolicy] = {}


_FILES: dict[str, dict[str, bytes]] = {}


def policy_of(level: str) -> FrozenPolicy:
    """A policy with preferences and biases: of a fresh one the last layer and all biases are about zero."""
    if level not in _POLICIES:
        policy = FrozenPolicy(build_network(made_policy().spec.replace(level=ALL_LEVELS[level]), 0))
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            policy.network.action_head[-1].weight.mul_(100)
            for weight in policy.network.parameters():
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.03)
        _POLICIES[level] = policy
    return _POLICIES[level]


def files_of(level: str, form: str) -> dict[str, bytes]:
    if level not in _FILES:
        _FILES[level] = onnx_files(policy_of(level), "t")
    return {k: quantised(v) for k, v in _FILES[level].items()} if form == "onnx_int8" else _FILES[level]


def engine(level: str, form: str):
    files = files_of(level, form) if form.startswith("onnx") else {}
    return engine_of(form, policy_of(level), tuple(files), files.__getitem__)


def masked_best(spec, flat, logits):
    legal = flat[:, -logits[0].size :].reshape(logits.shape) > 0.5
    return np.where(legal, logits, -np.inf).argmax(-1)
