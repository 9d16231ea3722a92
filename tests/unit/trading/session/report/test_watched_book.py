"""Accounts of a replay: what they note of their orders' beginnings and ends, and how controls bind them."""

import numpy as np
import pytest

from kalshi_platform.data.market_data.capture import ConnectionEnd, Frame
from kalshi_platform.domain.actions import ACTIONS, HOLD
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE, RESTING
from kalshi_platform.simulation.replay.impact import ASK, taken_e2
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.report.watched_book import (
    CANCELLED,
    EXPIRED,
    LOST,
    NEVER_RESTED,
    REPLACED,
    ReplayEnd,
    Rested,
    WatchedBook,
)

TICKER, START_NS = "KXHIGHNY-26NOV24-B45", 1_795_500_000_000_000_000
BUY, SELL = ACTIONS["BUY_YES"], ACTIONS["SELL_YES"]
FIRST = (0, 0, 1)


def at_ns(ms: int) -> int:
    return START_NS + ms * NS_PER_MS


class Scene:
    """One market of a replay, 100 ms of latency: YES bid 0.40 with 50 contracts, ask 0.55 with 9."""

    def __init__(self, style: str = "maker", **trading) -> None:
        config = TradingConfig(n_slots=1, order_style=style, latency_ms=100, **trading)
        self.book = WatchedBook(config, 0)
        self.books = LiveBooks(config, 0, watcher=self.book)
        self.n = 0

    def frame(self, ms: int, bid: str = "0.4000", no_bid: str = "0.4500", asked: str = "9.00") -> None:
        self.n += 1
        sides = {"yes_dollars_fp": [[bid, "50.00"]], "no_dollars_fp": [[no_bid, asked]]}
        msg = {"market_ticker": TICKER, **sides}
        message = {"type": "orderbook_snapshot", "sid": 1, "seq": self.n, "msg": msg}
        self.books.feed(Frame(self.n, at_ns(ms), 1, str(self.n)), message)

    def act(self, action: int = HOLD) -> None:
        """Show the account at the newest frame, and act."""
        self.book.show(self.books, 0, self.books.now_ns)
        self.book.act(self.books, 0, self.books.now_ns, np.array([action], np.int8))

    def step(self, ms: int, action: int = HOLD, **frame: str) -> None:
        self.frame(ms, **frame)
        self.act(action)

    @property
    def slot(self):
        return self.book.account(0).slots[0, 0]


def rested() -> Scene:
    """Scene whose first order rests since 100 ms."""
    scene = Scene(order_ttl_ms=1_000)
    scene.step(0, BUY)
    scene.step(500)
    assert scene.slot["order_state"] == RESTING
    return scene


def test_an_order_that_rests_is_noted_with_its_size_and_what_stood_ahead():
    scene = rested()
    assert scene.book.rested == {FIRST: Rested(1_000, 5_000)}
    assert scene.book.ends == {}
    assert scene.book.states[0, 0, at_ns(0)].order is None


def test_a_decision_knows_the_order_that_rests_and_the_line_of_the_recording():
    scene = rested()
    scene.book.line = 17
    scene.step(600, BUY)
    state = scene.book.states[0, 0, at_ns(600)]
    assert (state.order, state.line, state.cash_e6) == ((0, 0, at_ns(0)), 17, 200_000_000)
    assert state.is_resting


def test_a_cancel_ends_an_order_as_it_arrives():
    scene = rested()
    scene.step(600, CANCEL)
    scene.step(900)
    assert scene.book.ends == {FIRST: ReplayEnd(at_ns(700), CANCELLED)}


def test_another_order_takes_the_place_as_it_arrives():
    scene = rested()
    scene.step(600, BUY, bid="0.4100")
    scene.step(900, bid="0.4100")
    assert scene.book.ends == {FIRST: ReplayEnd(at_ns(700), REPLACED)}
    assert set(scene.book.rested) == {FIRST, (0, 0, 2)}


def test_an_order_that_nobody_keeps_ends_with_its_life():
    scene = rested()
    scene.step(5_000)
    assert scene.book.ends == {FIRST: ReplayEnd(at_ns(1_100), EXPIRED)}


def test_a_lost_book_ends_an_order():
    scene = rested()
    scene.books.end_connection(ConnectionEnd(1, at_ns(600), 0))
    scene.act()
    (end,) = scene.book.ends.values()
    assert end.why == LOST


def test_an_order_that_would_cross_never_rests():
    scene = Scene()
    scene.step(0, BUY)
    scene.frame(50, no_bid="0.6000")  # ask 0.40
    scene.step(500, no_bid="0.6000")
    assert scene.book.ends == {FIRST: ReplayEnd(None, NEVER_RESTED)}
    assert scene.book.rested == {}


def test_a_halt_lets_nothing_out_and_cancels_what_works():
    scene = rested()
    scene.book.state = RiskMode.HALTED
    scene.step(600, BUY, bid="0.4100")
    assert scene.slot["sent_action"] == CANCEL
    scene.step(900, BUY)
    scene.step(1_200, BUY)
    assert (scene.slot["order_state"], len(scene.book.account(0).orders)) == (IDLE, 1)


def test_a_reduction_lets_sales_out_only():
    scene = rested()
    scene.step(700, bid="0.3900", no_bid="0.6000")  # the ask reaches the order: 9 of 10 contracts fill
    assert scene.slot["position_e2"] == 900
    scene.book.state = RiskMode.REDUCING
    scene.step(800, BUY)
    assert scene.slot["sent_action"] == CANCEL
    scene.step(1_000, BUY)
    scene.step(1_200, SELL)
    assert [order.action for order in scene.book.account(0).orders] == [BUY, SELL]


@pytest.mark.parametrize(("at_exchange", "second_e2"), [(True, 600), (False, 300)])
def test_what_a_taker_took_at_an_exchange_is_not_taken_from_the_book_twice(at_exchange, second_e2):
    """Ask 9 contracts; we take 3, and the recorded book then shows 6: an exchange has them all for us."""
    scene = Scene("taker", order_qty_e2=300, position_limit_e2=5_000)
    scene.book.is_taker_at_exchange = at_exchange
    for k, (asked, action) in enumerate((("9.00", BUY), ("6.00", HOLD), ("6.00", HOLD))):
        scene.step(500 * k, action, no_bid="0.5500", asked=asked)
    slot = scene.book.account(0).slots.view(np.recarray)[0, 0]
    assert slot.position_e2 == 300
    assert 600 - taken_e2(slot, ASK, 4_500) == second_e2
