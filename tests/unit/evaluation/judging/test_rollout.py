"""Rollouts over real environments: totals agree with the records, whatever the policy does."""

import numpy as np
import pytest
import torch
from made import replay_bank
from made.evaluation_bank import bank_of, market, random_bank
from made.replay_bank import book, rows_of
from made.rollouts import env_of

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.levels import level_named
from kalshi_platform.models.networks.networks import build_network
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.rules.baselines import (
    DoNothing,
    HoldToSettlement,
    ImbalanceRule,
    JoinTheBid,
    RandomTrader,
)
from kalshi_platform.simulation.envs.episodes import event_episodes, market_episodes
from kalshi_platform.simulation.replay.observation import PORTFOLIO


@pytest.mark.parametrize("grouping", [market_episodes, event_episodes])
@pytest.mark.parametrize("n_envs", [1, 4, 40])
def test_every_table_sums_to_the_recorded_profit(grouping, n_envs):
    bank = random_bank()
    env = env_of(bank, n_envs, grouping(bank, 2))
    got = run_policy(RandomTrader(env.layout, 0.4, seed=1), env)
    total = int(got.records.pnl_e6.sum())
    assert total != 0
    assert got.tallies.price_pnl_e6.sum() == total
    assert got.tallies.close_pnl_e6.sum() == total
    assert got.tallies.curve_e6.sum() == total
    by_event = np.zeros(len(got.events), np.int64)
    np.add.at(
        by_event, [got.events.index(bank.markets[m].event) for m in got.records.market], got.records.pnl_e6
    )
    np.testing.assert_array_equal(got.tallies.price_pnl_e6.sum(1), by_event)
    assert got.curve_return[-1] == pytest.approx(total / (got.capital_e6 * got.episode.size))


def test_the_number_of_environments_does_not_change_the_result():
    bank = random_bank()
    few, many = (run_policy(hold(bank, n), env_of(bank, n)) for n in (2, 12))
    for name in ("pnl_e6", "fees_e6", "market"):
        order_few, order_many = np.argsort(few.records.episode), np.argsort(many.records.episode)
        np.testing.assert_array_equal(
            getattr(few.records, name)[order_few], getattr(many.records, name)[order_many]
        )
    np.testing.assert_array_equal(few.tallies.heat, many.tallies.heat)
    np.testing.assert_array_equal(few.tallies.curve_e6, many.tallies.curve_e6)


def hold(bank, n_envs):
    return HoldToSettlement(env_of(bank, n_envs).layout, bank)


def test_every_market_is_played_once_and_doing_nothing_costs_nothing():
    bank = random_bank()
    env = env_of(bank)
    got = run_policy(DoNothing(env.layout), env)
    assert sorted(got.records.market.tolist()) == list(range(len(bank.markets)))
    assert not got.records.pnl_e6.any()
    assert not got.drawdown_e6.any()
    assert not got.tallies.price_trips.any()
    assert got.mean_entropy is None


@pytest.mark.parametrize(("hold_logit", "entropy"), [(0.0, 1.0), (50.0, 0.0)])
def test_entropy_is_recomputed_from_the_networks_own_probabilities(hold_logit, entropy):
    bank = random_bank(2)
    env = env_of(bank)
    spec = PolicySpec(
        level=level_named("tiny"), n_slots=2, market=bank.feature_names, portfolio=PORTFOLIO,
        n_history=bank.arrays.temporal.shape[1], feature_digest="f" * 12, groups=(),
    )  # fmt: skip
    network = build_network(spec, 0)
    with torch.no_grad():
        network.action_head[-1].weight.zero_()
        network.action_head[-1].bias[HOLD] = hold_logit
    got = run_policy(NetworkPolicy(network, bank.arrays), env)
    assert got.mean_entropy == pytest.approx(entropy, abs=1e-6)


