"""Where groups leave: pairs from cautious to daring, and a time limit that leaves out the most daring."""

from types import SimpleNamespace

import numpy as np
import pytest

from kalshi_platform.serving.distillation import exits
from kalshi_platform.serving.distillation.config import ThresholdsConfig
from kalshi_platform.serving.distillation.exits import choose_exits, with_exits
from kalshi_platform.serving.distillation.judge import Made
from kalshi_platform.serving.distillation.thresholds import Pair

CONFIG = ThresholdsConfig(leaving=(1.0, 0.5), tier_3_hop_ms=1.0)
CONFIDENCE = {1: np.array([0.5, 0.6, 0.7, 0.9]), 2: np.array([0.5, 0.8, 0.9, 0.99])}


def made(number: int) -> Made:
    return Made(number, None, None, SimpleNamespace(p50_ms=float(number)), 1.0, None)


THREE = [made(number) for number in (1, 2, 3)]


@pytest.fixture
def theatre(monkeypatch):
    """Events on which every pair earns as the champion does; what was played is kept in order."""
    played = []

    def play(pair, made, theatre, config):
        played.append(pair)
        return Pair(
            first=pair[0], second=pair[1], exit_shares={1: 0.0, 2: 0.0, 3: 1.0}, agreement=1.0,
            mean_return=0.1, expected_ms=10.0 - len(played),
        )  # fmt: skip

    monkeypatch.setattr(exits, "_play", play)
    monkeypatch.setattr(exits, "_confidence", lambda made, theatre, states: CONFIDENCE[made.number])
    monkeypatch.setattr(exits, "NetworkPolicy", lambda network, arrays: None)
    champion = SimpleNamespace(block_means=lambda: (np.array([0, 1]), np.array([0.1, 0.1])))
    return SimpleNamespace(
        champion=SimpleNamespace(network=None),
        bank=SimpleNamespace(arrays=None),
        play=lambda policy, name: champion,
        played=played,
    )


def test_the_champion_alone_is_played_first_and_then_from_slow_to_quick(theatre):
    choose_exits(THREE, theatre, None, CONFIG)
    assert theatre.played[0] == (None, None)
    costs = [exits.expected_ms(exits.shares_of(CONFIDENCE, *p), *p, {1: 1.0, 2: 2.0, 3: 3.0}, 1.0)
             for p in theatre.played[1:]]  # fmt: skip
    assert costs == sorted(costs, reverse=True)
    assert len(costs) > 2


def test_a_time_limit_plays_the_champion_alone_and_says_how_many_it_left_out(theatre):
    every = choose_exits(THREE, theatre, None, CONFIG)
    n = len(theatre.played)
    theatre.played.clear()
    found = choose_exits(THREE, theatre, None, CONFIG.replace(limit_s=1e-9))
    assert theatre.played == [(None, None)]
    assert (every.not_played, found.not_played) == (0, n - 1)
    assert f"left out the {n - 1} most daring pairs" in found.reason


def test_the_champion_decides_whatever_is_left():
    leaving = with_exits(THREE, 0.9, None)
    assert [(m.number, m.exit_threshold) for m in leaving] == [(1, 0.9), (2, None), (3, None)]
    assert [m.exit_threshold for m in THREE] == [None] * 3
