"""A policy in two files: it answers as before, and refuses what is damaged or not its own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made.networks import N_HISTORY, N_SLOTS, MadeHistory, made_batch, spec_of

from kalshi_platform.domain.errors import ChecksumError, ContractError, DataError
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.history import WindowGatherer
from kalshi_platform.models.networks.levels import LEVELS, level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.storage.sealed import seal


@pytest.mark.parametrize("level", LEVELS)
def test_a_saved_policy_acts_as_before_and_replay_agrees_with_live(
    level: str, tmp_path: Path, rng: np.random.Generator
):
    spec = spec_of(level)
    policy = FrozenPolicy(build_network(spec, 2))
    policy.save(tmp_path)
    again = FrozenPolicy.load(tmp_path)
    flat, rows = made_batch(spec, 12, rng)
    probabilities = NetworkPolicy(policy.network, MadeHistory()).probabilities(flat, rows)
    replayed = NetworkPolicy(again.network, MadeHistory())
    np.testing.assert_array_equal(replayed.probabilities(flat, rows), probabilities)
    windows = np.zeros((12, N_SLOTS, spec.level.window, N_HISTORY), np.float32)
    if spec.reads_history:
        gatherer = WindowGatherer(MadeHistory(), spec.level.window)
        windows = gatherer.windows(rows.reshape(-1).astype(np.int64)).numpy().reshape(windows.shape)
    np.testing.assert_allclose(again.action_probabilities(flat, windows), probabilities, atol=1e-6, rtol=1e-4)
    for actions in (replayed.act(flat, rows), again.act(flat, windows)):
        assert actions.dtype == np.int8
        np.testing.assert_array_equal(actions, probabilities.argmax(-1))


def test_a_policy_refuses_what_it_was_not_trained_on(tmp_path: Path):
    spec = spec_of("simple")
    policy = FrozenPolicy(build_network(spec, 2))
    with pytest.raises(ContractError, match=r"trained on feature table f{12} .* the data has 0{12}"):
        policy.require_features("0" * 12, ("orderbook",))
    policy.require_features("f" * 12, ("orderbook",))
    with pytest.raises(ContractError, match=r"\(1, 3\).*44"):
        policy.act(np.zeros((1, 3), np.float32))
    with pytest.raises(ContractError, match="reads history: pass windows"):
        policy.act(np.zeros((1, spec.width), np.float32))


@pytest.mark.parametrize("name", ["policy.json", "policy.pt"])
def test_one_flipped_bit_of_a_policy_is_refused_and_so_is_a_file_that_is_gone(name: str, tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ChecksumError, match=f"{name} has sha256"):
        FrozenPolicy.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        FrozenPolicy.load(tmp_path)


def test_a_policy_without_a_manifest_or_with_one_that_names_nothing_is_refused(tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    (tmp_path / "manifest.json").write_text('{"sha256": {}}')
    with pytest.raises(DataError, match=r"manifest\.json names no file"):
        FrozenPolicy.load(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DataError, match="is not a complete checkpoint"):
        FrozenPolicy.load(tmp_path)
    (tmp_path / "policy.json").unlink()
    with pytest.raises(DataError, match="holds no policy"):
        FrozenPolicy.load(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "policy.pt").write_bytes(b"no weights"), "policy.pt cannot be read"),
        (lambda d: (d / "policy.pt").unlink(), "policy.pt does not exist"),
        (lambda d: (d / "policy.json").write_text("{"), "policy.json is not JSON"),
        (lambda d: (d / "policy.json").unlink(), "holds no policy"),
        (lambda d: (d / "policy.json").write_text('{"n_slots": 0}'), "PolicySpec.n_slots = 0"),
    ],
    ids=["weights", "no weights", "spec", "no spec", "bad spec"],
)
def test_a_policy_sealed_with_its_damage_is_refused_by_name(damage, message: str, tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    damage(tmp_path)
    seal(tmp_path)
    with pytest.raises(DataError, match=message):
        FrozenPolicy.load(tmp_path)


def test_weights_of_another_level_are_refused(tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    values = json.loads((tmp_path / "policy.json").read_text())
    values["level"] = level_named("simple").model_dump(mode="json")
    (tmp_path / "policy.json").write_text(json.dumps(values))
    seal(tmp_path)
    with pytest.raises(DataError, match="not of the same policy"):
        FrozenPolicy.load(tmp_path)


def test_a_weights_file_that_would_run_code_is_refused(tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    torch.save({"w": Path("anything but a tensor")}, tmp_path / "policy.pt")
    seal(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        FrozenPolicy.load(tmp_path)
