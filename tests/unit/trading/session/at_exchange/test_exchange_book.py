"""What actions become at an exchange: the environment's own meaning, through an executor that is scripted."""

import asyncio
import time
from types import SimpleNamespace

import numpy as np

from kalshi_platform.data.market_data.capture import ConnectionEnd, Frame
from kalshi_platform.domain.actions import ACTIONS
from kalshi_platform.domain.fee_schedule import FeeStep, FeeTerms
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.at_exchange import exchange_book
from kalshi_platform.trading.session.at_exchange.exchange_book import ExchangeBook
from kalshi_platform.trading.session.at_exchange.order_sender import PlannedOrder
from kalshi_platform.trading.session.at_exchange.traded_market import TradedMarket
from kalshi_platform.trading.session.result import result_e6

NOW_NS = 1_795_500_000_000_000_000
TICKER = "KXHIGHNY-26NOV24-B45"


class ScriptedExecutor:
    """Takes every order as resting; fills when it is told to."""

    def __init__(self) -> None:
        self.ledger = SimpleNamespace(
            markets={},
            cash_e6={0: 500_000_000},
            live={},
            unexplained_e6=0,
            shard_of=lambda _ticker, told: told,
        )
        self.sent: list = []
        self.cancelled: list[str] = []
        self.on_fill = lambda order, fill: None
        self.mode = RiskMode.ACTIVE
        self.on_order = lambda order: None
        self.refusals: tuple = ()
        self.rates: list[tuple[str, int]] = []
        self.while_cancelling = lambda order: None
        self.cancel_state = OrderState.CANCELLED

    def know(self, *facts) -> None:
        pass

    def know_rate(self, ticker, rate_e6) -> None:
        self.rates.append((ticker, rate_e6))

    def mark(self, ticker, bid_e4, ask_e4, wall_ns) -> None:
        self.marked = bid_e4, ask_e4

    async def submit(self, intent, view, view_now):
        if self.refusals:
            return SimpleNamespace(order=None, refusals=self.refusals)
        order = Order(
            len(self.sent) + 1, f"kp-{len(self.sent) + 1}", intent, 0, NOW_NS, state=OrderState.RESTING
        )
        self.sent.append((intent, view, order))
        self.ledger.live[order.client_order_id] = order
        return SimpleNamespace(order=order, refusals=())

    async def cancel(self, client_id):
        self.cancelled.append(client_id)
        order = next(o for _, _, o in self.sent if o.client_order_id == client_id)
        self.while_cancelling(order)
        order.state = self.cancel_state
        return order

    async def reconcile(self) -> None:
        pass

    def fill(self, order: Order, qty_e2: int, fee_e6: int = 0) -> None:
        intent = order.intent
        market = self.ledger.markets.setdefault(intent.ticker, MarketPosition(intent.ticker, 0))
        market.fill(intent.side, intent.price_e4, qty_e2, fee_e6, NOW_NS)
        order.fills_e2 += qty_e2
        if order.fills_e2 == intent.qty_e2:
            order.state = OrderState.FILLED
        self.on_order(order)
        report = FillReport(
            f"t{order.fills_e2}", "x", order.client_order_id, intent.ticker, intent.side, intent.price_e4,
            qty_e2, fee_e6, False, 0, NOW_NS,
        )  # fmt: skip
        self.on_fill(order, report)


