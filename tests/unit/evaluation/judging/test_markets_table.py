"""The markets: all of the split, those left out with the reason, the best rule beside the policy."""

import numpy as np
import pytest
from made.evaluation_bank import bank_of, gapped, in_block, market, random_bank
from made.judging import ENV, QUICK, Foresight
from made.registry_models import CHOICE

from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.markets_table import LEFT_OUT

FEW = QUICK.replace(fee_ladder=False, fee_times=False, what_if=False, seeds=(0,))


def judge(bank, config=FEW, **more):
    kept = []
    found = evaluate(Foresight, bank, ENV, config, keep_ledger=kept.append, **more)
    return found, {row["ticker"]: row for row in kept[0].markets.to_pylist()}


def test_a_market_that_cannot_be_played_is_there_with_the_reason():
    dead = gapped(market("DEAD", "F", [5_000] * 4, 0), 1, 3)
    _, rows = judge(bank_of(market("A", "E", [4_000, 5_000, 6_000, 7_000], 10_000), dead))
    assert list(rows) == ["A", "DEAD"]
    assert rows["A"]["left_out"] is None
    assert rows["A"]["n_decisions"] > 0
    assert rows["DEAD"]["left_out"] == LEFT_OUT
    assert (rows["DEAD"]["n_episodes"], rows["DEAD"]["pnl_e6"]) == (0, 0)
    assert rows["DEAD"]["return_pct"] is rows["DEAD"]["trade_rate_pct"] is None


def test_the_outcome_is_yes_no_between_or_unknown():
    mids = [4_000, 5_000, 6_000, 7_000]
    markets = {"Y": 10_000, "N": 0, "B": 4_200, "U": -1}
    _, rows = judge(bank_of(*(market(name, name, mids, paid) for name, paid in markets.items())))
    assert {name: rows[name]["outcome"] for name in rows} == {
        "Y": "yes",
        "N": "no",
        "B": "between",
        "U": None,
    }
    assert [rows[name]["settlement_e4"] for name in "YNBU"] == [10_000, 0, 4_200, None]


def test_the_factor_is_that_of_the_block_and_a_simulated_market_has_none():
    mids = [4_000, 5_000, 6_000, 7_000]
    dated = in_block(market("A", "E", mids, 0), "weather.2@2025-11-24T00:00Z")
    _, rows = judge(bank_of(dated, market("B", "F", mids, 0)))
    assert [rows[name]["factor"] for name in "AB"] == ["weather", None]
    assert rows["A"]["category"] == "Weather"


def test_returns_are_those_of_the_report_in_percent_and_the_best_rule_stands_beside():
    bank = random_bank(4, 2, 80, seed=2)
    found, rows = judge(bank, rules=CHOICE)
    best = next((b for b in found.baselines if b.name == CHOICE.best.name), None)
    assert best is not None
    for of_policy, of_rule in zip(found.policy.markets, best.markets, strict=True):
        row = rows[of_policy.ticker]
        assert row["return_pct"] == pytest.approx(100 * of_policy.mean_return, abs=1e-12)
        assert row["best_rule"] == best.name
        assert row["best_rule_pnl_e6"] == of_rule.pnl_e6
        assert row["best_rule_return_pct"] == pytest.approx(100 * of_rule.mean_return, abs=1e-12)
    assert np.isclose(sum(row["pnl_e6"] for row in rows.values()), found.policy.trading.pnl_e6)


def test_without_a_chosen_rule_its_columns_are_empty():
    _, rows = judge(random_bank(2, 1, 60))
    assert {(r["best_rule"], r["best_rule_pnl_e6"], r["best_rule_return_pct"]) for r in rows.values()} == {
        (None, None, None)
    }
