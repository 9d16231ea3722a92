"""Tiers asked one after the other."""

import numpy as np
import pytest
from made.registry_models import made_policy
from made.tiers_place import ENV

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.rules.filtered import ReplayFilter
from kalshi_platform.serving.distillation.cascade import Theatre, cascade_of
from kalshi_platform.serving.distillation.config import TiersConfig
from kalshi_platform.serving.inference.batch import Tier
from kalshi_platform.serving.inference.engine_torch import TorchEngine
from kalshi_platform.serving.inference.tiered import ReadyTier
from kalshi_platform.simulation.replay.open import open_bank


def test_a_cascade_that_always_asks_the_champion_acts_as_the_champion(place):
    folder, _, _, _ = place
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    policy = made_policy("tiny", seed=4)
    theatre = Theatre(bank, {m.event for m in bank.markets}, ENV, policy, TiersConfig.smoke().judge)
    ready = ReadyTier(3, TorchEngine(policy.network), 1.0, None)
    played = theatre.play_cascade(cascade_of(policy.spec, [ready]))
    assert played.tally.agreement == 1.0
    assert played.tally.exit_shares[3] + played.tally.exit_shares[4] == pytest.approx(1)


def test_a_tier_that_never_exits_is_not_asked(place):
    policy = made_policy("tiny")
    engine = TorchEngine(policy.network)
    ready = [ReadyTier(1, engine, 1.0, None), ReadyTier(2, engine, 1.0, 0.9), ReadyTier(3, engine, 1.0, 0.5)]
    asked = cascade_of(policy.spec, ready).tiers
    assert [(t.number, t.exit_threshold) for t in asked] == [(2, 0.9), (3, None)]


def test_the_trading_filter_stands_before_the_cascade_and_before_whoever_plays_alone(place, monkeypatch):
    def hold_all(self):
        return np.full_like(self.forced, HOLD)

    monkeypatch.setattr(ReplayFilter, "look", hold_all)
    folder, _, _, _ = place
    bank = open_bank(str(folder / "data"), "validation", ENV.groups)
    policy = made_policy("tiny", seed=4)
    theatre = Theatre(bank, {m.event for m in bank.markets}, ENV, policy, TiersConfig.smoke().judge)
    played = theatre.play_cascade(
        cascade_of(policy.spec, [ReadyTier(3, TorchEngine(policy.network), 1.0, None)])
    )
    assert played.tally.exit_shares[int(Tier.RULES)] == pytest.approx(1)
    assert played.tally.counted.sum() == 0
    alone = theatre.play(NetworkPolicy(policy.network, bank.arrays), "alone")
    for sample in (alone, played.sample):
        assert sum(int(r.records.n_orders.sum()) for r in sample.rollouts) == 0
