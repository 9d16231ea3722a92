"""Engines that run ONNX files by onnxruntime, on the calling thread alone; no torch.

Invariant  the answer for a group or window depends on it alone. Dynamic quantisation scales a whole batch by
           its largest value, so the engine runs that form a group and a window at a time.
Not        making the files: ``export.py``.
"""

from typing import Any, Final

import numpy as np
import onnxruntime

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.tiers import FormName
from kalshi_platform.serving.inference.graphs import CODES, FLAT, LOGITS, WINDOWS

_PROVIDERS: Final = ["CPUExecutionProvider"]
_ERRORS_ONLY: Final = 3


def session_options() -> onnxruntime.SessionOptions:
    """Options of a session that runs on the caller's thread alone.

    Replicas are processes, and a pool of threads in each would fight for the cores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    return options


def open_session(data: bytes, name: str) -> onnxruntime.InferenceSession:
    """A session of the ONNX file ``data``; DataError where onnxruntime cannot read it."""
    try:
        return onnxruntime.InferenceSession(data, session_options(), providers=_PROVIDERS)
    except Exception as err:  # onnxruntime raises a dozen kinds for a damaged file; all mean the same here
        raise DataError(
            f"{name} cannot be run by onnxruntime {onnxruntime.__version__} "
            f"({type(err).__name__}: {str(err)[:200]}); export the tiers again"
        ) from None


class OnnxEngine:
    """The two graphs as onnxruntime sessions; ``form`` onnx_int8 for quantised ones."""

    def __init__(
        self, spec: PolicySpec, decide: bytes, encode: bytes | None, form: FormName = "onnx"
    ) -> None:
        self.form: FormName = form
        self.spec = spec
        self._alone = form == "onnx_int8"
        s, width, level = spec.n_slots, spec.width, spec.level
        self._encode = None if encode is None else open_session(encode, f"the {form} graph of windows")
        self._decide = open_session(decide, f"the {form} graph of decisions")
        reads: dict[str, list[int]] = {FLAT: [width]}
        if spec.reads_history:
            reads[CODES] = [s, level.lstm_hidden]
            if self._encode is None:
                raise DataError(f"the {form} form has no graph of windows, which level {level.name} reads")
            _require_ports(self._encode, {WINDOWS: [level.window, spec.n_history]}, CODES)
        _require_ports(self._decide, reads, LOGITS)

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """Codes (U, E) f4 of windows (U, W, H) f4; only for levels that read history."""
        assert self._encode is not None, f"level {self.spec.level.name} reads no history"
        u = len(windows)
        if u == 1 or (u and not self._alone):
            codes: np.ndarray = self._encode.run([CODES], {WINDOWS: windows})[0]
            return codes
        out = np.empty((u, self.spec.level.lstm_hidden), np.float32)
        for k in range(u):
            out[k] = self._encode.run([CODES], {WINDOWS: windows[k : k + 1]})[0][0]
        return out

    def logits(self, flat: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        """Logits (N, S, A) f4, unmasked, of ``flat`` (N, width) f4 and ``codes`` (N, S, E) f4."""
        n = len(flat)
        feeds: dict[str, Any] = {FLAT: flat} if codes is None else {FLAT: flat, CODES: codes}
        if n == 1 or (n and not self._alone):
            logits: np.ndarray = self._decide.run([LOGITS], feeds)[0]
            return logits
        out = np.empty((n, self.spec.n_slots, N_ACTIONS), np.float32)
        for k in range(n):
            one = {name: values[k : k + 1] for name, values in feeds.items()}
            out[k] = self._decide.run([LOGITS], one)[0][0]
        return out


def _require_ports(session: onnxruntime.InferenceSession, reads: dict[str, list[int]], writes: str) -> None:
    """Raise DataError where a graph's inputs and output are not as expected (sizes after the first)."""
    found = {port.name: port.shape[1:] for port in session.get_inputs()}
    outputs = [port.name for port in session.get_outputs()]
    if found != reads or outputs != [writes]:
        raise DataError(
            f"a graph of the set reads {found} and writes {outputs}; the tier's record asks for {reads} and "
            f"[{writes!r}]: the file belongs to another network, export the tiers again"
        )
