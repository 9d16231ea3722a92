"""Loading verifies: bytes, shapes, and that the program still means what the model was taught."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from made.registry_models import add, made_policy, made_record
from safetensors.torch import save

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError
from kalshi_platform.models.registry import load as loading
from kalshi_platform.models.registry import record as records
from kalshi_platform.models.registry.export import probes
from kalshi_platform.models.registry.load import load_model, policy_of
from kalshi_platform.models.registry.record import WEIGHTS_NAME


@pytest.mark.parametrize("level", ["tiny", "simple"])
def test_a_registered_model_acts_bit_for_bit_like_the_original(registry, level):
    policy = made_policy(level)
    record = registry.add(*made_record(policy))
    loaded = load_model(registry, record.id)
    assert loaded.record == record
    flat, windows = probes(policy.spec)
    given = {"windows": windows} if level == "simple" else {}
    np.testing.assert_array_equal(loaded.policy.act(flat, **given), policy.act(flat, **given))
    assert loaded.policy.values(flat, **given).tobytes() == policy.values(flat, **given).tobytes()
    assert record.id.startswith(f"{level}-")


def test_corrupt_weights_are_refused_by_name(registry, tmp_path):
    record = add(registry)
    path = tmp_path / "registry" / "models" / record.id / WEIGHTS_NAME
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match=f"{record.id}/{WEIGHTS_NAME} has sha256"):
        load_model(registry, record.id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(next(iter(t))), "is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra is not part of such a network"),
        (lambda t: t.update({k: v.double() for k, v in t.items()}), r"float64, expected \(.*float32"),
    ],
    ids=["missing", "unknown", "type"],
)
def test_weights_of_another_shape_are_refused(change, message):
    policy = made_policy()
    tensors = dict(policy.network.state_dict())
    change(tensors)
    with pytest.raises(DataError, match=message):
        policy_of(save(tensors), policy.spec, "model")
    with pytest.raises(DataError, match="no safetensors file"):
        policy_of(b"\x80\x04K\x01.", policy.spec, "model")


@pytest.mark.parametrize(
    ("name", "patched"),
    [
        ("feature", ("FEATURE_DIGEST", "0" * 12)),
        ("action", ("ACTIONS", {"HOLD": 0, "BUY_NO": 1, "SELL_YES": 2, "BUY_YES": 3, "SELL_NO": 4})),
        ("observation", ("features_of", lambda groups: ())),
    ],
)
def test_a_program_that_means_something_else_refuses_the_model(registry, monkeypatch, name, patched):
    record = add(registry)
    monkeypatch.setattr(records, *patched)
    with pytest.raises(ContractError, match=f"does not fit this program: {name} is [0-9a-f]+ here"):
        load_model(registry, record.id)


def test_a_record_that_contradicts_its_own_layout_is_refused(registry):
    record, files = made_record(made_policy())
    spec = record.spec.replace(n_slots=3)
    other = record.replace(spec=spec.model_dump())
    other = registry.add(other.replace(id=other.derived_id), files)
    with pytest.raises(ContractError, match="record is"):
        load_model(registry, other.id)


def test_loading_a_model_pulls_in_neither_environments_nor_ray():
    """Serving imports this module; a fresh interpreter says what comes along."""
    code = f"import sys, {loading.__name__}; print([m for m in sys.modules if m in ('ray', 'gymnasium') or "
    code += "m.startswith(('kalshi_platform.simulation.envs.', 'kalshi_platform.evaluation', "
    code += "'kalshi_platform.learning'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
