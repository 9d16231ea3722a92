"""The engine that runs a tier's own weights by this house's kernels (``network_kernels.py``); no file.

Levels     those without regimes and microstructure: tiny, simple, moderate, and the two that stand before a
           model. :func:`compiles` says which; of the others no engine is made.
Invariant  the answer for a group or window depends on it alone, bit for bit, however many are asked at once.
"""

import numpy as np
import torch

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.tiers import FormName
from kalshi_platform.serving.inference.network_kernels import SIDE_BY_SIDE, decide, encode

_NO_CODES = np.zeros((0, 0, 0), np.float32)


def compiles(spec: PolicySpec) -> bool:
    """Return True where the kernels know every part of the network of ``spec``."""
    return not spec.level.has_auxiliary


class CompiledEngine:
    """The network as compiled kernels over its packed weights."""

    form: FormName = "compiled"

    def __init__(self, network: PolicyNetwork) -> None:
        """Pack the weights of ``network``; ContractError where :func:`compiles` is False."""
        self.spec: PolicySpec = network.spec
        if not compiles(self.spec):
            raise ContractError(f"level {self.spec.level.name} has parts that no kernel knows")
        level, self._layout = self.spec.level, self.spec.layout
        self._weights = _packed(network)
        self._lstm = _packed_lstm(network) if network.history is not None else None
        self._sizes = np.array(level.hidden_sizes, np.int64)
        n_seen = len(self.spec.market) + len(self.spec.portfolio)
        # Behind the three projections of attention lie the scores of one slot.
        widest = max(n_seen, *level.hidden_sizes, level.width + level.lstm_hidden)
        self._widest = max(widest, 3 * level.width + self.spec.n_slots)

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """Codes (U, E) f4 of windows (U, W, H) f4; only for levels that read history."""
        assert self._lstm is not None, f"level {self.spec.level.name} reads no history"
        width = self.spec.level.lstm_hidden
        gates, states = (
            np.empty((SIDE_BY_SIDE, 4 * width), np.float32),
            np.empty((2, SIDE_BY_SIDE, width), "f4"),
        )
        codes = np.empty((len(windows), width), np.float32)
        encode(_writable(windows), self._lstm, gates, states[0], states[1], codes)
        return codes

    def logits(self, flat: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        """Logits (N, S, A) f4, unmasked, of ``flat`` (N, width) f4 and ``codes`` (N, S, E) f4."""
        spec, level = self.spec, self.spec.level
        logits = np.empty((len(flat), spec.n_slots, N_ACTIONS), np.float32)
        scratch = np.empty((3, spec.n_slots, self._widest), np.float32)
        decide(
            _writable(flat), _NO_CODES if codes is None else _writable(codes), self._weights, self._sizes,
            len(spec.market), len(spec.portfolio), self._layout.portfolio_at, self._layout.slot_mask_at,
            level.lstm_hidden, level.attention_heads, level.attention_layers, scratch, logits,
        )  # fmt: skip
        return logits


def _packed(network: PolicyNetwork) -> np.ndarray:
    """Weights of all layers but the LSTM in the order in which they are used."""
    found, level = network.state_dict(), network.spec.level

    def norm(name: str) -> list[torch.Tensor]:
        return [found[f"{name}.weight"], found[f"{name}.bias"]]

    def linear(name: str) -> list[torch.Tensor]:
        return [found[f"{name}.weight"].T, found[f"{name}.bias"]]

    parts: list[torch.Tensor] = []
    for k in range(len(level.hidden_sizes)):
        parts += linear(f"encoder.{2 * k}")  # between two lies a ReLU
    if network.spec.reads_history:
        parts += linear("fusion.0")
    for k in range(level.attention_layers):
        parts += norm(f"attention.{k}.norm") + linear(f"attention.{k}.qkv") + linear(f"attention.{k}.out")
    return _joined([*parts, *norm("norm"), *linear("action_head.0"), *linear("action_head.2")])


def _packed_lstm(network: PolicyNetwork) -> np.ndarray:
    """Weights of the LSTM: of its inputs, of its state, and the sum of its two biases."""
    found = {name.removeprefix("history.lstm."): each for name, each in network.state_dict().items()}
    biases = found["bias_ih_l0"].double() + found["bias_hh_l0"].double()
    return _joined([found["weight_ih_l0"].T, found["weight_hh_l0"].T, biases])


def _joined(parts: list[torch.Tensor]) -> np.ndarray:
    flat = [part.detach().to("cpu", torch.float32).contiguous().reshape(-1).numpy() for part in parts]
    return np.concatenate(flat)


def _writable(array: np.ndarray) -> np.ndarray:
    """``array``, or a copy where another process sent it read-only: kernels are compiled for the former."""
    return array if array.flags.writeable and array.flags.c_contiguous else array.copy()
