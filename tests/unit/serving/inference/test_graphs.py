"""What is served of a network, whatever runs it."""

import numpy as np
import onnx
import pytest
import torch
from made.engine_forms import ALL_LEVELS, engine, files_of, masked_best, policy_of

from kalshi_platform.serving.inference.export import (
    checked_observations,
    group_logits,
)


@pytest.mark.parametrize("level", ALL_LEVELS)
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