class Scene:
    """One market with a book of 0.40 to 0.45, and a book of orders around it."""

    def __init__(self, *held: MarketPosition, **trading) -> None:
        config = TradingConfig(n_slots=2, **trading)
        self.executor, self.told, self.failed, self.left = ScriptedExecutor(), [], [], []
        self.executor.ledger.markets.update((market.ticker, market) for market in held)
        self.book = ExchangeBook(
            config, self.executor, lambda kind, detail: self.told.append((kind, detail)), lambda ticker: 3,
            lambda: NOW_NS, self.failed.append, lambda *left: self.left.append(left),
            lambda: NOW_NS,
        )  # fmt: skip
        self.books = LiveBooks(config, 0, watcher=self.book)
        self.seq = 0

    def frame(self, yes: str = "0.4000", no: str = "0.5500") -> None:
        self.seq += 1
        sides = {"yes_dollars_fp": [[yes, "50.00"]], "no_dollars_fp": [[no, "50.00"]]}
        msg = {"market_ticker": TICKER, **sides}
        message = {"type": "orderbook_snapshot", "sid": 1, "seq": self.seq, "msg": msg}
        self.books.feed(Frame(self.seq, NOW_NS + self.seq, 1, ""), message)

    def act_soon(self, action: str) -> list[int]:
        self.book.show(self.books, 0, self.books.now_ns)
        sent = self.book.act(self.books, 0, self.books.now_ns, np.array([ACTIONS[action], 0], np.int8))
        return sent.tolist()

    async def act(self, action: str) -> list[int]:
        sent = self.act_soon(action)
        await self.book.settle_down()
        return sent


def run(work) -> None:
    asyncio.run(work)


def held_before(ticker: str = TICKER, position_e2: int = 500) -> MarketPosition:
    """Position of an earlier session: 5.00 YES that cost 0.30 each."""
    market = MarketPosition(ticker, 0)
    market.correct(position_e2, 3_000 * abs(position_e2), NOW_NS - 7)
    return market


def test_an_account_that_holds_positions_notes_them_and_counts_its_result_from_the_first_book():
    """500 $, 5.00 YES at 0.30, first bid 0.40, then 0.44; a market without a slot stays at 0.30."""
    scene = Scene(held_before(), held_before("OTHER", 200))
    assert scene.book.opening() == {
        "cash_e6": 500_000_000,
        "positions": {
            TICKER: {
                "position_e2": 500, "price_e4": 3_000, "cost_e6": 500 * 3_000, "opened_ns": NOW_NS - 7
            },
            "OTHER": {
                "position_e2": 200, "price_e4": 3_000, "cost_e6": 200 * 3_000, "opened_ns": NOW_NS - 7
            },
        },
    }  # fmt: skip
    market = scene.executor.ledger.markets[TICKER]
    assert scene.book.figures()["capital_e6"] == 502_100_000

    def mark(ticker, bid_e4, ask_e4, wall_ns) -> None:
        market.mark_e4 = bid_e4

    scene.executor.mark = mark
    scene.frame(yes="0.4000")
    figures = scene.book.figures()
    # 500 + 5 x 0.40 + 2 x 0.30
    assert (figures["capital_e6"], figures["equity_e6"]) == (502_600_000, 502_600_000)
    scene.frame(yes="0.4400")
    figures = scene.book.figures()
    assert (figures["capital_e6"], figures["equity_e6"]) == (502_600_000, 502_800_000)


def test_a_part_of_a_position_of_before_that_is_sold_takes_its_share_of_the_cost():
    async def work() -> None:
        scene = Scene(held_before(), order_style="taker")
        scene.frame()
        scene.book.show(scene.books, 0, scene.books.now_ns)
        slot = scene.books.groups[0].slots[0, 0]
        assert (slot.position_e2, slot.cost_e6, slot.opened_ns) == (500, 500 * 3_000, NOW_NS - 7)
        await scene.act("SELL_YES")
        ((intent, _, order),) = scene.executor.sent
        assert (intent.side, intent.qty_e2) == (BookSide.ASK, 500)
        scene.executor.fill(order, 200)
        scene.book.show(scene.books, 0, scene.books.now_ns)
        slot = scene.books.groups[0].slots[0, 0]
        assert (slot.position_e2, slot.cost_e6) == (300, 300 * 3_000)

    run(work())


