"""The plays to look at: chosen by stated rules, with every peak of the prices and the ledger's own totals."""

import numpy as np
from made.evaluation_bank import bank_of, gapped, market, random_bank
from made.judging import ENV, QUICK, Foresight

from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.plays import BUCKETS, CHOICE, _chosen, extreme_prices, extremes
from kalshi_platform.models.rules.baselines import RandomTrader

FEW = QUICK.replace(fee_ladder=False, fee_times=False, what_if=False, baselines=(), seeds=(0,))


def ledger_of(bank, config=FEW, maker=Foresight, **settings):
    kept = []
    evaluate(maker, bank, ENV.replace(**settings), config, keep_ledger=kept.append)
    return kept[0]


def test_each_rule_chooses_the_plays_that_the_first_rules_left():
    pnl = np.array([0, 50, -9, 7, 3, 30, 20, -1, 6, 5, 0])
    fills = np.array([0, 1, 2, 3, 99, 1, 1, 1, 50, 40, 0])
    found = _chosen(pnl, fills, steps=np.array([5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9]))
    by_rule = {why: [k for reason, k in found if reason == why] for why in CHOICE}
    assert by_rule["largest profit"] == [1, 5, 6]
    assert by_rule["deepest loss"] == [2, 7]  # a play without a loss is none of them
    assert by_rule["nearest the median profit"] == [8, 3]  # the median of those that traded is 6
    assert by_rule["most fills"] == [4, 9]
    assert by_rule["never traded"] == [10]  # the longer of the two
    assert len(found) == len({k for _, k in found}) <= sum(CHOICE.values())


def test_nothing_is_chosen_twice_where_there_is_one_play():
    assert _chosen(np.array([4]), np.array([2]), np.array([3])) == [("largest profit", 0)]
    assert _chosen(np.array([0]), np.array([0]), np.array([3])) == [("never traded", 0)]


def test_a_play_s_money_and_fills_are_the_ledger_s():
    ledger = ledger_of(random_bank(12, 2, 100, seed=3))
    trips = ledger.trips.to_pylist()
    assert (len(ledger.plays), ledger.n_plays) == (11, 24)  # every market was traded
    for play in ledger.plays:
        own = [t for t in trips if t["ticker"] == play.market.ticker and t["seed"] == play.seed]
        assert play.pnl_e6 == sum(t["pnl_e6"] for t in own)
        assert play.fees_e6 == sum(t["fees_e6"] for t in own) == int(play.fills["fees_e6"].sum())
        assert play.n_fills == sum(t["n_fills"] for t in own) == int(play.fills["n_fills"].sum())


def test_the_life_of_a_market_with_gaps_is_one_play_and_a_window_is_one():
    life = gapped(market("A", "E", [4_000, 5_000, 6_000, 4_000, 5_000, 6_000, 7_000, 8_000], 10_000), 3)
    (play,) = ledger_of(bank_of(life)).plays
    assert len(play.spans) == 2
    assert sorted(set(play.part.tolist())) == [0, 1]
    assert play.at_ns.size == 7  # the row in the gap is not there
    windows = FEW.replace(schedule="windows", window_steps=30, episodes_per_market=4)
    ledger = ledger_of(random_bank(2, 1, 90), windows, lambda env: RandomTrader(env.layout, 0.5, seed=1))
    assert ledger.n_plays == 8
    assert all(len(play.spans) == 1 for play in ledger.plays)
    for play in ledger.plays:
        assert (play.fills["at_ns"] >= play.start_ns).all()
        assert (play.fills["at_ns"] <= play.end_ns).all()


def test_the_outcome_is_there_only_where_the_play_was_settled_by_it():
    mids = [4_000, 5_000, 6_000, 7_000]
    (settled,) = ledger_of(bank_of(market("A", "E", mids, 10_000))).plays
    (unknown,) = ledger_of(bank_of(market("A", "E", mids))).plays
    assert (settled.settlement_e4, unknown.settlement_e4) == (10_000, None)


def test_thinned_prices_keep_every_peak_and_stay_few():
    rng = np.random.default_rng(1)
    bid = rng.integers(100, 9_000, 50_000)
    bucket = np.arange(bid.size) * BUCKETS // bid.size
    kept = extremes(bucket, bid, bid + 100)
    assert kept.size <= 5 * BUCKETS + 1
    assert (np.diff(kept) > 0).all()
    for k in range(BUCKETS):
        own, shown = bid[bucket == k], bid[kept][bucket[kept] == k]
        assert (shown.min(), shown.max()) == (own.min(), own.max())
    assert {0, bid.size - 1} <= set(kept.tolist())


def test_a_side_that_empties_does_not_hide_the_lowest_price_of_its_stretch():
    bid = np.array([500, 500, 400, 450, -1, -1, 700, 600])
    ask = np.array([900, 900, 900, -1, 300, 800, 900, 900])
    kept = extreme_prices(np.zeros(bid.size, np.int64), bid, ask)
    assert min(b for b in bid[kept].tolist() if b >= 0) == 400
    assert min(a for a in ask[kept].tolist() if a >= 0) == 300
    assert (bid[kept] == -1).any()  # the empty side is shown too
    assert (ask[kept] == -1).any()
