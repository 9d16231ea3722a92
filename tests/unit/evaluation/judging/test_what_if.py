"""What if: which replays are made, that each is one, and that a late order or an absent queue shows."""

import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import evaluate, play
from kalshi_platform.evaluation.judging.what_if import replay_variants, variants
from kalshi_platform.models.rules.baselines import DoNothing


def settings(env):
    return [setting for _, setting, _ in variants(env)][1:]


def test_a_taker_meets_no_queue_and_a_maker_is_replayed_without_one():
    fees = ["fee_scale_e6 = 0", "fee_scale_e6 = 2000000"]
    assert settings(ENV.replace(latency_ms=50)) == [*fees, "latency_ms = 0", "latency_ms = 1000"]
    maker = settings(ENV.replace(latency_ms=50, order_style="maker"))
    assert maker == [*fees, "latency_ms = 0", "latency_ms = 1000", "maker_queue = false"]


def test_a_setting_that_is_as_set_is_not_played_twice():
    assert settings(ENV.replace(latency_ms=1_000)) == [
        "fee_scale_e6 = 0", "fee_scale_e6 = 2000000", "latency_ms = 0",
    ]  # fmt: skip
    assert settings(ENV.replace(fee_scale_e6=0))[:2] == ["fee_scale_e6 = 1000000", "fee_scale_e6 = 2000000"]


def test_every_row_is_a_replay_paired_with_the_one_as_set():
    bank = random_bank(6, 1, 80)
    made = []

    def replay(env):
        made.append(env)
        return play(Foresight, bank, env, QUICK)

    own, *others = replay_variants(replay, ENV.replace(latency_ms=50), QUICK.bootstrap)
    assert len(made) == 1 + len(others) == 5
    assert own.is_as_set
    assert own.change is None
    free, double, instant, late = others
    assert free.fees_e6 == 0 < own.fees_e6 < double.fees_e6
    assert free.change.estimate > 0 > double.change.estimate
    # rows are a second apart: an order that takes a second meets the price that the policy foresaw, too late
    assert late.n_fills < instant.n_fills
    assert late.change.estimate == pytest.approx(late.mean_return.estimate - own.mean_return.estimate)


def test_evaluation_plays_each_setting_once_and_names_its_own_row():
    said = []
    few = QUICK.replace(baselines=())
    bank = random_bank(3, 1, 50)
    env = ENV.replace(latency_ms=50)
    got = evaluate(lambda e: DoNothing(e.layout), bank, env, few, say=said.append)
    assert got.what_if[0].label == "as set"
    replays = [line.split(":")[0] for line in said if line.startswith("what if")]
    assert len(replays) == len(set(replays))
    assert "what if latency_ms 1000" in replays
    assert evaluate(lambda e: DoNothing(e.layout), bank, env, few.replace(what_if=False)).what_if == ()