def test_a_maker_rests_keeps_and_replaces_its_order():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        assert await scene.act("BUY_YES") == [ACTIONS["BUY_YES"], 0]
        ((intent, view, _order),) = scene.executor.sent
        assert (intent.side, intent.price_e4, intent.qty_e2) == (BookSide.BID, 4_000, 1_000)
        assert (intent.time_in_force, intent.post_only) == (TimeInForce.GOOD_TILL_CANCELED, True)
        assert (view.bid_e4, view.ask_e4, view.exchange_index) == (4_000, 4_500, 3)
        await scene.act("BUY_YES")  # the same action keeps the order
        assert len(scene.executor.sent) == 1
        scene.frame(yes="0.4100")
        await scene.act("BUY_YES")  # another price replaces it, once the cancel is answered
        assert scene.executor.cancelled == ["kp-1"]
        assert scene.executor.sent[1][0].price_e4 == 4_100
        orders = [detail for kind, detail in scene.told if kind == notes.SESSION_ORDER]
        assert [o["client_id"] for o in orders] == ["kp-1", "kp-2"]
        assert scene.failed == []

    run(work())


def test_a_taker_is_immediate_or_cancel_and_the_opposite_action_sells_what_filled():
    async def work() -> None:
        scene = Scene(order_style="taker")
        scene.frame()
        await scene.act("BUY_YES")
        intent, _, order = scene.executor.sent[0]
        assert (intent.price_e4, intent.time_in_force) == (4_600, TimeInForce.IMMEDIATE_OR_CANCEL)
        scene.executor.fill(order, 400, fee_e6=100)
        order.state = OrderState.CANCELLED
        scene.book.show(scene.books, 0, scene.books.now_ns)
        slot = scene.books.groups[0].slots[0, 0]
        assert (slot.position_e2, slot.cost_e6) == (400, 4_600 * 400)
        assert await scene.act("BUY_NO") == [0, 0]  # not open to a holder of YES
        await scene.act("SELL_YES")
        sell = scene.executor.sent[1][0]
        assert (sell.side, sell.qty_e2, sell.price_e4) == (BookSide.ASK, 400, 3_900)
        (fill,) = [detail for kind, detail in scene.told if kind == notes.SESSION_FILL]
        assert (fill["cash_e6"], fill["action"]) == (-4_600 * 400 - 100, "BUY_YES")

    run(work())


def test_what_is_left_of_an_order_is_told_whenever_it_becomes_less():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        _, _, order = scene.executor.sent[0]
        scene.executor.fill(order, 400)
        scene.executor.on_order(order)
        order.state = OrderState.CANCELLED
        scene.executor.on_order(order)
        assert scene.left == [("kp-1", 600), ("kp-1", 0)]

    run(work())


def test_no_order_follows_one_whose_cancel_is_not_certain():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        scene.executor.cancel_state = OrderState.CANCEL_UNKNOWN
        scene.frame(yes="0.4100")
        await scene.act("BUY_YES")
        assert len(scene.executor.sent) == 1
        assert scene.told[-1][1]["words"] == "the order before it is not ended yet"

    run(work())


def test_an_order_is_as_old_as_its_decision_and_sees_the_book_after_the_cancel_before_it():
    async def work() -> None:
        scene, cancelled = Scene(order_style="maker"), []

        def slow(order) -> None:
            cancelled.append(time.time_ns())
            scene.frame(yes="0.4200", no="0.5400")

        scene.frame()
        await scene.act("BUY_YES")
        scene.executor.while_cancelling = slow
        scene.frame(yes="0.4100")
        await scene.act("BUY_YES")
        intent, view, _ = scene.executor.sent[1]
        assert intent.decided_ns <= cancelled[0]
        assert (view.bid_e4, view.ask_e4) == (4_200, 4_600)

    run(work())


