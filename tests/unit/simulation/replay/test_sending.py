"""Sending: the same action keeps the resting order and its place, HOLD leaves it or cancels it."""

import numpy as np
import pytest
from made.replay_bank import DEEP, Script, bank_of, book, market, rows_of, schedule

from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.domain.actions import BUY_NO, BUY_YES, HOLD, SELL_YES
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.envs.episodes import FixedEpisodes
from kalshi_platform.simulation.envs.vector import ReplayVectorEnv
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE, RESTING
from kalshi_platform.simulation.replay.layout import layout_of
from kalshi_platform.simulation.replay.observation import N_PORTFOLIO, portfolio_column

BID, ASK = ((4_000, 500),), ((5_000, DEEP),)


def script(*books, **config):
    config = {"order_style": "maker", "order_qty_e2": 1_000, "order_ttl_ms": 3_600_000, **config}
    return Script(bank_of(market(rows_of(*books))), **config)


def prints(n, qty=100, bids=BID):
    """A quiet book, then a print of ``qty`` at the best bid every ten seconds."""
    return [book(0, bids, ASK), *(book(10 * k, bids, ASK, (NO, 4_000, qty)) for k in range(1, n))]


class TestTheSameActionAgain:
    def test_sends_nothing_and_keeps_the_place_in_the_queue(self):
        # 500 ahead, 100 are printed a row: the sixth print is the order's first
        s = script(*prints(12))
        positions = []
        for _ in range(8):
            s.step(BUY_YES)
            positions.append(int(s.slot().position_e2))
        assert positions == [0, 0, 0, 0, 0, 100, 200, 300]
        assert s.slot().n_orders == 1

    def test_begins_the_order_s_life_anew(self):
        s = script(*prints(20), order_ttl_ms=25_000)
        for _ in range(8):
            s.step(BUY_YES)
        assert (s.slot().n_orders, int(s.slot().position_e2)) == (1, 300)
        for _ in range(3):
            s.step(HOLD)
        assert s.slot().order_state == IDLE

    def test_keeps_what_a_fill_left_of_the_order(self):
        # near the limit the room shrinks as the order fills: 600 wanted, then 500 of 600
        s = script(*prints(12), position_limit_e2=1_600, order_qty_e2=1_000)
        s.slot().position_e2 = 1_000
        for _ in range(7):
            s.step(BUY_YES)
        assert (s.slot().n_orders, int(s.slot().order_qty_e2)) == (1, 400)

    def test_quotes_anew_at_another_price(self):
        books = [*prints(3), book(40, ((4_100, 300), (4_000, 500)), ASK), book(50, ((4_100, 300),), ASK)]
        s = script(*books)
        s.step(BUY_YES)
        s.step(BUY_YES)
        s.step(BUY_YES)
        s.step(BUY_YES)
        assert (s.slot().n_orders, int(s.slot().order_price_e4), int(s.slot().queue_e2)) == (2, 4_100, 300)

    def test_quotes_anew_where_the_size_differs(self):
        s = script(*prints(6), position_limit_e2=1_000)
        s.step(BUY_YES)
        s.slot().position_e2 = 400  # somebody else bought for the account: the room is 600 now
        s.step(BUY_YES)
        assert (s.slot().n_orders, int(s.slot().placed_qty_e2)) == (2, 600)

    def test_another_action_at_the_same_price_replaces_it(self):
        s = script(*prints(6))
        s.step(BUY_YES)
        s.step(BUY_NO)
        assert (s.slot().n_orders, int(s.slot().order_action)) == (2, BUY_NO)

    def test_is_allowed_where_the_account_cannot_pay_a_second_order(self):
        s = script(*prints(12), capital_e6=4_100_000)  # ten contracts at 40 cents and fees, once
        s.step(BUY_YES)
        assert s.mask() == [1, 1, 0, 0, 0]
        s.step(BUY_YES)
        assert (s.slot().n_orders, int(s.slot().order_state)) == (1, RESTING)
        assert s.env.reserved_e6 == s.slot().order_reserved_e6


