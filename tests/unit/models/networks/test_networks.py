"""The policy network, action masking, history deduplication and the frozen policy."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.actions import best_actions, mask_logits, sample_actions
from kalshi_platform.models.networks.history import HistoryCodes, WindowGatherer, distinct_rows
from kalshi_platform.models.networks.levels import LEVELS, TIER_LEVELS, level_named
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec

N_SLOTS, N_HISTORY = 4, 3


class MadeHistory:
    """40 rows in two unbroken segments of 20."""

    temporal = np.random.default_rng(1).normal(size=(40, N_HISTORY)).astype(np.float32)
    age = np.tile(np.arange(20, dtype=np.int32), 2)


def spec_of(level: str) -> PolicySpec:
    return PolicySpec(
        level=level_named(level),
        n_slots=N_SLOTS,
        market=("a", "b", "c"),
        portfolio=("p", "q"),
        n_history=N_HISTORY,
        feature_digest="f" * 12,
        groups=("orderbook",),
    )


def made_batch(spec: PolicySpec, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat observations (n, width) and rows (n, S); empty slots zero and -1, HOLD always legal."""
    flat = rng.normal(size=(n, spec.width)).astype(np.float32)
    view = spec.split(torch.from_numpy(flat))
    rows = rng.integers(0, 40, size=(n, spec.n_slots)).astype(np.int32)
    present = rng.random((n, spec.n_slots)) < 0.7
    rows[~present] = -1
    view.slot_mask[:] = torch.from_numpy(present.astype(np.float32))
    view.action_mask[:] = torch.from_numpy(
        (rng.random((n, spec.n_slots, N_ACTIONS)) < 0.5).astype(np.float32)
    )
    view.action_mask[~torch.from_numpy(present)] = 0.0
    view.action_mask[..., HOLD] = 1.0
    return flat, rows


