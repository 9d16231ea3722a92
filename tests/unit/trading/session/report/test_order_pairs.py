"""Both sides of an order by hand: sums of fills, the way of the replay's order, slippage."""

from types import SimpleNamespace

import numpy as np
import pytest

from kalshi_platform.trading.session.paper.paper_kernel import FILL_DTYPE
from kalshi_platform.trading.session.paper.paper_records import PaperOrder
from kalshi_platform.trading.session.report.order_pairs import (
    OrderPair,
    OrderSide,
    live_side,
    replayed_orders,
)
from kalshi_platform.trading.session.report.watched_book import EXPIRED, NEVER_RESTED, ReplayEnd, Rested


def replayed(fills=(), rested=None, end=None):
    """The only order of a replay: 10 contracts at 0.40, sent at 100, in the book at 150."""
    lines = np.zeros(len(fills) + 1, FILL_DTYPE)
    for line, (at_ns, qty_e2) in zip(lines, fills, strict=False):
        line["at_ns"], line["order"], line["qty_e2"], line["cash_e6"], line["fee_e6"] = (
            at_ns, 3, qty_e2, -qty_e2 * 4_000 - 70, 70,
        )  # fmt: skip
    lines[-1]["order"], lines[-1]["settlement"], lines[-1]["qty_e2"] = 3, 1, 999  # a payment is no fill
    account = SimpleNamespace(orders=[PaperOrder(0, 3, 100, 150, 1, 4_000, 1_000)], fills=lines)
    book = SimpleNamespace(
        accounts=[account], rested={} if rested is None else {(0, 0, 3): rested},
        ends={} if end is None else {(0, 0, 3): end},
    )  # fmt: skip
    ((key, found),) = replayed_orders(SimpleNamespace(book=book)).items()
    assert key == (0, 0, 100)
    return found


def test_the_fills_of_an_order_are_summed():
    side = replayed([(200, 400), (300, 100)]).side
    assert (side.filled_e2, side.cash_e6, side.fee_e6) == (500, -2_000_140, 140)
    assert side.yes_price_e4 == 4_000


@pytest.mark.parametrize(
    ("fills", "rested", "end", "expected"),
    [
        ([], Rested(1_000, 7), None, (None, "", 1_000, 7)),
        ([(200, 400)], Rested(1_000, 7), ReplayEnd(900, EXPIRED), (900, EXPIRED, 1_000, 7)),
        ([(200, 400), (300, 600)], Rested(1_000, 7), ReplayEnd(350, ""), (300, "", 1_000, 7)),
        ([(200, 400)], Rested(400, 7), ReplayEnd(350, ""), (200, "", 400, 7)),  # made smaller as it came
        ([], None, ReplayEnd(None, NEVER_RESTED), (150, NEVER_RESTED, None, None)),
    ],
)
def test_the_way_of_an_order_of_the_replay(fills, rested, end, expected):
    course = replayed(fills, rested, end).course
    assert (course.ended_ns, course.why_ended, course.rested_e2, course.ahead_e2) == expected
    assert (course.arrived_ns, course.filled_e2) == (150, sum(size for _, size in fills))


def test_an_order_that_never_got_there_asked_for_nothing():
    told = {"price_e4": 4_000, "qty_e2": 1_000, "client_id": "", "words": "a limit"}
    assert live_side(told, []) == OrderSide(4_000, 0, 0, 0, 0, "a limit")


@pytest.mark.parametrize(
    ("action", "sign"), [("BUY_YES", 1), ("BUY_NO", 1), ("SELL_YES", -1), ("SELL_NO", -1)]
)
def test_slippage_is_what_live_paid_beyond_the_replay(action, sign):
    live, replay = OrderSide(0, 100, 100, -410_000, 0), OrderSide(0, 100, 100, -400_070, 70)
    assert OrderPair(1, "A", action, live, replay, "").slippage_e4 == sign * 100
    assert OrderPair(1, "A", action, live, None, "").slippage_e4 is None