class TestHold:
    def test_leaves_the_order_by_default(self):
        s = script(*prints(12))
        s.run(BUY_YES, *[HOLD] * 6)
        assert (s.slot().n_orders, int(s.slot().position_e2)) == (1, 200)

    def test_cancels_it_where_the_settings_say_so_when_the_cancel_arrives(self):
        # 500 ahead, 200 a row; the cancel takes 15 s: the print at 30 s still fills, that at 40 s does not
        s = script(*prints(8, qty=200), hold="cancel", latency_ms=15_000)
        s.step(BUY_YES)  # arrives at 15 s
        s.step(HOLD)  # in flight
        assert s.slot().order_state == RESTING
        s.step(HOLD)  # at 20 s: the cancel leaves and arrives at 35 s
        assert (s.slot().sent_action, s.slot().arrival_ns - s.env.now_ns) == (CANCEL, 5 * NS_PER_SECOND)
        layout = layout_of(1, 2, N_PORTFOLIO)
        assert portfolio_column("in_flight", layout, s.flat)[0, 0] == 1.0
        assert s.mask() == [1, 0, 0, 0, 0]
        assert s.slot().order_state == RESTING
        s.step(HOLD)
        assert (s.slot().order_state, s.slot().sent_action, s.env.reserved_e6) == (IDLE, HOLD, 0)
        assert s.slot().n_orders == 1

    def test_cancels_nothing_where_nothing_else_is_allowed(self):
        crossed = book(10, ((5_100, 500),), ASK)
        s = script(book(0, BID, ASK), crossed, book(20, BID, ASK), hold="cancel")
        s.step(BUY_YES)
        s.vector.slots["mask"][0, 0] = [1, 0, 0, 0, 0]
        s.step(HOLD)
        assert s.slot().order_state == RESTING

    def test_of_a_taker_is_as_ever(self):
        books = [book(10 * k, BID, ASK) for k in range(5)]
        kept, cancels = (script(*books, order_style="taker", hold=h) for h in ("keep", "cancel"))
        for s in (kept, cancels):
            s.run(BUY_YES, HOLD, SELL_YES, HOLD)
        assert kept.rewards == cancels.rewards


def random_market(seed, n=400):
    """Bids that grow, shrink and trade at a best price that seldom moves."""
    rng, books, best = np.random.default_rng(seed), [], 4_000
    for k in range(n):
        best += int(rng.choice([-100, 100])) if rng.random() < 0.02 else 0
        side = NO if rng.random() < 0.5 else YES
        trade = (side, best if side == NO else best + 200, int(rng.integers(50, 400)))
        levels = [(best - 100 * j, int(rng.integers(300, 1_500))) for j in range(5)]
        asks = [(best + 200 + 100 * j, int(rng.integers(300, 1_500))) for j in range(5)]
        books.append(book(k, levels, asks, trade if rng.random() < 0.4 else None))
    return market(rows_of(*books), f"M{seed}", f"E{seed}")


def filled(seed, choose):
    """Contracts (1e-2) that a maker with plenty of money bought who answers ``choose(k)`` at decision k."""
    rich = {"position_limit_e2": 10**7, "capital_e6": 10**12}
    s = Script(bank_of(random_market(seed)), order_style="maker", hold="cancel", order_qty_e2=200, **rich)
    for k in range(390):
        action = choose(k)
        s.step(action if s.slot().mask[action] else HOLD)
    return int(s.slot().traded_e2)


@pytest.mark.parametrize("seed", range(3))
def test_who_quotes_anew_every_step_is_filled_less_than_who_rests(seed):
    # both bid all the time at which they decide; one gives the place up at every second decision
    rests = filled(seed, lambda k: BUY_YES)
    quotes_anew = filled(seed, lambda k: BUY_YES if k % 2 == 0 else HOLD)
    assert 0 < quotes_anew < rests


def test_requoting_at_a_long_queue_never_fills_and_resting_does():
    # 500 ahead, 100 printed a row: nobody who rejoins every second row is ever first
    books = prints(60)
    rests, anew = (script(*books, hold="cancel", order_qty_e2=100, position_limit_e2=100) for _ in range(2))
    for k in range(40):
        rests.step(BUY_YES if rests.slot().mask[BUY_YES] else HOLD)
        anew.step(BUY_YES if k % 2 == 0 else HOLD)
    assert (int(rests.slot().traded_e2), int(anew.slot().traded_e2)) == (100, 0)
    assert anew.slot().n_orders == 20


def test_a_plain_and_a_compiled_step_agree():
    from kalshi_platform.simulation.replay.sending import has_choice, keeps_order, submit

    bank = bank_of(market(rows_of(*prints(12))))
    config = EnvConfig(n_slots=1, order_style="maker", hold="cancel", latency_ms=0, order_qty_e2=1_000)
    envs = [ReplayVectorEnv(bank, FixedEpisodes(schedule(bank, 0)), config, 1) for _ in range(2)]
    for env in envs:
        env.reset(*env.buffers())
    row, terms = bank.arrays.rows[0], bank.arrays.terms[0]
    for action in (BUY_YES, BUY_YES, HOLD):
        for env, send in zip(envs, (submit, submit.py_func), strict=True):
            send(
                row,
                terms,
                env.envs[0],
                env.slots[0, 0],
                action,
                5 * NS_PER_MS,
                config.execution,
                config.sending,
            )
            if action != HOLD:
                slot = env.slots[0, 0]
                slot.order_state, slot.sent_action = RESTING, HOLD
                slot.order_action, slot.order_price_e4, slot.order_qty_e2 = BUY_YES, 4_000, 1_000
            assert keeps_order.py_func(row, terms, env.slots[0, 0], BUY_YES, config.execution)
            assert has_choice.py_func(env.slots[0, 0]) == has_choice(env.slots[0, 0])
        assert envs[0].slots.tobytes() == envs[1].slots.tobytes()
    assert envs[0].slots[0, 0].sent_action == CANCEL
