"""Fills and resting orders: each is what the script traded, and their sums are the records'."""

import numpy as np
import pytest
from made.evaluation_bank import bank_of, market, random_bank
from made.rollouts import Script, env_of

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.evaluation.judging.fills import MIXED, VALUED_AT_END, action_of
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.models.rules.baselines import JoinTheBid, RandomTrader
from kalshi_platform.simulation.envs.episodes import event_episodes, market_episodes

SECOND = 1_000_000_000


def played(mids, actions, settlement_e4=-1, **settings):
    bank = bank_of(market("A", "E", mids, settlement_e4))
    env = env_of(bank, 1, **settings)
    return bank, run_policy(Script(env.layout, actions), env, keep_trips=True)


def test_a_fill_holds_its_order_s_action_time_size_price_and_the_position_after_it():
    # bought 10 at .51 on row 0, 10 more at .51 on row 1, sold at .69 in two sales from row 3 on
    bank, got = played([5_000, 5_000, 5_000, 7_000, 7_000, 7_000, 7_000], [1, 1, 0, 2, 2, 0], fee_scale_e6=0)
    start = int(bank.arrays.rows["recv_ns"][0])
    found = [(f["action"], (f["at_ns"] - start) // SECOND, f["position_e2"]) for f in got.fills]
    assert found == [(BUY_YES, 0, 1_000), (BUY_YES, 1, 2_000), (SELL_YES, 3, 1_000), (SELL_YES, 4, 0)]
    assert got.fills["value_e6"].tolist() == [1_000 * 5_100, 1_000 * 5_100, 1_000 * 6_900, 1_000 * 6_900]
    assert set(got.fills["n_fills"].tolist()) == {1}


def test_a_taker_s_fill_has_the_time_at_which_its_order_reached_the_book():
    bank, got = played([5_000] * 5, [1, 0], latency_ms=250)
    (fill, end) = got.fills
    assert fill["at_ns"] == int(bank.arrays.rows["recv_ns"][0]) + 250_000_000
    assert end["action"] == VALUED_AT_END  # the data ended: the fee of the sale that the value assumes
    assert (end["contracts_e2"], end["n_fills"], end["position_e2"]) == (0, 0, 0)
    assert end["fees_e6"] > 0


def test_a_no_fill_has_the_no_price_and_a_negative_position():
    _, got = played([8_000] * 4, [3, 4, 0], settlement_e4=0, fee_scale_e6=0)
    assert got.fills["action"].tolist() == [BUY_NO, SELL_NO]
    assert got.fills["position_e2"].tolist() == [-1_000, 0]
    assert got.fills["value_e6"].tolist() == [1_000 * 2_100, 1_000 * 1_900]


def test_what_the_last_decision_filled_is_there_too():
    _, got = played([8_000] * 4, [0, 0, 1], settlement_e4=10_000, fee_scale_e6=0)
    (fill,) = got.fills
    assert (fill["action"], fill["contracts_e2"], fill["position_e2"]) == (BUY_YES, 1_000, 1_000)


def test_a_resting_order_is_kept_with_its_price_and_the_time_it_rested():
    # joins the bid at .49 on row 0 and rests; from row 3 on the market is higher, and the order stays
    bank, got = played([5_000] * 3 + [6_000] * 3, [1, 0], order_style="maker")
    (order,) = got.orders
    start = int(bank.arrays.rows["recv_ns"][0])
    assert (order["action"], order["price_e4"]) == (BUY_YES, 4_900)
    assert order["from_ns"] - start <= SECOND
    assert order["to_ns"] == int(bank.arrays.rows["recv_ns"][-1])


@pytest.mark.parametrize("grouping", [market_episodes, event_episodes])
@pytest.mark.parametrize("style", ["taker", "maker"])
def test_fills_add_up_to_the_records_of_every_episode(grouping, style):
    bank = random_bank(5, 2, 90, seed=7)
    env = env_of(bank, 3, grouping(bank, 2), order_style=style)
    policy = RandomTrader(env.layout, 0.4, seed=1) if style == "taker" else JoinTheBid(env.layout)
    got = run_policy(policy, env, keep_trips=True)
    names = {
        "contracts_e2": "traded_e2",
        "value_e6": "turnover_e6",
        "fees_e6": "fees_e6",
        "n_fills": "n_fills",
        "n_queued": "n_queued",
        "ahead_e2": "ahead_e2",
        "passed_ahead_e2": "passed_ahead_e2",
    }
    assert got.fills.size > 0
    for name, of_record in names.items():
        keys = zip(got.records.episode, got.records.slot, strict=True)
        by_record = dict(zip(keys, getattr(got.records, of_record), strict=True))
        found = dict.fromkeys(by_record, 0)
        for fill in got.fills:
            found[fill["episode"], fill["slot"]] += fill[name]
        assert found == by_record
    assert (got.orders.size > 0) == (style == "maker")
    assert (got.orders["to_ns"] >= got.orders["from_ns"]).all()


def test_nothing_is_lost_where_the_buffer_is_moved_many_times():
    bank = random_bank(4, 2, 900, seed=3)
    env = env_of(bank, 2, latency_ms=0)
    got = run_policy(RandomTrader(env.layout, 0.9, seed=1), env, keep_trips=True)
    assert got.fills.size > 4_096
    assert got.fills["n_fills"].sum() == got.records.n_fills.sum()


def test_no_fill_is_kept_unless_asked_for():
    env = env_of(random_bank(2), 2)
    got = run_policy(RandomTrader(env.layout, 0.4, seed=1), env)
    assert got.fills.size == got.orders.size == 0


@pytest.mark.parametrize("plain", [False, True], ids=["numba", "python"])
def test_an_action_is_told_from_the_position_before_and_after(plain):
    tell = action_of.py_func if plain else action_of
    cases = [
        ((0, 10, 10), BUY_YES), ((10, 4, 6), SELL_YES), ((0, -10, 10), BUY_NO), ((-10, 0, 10), SELL_NO),
        ((5, -5, 10), MIXED), ((5, 5, 4), MIXED), ((0, 10, 12), MIXED),
    ]  # fmt: skip
    assert [tell(*case) for case, _ in cases] == [action for _, action in cases]
    assert np.unique([action for _, action in cases]).size == 5
