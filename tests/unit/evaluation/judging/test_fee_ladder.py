"""The same policy under dearer fees."""

import pytest
from made.evaluation_bank import random_bank
from made.judging import ENV, QUICK

from kalshi_platform.evaluation.judging.evaluate import PlayStage, evaluate
from kalshi_platform.evaluation.judging.fee_ladder import climb
from kalshi_platform.models.rules.baselines import DoNothing, HoldToSettlement


def test_dearer_fees_cost_more():
    bank = random_bank(6, 2, 80)
    got = evaluate(lambda env: HoldToSettlement(env.layout, env.bank), bank, ENV, QUICK)
    assert [r.label for r in got.fee_ladder] == ["none", "half", "full", "double"]
    fees = [r.fees_e6 for r in got.fee_ladder]
    assert fees[0] == 0
    assert fees == sorted(fees)
    assert fees[3] == pytest.approx(2 * fees[2], rel=0.02)
    full = got.fee_ladder[2]
    assert full.pnl_e6 == got.policy.trading.pnl_e6
    assert full.mean_return == got.policy.mean_return
    assert got.fee_ladder[0].pnl_e6 > got.fee_ladder[3].pnl_e6


def test_a_rung_that_was_already_played_is_not_played_again():
    bank = random_bank(3, 1, 60)
    stage = PlayStage(bank, QUICK, print)
    played = []

    def play(env):
        played.append(env.fee_scale_e6)
        return stage.play(lambda vector: HoldToSettlement(vector.layout, bank), env, "hold")

    full = play(ENV)
    rungs = climb(play, ENV, QUICK.bootstrap, known=[full])
    assert played == [1_000_000, 0, 500_000, 2_000_000]
    assert [r.fee_scale_e6 for r in rungs] == [0, 500_000, 1_000_000, 2_000_000]
    assert rungs[2].pnl_e6 == full.records.pnl_e6.sum()


def test_a_policy_without_turnover_stands_on_the_same_rung_everywhere():
    bank = random_bank(3, 1, 60)
    stage = PlayStage(bank, QUICK, print)
    rungs = climb(lambda env: stage.play(lambda v: DoNothing(v.layout), env, "x"), ENV, QUICK.bootstrap)
    assert {(r.pnl_e6, r.fees_e6, r.n_fills, r.mean_return.estimate) for r in rungs} == {(0, 0, 0, 0.0)}