def test_nothing_is_bought_again_while_fills_are_counted_and_not_told():
    async def work() -> None:
        scene = Scene(order_style="taker")
        scene.frame()
        await scene.act("BUY_YES")
        _, _, order = scene.executor.sent[0]
        order.told_filled_e2, order.state = (
            1_000,
            OrderState.FILLED,
        )  # the answer counts them, no fill came yet
        await scene.act("BUY_YES")
        assert len(scene.executor.sent) == 1
        assert scene.books.groups[0].slots["sent_action"][0, 0] == ACTIONS["BUY_YES"]
        scene.executor.fill(order, 1_000)
        await scene.act("SELL_YES")
        assert [intent.side for intent, _, _ in scene.executor.sent] == [BookSide.BID, BookSide.ASK]

    run(work())


def test_a_sale_never_passes_the_position_that_the_order_before_it_sold():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        scene.executor.fill(scene.executor.sent[0][2], 1_000)
        await scene.act("SELL_YES")
        first = scene.executor.sent[1][2]
        scene.executor.while_cancelling = lambda order: scene.executor.fill(order, 300)
        scene.frame(no="0.5600")
        await scene.act("SELL_YES")
        assert scene.executor.cancelled == [first.client_order_id]
        assert scene.executor.sent[2][0].qty_e2 == 700

        def counted(order) -> None:
            order.told_filled_e2 = 700  # by the cancel's answer; the fills come later

        scene.executor.while_cancelling = counted
        scene.frame(no="0.5700")
        await scene.act("SELL_YES")
        assert len(scene.executor.sent) == 3
        assert "position_moved" in scene.told[-1][1]["words"]
        assert scene.book.figures()["refused"] == 1

    run(work())


def test_a_book_that_is_lost_ends_its_order_also_one_on_its_way():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        scene.books.end_connection(ConnectionEnd(1, NOW_NS + scene.seq, 0))
        await scene.book.settle_down()
        assert scene.executor.cancelled == ["kp-1"]
        scene.frame()
        submit = scene.executor.submit

        async def losing(intent, view, view_now):
            assert view_now() == view
            scene.books.end_connection(ConnectionEnd(1, NOW_NS + scene.seq, 0))
            assert (view.is_valid, view_now().is_valid) == (True, False)
            return await submit(intent, view, view_now)

        scene.executor.submit = losing
        await scene.act("BUY_YES")
        assert scene.executor.cancelled == ["kp-1", "kp-2"]

    run(work())


def test_a_cancel_of_unknown_outcome_is_not_sent_again_at_once(monkeypatch):
    async def work() -> None:
        scene = Scene(order_style="maker", hold="cancel")
        scene.frame()
        await scene.act("BUY_YES")
        scene.executor.cancel_state = OrderState.CANCEL_UNKNOWN
        for _ in range(5):
            await scene.act("HOLD")
        assert scene.executor.cancelled == ["kp-1"]
        monkeypatch.setattr(exchange_book, "_CANCEL_AGAIN_NS", 0)
        await scene.act("HOLD")
        assert scene.executor.cancelled == ["kp-1", "kp-1"]

    run(work())


def test_fees_that_are_told_reach_the_executor_and_the_limits():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        assert scene.executor.rates[-1] == (TICKER, 70_000)
        held = scene.book._held[0, 0]
        twice = FeeTerms(fee_multiplier_e6=2_000_000)
        at_ns = scene.books.now_ns
        soon = (*held.fees, FeeStep(from_ns=at_ns + 1, terms=twice))
        scene.book.described(scene.books.places[TICKER], held.spec, None, soon, at_ns)
        assert scene.executor.rates[-1] == (TICKER, 140_000)
        scene.frame(yes="0.4100")
        await scene.act("BUY_YES")
        assert scene.executor.sent[1][1].taker_rate_e6 == 140_000

    run(work())


