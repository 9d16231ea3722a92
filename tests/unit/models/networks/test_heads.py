"""The regime and microstructure heads: what they add, what trains them, and that nothing looks ahead."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made.bank import TEMPORAL
from made.foresight import NAMES, named_bank

from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.foresight import Foresight
from kalshi_platform.models.networks.heads import (
    MicrostructureHead,
    RegimeHead,
    Targets,
    microstructure_loss,
    regime_information,
)
from kalshi_platform.models.networks.history import HistoryCodes
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.replay.bank import Bank, BankArrays


def spec_of(level: str) -> PolicySpec:
    return PolicySpec(
        level=level_named(level),
        n_slots=3,
        market=NAMES,
        portfolio=("position", "cash"),
        n_history=len(TEMPORAL),
        feature_digest="f" * 12,
        groups=("orderbook", "temporal", "portfolio"),
    )


def observations(spec: PolicySpec, bank: Bank, rows: np.ndarray) -> np.ndarray:
    """Flat observations (N, width) of ``rows`` (N, S), every action legal."""
    flat = np.zeros((len(rows), spec.width), np.float32)
    view = spec.split(torch.from_numpy(flat))
    view.market[:] = torch.from_numpy(bank.arrays.features[rows])
    view.slot_mask[:] = 1.0
    view.action_mask[:] = 1.0
    return flat


def test_information_is_the_entropy_of_the_mean_less_the_mean_entropy_worked_by_hand():
    # three slots, the last empty: p = (1, 0) and (1/2, 1/2); mean (3/4, 1/4)
    # H(mean) = -(0.75 ln 0.75 + 0.25 ln 0.25) = 0.562335; mean H = (0 + ln 2) / 2 = 0.346574
    p = torch.tensor([[[1.0, 0.0], [0.5, 0.5], [0.1, 0.9]]])
    information, found = regime_information(p, torch.tensor([[1.0, 1.0, 0.0]]))
    assert float(found["regime_balance"]) == pytest.approx(0.562335, abs=1e-6)
    assert float(found["regime_entropy"]) == pytest.approx(0.346574, abs=1e-6)
    assert float(information) == pytest.approx(0.215761, abs=1e-6)


def test_information_is_ln_r_where_all_is_decided_and_balanced_and_zero_where_nothing_is_told_apart():
    present = torch.ones(1, 4)
    decided = torch.eye(4)[None]
    assert float(regime_information(decided, present)[0]) == pytest.approx(math.log(4), abs=1e-6)
    one = torch.tensor([[[1.0, 0.0]] * 4])
    assert float(regime_information(one, present)[0]) == pytest.approx(0.0, abs=1e-6)
    none = torch.full((1, 4, 2), 0.5)
    assert float(regime_information(none, present)[0]) == pytest.approx(0.0, abs=1e-6)


def test_a_minibatch_without_any_market_has_finite_losses():
    p = torch.full((2, 3, 5), 0.2, requires_grad=True)
    loss, _ = regime_information(p, torch.zeros(2, 3))
    nothing = torch.zeros(2, 3)
    loss = loss + microstructure_loss(torch.zeros(2, 3, 2), Targets(nothing, nothing, nothing))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.isfinite(p.grad).all()


def test_training_for_information_decides_and_balances_the_regimes():
    torch.manual_seed(0)
    head = RegimeHead(8, 4)
    slots = torch.randn(64, 3, 8)
    present = torch.ones(64, 3)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    first = float(regime_information(head(slots)[1], present)[0].detach())
    for _ in range(200):
        optimiser.zero_grad()
        (-regime_information(head(slots)[1], present)[0]).backward()
        optimiser.step()
    information, found = regime_information(head(slots)[1], present)
    assert float(information.detach()) > 0.85 * math.log(4) > first
    assert float(found["regime_entropy"]) < 0.15


def test_regimes_add_the_mixture_of_their_embeddings():
    head = RegimeHead(2, 2)
    with torch.no_grad():
        head.assign.weight.zero_()
        head.assign.bias.copy_(torch.tensor([math.log(3.0), 0.0]))  # p = (3/4, 1/4)
        head.embedding.copy_(torch.tensor([[4.0, 0.0], [0.0, 8.0]]))
    slots, p, _ = head(torch.tensor([[[1.0, 1.0]]]))
    torch.testing.assert_close(p, torch.tensor([[[0.75, 0.25]]]))
    torch.testing.assert_close(slots, torch.tensor([[[4.0, 3.0]]]))  # 1 + 3/4 x 4, 1 + 1/4 x 8


@pytest.mark.parametrize("head", [RegimeHead(6, 3), build_network(spec_of("complex"), 0).microstructure])
def test_a_fresh_head_leaves_the_slot_as_it_is(head: RegimeHead | MicrostructureHead):
    slots = torch.randn(4, 3, 6 if isinstance(head, RegimeHead) else 128)
    assert torch.equal(head(slots)[0], slots)


def test_microstructure_loss_matches_numbers_worked_by_hand():
    # known slot: move foreseen 2, was 0.5: |1.5| - 0.5 = 1.0; logit 0 of a burst that came: ln 2
    # the second slot is not known and counts for nothing
    foreseen = torch.tensor([[[2.0, 0.0], [9.0, 9.0]]])
    targets = Targets(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    assert float(microstructure_loss(foreseen, targets)) == pytest.approx(1.0 + math.log(2), abs=1e-6)


@pytest.mark.parametrize("level", ["simple", "advanced", "complex"])
def test_no_decision_changes_when_later_rows_change(level: str, rng: np.random.Generator):
    spec, bank = spec_of(level), named_bank()
    network = build_network(spec, 1)
    for weight in network.parameters():
        weight.data += 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(5))
    rows = np.array([[20, 320, 620], [40, 340, 640]], np.int32)
    flat = observations(spec, bank, rows)
    before = NetworkPolicy(network, bank.arrays).probabilities(flat, rows)
    later = {"features": bank.arrays.features.copy(), "temporal": bank.arrays.temporal.copy()}
    after_rows = np.concatenate([np.arange(r + 1, 300 * (k + 1)) for k, r in enumerate(rows[1])])
    for column in later.values():
        column[after_rows] = rng.normal(size=column[after_rows].shape)
    changed = BankArrays(**{**bank.arrays._asdict(), **later})
    changed_flat = observations(spec, replace(bank, arrays=changed), rows)
    after = NetworkPolicy(network, changed).probabilities(changed_flat, rows)
    np.testing.assert_array_equal(after, before)
    if level == "complex":  # and what it is trained on does change
        targets = [
            Foresight(replace(bank, arrays=a)).targets(rows).move_cents for a in (bank.arrays, changed)
        ]
        assert not torch.equal(*targets)


@pytest.mark.parametrize("level", ["advanced", "complex"])
def test_a_network_tells_the_regime_of_every_slot(level: str, rng: np.random.Generator):
    spec, bank = spec_of(level), named_bank()
    network = build_network(spec, 1)
    rows = rng.integers(0, 200, (6, 3)).astype(np.int32)
    seen = spec.split(torch.from_numpy(observations(spec, bank, rows)))
    codes = HistoryCodes(network, bank.arrays, 6).at(rows)
    regimes = network.represent(seen.market, codes, seen.portfolio, seen.slot_mask).regimes
    assert regimes is not None
    assert regimes.shape == (6, 3, 5)
    np.testing.assert_allclose(regimes.sum(-1).detach(), 1.0, atol=1e-5)
