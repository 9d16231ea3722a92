"""Every form of every level answers like the network it was made of, whatever the batch."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from made.registry_models import made_policy

from kalshi_platform.domain.errors import DataError
from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.serving.inference import export
from kalshi_platform.serving.inference.engine_onnx import OnnxEngine, session_options
from kalshi_platform.serving.inference.export import (
    EXACT,
    FORMS,
    Deviation,
    checked_observations,
    deviation,
    engine_of,
    export_forms,
    group_logits,
    onnx_files,
    quantised,
)

#: Also the students' levels, which have no attention.
_ALL = LEVELS | {level.name: level for level in TIER_LEVELS.values()}
_POLICIES: dict[str, FrozenPolicy] = {}
_FILES: dict[str, dict[str, bytes]] = {}


def policy_of(level: str) -> FrozenPolicy:
    """A policy with preferences and biases: of a fresh one the last layer and all biases are about zero."""
    if level not in _POLICIES:
        policy = FrozenPolicy(build_network(made_policy().spec.replace(level=_ALL[level]), 0))
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


@pytest.mark.parametrize("level", _ALL)
@pytest.mark.parametrize("form", ["torch", "torchscript", "onnx"])
def test_a_form_answers_like_the_policy_with_full_and_empty_slots(level, form):
    policy = policy_of(level)
    flat, windows = checked_observations(policy.spec, 20)
    seen = windows if policy.spec.reads_history else None
    logits = group_logits(engine(level, form), flat, windows)
    legal = flat[:, -logits[0].size :].reshape(logits.shape) > 0.5
    shares = torch.from_numpy(np.where(legal, logits, -1e9)).softmax(-1).numpy()
    wanted = policy.action_probabilities(flat, windows=seen)
    present = policy.spec.layout.slot_mask(flat) > 0.5
    assert 0 < present.mean() < 1
    assert not present[-1].any()
    np.testing.assert_allclose(shares[present], wanted[present], atol=1e-5)
    assert np.array_equal(masked_best(policy.spec, flat, logits), wanted.argmax(-1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", ["tiny", "simple"])
def test_a_group_is_answered_the_same_alone_and_among_others(level, form):
    found = engine(level, form)
    flat, windows = checked_observations(found.spec, 20)
    together = group_logits(found, flat, windows)
    alone = np.concatenate([group_logits(found, flat[k : k + 1], windows[k : k + 1]) for k in range(20)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert np.array_equal(masked_best(found.spec, flat, alone), masked_best(found.spec, flat, together))


@pytest.mark.parametrize("form", FORMS)
def test_no_group_and_no_window_are_answered_with_nothing(form):
    found = engine("simple", form)
    spec = found.spec
    codes = found.encode(np.zeros((0, spec.level.window, spec.n_history), np.float32))
    assert codes.shape == (0, spec.level.lstm_hidden)
    empty = np.zeros((0, spec.n_slots, spec.level.lstm_hidden), np.float32)
    assert found.logits(np.zeros((0, spec.width), np.float32), empty).shape == (0, spec.n_slots, 5)


@pytest.mark.parametrize("form", ["torch", "torchscript", "onnx"])
def test_what_lies_in_an_empty_slot_changes_no_other_slot(form):
    found = engine("moderate", form)
    spec = found.spec
    flat, windows = checked_observations(spec, 8)
    spec.layout.slot_mask(flat)[:] = (1.0, 0.0)
    other = flat.copy()
    n_market = len(spec.market)
    other[:, n_market : 2 * n_market] += 3.0  # the market of slot 1
    one, two = (group_logits(found, f, windows)[:, 0] for f in (flat, other))
    np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("level", ["tiny", "complex"])
def test_the_served_graph_has_neither_value_head_nor_foresight(level):
    graph = onnx.load_from_string(files_of(level, "onnx")["t-decide.onnx"]).graph
    assert [port.name for port in graph.output] == ["logits"]
    held = sum(int(np.prod(weight.dims)) for weight in graph.initializer)
    network = policy_of(level).network
    unserved = [network.value_head, network.history, getattr(network.microstructure, "predict", None)]
    served = sum(p.numel() for p in network.parameters())
    served -= sum(p.numel() for part in unserved if part is not None for p in part.parameters())
    # a few numbers of shapes and scales are constants of the graph beside the weights
    assert served <= held < served + 200


def test_a_damaged_file_is_refused_with_what_to_do():
    data = files_of("tiny", "onnx")["t-decide.onnx"]
    for damaged in (b"", data[: len(data) // 2], b"\x00" * 100):
        with pytest.raises(DataError, match="export the tiers again"):
            OnnxEngine(policy_of("tiny").spec, damaged, None)


def test_a_graph_of_another_network_is_refused():
    files = files_of("simple", "onnx")
    spec = policy_of("moderate").spec
    with pytest.raises(DataError, match="belongs to another network"):
        OnnxEngine(spec, files["t-decide.onnx"], files["t-encode.onnx"])
    with pytest.raises(DataError, match="no graph of windows"):
        OnnxEngine(spec, files["t-decide.onnx"], None)


@pytest.mark.parametrize("form", FORMS)
def test_arrays_that_came_from_another_process_are_read_without_a_warning(form):
    found = engine("simple", form)
    flat, windows = checked_observations(found.spec, 4)
    wanted = group_logits(found, flat, windows)
    flat.setflags(write=False)
    windows.setflags(write=False)
    np.testing.assert_array_equal(group_logits(found, flat, windows), wanted)


def test_onnxruntime_computes_on_the_calling_thread_alone():
    options = session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_torch_keeps_its_threads_for_others():
    torch.set_num_threads(2)
    try:
        group_logits(engine("simple", "torch"), *checked_observations(policy_of("simple").spec, 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_exporting_records_every_form_and_stores_the_accepted_files(monkeypatch):
    monkeypatch.setattr(export, "time_group", lambda engine: export.CallTimes(0.1, 0.2, 0.3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records, files = export_forms(policy_of("simple"), "tier2")
    assert [r.name for r in records] == list(FORMS)
    assert all(r.accepted and r.agreement == 1.0 for r in records[:3])
    assert records[2].files == ("tier2-decide.onnx", "tier2-encode.onnx")
    assert set(files) == {name for r in records for name in r.files}
    assert records[2].max_logit_error > 0
    assert (records[2].p50_ms, records[2].p99_ms) == (0.1, 0.2)


def test_int8_that_disagrees_too_often_is_recorded_and_not_stored(monkeypatch):
    monkeypatch.setattr(export, "time_group", lambda engine: export.CallTimes(0.1, 0.2, 0.3, 4))
    monkeypatch.setattr(export, "INT8_AGREEMENT", 1.1)
    records, files = export_forms(policy_of("tiny"), "t")
    refused = records[-1]
    assert (refused.name, refused.accepted, refused.files) == ("onnx_int8", False, ())
    assert 0.9 < refused.agreement <= 1.0
    assert refused.max_logit_error > records[2].max_logit_error
    assert set(files) == {"t-decide.onnx"}


def test_deviation_is_as_worked_by_hand():
    # one group of two slots, slot 1 empty; actions 0 and 1 legal in slot 0
    spec = policy_of("tiny").spec
    flat = np.zeros((1, spec.width), np.float32)
    spec.layout.slot_mask(flat)[:] = (1.0, 0.0)
    flat[0, -10:-8] = 1.0
    truth, found = np.zeros((1, 2, 5), np.float32), np.zeros((1, 2, 5), np.float32)
    truth[0, 0] = (1.0, 0.0, 9.0, 0.0, 0.0)  # probabilities 1 / (1 + 1/e) = 0.7311 and 0.2689
    found[0, 0] = (0.0, 1.0, 9.0, 0.0, 0.0)  # the other way round
    found[0, 1] = 2.0  # of an empty slot: counts as an error of the logits alone
    result = deviation(spec, flat, truth, found)
    assert (result.logit, result.largest_logit, result.agreement) == (2.0, 9.0, 0.0)
    assert result.probability == pytest.approx(0.7311 - 0.2689, abs=1e-4)
    found[0, 0, 0] = np.nan
    assert not any(deviation(spec, flat, truth, found).within(form) for form in FORMS)


def test_bounds_hold_at_their_edge_and_not_beyond():
    assert Deviation(10 * EXACT, 10.0, 0.0, 1.0).within("onnx")
    assert not Deviation(11 * EXACT, 10.0, 0.0, 1.0).within("onnx")
    assert not Deviation(0.0, 1.0, 0.0, 0.999).within("torchscript")
    assert Deviation(9.0, 1.0, 0.02, 0.995).within("onnx_int8")
    assert not Deviation(0.0, 1.0, 0.0, 0.994).within("onnx_int8")
    assert not Deviation(0.0, 1.0, 0.021, 1.0).within("onnx_int8")


def test_a_network_that_answers_nan_is_not_exported():
    policy = made_policy("tiny")
    with torch.no_grad():
        policy.network.action_head[-1].bias[0] = float("nan")
    with pytest.raises(DataError, match="not finite"):
        export_forms(policy, "t")