def test_the_random_trader_trades_at_the_rate_it_was_given():
    bank = random_bank()
    env = env_of(bank)
    got = run_policy(RandomTrader(env.layout, 0.25, seed=4), env)
    counts = got.records.action_counts.sum(0)
    with_choice = counts.sum() - got.idle_slots
    assert counts[1:].sum() / with_choice == pytest.approx(0.25, abs=0.05)
    with pytest.raises(ContractError, match=r"trade_rate=1\.5"):
        RandomTrader(env.layout, 1.5, seed=0)


def test_holding_buys_the_favourite_once_and_keeps_it():
    # the market at .80 is bought as YES, the one at .20 as NO; one order, no sale
    bank = bank_of(market("A", "E", [8_000] * 6, 10_000), market("B", "F", [2_000] * 6, 0))
    env = env_of(bank)
    got = run_policy(HoldToSettlement(env.layout, bank), env)
    assert got.records.n_orders.tolist() == [1, 1]
    assert got.records.action_counts[:, [2, 4]].sum() == 0
    assert got.records.action_counts[:, 1].tolist() == [1, 0]
    assert got.records.action_counts[:, 3].tolist() == [0, 1]
    assert (got.records.pnl_e6 > 0).all()


def test_the_maker_joins_the_bid_and_offers_what_it_got():
    # prints strictly through its price fill it: NO takers at .48 fill the bid at .49,
    # then YES takers at .52 fill the ask at .51
    a = market("A", "E", [5_000] * 8)
    a.rows.print_px_e4[2], a.rows.print_qty_e2[2], a.rows.print_side[2] = 4_800, 5_000, 1
    a.rows.print_px_e4[5], a.rows.print_qty_e2[5], a.rows.print_side[5] = 5_200, 5_000, 0
    bank = bank_of(a)
    env = env_of(bank, 1, order_style="maker")
    got = run_policy(JoinTheBid(env.layout), env)
    assert got.records.traded_e2.tolist() == [2_000]
    assert got.records.pnl_e6.tolist() == [200_000]  # 10 contracts x 2 cents, makers pay no fee here


def test_the_imbalance_rule_fills_its_limit_one_order_a_decision_and_obeys_the_mask():
    leaning = market("A", "E", [5_000] * 12, 10_000)
    leaning.rows.ask_qty_e2[:, 0] //= 10  # the bids hold ten times what the asks hold: 9 / 11 = 0.82
    bank = bank_of(leaning)
    env = env_of(bank, 1)
    got = run_policy(ImbalanceRule(env.layout, bank, threshold=0.5), env)
    assert got.records.n_fills.tolist() == [5]
    assert got.records.traded_e2.tolist() == [env.config.position_limit_e2]


def test_an_empty_schedule_is_refused():
    bank = random_bank(1)
    empty = type(market_episodes(bank, 2))(*(column[:0] for column in market_episodes(bank, 2)))
    env = env_of(bank, 1, empty)
    with pytest.raises(ContractError, match="schedule is empty"):
        run_policy(DoNothing(env.layout), env)


def test_a_masked_action_is_refused():
    bank = random_bank(1)
    env = env_of(bank)

    class Sells:
        def act(self, flat, rows):
            return np.full(rows.shape, 2, np.int8)

    with pytest.raises(ContractError, match="mask forbids"):
        run_policy(Sells(), env)


def test_rules_of_the_trading_filter_come_before_a_policy_that_is_played_filtered():
    markets = [
        replay_bank.market(
            rows_of(*(book(t, [(bid, 1_000)], [(bid + 100, 1_000)]) for t in (0, 0.5 + bid / 100_000, 9))),
            f"E-{bid}", "E", 0, mutually_exclusive=True,
        )
        for bid in (5_800, 5_600)
    ]  # fmt: skip
    bank = replay_bank.bank_of(*markets)
    plain, filtered = (
        run_policy(DoNothing(env.layout), env, filtered=is_filtered)
        for is_filtered in (False, True)
        for env in [env_of(bank, 1, event_episodes(bank, 2))]
    )
    assert plain.rule_slots == {}
    assert plain.records.n_orders.sum() == 0
    assert filtered.rule_slots["riskless"] >= 2
    assert (filtered.records.n_orders > 0).all()
    assert filtered.records.pnl_e6.sum() > 0