def test_a_refusal_of_a_limit_stands_in_the_recording():
    async def work() -> None:
        scene = Scene()
        scene.frame()
        scene.executor.refusals = (SimpleNamespace(limit="order_cost_usd", words="6 $, allowed 5 $"),)
        await scene.act("BUY_YES")
        assert scene.book.figures()["refused"] == 1
        assert scene.told[-1][1]["words"] == "order_cost_usd: 6 $, allowed 5 $"

    run(work())


def test_where_nobody_told_the_shard_no_order_goes_out():
    async def work() -> None:
        scene = Scene()
        scene.book._told_shard = {}.get
        scene.frame()
        await scene.act("BUY_YES")
        assert scene.executor.sent == []
        assert scene.book.figures()["refused"] == 1
        assert f"shard_unknown: the exchange has not told the shard of {TICKER}" in scene.told[-1][1]["words"]
        scene.book._told_shard = {TICKER: 2}.get
        scene.frame()
        await scene.act("BUY_YES")
        assert scene.executor.sent[0][1].exchange_index == 2

    run(work())


def test_a_position_of_an_earlier_session_is_shown_with_its_cost_and_age_until_it_is_paid():
    scene = Scene()
    market = scene.executor.ledger.markets[TICKER] = MarketPosition(TICKER, 0)
    market.fill(BookSide.BID, 3_000, 500, 0, NOW_NS - 7)
    scene.frame()
    slot = scene.books.groups[0].slots[0, 0]
    scene.book.show(scene.books, 0, scene.books.now_ns)
    assert (slot.position_e2, slot.cost_e6, slot.opened_ns) == (500, 3_000 * 500, NOW_NS - 7)
    assert scene.book.holdings(scene.books, 0)[0]["cost_e6"] == 3_000 * 500
    market.value_e4 = 10_000
    scene.book.show(scene.books, 0, scene.books.now_ns)
    assert (slot.position_e2, slot.cost_e6, slot.opened_ns) == (0, 0, 0)


def test_positions_of_the_account_are_told_also_without_a_slot():
    scene = Scene()
    scene.executor.event_of = {"KXGONE-1": "KXGONE"}.get
    markets = scene.executor.ledger.markets
    for ticker in ("KXGONE-1", "KXPAID-1"):
        markets[ticker] = MarketPosition(ticker, 0)
        markets[ticker].fill(BookSide.BID, 4_000, 500, 100, NOW_NS)
    markets["KXPAID-1"].value_e4 = 10_000  # settled: nothing of it is open
    (found,) = scene.book.positions()
    assert found == ("KXGONE-1", "KXGONE", 500, 4_000 * 500, 4_000 * 500, -4_000 * 500 - 100, 100)


def test_an_order_of_old_age_ends_where_no_news_bring_a_decision():
    async def work() -> None:
        scene = Scene(order_style="maker", order_ttl_ms=60_000)
        scene.frame()
        await scene.act("BUY_YES")
        scene.book.end_old()
        await scene.book.settle_down()
        assert scene.executor.cancelled == []
        scene.book._held[0, 0].kept_ns -= 61 * 10**9
        scene.book.end_old()
        scene.book.end_old()  # one cancel is on its way
        await scene.book.settle_down()
        assert scene.executor.cancelled == ["kp-1"]

    run(work())


def test_no_order_stays_in_a_market_that_lost_its_slot_meanwhile():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        scene.book.show(scene.books, 0, scene.books.now_ns)
        scene.book.act(scene.books, 0, scene.books.now_ns, np.array([ACTIONS["BUY_YES"], 0], np.int8))
        scene.book.pay(scene.books, TICKER, 10_000, NOW_NS)  # before the order leaves
        await scene.book.settle_down()
        assert len(scene.executor.sent) == len(scene.executor.cancelled) == 1

    run(work())


def test_an_end_cancels_orders_that_no_slot_holds():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        scene.book._held.clear()  # its market was paid and let go
        await scene.book.stop()
        assert scene.executor.cancelled == ["kp-1"]

    run(work())


