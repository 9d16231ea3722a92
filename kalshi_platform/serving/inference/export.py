"""Makes every form of a tier's network, compares it with the network on seeded observations, and times it.

Owns       the bounds within which a form may be served, the check of them, and the files of the ONNX forms.
Bounds     exact forms (torchscript, compiled, onnx): no logit off by more than EXACT of the largest, every
           slot's best action the same; onnx_int8: best action the same in INT8_AGREEMENT of the slots and no
           probability off by more than INT8_PROBABILITY. A form that misses its bound is recorded with its
           figures, without files, and never served.
Ties       where the network itself sees less than EXACT between two actions, either counts as its best one.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.timing import CallTimes, time_calls
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.tiers import FormName, FormRecord
from kalshi_platform.serving.inference.engine import Engine
from kalshi_platform.serving.inference.engine_compiled import CompiledEngine, compiles
from kalshi_platform.serving.inference.engine_onnx import OnnxEngine
from kalshi_platform.serving.inference.engine_torch import TorchEngine, TorchScriptEngine
from kalshi_platform.serving.inference.graphs import decide_onnx, encode_onnx

EXACT: Final = 1e-4
INT8_AGREEMENT: Final = 0.995
INT8_PROBABILITY: Final = 0.02
FORMS: Final[tuple[FormName, ...]] = ("torch", "torchscript", "compiled", "onnx", "onnx_int8")
_PROBES: Final = 256
_TIMED_RUNS: Final = 400
#: Calls timed with cold caches, and the memory that is used before each: eight second-level caches.
_COLD_RUNS: Final = 31
_SWEPT_BYTES: Final = 8 * 2**20


class Deviation(NamedTuple):
    """Largest differences between a form's answers and the network's, and the share of equal actions."""

    logit: float
    largest_logit: float
    probability: float
    agreement: float

    def within(self, form: FormName) -> bool:
        """True if a ``form`` that deviates so far may be served; never where an answer is not finite."""
        if form == "onnx_int8":
            return self.agreement >= INT8_AGREEMENT and self.probability <= INT8_PROBABILITY
        return self.agreement == 1.0 and self.logit <= EXACT * max(1.0, self.largest_logit)


def export_forms(policy: FrozenPolicy, prefix: str) -> tuple[tuple[FormRecord, ...], dict[str, bytes]]:
    """Make all forms of ``policy``; returns their records and the files ``<prefix>-...`` of accepted ones.

    DataError where a weight is not finite: no form of such a network can be checked.
    """
    spec = policy.spec
    exact = onnx_files(policy, prefix)
    files: Mapping[FormName, Mapping[str, bytes]] = {
        "onnx": exact,
        "onnx_int8": {_int8_name(name): quantised(data) for name, data in exact.items()},
    }
    flat, windows = checked_observations(spec)
    reference = TorchEngine(policy.network)
    truth = group_logits(reference, flat, windows)
    if not np.isfinite(truth).all():
        raise DataError(f"{prefix}: the network answers with values that are not finite; train it again")
    records: list[FormRecord] = []
    kept: dict[str, bytes] = {}
    for form in forms_of(spec):
        own = files.get(form, {})
        engine = reference if form == "torch" else engine_of(form, policy, tuple(own), own.__getitem__)
        record = _record(engine, own, deviation(spec, flat, truth, group_logits(engine, flat, windows)))
        records.append(record)
        kept |= {name: own[name] for name in record.files}
    return tuple(records), kept


def forms_of(spec: PolicySpec) -> tuple[FormName, ...]:
    """Forms that a network of ``spec`` can have: compiled ones only where kernels know all of its parts."""
    return tuple(form for form in FORMS if form != "compiled" or compiles(spec))


def engine_of(
    form: FormName, policy: FrozenPolicy, files: tuple[str, ...], read: Callable[[str], bytes]
) -> Engine:
    """Build the engine of one form from the weights, or from ``files`` (decide, encode) by ``read``."""
    if form == "torch":
        return TorchEngine(policy.network)
    if form == "torchscript":
        return TorchScriptEngine(policy.network)
    if form == "compiled":
        return CompiledEngine(policy.network)
    if len(files) != (2 if policy.spec.reads_history else 1):
        raise DataError(f"form {form} names the files {list(files)}; export the tiers again")
    return OnnxEngine(policy.spec, read(files[0]), read(files[1]) if len(files) > 1 else None, form)


def onnx_files(policy: FrozenPolicy, prefix: str) -> dict[str, bytes]:
    """The ONNX graphs of a network: decisions first, then windows where the level reads history."""
    found = {f"{prefix}-decide.onnx": decide_onnx(policy.network)}
    if policy.spec.reads_history:
        found[f"{prefix}-encode.onnx"] = encode_onnx(policy.network)
    return found


def quantised(graph: bytes) -> bytes:
    """ONNX file with weights in 8 bits, each column with its scale; inputs are scaled as they come."""
    import onnx  # noqa: PLC0415  (only who exports needs it)
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, _root_logger_kept():
        prepared, out = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(onnx.load_from_string(graph), prepared)
        quantize_dynamic(prepared, out, weight_type=QuantType.QInt8, per_channel=True)
        return out.read_bytes()


def checked_observations(spec: PolicySpec, n: int = _PROBES) -> tuple[np.ndarray, np.ndarray]:
    """Seeded observations (n, width) and windows (n, S, W, H) on which forms are compared.

    In the second half some slots are empty, in the last observation all. The numbers of an empty slot are
    noise: a form must not look at them.
    """
    flat, windows = probes(spec, n)
    present = spec.layout.slot_mask(flat)  # a view
    rng = np.random.default_rng(n)
    present[n // 2 :] = rng.random((n - n // 2, spec.n_slots)) < 0.6
    present[-1:] = 0.0
    return flat, windows


def group_logits(engine: Engine, flat: np.ndarray, windows: np.ndarray | None) -> np.ndarray:
    """Logits (N, S, A) of ``flat`` (N, width) with the ``windows`` (N, S, W, H); empty slots have code 0."""
    if not engine.spec.reads_history or windows is None:
        return engine.logits(flat, None)
    n, s = windows.shape[:2]
    codes = engine.encode(windows.reshape(n * s, *windows.shape[2:])).reshape(n, s, -1)
    return engine.logits(flat, codes * engine.spec.layout.slot_mask(flat)[:, :, None])


def deviation(spec: PolicySpec, flat: np.ndarray, truth: np.ndarray, found: np.ndarray) -> Deviation:
    """Compare ``found`` with ``truth``, both (N, S, A); probabilities and actions in present slots only."""
    present = spec.layout.slot_mask(flat) > 0.5
    legal = spec.layout.action_mask(flat)[present] > 0.5
    if not np.isfinite(found).all():
        return Deviation(float(np.finfo(np.float32).max), float(np.abs(truth).max()), 1.0, 0.0)
    wanted = np.where(legal, truth[present], -np.inf)
    given = np.where(legal, found[present], -np.inf)
    largest = float(np.abs(truth).max())
    chosen = np.take_along_axis(wanted, given.argmax(-1)[:, None], -1)[:, 0]
    same = wanted.max(-1) - chosen <= EXACT * max(EXACT, largest)
    return Deviation(
        logit=float(np.abs(found - truth).max()),
        largest_logit=largest,
        probability=float(np.abs(_softmax(given) - _softmax(wanted)).max()),
        agreement=float(same.mean()),
    )


def time_group(engine: Engine, groups: int = 1, runs: int = _TIMED_RUNS) -> CallTimes:
    """Time the logits of ``groups`` groups with all their windows, another observation every call."""
    flat, windows = probes(engine.spec)
    starts = len(flat) // groups

    def call(k: int) -> None:
        at = slice(k % starts * groups, (k % starts + 1) * groups)
        group_logits(engine, flat[at], windows[at])

    return time_calls(call, runs, min_runs=runs // 2, warm_up=max(runs // 8, 3))


def time_cold(engine: Engine) -> float:
    """Return the median ms of one group where other work has had the processor's caches in between.

    So most requests come: at 50 a second what is computed once in 20 ms takes several times as long as in a
    loop, and not equally longer in every form.
    """
    flat, windows = probes(engine.spec)
    other = np.zeros(_SWEPT_BYTES // 8)
    took_ns = []
    for k in range(_COLD_RUNS):
        np.add(other, 1.0, out=other)
        at = slice(k % len(flat), k % len(flat) + 1)
        begun_ns = time.thread_time_ns()
        group_logits(engine, flat[at], windows[at])
        took_ns.append(time.thread_time_ns() - begun_ns)
    return float(np.median(took_ns)) / NS_PER_MS


def _record(engine: Engine, files: Mapping[str, bytes], found: Deviation) -> FormRecord:
    times, accepted = time_group(engine), found.within(engine.form)
    return FormRecord(
        name=engine.form,
        files=tuple(files) if accepted else (),
        max_logit_error=found.logit,
        max_probability_error=found.probability,
        agreement=found.agreement,
        p50_ms=times.p50_ms,
        p99_ms=times.p99_ms,
        accepted=accepted,
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def _int8_name(name: str) -> str:
    return f"{name.removesuffix('.onnx')}.int8.onnx"


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Keep the root logger as it is inside the block.

    onnxruntime's quantiser logs by ``logging.info``, which would give a bare root logger a handler for good.
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)
