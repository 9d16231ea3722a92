"""Engines that run a tier's own weights in torch: eagerly, and as a traced graph. Both on one thread.

Not    files: these forms are made from the weights when a model is loaded.
"""

from typing import Final

import numpy as np
import torch

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.tiers import FormName
from kalshi_platform.serving.inference.graphs import DecideGraph, EncodeGraph, decide_script, encode_script

#: A traced graph is compiled during its first calls; they belong to loading, not to the first decision.
_WARM_UP: Final = 3


class TorchEngine:
    """The network itself, run eagerly."""

    form: FormName = "torch"

    def __init__(self, network: PolicyNetwork) -> None:
        self.spec: PolicySpec = network.spec
        self._encode: torch.nn.Module | None = EncodeGraph(network).eval() if network.history else None
        self._decide: torch.nn.Module = DecideGraph(network).eval()

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """Codes (U, E) f4 of windows (U, W, H) f4; only for levels that read history."""
        assert self._encode is not None, f"level {self.spec.level.name} reads no history"
        if not len(windows):
            return np.zeros((0, self.spec.level.lstm_hidden), np.float32)
        with torch_threads(1), torch.inference_mode():
            codes: np.ndarray = self._encode(_tensor(windows)).numpy()
        return codes

    def logits(self, flat: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        """Logits (N, S, A) f4, unmasked, of ``flat`` (N, width) f4 and ``codes`` (N, S, E) f4."""
        if not len(flat):
            return np.zeros((0, self.spec.n_slots, N_ACTIONS), np.float32)
        inputs = (flat,) if codes is None else (flat, codes)
        with torch_threads(1), torch.inference_mode():
            logits: np.ndarray = self._decide(*map(_tensor, inputs)).numpy()
        return logits


class TorchScriptEngine(TorchEngine):
    """The network traced into a graph: the same operations, without Python between them."""

    form: FormName = "torchscript"

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__(network)
        self._encode = encode_script(network) if network.history else None
        self._decide = decide_script(network)
        level = self.spec.level
        windows = np.zeros((self.spec.n_slots, level.window, self.spec.n_history), np.float32)
        codes = np.zeros((1, self.spec.n_slots, level.lstm_hidden), np.float32)
        for _ in range(_WARM_UP):
            if network.history:
                self.encode(windows)
            self.logits(np.zeros((1, self.spec.width), np.float32), codes if network.history else None)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Tensor that shares the memory of ``array``; of a copy where another process sent it read-only."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
