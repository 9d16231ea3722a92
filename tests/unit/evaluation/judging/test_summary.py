"""The figures of one policy: tables agree with one another and with the records."""

import numpy as np
import pytest
from made.evaluation_bank import bank_of, in_block, market, random_bank
from made.judging import ENV, QUICK
from made.rollouts import CONFIG, Script, env_of

from kalshi_platform.evaluation.judging import watch
from kalshi_platform.evaluation.judging.evaluate import evaluate
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.evaluation.judging.sample import pool
from kalshi_platform.evaluation.judging.summary import PolicyResult, Slice, price_labels, summarise
from kalshi_platform.models.rules.baselines import RandomTrader


def test_totals_agree_across_the_tables(judged):
    p = judged.policy
    assert sum(m.pnl_e6 for m in p.markets) == p.trading.pnl_e6
    assert sum(e.pnl_e6 for e in p.events) == p.trading.pnl_e6
    for slices in (p.by_provenance, p.by_category, p.by_price, p.by_time_to_close):
        assert sum(s.pnl_e6 for s in slices) == p.trading.pnl_e6
    assert p.trading.gross_e6 - p.trading.fees_e6 == p.trading.pnl_e6
    assert p.curve_return[-1] * judged.env.capital_e6 * p.n_episodes == pytest.approx(p.trading.pnl_e6)
    assert p.mean_return.estimate == pytest.approx(np.mean([e.mean_return for e in p.events]))


def played(bank, *actions, **settings):
    """The figures of a script on ``bank``, without fees."""
    env = env_of(bank, len(bank.markets), fee_scale_e6=0, **settings)
    config = CONFIG.replace(fee_scale_e6=0, **settings)
    rollout = run_policy(Script(env.layout, list(actions)), env)
    sample = pool(bank, config, [0], [rollout])
    return summarise(sample, "script", "", QUICK.bootstrap)


def test_a_round_trip_is_worked_by_hand():
    # Bought at .51, sold at .69: 10 contracts gain 10 x .18 = 1.80 dollars; two orders, both filled whole.
    bank = bank_of(market("A", "E", [5_000, 5_000, 5_000, 7_000, 7_000, 7_000]))
    got = played(bank, 1, 0, 0, 2, 0)
    assert got.trading.pnl_e6 == got.trading.gross_e6 == 1_800_000
    assert (got.trading.n_orders, got.trading.n_fills, got.trading.fill_rate) == (2, 2, 1.0)
    assert (got.trading.round_trips, got.trading.winning_trips) == (1, 1)
    assert got.trading.turnover_e6 == 10 * (510_000 + 690_000)
    assert got.mean_return.estimate == pytest.approx(1_800_000 / CONFIG.capital_e6)
    assert [(s.label, s.n, s.estimate.estimate) for s in got.by_price] == [("50-60c", 1, 1.8)]
    assert [s.label for s in got.by_time_to_close] == ["< 10 s"]
    assert got.mean_return.low is None  # one event carries no spread


def test_a_policy_that_never_orders_has_no_fill_rate_and_no_slice_by_trip():
    got = played(random_bank(3, 1, 60), 0)
    assert got.trading.fill_rate is None
    assert got.trading.trade_rate == 0.0
    assert got.by_price == got.by_time_to_close == ()
    assert got.share_profitable_events == 0.0


def blocked(*names):
    """Events E0, E1, ... of one market each, in the blocks ``names``; the mids rise from .51 to .69."""
    mids = [5_000, 5_000, 5_000, 7_000, 7_000, 7_000]
    return bank_of(*(in_block(market(f"M{k}", f"E{k}", mids), name) for k, name in enumerate(names)))


def test_two_blocks_decide_nothing_though_they_hold_five_events():
    got = played(blocked("mon", "mon", "mon", "mon", "tue"), 1, 0, 0, 2, 0)
    assert (got.n_events, got.n_blocks) == (5, 2)
    assert [(b.block, b.n_events) for b in got.blocks] == [("mon", 4), ("tue", 1)]
    assert {e.block for e in got.events} == {"mon", "tue"}
    assert got.mean_return.estimate is not None
    assert (got.mean_return.low, got.mean_return.note) == (None, "n = 2, decides nothing")
    assert (got.event_sharpe, got.probabilistic_sharpe, got.annual_sharpe) == (None, None, None)
    assert not got.mean_return.above_zero
    for part in (*got.by_provenance, *got.by_category, *got.by_price):
        assert (part.n_events, part.n_blocks, part.estimate.low) == (5, 2, None)
    assert '"event_sharpe":null' in got.model_dump_json()


def test_equal_blocks_have_no_sharpe_ratio():
    got = played(blocked("a", "b", "c", "d"), 1, 0, 0, 2, 0)
    assert got.n_blocks == 4
    assert got.event_sharpe is None, "was mean / 1e-12"


def test_a_report_of_an_earlier_version_resampled_events(judged):
    old = judged.policy.model_dump(mode="json", exclude={"n_blocks", "blocks"})
    for rows in (old["by_provenance"], old["by_category"], old["by_price"], old["by_time_to_close"]):
        for row in rows:
            del row["n_blocks"]
    for row in old["events"]:
        del row["block"]
    found = PolicyResult.parse(old)
    assert found.n_blocks == found.n_events == 12
    assert found.block_returns == {e.event: e.mean_return for e in found.events}
    assert all(isinstance(s, Slice) and s.n_blocks == s.n_events for s in found.by_category)


def test_price_labels_name_the_bins_of_ten_cents():
    labels = price_labels()
    assert labels[0] == "0-10c"
    assert labels[watch.price_bin(5_500)] == "50-60c"
    assert len(labels) == watch.N_PRICE_BINS


def test_one_play_has_no_spread():
    bank = random_bank(2, 1, 60, seed=1)
    for seeds, spread in (((0,), False), ((0, 1), True)):
        config = QUICK.replace(seeds=seeds, schedule="windows", window_steps=20, episodes_per_market=1)
        found = evaluate(lambda env: RandomTrader(env.layout, 0.5, seed=1), bank, ENV, config)
        assert {m.std_return is not None for m in found.policy.markets} == {spread}
