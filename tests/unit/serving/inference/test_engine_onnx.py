"""Every form answers a group the same whatever the batch; ONNX files that do not fit are refused."""

import numpy as np
import pytest
from made.engine_forms import engine, files_of, masked_best, policy_of

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.inference.engine_onnx import OnnxEngine, session_options
from kalshi_platform.serving.inference.export import (
    FORMS,
    checked_observations,
    group_logits,
)


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


def test_onnxruntime_computes_on_the_calling_thread_alone():
    options = session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
