"""Rules that a trained policy must beat, each decision worked by hand on one slot of a made observation."""

import numpy as np
import pytest
from made.evaluation_bank import bank_of, market, random_bank
from made.replay_bank import bank_of as bank_of_books
from made.replay_bank import book, rows_of
from made.replay_bank import market as market_of_books

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, N_ACTIONS, SELL_NO, SELL_YES
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.rules import baselines
from kalshi_platform.models.rules.baselines import (
    BASELINES,
    HoldToSettlement,
    ImbalanceRule,
    JoinTheBid,
    RandomTrader,
    SpreadReversion,
    build_baseline,
    favourite_is_yes,
    where_available,
)
from kalshi_platform.simulation.replay.layout import Blocks, join, layout_of
from kalshi_platform.simulation.replay.observation import N_PORTFOLIO, PORTFOLIO

LAYOUT = layout_of(1, 2, N_PORTFOLIO)  # one slot, features mid and next_mid


def seen(market=(0.0, 0.0), allowed=range(N_ACTIONS), **portfolio) -> np.ndarray:
    """One observation (1, width) of one slot that may take the ``allowed`` actions."""
    own = np.zeros((1, 1, N_PORTFOLIO), np.float32)
    for name, value in portfolio.items():
        own[0, 0, PORTFOLIO.index(name)] = value
    mask = np.zeros((1, 1, N_ACTIONS), np.float32)
    mask[..., [HOLD, *allowed]] = 1.0
    return join(Blocks(np.array([[market]], np.float32), own, np.ones((1, 1), np.float32), mask))


def decide(policy, flat: np.ndarray, row: int = 0) -> int:
    actions = policy.act(flat, np.array([[row]], np.int32))
    assert actions.dtype == np.int8
    return int(actions[0, 0])


def test_an_action_that_is_not_available_becomes_hold():
    mask = np.array([[[1, 1, 0, 0, 0], [1, 0, 0, 0, 1]]])
    assert where_available(mask, np.array([[BUY_YES, BUY_YES]])).tolist() == [[BUY_YES, HOLD]]
    assert where_available(mask, np.array([[SELL_NO, SELL_NO]])).tolist() == [[HOLD, SELL_NO]]


@pytest.mark.parametrize(
    ("bids", "asks", "yes"),
    [
        (((4_800, 1),), ((5_400, 1),), True),  # mid 0.51
        (((4_600, 1),), ((5_400, 1),), False),  # mid 0.50 is no favourite
        (((5_100, 1),), (), True),  # the bid alone speaks
        ((), ((4_900, 1),), False),  # the ask alone speaks
        ((), (), False),
    ],
)
def test_the_favourite_is_the_outcome_priced_above_a_half(bids, asks, yes):
    bank = bank_of_books(market_of_books(rows_of(book(0, bids, asks), book(1, bids, asks))))
    assert favourite_is_yes(bank, np.array([[0, -1]], np.int32)).tolist() == [[yes, False]]


@pytest.mark.parametrize(("mid_e4", "bought"), [(8_000, BUY_YES), (2_000, BUY_NO)])
def test_holding_to_settlement_buys_only_while_flat_and_nothing_rests(mid_e4, bought):
    policy = HoldToSettlement(LAYOUT, bank_of(market("A", "E", [mid_e4] * 3)))
    assert decide(policy, seen()) == bought
    assert decide(policy, seen(position=0.2)) == HOLD
    assert decide(policy, seen(position=-0.2)) == HOLD
    assert decide(policy, seen(resting_side=1.0)) == HOLD
    assert decide(policy, seen(), row=-1) == HOLD
    assert decide(policy, seen(allowed=(SELL_YES,))) == HOLD


@pytest.mark.parametrize(
    ("exposure", "position", "action"),
    [
        (0.5, 0.2, BUY_YES), (0.5, 0.4, BUY_YES), (0.5, 0.6, HOLD), (0.4, 0.4, HOLD), (1.0, 0.8, BUY_YES),
        (0.5, -0.2, BUY_NO), (0.5, -0.6, HOLD), (0.0, 0.2, HOLD), (0.0, 0.0, BUY_YES),
    ],
)  # fmt: skip
def test_holding_buys_whole_orders_up_to_its_exposure_and_stays_on_its_side(exposure, position, action):
    policy = HoldToSettlement(LAYOUT, bank_of(market("A", "E", [8_000] * 3)), exposure)
    assert decide(policy, seen(position=position)) == action


@pytest.mark.parametrize("exposure", [-0.1, 1.1, float("nan")])
def test_an_exposure_that_is_no_share_of_the_limit_is_refused(exposure):
    with pytest.raises(ContractError, match=r"outside 0\.\.1"):
        HoldToSettlement(LAYOUT, random_bank(1), exposure)


def test_joining_the_bid_leaves_a_fitting_order_alone_and_sends_one_left_behind_anew():
    policy = JoinTheBid(LAYOUT, requote_distance=0.01)
    assert decide(policy, seen()) == BUY_YES
    assert decide(policy, seen(resting_side=1.0, resting_distance=0.01)) == HOLD
    assert decide(policy, seen(resting_side=1.0, resting_distance=0.02)) == BUY_YES
    assert decide(policy, seen(position=0.2)) == SELL_YES
    assert decide(policy, seen(position=0.2, resting_side=-1.0)) == HOLD
    assert decide(policy, seen(position=0.2, resting_side=1.0)) == SELL_YES  # still a bid: turn to offering
    assert decide(policy, seen(), row=-1) == HOLD


