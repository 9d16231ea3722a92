"""Orders as the exchange realised them: times from frames and notes, the queue by hand."""

import numpy as np

from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.market_data.schema import NO, YES
from kalshi_platform.trading.session.report.realised import RealisedOrders

TICKER, MINE = "KXDEMO-26DEC01-T50", "kp-a-1"
MS = 1_000_000


def row_of(bids: list[tuple[int, int]], at_ns: int, trade: tuple[int, int, int] | None = None):
    """Row of a book whose asks stand at 0.60; ``trade``: price, size, taker's outcome."""
    row = rows_module.empty(1, 1)
    for side, levels in (("bid", bids), ("ask", [(6_000, 500)])):
        px, qty = getattr(row, f"{side}_px_e4"), getattr(row, f"{side}_qty_e2")
        px[0], qty[0] = -1, 0
        for k, (price, size) in enumerate(levels):
            px[0, k], qty[0, k] = price, size
    row.recv_ns[0], row.valid[0] = at_ns, 1
    row.print_px_e4[0] = -1
    if trade is not None:
        row.print_px_e4[0], row.print_qty_e2[0], row.print_side[0] = trade
    return row


class Scene:
    """One bid of ours at 0.40, 10 contracts."""

    def __init__(self, ahead: int = 1_000) -> None:
        self.orders, self.ms = RealisedOrders(), 0
        self.row(ahead)
        self.orders.note({"client_id": MINE, "now_ns": 0, "sent_ns": 2 * MS, "answered_ns": 9 * MS})
        self.ms = 7
        msg = {"market_ticker": TICKER, "side": "yes", "price_dollars": "0.4000", "delta_fp": "10.00"}
        self.frame("orderbook_delta", **msg)

    def frame(self, kind: str, **msg) -> None:
        self.orders.frame(self.ms * MS, {"type": kind, "msg": {"client_order_id": MINE, **msg}})

    def row(self, size: int, trade: tuple[int, int, int] | None = None) -> None:
        self.ms += 1
        levels = [(4_000, size), (3_900, 100)] if size else [(3_900, 100)]
        self.orders.row(TICKER, row_of(levels, self.ms * MS, trade), self.ms * MS)

    def fill(self, qty: str) -> None:
        self.frame("fill", count_fp=qty, is_taker=False)

    @property
    def order(self):
        return self.orders.by_id[MINE]


def test_the_times_of_an_order_are_those_of_its_frames_and_notes():
    scene = Scene()
    order = scene.order
    assert (order.joined_ns, order.seen_ns) == (7 * MS, 7 * MS)
    assert order.waited_ms("decided_ns", "seen_ns") == 7.0
    assert order.waited_ms("sent_ns", "answered_ns") == 7.0
    assert order.waited_ms("sent_ns", "ended_ns") is None
    scene.ms = 20
    scene.frame(
        "user_order", ticker=TICKER, outcome_side="yes", yes_price_dollars="0.4000", status="canceled",
        last_update_reason="ExpiryCancel",
    )  # fmt: skip
    scene.orders.left(MINE, 0, 25 * MS)
    assert (order.ended_ns, order.why_ended) == (20 * MS, "ExpiryCancel")


def test_the_first_fill_of_a_market_tells_the_position_before_it():
    scene = Scene()
    scene.frame(
        "fill",
        count_fp="3.00",
        is_taker=False,
        book_side="ask",
        post_position_fp="-1.00",
        market_ticker=TICKER,
    )
    scene.frame(
        "fill",
        count_fp="2.00",
        is_taker=False,
        book_side="ask",
        post_position_fp="-3.00",
        market_ticker=TICKER,
    )
    assert scene.orders.opening_e2 == {TICKER: 200}


def test_what_stood_ahead_and_was_not_printed_was_cancelled():
    scene = Scene(ahead=1_000)
    scene.row(400)  # 6 cancelled
    scene.row(700)  # 3 joined behind
    scene.row(700, (4_000, 100, NO))  # 1 printed
    scene.row(600)
    scene.row(600, (4_000, 200, NO))  # the last ones ahead: 2, so that 7 had been cancelled ahead
    scene.row(400)
    scene.row(300)  # 1 more cancelled
    scene.row(300, (4_000, 50, NO))  # ours
    scene.fill("0.50")
    assert scene.order.queue == (700, 700)


def test_cancels_behind_us_are_not_ahead():
    scene = Scene(ahead=300)
    scene.row(900)  # 6 behind
    scene.row(400)  # 5 cancelled, all of them behind
    scene.row(400, (4_000, 350, NO))  # 3 ahead, then half a contract of ours
    scene.fill("0.50")
    assert scene.order.queue == (0, 500)


def test_without_cancels_or_with_an_unseen_price_nothing_is_known():
    scene = Scene(ahead=0)
    scene.row(0, (4_000, 100, NO))
    scene.fill("1.00")
    assert scene.order.queue == (0, 0)
    deep = Scene()
    levels = [(4_500 - 100 * k, 10) for k in range(5)]
    deep.orders.row(TICKER, row_of(levels, 50 * MS), 50 * MS)
    deep.row(1_000, (4_000, 1_100, NO))
    deep.fill("1.00")
    assert deep.order.queue is None


def test_the_side_of_an_order_decides_which_prints_meet_it():
    scene = Scene(ahead=100)
    scene.row(100, (4_000, 50, YES))  # bought at our bid's price: not against it
    scene.row(0)
    scene.row(0, (4_000, 100, NO))
    scene.fill("1.00")
    assert scene.order.side == YES
    assert np.array_equal(scene.order.queue, (100, 100))


def test_a_position_that_was_noted_at_the_start_is_not_told_anew_by_a_fill():
    orders = RealisedOrders({TICKER: 700})
    msg = {
        "client_order_id": MINE, "count_fp": "3.00", "is_taker": False, "book_side": "ask",
        "post_position_fp": "-1.00", "market_ticker": TICKER,
    }  # fmt: skip
    orders.frame(1, {"type": "fill", "msg": msg})
    assert (orders.opening_e2, orders.by_id[MINE].filled_e2) == ({TICKER: 700}, 300)
