"""Exports a policy: the files and the record of a registered model, proved equal to the policy first.

Owns       the safetensors form of the weights and the check that it acts bit for bit like the original.
Further    forms of a model (quantised, compiled) are further artefacts of the same record.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from safetensors.torch import save as write_safetensors

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.load import policy_of

_PROBES: Final = 64
_SEED: Final = 20_260_101


def export_weights(policy: FrozenPolicy) -> bytes:
    """Weights as safetensors; DataError where the policy read back from them answers anything differently.

    Equal weights give equal bytes, so that registering twice gives one model.
    """
    state = {name: tensor.detach().contiguous() for name, tensor in policy.network.state_dict().items()}
    weights: bytes = write_safetensors(state)
    require_equal(policy, policy_of(weights, policy.spec, "the exported policy"))
    return weights


def require_equal(original: FrozenPolicy, exported: FrozenPolicy) -> None:
    """Refuse an exported policy whose probabilities or values differ by a bit on seeded observations."""
    flat, windows = probes(original.spec)
    keywords: Mapping[str, Any] = {"windows": windows} if original.spec.reads_history else {}
    pairs = {
        "probabilities": (
            original.action_probabilities(flat, **keywords),
            exported.action_probabilities(flat, **keywords),
        ),
        "values": (original.values(flat, **keywords), exported.values(flat, **keywords)),
    }
    for name, (before, after) in pairs.items():
        if before.tobytes() != after.tobytes():
            worst = float(np.abs(before - after).max())
            raise DataError(
                f"the exported policy's {name} differ from the original's by up to {worst:g} on {len(flat)} "
                "observations: nothing was registered; check for weights that are not finite"
            )


def probes(spec: PolicySpec, n: int = _PROBES) -> tuple[np.ndarray, np.ndarray]:
    """Seeded observations (n, width) f4 and windows (n, S, W, H) that a network is checked with.

    Every slot is full; some actions are shut.
    """
    rng = np.random.default_rng(_SEED)
    flat = rng.uniform(-1, 1, (n, spec.width)).astype(np.float32)
    seen = spec.layout.split(flat)  # views
    seen.slot_mask[:] = 1.0
    shut = rng.random(seen.action_mask.shape) < 0.2
    shut[..., HOLD] = False  # always legal
    seen.action_mask[:] = np.where(shut, 0.0, 1.0)
    windows = rng.uniform(-1, 1, (n, spec.n_slots, spec.level.window, spec.n_history)).astype(np.float32)
    return flat, windows
