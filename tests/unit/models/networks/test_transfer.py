"""Growing a network from a smaller one: exact where claimed, and what is not exact is named."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.levels import LEVELS, Level, level_named
from kalshi_platform.models.networks.networks import PolicyNetwork, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.networks.transfer import divergence, grow, grown_network

N_HISTORY = 3
EXACT = [("tiny", name) for name in ("simple", "moderate", "advanced", "complex")] + [
    ("simple", "moderate"),
    ("advanced", "complex"),
]


class MadeHistory:
    temporal = np.random.default_rng(1).normal(size=(60, N_HISTORY)).astype(np.float32)
    age = np.tile(np.arange(20, dtype=np.int32), 3)


def spec_of(level: Level, market=("a", "b", "c"), portfolio=("p", "q")) -> PolicySpec:
    return PolicySpec(
        level=level,
        n_slots=4,
        market=market,
        portfolio=portfolio,
        n_history=N_HISTORY,
        feature_digest="f" * 12,
        groups=("orderbook",),
    )


def trained(spec: PolicySpec, seed: int) -> PolicyNetwork:
    """A network none of whose weights is still at a special first value."""
    network = build_network(spec, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.15 * torch.randn(weight.shape, generator=generator))
    return network


def observations(spec: PolicySpec, seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(n, spec.width)).astype(np.float32)
    rows = rng.integers(0, 60, (n, spec.n_slots)).astype(np.int32)
    empty = rng.random(rows.shape) < 0.3
    rows[empty] = -1
    view = spec.split(torch.from_numpy(flat))
    view.slot_mask[:] = torch.from_numpy((~empty).astype(np.float32))
    view.action_mask[:] = torch.from_numpy((rng.random(view.action_mask.shape) < 0.7).astype(np.float32))
    view.action_mask[..., HOLD] = 1.0
    return flat, rows


def decisions(network: PolicyNetwork, flat: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the slots that hold a market, and all values."""
    policy = NetworkPolicy(network, MadeHistory())
    policy.act(flat, rows)
    return policy.logits[rows >= 0], policy.value


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31 - 1), pair=st.sampled_from(EXACT))
def test_a_grown_network_decides_and_values_as_its_teacher(seed: int, pair: tuple[str, str]):
    teacher = trained(spec_of(level_named(pair[0])), seed)
    student, report = grown_network(FrozenPolicy(teacher), spec_of(level_named(pair[1])), seed + 1)
    assert report.exact, report.differences
    flat, rows = observations(student.spec, seed)
    for new, old in zip(decisions(student, flat, rows), decisions(teacher, flat, rows), strict=True):
        np.testing.assert_allclose(new, old, atol=3e-4, rtol=3e-4)
    assert divergence(FrozenPolicy(teacher), FrozenPolicy(student), flat, rows, MadeHistory()) < 1e-6


@pytest.mark.parametrize("pair", EXACT, ids="-".join)
def test_every_exact_pair_is_exact(pair: tuple[str, str]):
    teacher = trained(spec_of(level_named(pair[0])), 11)
    student, report = grown_network(FrozenPolicy(teacher), spec_of(level_named(pair[1])), 12)
    flat, rows = observations(student.spec, 13)
    np.testing.assert_allclose(
        decisions(student, flat, rows)[0], decisions(teacher, flat, rows)[0], atol=3e-4, rtol=3e-4
    )
    assert report.exact


@pytest.mark.parametrize("pair", [p for p in combinations(LEVELS, 2) if p not in EXACT], ids="-".join)
def test_narrower_heads_are_named_and_stay_nearer_than_a_fresh_network(pair: tuple[str, str]):
    teacher = trained(spec_of(level_named(pair[0])), 3)
    spec = spec_of(level_named(pair[1]))
    student, report = grown_network(FrozenPolicy(teacher), spec, 4)
    assert not report.exact
    assert report.differences[0].startswith("attention layer 1: 2 heads of 32 on ")
    flat, rows = observations(spec, 5)
    near, far = (
        divergence(FrozenPolicy(teacher), FrozenPolicy(n), flat, rows, MadeHistory())
        for n in (student, build_network(spec, 4))
    )
    assert 0 < near < 0.1 * far


