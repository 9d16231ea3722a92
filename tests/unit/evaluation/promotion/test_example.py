"""The example is what the environment showed on the judged events, with where it is from."""

from types import SimpleNamespace

import numpy as np
import pytest
from made.evaluation_bank import bank_of, market

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.evaluation.promotion.example import judged_example
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes, event_episodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv

ENV = EnvConfig(n_slots=2)


def spec_of(bank, window: int) -> SimpleNamespace:
    table = event_episodes(bank, 2)
    env = ReplayVectorEnv(bank, FixedEpisodes(table), ENV, 1)
    portfolio = tuple(feature.name for feature in features_of(["portfolio"]))
    level = SimpleNamespace(window=window)
    return SimpleNamespace(
        layout=env.layout, level=level, n_history=2, market=("mid", "next_mid"), portfolio=portfolio
    )


@pytest.mark.parametrize("window", [0, 16, 20])
def test_the_fullest_observation_is_shown_with_its_history_and_its_source(window):
    mids = np.linspace(4_000, 6_000, 41).astype(int)
    bank = bank_of(
        market("A-1", "A", mids),
        market("A-2", "A", mids[::-1]),
        market("B-1", "B", mids, provenance="quotes"),
    )
    found = judged_example(bank, ENV, spec_of(bank, window), "dataset d, validation split")
    assert [m.ticker for m in found.markets] == ["A-1", "A-2"]
    assert found.source.startswith("simulated data, dataset d, validation split, A at 2023-11-14T22:13:")
    for shown, own in zip(found.markets, (mids, mids[::-1]), strict=True):
        at = int(np.flatnonzero(own == round(shown.row[0] * 10_000))[0])  # the row that is shown
        last = min(at + 1, max(window, 16))
        expected = [own[k] / 10_000 for k in range(at + 1 - last, at + 1)]
        assert [line[0] for line in shown.history] == pytest.approx(expected)
        assert shown.history[-1] == shown.row[:2]  # the present row is the last of its history
        assert len(shown.row) == len(found.columns)
        assert "HOLD" in shown.allowed
        assert any(number != 0 for number in shown.row[2:])  # the portfolio's columns are there
