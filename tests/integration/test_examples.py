"""examples/ run, and the PPO written out there learns."""

import numpy as np
import torch
from made.scripts import load_script

from kalshi_platform.domain.actions import BUY_YES, HOLD
from kalshi_platform.evaluation.judging.report import read_report
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.rollout.fragment import allocate

minimal = load_script("examples/minimal.py")


def test_the_minimal_example_goes_from_recordings_to_a_report(tmp_path, one_torch_thread):
    found = minimal.main(tmp_path, minimal.Knobs(n_events=40, n_envs=8, n_steps=16, iterations=3, epochs=1))
    assert found.policy.trading.decisions > 100
    assert {baseline.name for baseline in found.baselines} >= {"do_nothing", "random"}
    assert read_report(tmp_path / "report.json").policy == found.policy
    assert "<html" in (tmp_path / "report.html").read_text()


def test_what_earned_more_than_expected_becomes_more_likely(one_torch_thread, rng):
    spec = PolicySpec(
        level=level_named("tiny"), n_slots=2, market=("a",), portfolio=("p",), n_history=0,
        feature_digest="f", groups=("orderbook",),
    )  # fmt: skip
    network = build_network(spec, 1)
    fragment = allocate(8, 16, spec.width, spec.n_slots)
    flat = fragment.flat.reshape(-1, spec.width)
    flat[:] = rng.normal(size=flat.shape)
    spec.layout.slot_mask(flat)[:] = 1.0
    spec.layout.action_mask(flat)[:] = 1.0
    bought = rng.random(fragment.actions.shape) < 0.5
    fragment.actions[:] = np.where(bought, BUY_YES, HOLD)
    fragment.advantage[:] = np.where(bought, 1.0, -1.0)

    def probabilities() -> np.ndarray:
        """(N * T, S, A) as the network stands."""
        return network.answer(torch.from_numpy(flat), None).logits.softmax(-1).detach().numpy()

    before = probabilities()
    chosen = fragment.actions.reshape(*before.shape[:2], 1).astype(np.int64)
    fragment.log_prob.reshape(chosen.shape)[:] = np.log(np.take_along_axis(before, chosen, axis=2))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    minimal.learn(network, optimizer, fragment, minimal.Knobs(minibatch=64))
    change = (probabilities() - before).mean((0, 1))
    assert change[BUY_YES] > 0.05
    assert change[HOLD] < -0.02
