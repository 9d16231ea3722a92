"""The two graphs of a network that are served: windows to codes, and observation with codes to logits.

Owns       the graphs every engine runs, and their forms as TorchScript and as ONNX.
Shapes     U windows of W rows x H features; N groups of S slots; E width of a code; A actions. N and U are
           free in every form; the other sizes are constants of the graph.
Invariant  the value head and the predictions of microstructure and regimes are no part of a graph.
Why flat   the graph itself cuts the observation into its parts: cutting outside takes a copy of each part and
           saves nothing (level moderate, one group: 46 us inside, 43 outside plus 3 for the copies).
Why traced  ``torch.jit`` is on its way out, but the graph that ``torch.export`` makes of level moderate takes
            327 us a group, the traced graph 97 and the eager network 152.
"""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import torch
from torch import nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from kalshi_platform.models.networks.networks import PolicyNetwork

#: Inputs and outputs of the ONNX graphs.
WINDOWS: Final = "windows"
CODES: Final = "codes"
FLAT: Final = "flat"
LOGITS: Final = "logits"
#: Operators of 2022; every onnxruntime this package accepts knows them.
_OPSET: Final = 17
#: Groups and windows that a graph is traced with; not 1, which a trace could take for a constant.
_TRACED: Final = 3


class EncodeGraph(nn.Module):
    """Codes of windows: (U, W, H) -> (U, E), the last state alone, so that no engine keeps the others."""

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        assert network.history is not None, f"level {network.spec.level.name} reads no history"
        self.lstm = network.history.lstm

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Code every window: (U, W, H) -> (U, E); U is at least 1."""
        _, (state, _) = self.lstm(windows)  # (U, W, H) -> (1, U, E)
        last: torch.Tensor = state[-1]
        return last


class DecideGraph(nn.Module):
    """Logits of every slot, unmasked: flat (N, width) and codes (N, S, E) -> (N, S, A)."""

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, flat: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, S, A); ``codes`` are None for levels without history."""
        seen = self.network.spec.split(flat)
        slots = self.network.represent(seen.market, codes, seen.portfolio, seen.slot_mask)
        logits: torch.Tensor = self.network.action_head(slots.seen)
        return logits


def encode_script(network: PolicyNetwork) -> torch.jit.ScriptModule:
    """The windows' graph as TorchScript."""
    return _script(EncodeGraph(network), (_windows(network),))


def decide_script(network: PolicyNetwork) -> torch.jit.ScriptModule:
    """The decision's graph as TorchScript."""
    return _script(DecideGraph(network), _observation(network))


def encode_onnx(network: PolicyNetwork) -> bytes:
    """The windows' graph as an ONNX file: WINDOWS -> CODES."""
    return onnx_file(EncodeGraph(network), (_windows(network),), [WINDOWS], CODES)


def decide_onnx(network: PolicyNetwork) -> bytes:
    """The decision's graph as an ONNX file: FLAT, and CODES where the level reads history, -> LOGITS."""
    example = _observation(network)
    return onnx_file(DecideGraph(network), example, [FLAT, CODES][: len(example)], LOGITS)


def onnx_file(graph: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], output: str) -> bytes:
    """``graph`` as an ONNX file, the first size of every input and of the output free."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = Path(folder) / "graph.onnx"
        torch.onnx.export(
            graph.eval(),
            example,
            file,
            input_names=inputs,
            output_names=[output],
            dynamic_axes={name: {0: "n"} for name in (*inputs, output)},
            opset_version=_OPSET,
            dynamo=False,
        )
        return file.read_bytes()


def _windows(network: PolicyNetwork) -> torch.Tensor:
    return torch.zeros(_TRACED, network.spec.level.window, network.spec.n_history)


def _observation(network: PolicyNetwork) -> tuple[torch.Tensor, ...]:
    spec = network.spec
    flat = torch.ones(_TRACED, spec.width)
    if not spec.reads_history:
        return (flat,)
    return flat, torch.zeros(_TRACED, spec.n_slots, spec.level.lstm_hidden)


def _script(graph: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    with _quiet():
        traced = torch.jit.trace(graph.eval(), example)  # type: ignore[no-untyped-call]
        return cast(torch.jit.ScriptModule, torch.jit.freeze(traced))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's remarks about tracing inside the block.

    Sizes become constants on purpose, and ``serving/inference/export.py`` proves on probes that the graph is
    the network for every N and U.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size other", UserWarning)
        yield