def run(network: PolicyNetwork, flat: np.ndarray, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    spec = network.spec
    view = spec.split(torch.from_numpy(flat))
    windows = index = None
    if spec.reads_history:
        windows, index = WindowGatherer(MadeHistory(), spec.level.window).distinct(rows)
    out: tuple[torch.Tensor, torch.Tensor] = network(
        view.market, windows, index, view.portfolio, view.slot_mask
    )
    return out


@pytest.mark.parametrize("level", LEVELS)
def test_permuting_the_slots_permutes_logits_and_values(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 8, rng)
    order = rng.permutation(N_SLOTS)
    moved = np.empty_like(flat)
    into, source = spec.split(torch.from_numpy(moved)), spec.split(torch.from_numpy(flat))
    for to, was in zip(into, source, strict=True):
        to[:] = was[:, order]
    logits, value = run(network, flat, rows)
    moved_logits, moved_value = run(network, moved, rows[:, order])
    torch.testing.assert_close(moved_logits, logits[:, order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_value, value[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_what_stands_in_an_empty_slot_has_no_influence(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 16, rng)
    view = spec.split(torch.from_numpy(flat))
    present = view.slot_mask > 0.5
    logits, value = run(network, flat, rows)
    view.market[~present] = 7.0
    view.portfolio[~present] = -7.0
    other_logits, other_value = run(network, flat, rows)
    torch.testing.assert_close(other_logits[present], logits[present], atol=0, rtol=0)
    torch.testing.assert_close(other_value, value, atol=0, rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_present_slot_influences_the_others(level: str, rng: np.random.Generator):
    spec = spec_of(level)
    network = build_network(spec, seed=3)
    flat, rows = made_batch(spec, 4, rng)
    view = spec.split(torch.from_numpy(flat))
    view.slot_mask[:] = 1.0
    rows[:] = np.abs(rows)
    logits, value = run(network, flat, rows)
    view.market[:, 0] += 1.0
    other_logits, other_value = run(network, flat, rows)
    assert (other_logits[:, 1:] - logits[:, 1:]).abs().max() > 1e-6
    assert (other_value - value).abs().max() > 1e-6


def test_an_observation_without_any_market_gives_finite_numbers():
    spec = spec_of("simple")
    flat = np.zeros((2, spec.width), np.float32)
    logits, value = run(build_network(spec, 0), flat, np.full((2, N_SLOTS), -1, np.int32))
    assert torch.isfinite(logits).all()
    assert torch.isfinite(value).all()


def test_first_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = build_network(spec_of("simple"), 7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    two = build_network(spec_of("simple"), 7).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_illegal_actions_have_probability_zero_and_gradients_stay_finite(rng: np.random.Generator):
    logits = torch.tensor(
        rng.normal(size=(6, N_SLOTS, N_ACTIONS)) * 50, dtype=torch.float32, requires_grad=True
    )
    mask = torch.tensor(rng.random((6, N_SLOTS, N_ACTIONS)) < 0.4, dtype=torch.float32)
    mask[..., HOLD] = 1.0
    log_prob = mask_logits(logits, mask).log_softmax(-1)
    assert (log_prob.exp()[mask < 0.5] == 0.0).all()
    entropy = -(log_prob.exp() * log_prob).sum()
    (entropy + log_prob[..., HOLD].sum()).backward()
    assert torch.isfinite(entropy)
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[mask < 0.5] == 0.0).all()


@pytest.mark.parametrize("kernel", [sample_actions, sample_actions.py_func], ids=["numba", "python"])
def test_sampling_inverts_the_cumulated_probabilities(kernel):
    # logits ln 1, ln 2, (illegal), ln 1: probabilities 1/4, 1/2, 0, 1/4; cumulated 0.25, 0.75, 0.75, 1
    logits = np.log(np.array([1, 2, 9, 1, 9], np.float32))[None, None].repeat(3, 1)
    mask = np.array([1, 1, 0, 1, 0], np.float32)[None, None].repeat(3, 1)
    actions, log_prob = np.empty((1, 3), np.int8), np.empty((1, 3), np.float32)
    kernel(logits, mask, np.array([[0.2, 0.74, 0.76]]), actions, log_prob)
    assert actions.tolist() == [[0, 1, 3]]
    np.testing.assert_allclose(log_prob, np.log([[0.25, 0.5, 0.25]]), rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_drawn_actions_are_legal_and_their_probability_is_torchs(seed: int):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(5, N_SLOTS, N_ACTIONS)) * 10).astype(np.float32)
    mask = (rng.random(logits.shape) < 0.5).astype(np.float32)
    mask[..., HOLD] = 1.0
    actions, log_prob = np.empty((5, N_SLOTS), np.int8), np.empty((5, N_SLOTS), np.float32)
    sample_actions(logits, mask, rng.random((5, N_SLOTS)), actions, log_prob)
    chosen = torch.from_numpy(actions.astype(np.int64))[..., None]
    assert (np.take_along_axis(mask, chosen.numpy(), 2) == 1).all()
    expected = mask_logits(torch.from_numpy(logits), torch.from_numpy(mask)).log_softmax(-1)
    np.testing.assert_allclose(log_prob, expected.gather(2, chosen)[..., 0], rtol=1e-4, atol=1e-4)
    best = np.empty((5, N_SLOTS), np.int8)
    best_actions(logits, mask, best)
    np.testing.assert_array_equal(best, expected.argmax(-1))


@pytest.mark.parametrize("kernel", [distinct_rows, distinct_rows.py_func], ids=["numba", "python"])
def test_each_distinct_row_is_numbered_once(kernel):
    rows = np.array([5, -1, 7, 5, 7], np.int32)
    mark, distinct, index = np.zeros(10, np.int32), np.empty(5, np.int64), np.empty(5, np.int64)
    assert kernel(rows, mark, distinct, index) == 2
    assert distinct[:2].tolist() == [5, 7]
    assert index.tolist() == [1, 0, 2, 1, 2]
    assert not mark.any()


def test_kept_codes_equal_codes_computed_afresh(rng: np.random.Generator):
    spec = spec_of("simple")
    network = build_network(spec, 1)
    kept = HistoryCodes(network, MadeHistory(), 6)
    rows = rng.integers(-1, 40, size=(6, N_SLOTS)).astype(np.int32)
    for _ in range(10):
        rows[np.arange(6), rng.integers(0, N_SLOTS, 6)] = rng.integers(-1, 40, 6)
        fresh = HistoryCodes(network, MadeHistory(), 6).at(rows)
        torch.testing.assert_close(kept.at(rows), fresh, atol=1e-6, rtol=1e-5)
    assert (fresh[torch.from_numpy(rows < 0)] == 0).all()


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
    with pytest.raises(ContractError, match=r"have shape \(1, 3\), the policy reads \(N, 44\)"):
        policy.act(np.zeros((1, 3), np.float32))
    with pytest.raises(ContractError, match="reads history: pass windows"):
        policy.act(np.zeros((1, spec.width), np.float32))


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
def test_a_damaged_policy_is_refused_by_name(damage, message: str, tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        FrozenPolicy.load(tmp_path)


def test_weights_of_another_level_are_refused(tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    values = json.loads((tmp_path / "policy.json").read_text())
    values["level"] = level_named("simple").model_dump(mode="json")
    (tmp_path / "policy.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="not of the same policy"):
        FrozenPolicy.load(tmp_path)


def test_a_weights_file_that_would_run_code_is_refused(tmp_path: Path):
    FrozenPolicy(build_network(spec_of("tiny"), 2)).save(tmp_path)
    torch.save({"w": Path("anything but a tensor")}, tmp_path / "policy.pt")
    with pytest.raises(DataError, match="cannot be read"):
        FrozenPolicy.load(tmp_path)


def test_an_unknown_level_is_refused_with_the_names_there_are():
    with pytest.raises(ContractError, match="'huge' is unknown; there are tiny, simple, moderate"):
        level_named("huge")


@pytest.mark.parametrize("tier", sorted(TIER_LEVELS))
def test_without_attention_a_slot_is_decided_by_itself(tier):
    spec = spec_of("tiny").replace(level=TIER_LEVELS[tier].model_dump())
    network = build_network(spec, 0)
    rng = np.random.default_rng(2)
    flat, rows = made_batch(spec, 16, rng)
    other, other_rows = made_batch(spec, 16, rng)
    view, there = spec.split(torch.from_numpy(flat)), spec.split(torch.from_numpy(other))
    for part, changed in zip(view[:3], there[:3], strict=True):
        changed[:, 1] = part[:, 1]  # slot 1 is the same, all others differ
    other_rows[:, 1] = rows[:, 1]
    found, again = run(network, flat, rows), run(network, other, other_rows)
    for before, after in zip(found, again, strict=True):
        torch.testing.assert_close(before[:, 1], after[:, 1])
    assert not torch.allclose(found[0][:, 0], again[0][:, 0])
    assert level_named("tiny").attention_layers == 1
    assert not any(level.name in LEVELS for level in TIER_LEVELS.values())