def test_no_order_follows_a_cancel_that_is_answered_after_the_session_ended():
    async def work() -> None:
        scene, cancelling, answered = Scene(order_style="maker"), asyncio.Event(), asyncio.Event()
        scene.frame()
        await scene.act("BUY_YES")
        cancel = scene.executor.cancel

        async def late(client_order_id):
            cancelling.set()
            await answered.wait()
            return await cancel(client_order_id)

        scene.executor.cancel = late
        scene.frame(yes="0.4100")
        scene.act_soon("BUY_YES")
        await cancelling.wait()
        ending = asyncio.create_task(scene.book.stop())
        await asyncio.sleep(0)
        answered.set()
        await ending
        assert len(scene.executor.sent) == 1
        assert scene.told[-1][1]["words"].startswith("ending: ")

    run(work())


def test_a_payment_in_is_no_result():
    scene = Scene()
    before = scene.book.figures()
    scene.executor.ledger.cash_e6[0] += 70_000_000
    scene.executor.ledger.unexplained_e6 += 70_000_000
    paid = scene.book.figures()
    assert paid["equity_e6"] - before["equity_e6"] == paid["paid_in_e6"] == 70_000_000
    assert result_e6(paid) == result_e6(before) == 0


def test_an_end_cancels_what_rests_before_an_answer_that_is_late():
    async def work() -> None:
        scene, answered = Scene(order_style="maker"), asyncio.Event()
        scene.frame()
        await scene.act("BUY_YES")
        submit = scene.executor.submit

        async def late(*order):
            await answered.wait()
            return await submit(*order)

        scene.executor.submit = late
        scene.book.sender.start_order(  # in another market: nothing there to replace
            TradedMarket("KXB-1", "KXB"), scene.executor.sent[0][1], PlannedOrder(1, 4_000, 100, NOW_NS),
            {"group": 0, "slot": 1, "now_ns": NOW_NS},
        )  # fmt: skip
        await asyncio.sleep(0)  # it is on its way
        ending = asyncio.create_task(scene.book.stop())
        for _ in range(5):
            await asyncio.sleep(0)
        assert scene.executor.cancelled == ["kp-1"]
        answered.set()
        await ending
        assert scene.executor.cancelled == ["kp-1", "kp-2"]

    run(work())


def test_an_end_cancels_what_the_last_comparison_found_at_rest():
    async def work() -> None:
        scene = Scene(order_style="maker")
        scene.frame()
        await scene.act("BUY_YES")
        (_, _, order) = scene.executor.sent[0]
        order.state, found = OrderState.UNKNOWN, []

        async def compare() -> None:
            found.append(scene.executor.cancelled[:])
            order.state = OrderState.RESTING

        scene.executor.cancel_state = OrderState.UNKNOWN
        scene.executor.reconcile = compare
        await scene.book.stop()
        assert len(scene.executor.cancelled) > len(found[0])

    run(work())


def test_what_is_on_its_way_when_a_session_is_cut_ends_before_the_journal_closes():
    async def work() -> None:
        scene, never = Scene(), asyncio.Event()
        scene.frame()
        scene.executor.submit = lambda *order: never.wait()
        scene.book.show(scene.books, 0, scene.books.now_ns)
        scene.book.act(scene.books, 0, scene.books.now_ns, np.array([ACTIONS["BUY_YES"], 0], np.int8))
        await asyncio.sleep(0)
        await scene.book.close()
        assert scene.book.sender.tasks == set()
        assert scene.failed == []

    run(work())


def test_hold_cancels_where_training_did_and_a_session_ends_without_orders():
    async def work() -> None:
        scene = Scene(order_style="maker", hold="cancel")
        scene.frame()
        await scene.act("BUY_YES")
        await scene.act("HOLD")
        assert scene.executor.cancelled == ["kp-1"]
        await scene.act("BUY_YES")
        await scene.book.stop()
        assert scene.executor.cancelled == ["kp-1", "kp-2"]

    run(work())
