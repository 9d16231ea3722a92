"""The sample of training blocks: bounded, seeded, and refused where it is not what taught the policy."""

from dataclasses import replace

import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.domain.saying import silent
from kalshi_platform.evaluation.judging import train_sample
from kalshi_platform.evaluation.judging.rivals import RivalsConfig
from kalshi_platform.evaluation.judging.train_sample import play_sample, sample_training


def test_the_blocks_are_those_that_chose_the_rules_each_as_a_whole():
    bank = random_bank(6, 1, 60)
    markets = tuple(replace(m, block_name=f"B{k // 2}") for k, m in enumerate(bank.markets))
    got = play_sample(Foresight, replace(bank, markets=markets), ENV, QUICK, silent)
    assert (got.n_blocks, got.of_blocks, got.n_events) == (3, 3, 6)
    assert got.seed == RivalsConfig().seed


def test_the_sample_is_played_as_the_judged_events_are(monkeypatch):
    monkeypatch.setattr(train_sample, "draw_blocks", lambda bank, config: (["E1", "E2"], 5))
    said = []
    got = play_sample(Foresight, random_bank(5, 2, 60), ENV, QUICK, said.append)
    assert (got.n_blocks, got.of_blocks, got.n_events) == (2, 5, 2)
    assert got.mean_return.estimate != 0
    assert said[0] == "playing 2 of 5 training blocks for the generalisation gap"
    assert "4 episodes" in said[1]  # two markets in each of two events


class Manifest:
    def descends_from(self, digest):
        return digest == "taught"


@pytest.mark.parametrize("trained_on", ["", "another"])
def test_what_is_not_known_to_have_taught_the_policy_is_not_played(monkeypatch, trained_on):
    opened = type("Opened", (), {"digest": "now", "manifest": Manifest()})
    monkeypatch.setattr(train_sample.Dataset, "open", lambda uri: opened)
    monkeypatch.setattr(train_sample, "open_bank", lambda *_, **__: pytest.fail("opened"))
    said = []
    assert sample_training(Foresight, "d", ENV, QUICK, trained_on, said.append) is None
    assert said == [
        "generalisation gap not measured: the dataset is not known to be what the policy was trained on"
    ]


def test_the_state_that_taught_the_policy_is_opened(monkeypatch):
    opened = type("Opened", (), {"digest": "now", "manifest": Manifest()})
    monkeypatch.setattr(train_sample.Dataset, "open", lambda uri: opened)
    asked = {}

    def open_bank(uri, split, groups, *, state):
        asked.update(split=split, state=state)
        return random_bank(3, 1, 50)

    monkeypatch.setattr(train_sample, "open_bank", open_bank)
    assert sample_training(Foresight, "d", ENV, QUICK, "taught", silent).n_blocks == 3
    assert asked == {"split": "train", "state": "taught"}
    assert sample_training(Foresight, "d", ENV, QUICK.replace(split="train"), "taught", silent) is None
