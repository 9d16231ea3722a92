"""Round trips one by one: each is what the script traded, and their sums are the records'."""

import numpy as np
import pytest
from made.evaluation_bank import bank_of, market, random_bank
from made.rollouts import Script, env_of

from kalshi_platform.evaluation.judging import trips
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.evaluation.judging.trips import SETTLED, SOLD, VALUED
from kalshi_platform.models.rules.baselines import JoinTheBid, RandomTrader
from kalshi_platform.simulation.envs.episodes import event_episodes, market_episodes

SECOND = 1_000_000_000


def played(mids, actions, settlement_e4=-1, **settings):
    bank = bank_of(market("A", "E", mids, settlement_e4))
    env = env_of(bank, 1, **settings)
    return bank, run_policy(Script(env.layout, actions), env, keep_trips=True)


def test_a_trip_holds_what_was_bought_paid_and_earned():
    # bought 10 at .51 on row 0, 10 more at .51 on row 1, all sold at .69 from row 3 on, in two sales
    bank, got = played([5_000, 5_000, 5_000, 7_000, 7_000, 7_000, 7_000], [1, 1, 0, 2, 2, 0], fee_scale_e6=0)
    (trip,) = got.trips
    start = int(bank.arrays.rows["recv_ns"][0])
    assert (trip["side"], trip["ending"], trip["n_fills"]) == (1, SOLD, 4)
    assert (trip["contracts_e2"], trip["paid_e6"]) == (2_000, 2_000 * 5_100)
    assert trip["pnl_e6"] == 2_000 * (6_900 - 5_100) == got.records.pnl_e6[0]
    assert trip["entry_ns"] == start
    assert trip["exit_ns"] == start + 5 * SECOND  # first seen flat after the second sale on row 4


def test_a_trip_on_the_no_side_pays_the_no_price_and_is_settled():
    _, got = played([8_000] * 4, [3, 0], settlement_e4=0, fee_scale_e6=0)
    (trip,) = got.trips
    assert (trip["side"], trip["ending"]) == (-1, SETTLED)
    assert (trip["contracts_e2"], trip["paid_e6"]) == (1_000, 1_000 * 2_100)  # 1 - bid .79
    assert trip["pnl_e6"] == 1_000 * (10_000 - 2_100)


def test_a_position_left_at_the_end_of_the_data_is_valued():
    _, got = played([5_000] * 4, [1, 0])
    (trip,) = got.trips
    assert trip["ending"] == VALUED
    assert trip["fees_e6"] == got.records.fees_e6[0] > 0
    assert trip["pnl_e6"] == got.records.pnl_e6[0]


def test_an_order_of_the_last_decision_is_a_trip_of_its_own_side():
    _, got = played([8_000] * 4, [0, 0, 1], settlement_e4=10_000, fee_scale_e6=0)
    (trip,) = got.trips
    assert (trip["side"], trip["contracts_e2"], trip["paid_e6"]) == (1, 1_000, 1_000 * 8_100)
    assert trip["pnl_e6"] == got.records.pnl_e6[0] == 1_000 * 1_900


@pytest.mark.parametrize("grouping", [market_episodes, event_episodes])
@pytest.mark.parametrize("style", ["taker", "maker"])
def test_trips_add_up_to_the_records_of_every_episode(grouping, style):
    bank = random_bank(5, 2, 90, seed=7)
    env = env_of(bank, 3, grouping(bank, 2), order_style=style)
    policy = RandomTrader(env.layout, 0.4, seed=1) if style == "taker" else JoinTheBid(env.layout)
    got = run_policy(policy, env, keep_trips=True)
    records = got.records
    assert got.trips.size == got.tallies.price_trips.sum() > 0
    for name in ("pnl_e6", "fees_e6", "n_fills"):
        by_record = {
            (e, s): v for e, s, v in zip(records.episode, records.slot, getattr(records, name), strict=True)
        }
        found = dict.fromkeys(by_record, 0)
        for trip in got.trips:
            found[trip["episode"], trip["slot"]] += trip[name]
        assert found == by_record
    assert (got.trips["exit_ns"] >= got.trips["entry_ns"]).all()
    assert set(np.unique(got.trips["side"])) <= {-1, 1}


def test_no_trip_is_kept_unless_asked_for():
    env = env_of(random_bank(2), 2)
    assert run_policy(RandomTrader(env.layout, 0.4, seed=1), env).trips.size == 0


@pytest.mark.parametrize("plain", [False, True], ids=["numba", "python"])
def test_a_book_follows_a_position_that_grows_and_shrinks(plain):
    follow = trips.follow_size.py_func if plain else trips.follow_size
    book = trips.allocate_trips(1, 1, 0)
    zero, one = np.zeros((1, 1), np.int64), np.zeros(1, np.int64)
    fields = {name: zero.copy() for name in trips.Accounts._fields}
    fields |= {name: one.copy() for name in ("equity_e6", "now_ns", "episode")}
    account = trips.Accounts(**{**fields, "n_fills": np.zeros((1, 1), np.int32)})
    for position, cost, is_new in ((-10, 40, True), (-30, 130, False), (-20, 86, False), (-25, 110, False)):
        account.position_e2[0, 0], account.cost_e6[0, 0] = position, cost
        follow(book, account, 0, 0, is_new)
    assert book.bought_e2[0, 0] == 10 + 20 + 5
    assert book.paid_e6[0, 0] == 40 + 90 + 24