@pytest.mark.parametrize(
    ("bids_e2", "asks_e2", "position", "action"),
    [
        (400, 100, 0.0, BUY_YES),  # (400 - 100) / 500 = 0.6
        (100, 400, 0.0, BUY_NO), (300, 100, 0.0, HOLD),  # 0.5 is not beyond the threshold
        (400, 100, 0.4, BUY_YES),  # one more order below the limit
        (100, 400, -0.4, BUY_NO), (300, 200, 0.4, HOLD),  # 0.2: still on its side
        (200, 200, 0.4, SELL_YES), (200, 200, -0.4, SELL_NO),  # gone at zero
        (100, 400, 0.4, SELL_YES), (400, 100, -0.4, SELL_NO),
        (-1, 400, 0.0, HOLD), (-1, 400, 0.4, SELL_YES),  # a size that is not known leans nowhere
    ],
)  # fmt: skip
def test_the_imbalance_rule_adds_beyond_its_threshold_and_leaves_when_the_lean_is_gone(
    bids_e2, asks_e2, position, action
):
    rows = rows_of(*(book(t, [(4_000, bids_e2)], [(4_200, asks_e2)]) for t in (0, 1)))
    policy = ImbalanceRule(LAYOUT, bank_of_books(market_of_books(rows)), threshold=0.5)
    assert decide(policy, seen(position=position)) == action
    assert decide(policy, seen(position=position), row=-1) == HOLD


def wide_after(mid_e4: int) -> SpreadReversion:
    """The rule on a market at 50 c, 2 c wide, whose row 1, a second later, is 8 c wide around ``mid_e4``."""
    quotes = [(0, 4_900, 5_100), (1, mid_e4 - 400, mid_e4 + 400), (601, 4_900, 5_100)]
    rows = rows_of(*(book(t, [(bid, 100)], [(ask, 100)]) for t, bid, ask in quotes))
    return SpreadReversion(LAYOUT, bank_of_books(market_of_books(rows)), threshold=2.0)


def test_spread_reversion_bids_for_what_fell_while_the_spread_is_wide():
    fell, rose, stood = wide_after(4_500), wide_after(5_500), wide_after(5_000)
    assert [decide(fell, seen(), row) for row in (0, 1, 2)] == [HOLD, BUY_YES, HOLD]
    assert [decide(rose, seen(), row) for row in (0, 1, 2)] == [HOLD, BUY_NO, HOLD]
    assert decide(stood, seen(), 1) == HOLD  # wide, but nothing moved
    assert decide(fell, seen(resting_side=1.0), 1) == HOLD  # its bid works already
    assert decide(fell, seen(resting_side=-1.0), 1) == BUY_YES
    assert decide(fell, seen(position=0.2), 1) == BUY_YES  # scaled up to the limit
    assert decide(fell, seen(), row=-1) == HOLD


def test_spread_reversion_leaves_when_the_spread_is_at_its_average_again():
    # ten minutes after the 8 c: mean = 8 + e^-10 (2 + e^(-1/60) 0 - 8) c, so 2 c is below it
    fell = wide_after(4_500)
    assert decide(fell, seen(position=0.2), 2) == SELL_YES
    assert decide(fell, seen(position=-0.2), 2) == SELL_NO
    assert decide(fell, seen(position=0.2, resting_side=-1.0), 2) == HOLD  # its offer works already


def test_a_random_trader_acts_at_its_rate_and_takes_every_available_trade_alike():
    flat = np.repeat(seen(allowed=(BUY_YES, SELL_NO)), 20_000, axis=0)
    rows = np.zeros((20_000, 1), np.int32)
    actions = RandomTrader(LAYOUT, 0.3, seed=1).act(flat, rows)
    counts = np.bincount(actions[:, 0], minlength=N_ACTIONS)
    # 20,000 x 0.3 / 2 = 3,000 each; the standard deviation is sqrt(20,000 x 0.15 x 0.85) = 50
    assert counts[[SELL_YES, BUY_NO]].tolist() == [0, 0]
    assert counts[BUY_YES] == pytest.approx(3_000, abs=250)
    assert counts[SELL_NO] == pytest.approx(3_000, abs=250)
    np.testing.assert_array_equal(RandomTrader(LAYOUT, 0.3, seed=1).act(flat, rows), actions)
    assert (RandomTrader(LAYOUT, 0.3, seed=2).act(flat, rows) != actions).any()
    assert (RandomTrader(LAYOUT, 0.0, seed=1).act(flat, rows) == HOLD).all()


def test_a_random_trader_with_nothing_but_hold_holds():
    assert decide(RandomTrader(LAYOUT, 1.0, seed=1), seen(allowed=())) == HOLD


@pytest.mark.parametrize("name", [b.name for b in BASELINES])
def test_every_baseline_of_the_table_is_built_and_acts(name):
    bank = random_bank(1)
    policy = build_baseline(name, LAYOUT, bank, trade_rate=1.0, seed=3, threshold=0.5)
    assert 0 <= decide(policy, seen()) < N_ACTIONS
    assert decide(policy, seen(allowed=())) == HOLD
    assert (type(policy).__name__ == "DoNothing") == (name == "do_nothing")


@pytest.mark.parametrize("name", [b.name for b in BASELINES if b.grid])
def test_a_rule_without_a_threshold_chosen_on_training_events_is_not_built(name):
    with pytest.raises(ContractError, match="chosen on training events"):
        build_baseline(name, LAYOUT, random_bank(1), trade_rate=0.0, seed=0)


def test_an_unknown_baseline_is_refused_with_the_names_there_are():
    with pytest.raises(ContractError) as refused:
        build_baseline("alchemy", LAYOUT, random_bank(1), 0.5, 0)
    for name in ("alchemy", *(b.name for b in baselines.BASELINES)):
        assert name in str(refused.value)
