"""Rules chosen on training events: the draw of the blocks, the thresholds, and what cannot be chosen."""

import numpy as np
import pytest
from made.evaluation_bank import START_NS, bank_of, market, random_bank
from made.judging import ENV, QUICK, Foresight
from made.replay_bank import bank_of as bank_of_books
from made.replay_bank import book, rows_of
from made.replay_bank import market as market_of_books

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.evaluation.judging import rivals
from kalshi_platform.evaluation.judging.evaluate import evaluate, mean_exposure
from kalshi_platform.evaluation.judging.rivals import (
    RivalsConfig,
    choice_words,
    choose_on_train,
    choose_rules,
    draw_blocks,
)
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.models.rules.baselines import BASELINES

FREE = ENV.replace(fee_scale_e6=0)
QUICKLY = RivalsConfig(resamples=200, n_envs=16)


def telling_bank(n_events=6, heavy=900, light=100):
    """Books whose heavier side says where the price goes next: 40 c, then 60 c or 20 c, in ten steps each."""
    markets = []
    for e in range(n_events):
        up = e % 2 == 0
        sizes = (heavy, light) if up else (light, heavy)
        lines = []
        for t in range(30):
            mid = 4_000 + (1 if up else -1) * 100 * min(t, 20)
            lean = sizes if t < 20 else (500, 500)
            lines.append(book(3_600 * e + t, [(mid - 100, 1_000 * lean[0])], [(mid + 100, 1_000 * lean[1])]))
        markets.append(market_of_books(rows_of(*lines), ticker=f"M{e}", event=f"E{e}"))
    return bank_of_books(*markets)


def test_the_threshold_that_earned_most_on_training_events_is_kept():
    # (900 - 100) / 1,000 = 0.8 is beyond every threshold but the last: 0.8 is not above 0.8
    choice = choose_rules(telling_bank(), FREE, "d" * 12, QUICKLY)
    best = choice.best
    assert (best.name, best.tried) == ("imbalance", 5)
    assert best.threshold == 0.2  # all that trade earn the same: the first of them
    assert best.train_return.value > 0
    assert [r.name for r in choice.rules].count("do_nothing") == 1
    assert {r.name for r in choice.rules} == {b.name for b in BASELINES} - {"random"}
    earned = [r.train_return.value for r in choice.rules]
    assert earned == sorted(earned, reverse=True)
    assert (choice.n_blocks, choice.n_train_blocks, choice.split) == (6, 6, "train")


def test_where_every_rule_loses_the_best_is_to_do_nothing():
    starts = [START_NS + e * 100 * NS_PER_SECOND for e in range(4)]
    flat = bank_of(*(market(f"M{t}", f"E{t}", [5_100] * 40, 0, start_ns=t) for t in starts))
    choice = choose_rules(flat, ENV, "d" * 12, QUICKLY)
    assert choice.best.name == "do_nothing"
    assert choice.threshold_of("imbalance") is not None
    assert choice.threshold_of("join_the_bid") is None


def test_the_draw_is_seeded_and_keeps_both_bounds():
    bank = random_bank(12, 2, 50)
    some, total = draw_blocks(bank, RivalsConfig(blocks=5))
    assert (len(some), total) == (5, 12)
    assert draw_blocks(bank, RivalsConfig(blocks=5))[0] == some
    assert draw_blocks(bank, RivalsConfig(blocks=5, seed=1))[0] != some
    assert len(draw_blocks(bank, RivalsConfig(blocks=9, rows=450))[0]) == 4  # 100 rows a block: 4 fit
    assert len(draw_blocks(bank, RivalsConfig(blocks=9, rows=1))[0]) == 3  # never fewer than can decide


def test_events_of_one_block_are_one_observation():
    from dataclasses import replace

    bank = random_bank(6, 1, 50)
    infos = tuple(replace(m, block_name=f"B{k // 3}") for k, m in enumerate(bank.markets))
    choice = choose_rules(replace(bank, markets=infos), ENV, "d" * 12, QUICKLY)
    assert choice.best is None
    assert choice.why_not == "the train split has 2 independent blocks to play, 3 are needed"
    assert choice_words(choice) == f"no rule chosen: {choice.why_not}"


def test_a_choice_plays_no_other_block_than_the_drawn(monkeypatch):
    bank = random_bank(8, 1, 50)
    config = QUICKLY.replace(blocks=3)
    drawn, _ = draw_blocks(bank, config)
    seen = []
    original = Sample.mean_interval

    def spying(sample, bootstrap):
        seen.append({bank.markets[m].event for m in sample.records.market.tolist()})
        return original(sample, bootstrap)

    monkeypatch.setattr(Sample, "mean_interval", spying)
    choose_rules(bank, ENV, "d" * 12, config)
    assert len(seen) == 11  # five thresholds of imbalance, four of the spread, two rules without any
    assert all(events == set(drawn) for events in seen)


def test_rules_with_a_threshold_are_played_only_where_training_events_chose_one():
    bank, held_out = random_bank(6, 1, 60), random_bank(5, 1, 60, seed=9)
    choice = choose_rules(bank, ENV, "d" * 12, QUICKLY)
    few = QUICK.replace(fee_ladder=False, fee_times=False)
    without = evaluate(Foresight, held_out, ENV, few)
    got = evaluate(Foresight, held_out, ENV, few, rules=choice)
    assert [b.name for b in without.baselines] == [b.name for b in BASELINES if not b.grid]
    assert [b.name for b in got.baselines] == [b.name for b in BASELINES]
    assert got.rules == choice
    assert "none was chosen on training events (nobody chose one)" in without.worth
    assert choice.best.words in got.worth
    assert got.worth.startswith("Simulated: ")


def test_the_mean_exposure_is_that_of_the_positions_held():
    held_out = random_bank(5, 1, 60)
    few = QUICK.replace(fee_ladder=False, fee_times=False)
    result = evaluate(Foresight, held_out, ENV, few).policy
    counts = np.zeros((9, 10), int)
    counts[4, 0], counts[8, 0], counts[3, 5] = 2, 1, 1  # flat twice, once 75-100 %, once 0-25 % of NO
    assert mean_exposure(result.replace(heat=tuple(map(tuple, counts.tolist())))) == pytest.approx(
        (0.875 + 0.125) / 4
    )
    assert 0 <= mean_exposure(result) <= 1


def test_a_dataset_without_a_train_split_gives_no_rule_and_says_so(monkeypatch):
    class Shut:
        digest = "e" * 12

        def entries(self, split):
            return []

    monkeypatch.setattr(rivals.Dataset, "open", lambda uri: Shut())
    said = []
    choice = choose_on_train("nowhere", ENV, QUICKLY, said.append)
    assert (choice.best, choice.why_not) == (None, "the dataset has no train split")
    assert said[-1] == "no rule chosen: the dataset has no train split"
