"""Snapshot of a session: books level by level. Whole sessions: tests/integration/trading."""

from types import SimpleNamespace

import numpy as np

from kalshi_platform.domain.units import UNKNOWN_QTY
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.execution import IDLE
from kalshi_platform.simulation.replay.state import EMPTY, LIVE
from kalshi_platform.trading.session.core import OpenPosition
from kalshi_platform.trading.session.watching.viewing import _market, _positions_elsewhere, _sides


def test_levels_end_where_the_side_does_and_an_unknown_size_is_none():
    prices = np.array([[4_300, 4_200, 0], [0, 0, 0]], "i4")
    sizes = np.array([[150, UNKNOWN_QTY, 0], [0, 0, 0]], "i8")
    assert _sides(prices, sizes) == [((4_300, 150), (4_200, None)), ()]


def test_a_book_that_was_lost_shows_no_level_of_before():
    books = SimpleNamespace(specification=lambda ticker: SimpleNamespace(event="KXA"))
    held = {
        "position_e2": 0, "mark2_e4": 0, "order_state": IDLE, "cost_e6": 0, "slot_cash_e6": 0, "fees_e6": 0,
    }  # fmt: skip
    sides = ((4_300, 150),), ((4_500, 100),)
    live = _market(books, "KXA-1", LivePlace(0, 0), (*sides, 7, LIVE), held, "")
    lost = _market(books, "KXA-1", LivePlace(0, 0), (*sides, 7, EMPTY), held, "")
    assert (live.is_valid, live.bid_e4, live.ask_e4) == (True, 4_300, 4_500)
    assert (lost.is_valid, lost.bid_e4, lost.ask_e4, lost.bids, lost.asks) == (False, None, None, (), ())


def test_positions_of_markets_that_are_not_shown_are_added_with_their_event():
    held = [
        OpenPosition("KXA-1", "KXA", 500, 1_900_000, 2_000_000, -1_900_000, 10),
        OpenPosition("KXGONE-1", "KXGONE", -300, 1_100_000, None, -1_200_000, 20),
    ]
    (found,) = _positions_elsewhere(held, {"KXA-1"})
    assert (found.ticker, found.event, found.position_e2) == ("KXGONE-1", "KXGONE", -300)
    assert (found.is_traded, found.is_valid, found.cost_e6, found.value_e6) == (False, False, 1_100_000, None)
    assert (found.cash_flow_e6, found.fees_e6, found.order_name) == (-1_200_000, 20, "")