def test_with_one_market_alone_no_score_matters_and_narrower_heads_are_exact_too():
    teacher = trained(spec_of(level_named("moderate")), 3)
    student, _ = grown_network(FrozenPolicy(teacher), spec_of(level_named("advanced")), 4)
    flat, rows = observations(student.spec, 5)
    rows[:, 1:] = -1
    rows[:, 0] = np.abs(rows[:, 0])
    student.spec.split(torch.from_numpy(flat)).slot_mask[:] = torch.from_numpy((rows >= 0).astype(np.float32))
    np.testing.assert_allclose(
        decisions(student, flat, rows)[0], decisions(teacher, flat, rows)[0], atol=3e-4, rtol=3e-4
    )


def test_features_go_by_name_and_new_ones_count_for_nothing_at_first():
    old = spec_of(level_named("simple"), market=("a", "b"), portfolio=("p",))
    new = spec_of(level_named("moderate"), market=("x", "b", "a"), portfolio=("q", "p"))
    teacher = trained(old, 7)
    student, report = grown_network(FrozenPolicy(teacher), new, 8)
    assert report.new_features == ("x", "q")
    assert report.exact
    flat, rows = observations(new, 9)
    assert divergence(FrozenPolicy(teacher), FrozenPolicy(student), flat, rows, MadeHistory()) < 1e-6
    seen = new.split(torch.from_numpy(flat))
    before = decisions(student, flat, rows)[0]
    seen.market[..., 0] += 5.0
    np.testing.assert_array_equal(decisions(student, flat, rows)[0], before)
    seen.market[..., 1] += 5.0
    assert np.abs(decisions(student, flat, rows)[0] - before).max() > 1e-3


@pytest.mark.parametrize("pair", [("tiny", "simple"), ("moderate", "advanced"), ("advanced", "complex")])
def test_every_part_of_a_grown_network_learns_within_a_few_steps(pair: tuple[str, str]):
    teacher = trained(spec_of(level_named(pair[0])), 1)
    student, _ = grown_network(FrozenPolicy(teacher), spec_of(level_named(pair[1])), 2)
    spec = student.spec
    first = {name: weight.detach().clone() for name, weight in student.named_parameters()}
    flat, _ = observations(spec, 3)
    seen = spec.split(torch.from_numpy(flat))
    index = torch.arange(1, seen.slot_mask.numel() + 1).view(seen.slot_mask.shape)
    windows = torch.randn(
        index.numel(), spec.level.window, N_HISTORY, generator=torch.Generator().manual_seed(1)
    )
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-2)
    for _ in range(4):
        optimiser.zero_grad()
        codes = student.slot_codes(windows, index)
        slots = student.represent(seen.market, codes, seen.portfolio, torch.ones_like(seen.slot_mask))
        logits, value = student.judge(slots, torch.ones_like(seen.slot_mask))
        loss = (logits[..., 0].exp() + value**2).mean()
        if slots.foreseen is not None:
            loss = loss + slots.foreseen.square().mean()
        loss.backward()
        optimiser.step()
    still = [n for n, w in student.named_parameters() if torch.equal(w.detach(), first[n])]
    assert not still
    # and copies of one unit become different ones
    width, narrow = spec.level.width, teacher.spec.level.width
    if width > narrow:
        last = [m for m in student.encoder if isinstance(m, torch.nn.Linear)][-1].weight.detach()
        assert not torch.equal(last[:narrow], last[narrow : 2 * narrow])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("moderate", "simple", r"encoder \(64,\) is smaller than \(128, 64\); its LSTM has 32 units, not 64"),
        ("simple", "tiny", "reads 0 history features, not 3"),
        ("complex", "advanced", "it has 2 attention layers, not 3"),
    ],
)
def test_a_smaller_student_is_refused_by_what_it_lacks(old: str, new: str, message: str):
    with pytest.raises(ContractError, match=message):
        grow(build_network(spec_of(level_named(old)), 0), build_network(spec_of(level_named(new)), 0))


def test_a_student_that_sees_less_is_refused():
    small = build_network(spec_of(level_named("tiny"), market=("a", "z")), 0)
    with pytest.raises(ContractError, match="it does not see z"):
        grow(small, build_network(spec_of(level_named("simple")), 0))


def test_other_windows_widths_and_feature_tables_are_named():
    teacher = build_network(spec_of(level_named("simple")), 0)
    level = level_named("moderate").replace(window=8, hidden_sizes=(128, 96), attention_heads=2)
    student = build_network(spec_of(level).replace(feature_digest="0" * 12), 0)
    report = grow(teacher, student)
    assert not report.exact
    assert [d.split(":")[0].split(",")[0] for d in report.differences] == [
        "width 96 is no multiple of 64",
        "history windows of 8 rows",
        "feature table 000000000000",
    ]
