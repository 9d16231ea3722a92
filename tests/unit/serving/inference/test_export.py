"""Forms of a network: checked against it, and recorded with their figures."""

import warnings

import numpy as np
import pytest
import torch
from made.engine_forms import policy_of
from made.registry_models import made_policy

from kalshi_platform.domain.errors import DataError
from kalshi_platform.serving.inference import export
from kalshi_platform.serving.inference.export import (
    EXACT,
    FORMS,
    Deviation,
    deviation,
    export_forms,
)


def test_exporting_records_every_form_and_stores_the_accepted_files(monkeypatch):
    monkeypatch.setattr(export, "time_group", lambda engine: export.CallTimes(0.1, 0.2, 0.3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records, files = export_forms(policy_of("simple"), "tier2")
    assert [r.name for r in records] == list(FORMS)
    assert all(r.accepted and r.agreement == 1.0 for r in records[:4])
    onnx = records[3]
    assert onnx.files == ("tier2-decide.onnx", "tier2-encode.onnx")
    assert set(files) == {name for r in records for name in r.files}
    assert onnx.max_logit_error > 0
    assert (onnx.p50_ms, onnx.p99_ms) == (0.1, 0.2)
    assert {name for r in records[:3] for name in r.files} == set()  # made of the weights


def test_int8_that_disagrees_too_often_is_recorded_and_not_stored(monkeypatch):
    monkeypatch.setattr(export, "time_group", lambda engine: export.CallTimes(0.1, 0.2, 0.3, 4))
    monkeypatch.setattr(export, "INT8_AGREEMENT", 1.1)
    records, files = export_forms(policy_of("tiny"), "t")
    refused = records[-1]
    assert (refused.name, refused.accepted, refused.files) == ("onnx_int8", False, ())
    assert 0.9 < refused.agreement <= 1.0
    assert refused.max_logit_error > records[3].max_logit_error
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
