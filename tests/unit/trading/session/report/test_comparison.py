"""Live minus replay by hand: orders of one slot with their counterparts or without, and what caused what."""

from types import SimpleNamespace

import numpy as np

from kalshi_platform.domain.actions import ACTIONS, HOLD
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.session.paper.paper_kernel import FILL_DTYPE
from kalshi_platform.trading.session.paper.paper_records import PaperOrder
from kalshi_platform.trading.session.report import explaining as why
from kalshi_platform.trading.session.report.comparison import compare_orders
from kalshi_platform.trading.session.report.explaining import ReplayState
from kalshi_platform.trading.session.report.realised import RealisedOrder, RealisedOrders
from kalshi_platform.trading.session.report.watched_book import REPLACED, ReplayEnd, Rested

S, TICKER, BUY = NS_PER_SECOND, "A-1", ACTIONS["BUY_YES"]
CAPITAL_E6 = 100_000_000


def line_at(at_s: float) -> int:
    """Line of the recording at that time: ten a second."""
    return round(10 * at_s)


class Scene:
    """Session of one market; orders of 10 contracts at 0.40."""

    def __init__(self, style: str = "maker") -> None:
        self.style = style
        self.realised, self.told, self.fills = RealisedOrders(), [], []
        self.orders, self.lines, self.states = [], [], {}
        self.ends, self.rested = {}, {}

    def live(
        self, at_s: int, *, fill_s: float | None = None, end_s: float | None = None, words: str = "",
        qty_e2: int = 1_000, replaces: bool = False,
    ) -> None:  # fmt: skip
        name = "" if words else f"kp-{at_s}"
        self.told.append({
            "group": 0, "slot": 0, "now_ns": at_s * S, "ticker": TICKER, "action": "BUY_YES",
            "client_id": name, "price_e4": 4_000, "qty_e2": qty_e2, "words": words, "replaces": replaces,
            "noted_ns": at_s * S + S // 10, "line": line_at(at_s) + 1,
        })  # fmt: skip
        if words:
            return
        order = RealisedOrder(name, TICKER, seen_ns=at_s * S + S // 20, joined_ns=at_s * S + S // 20)
        order.ended_ns = None if end_s is None else round(end_s * S)
        if fill_s is not None:
            order.first_fill_ns, order.filled_e2 = round(fill_s * S), qty_e2
            self.fills.append({
                "client_id": name, "ticker": TICKER, "side": "bid", "qty_e2": qty_e2,
                "cash_e6": -4_000 * qty_e2, "fee_e6": 0, "noted_ns": round(fill_s * S),
                "seen_ns": round(fill_s * S), "line": line_at(fill_s),
            })  # fmt: skip
        self.realised.by_id[name] = order

    def replay(self, at_s: int, fill_s: float | None = None, qty_e2: int = 1_000) -> int:
        number = len(self.orders) + 1
        self.orders.append(PaperOrder(0, number, at_s * S, at_s * S + S // 20, BUY, 4_000, qty_e2))
        self.rested[0, 0, number] = Rested(qty_e2, 0)
        if fill_s is not None:
            line = np.zeros(1, FILL_DTYPE)
            line["order"], line["at_ns"], line["qty_e2"], line["cash_e6"] = (
                number, round(fill_s * S), qty_e2, -4_000 * qty_e2,
            )  # fmt: skip
            self.lines.append(line)
        return number

    def state(self, at_s: int, **changes) -> None:
        state = ReplayState(0, True, True, False, HOLD, HOLD, CAPITAL_E6, line=line_at(at_s))
        self.states[0, 0, at_s * S] = state._replace(**changes)

    def pairs(self):
        fills = np.concatenate(self.lines) if self.lines else np.zeros(0, FILL_DTYPE)
        account = SimpleNamespace(orders=self.orders, fills=fills)
        book = SimpleNamespace(
            accounts=[account],
            ticker_at=lambda *key: TICKER,
            ends=self.ends,
            rested=self.rested,
            groups={TICKER: 0},
            placed_line={TICKER: 0},
        )
        trading = SimpleNamespace(order_style=self.style, capital_e6=CAPITAL_E6)
        core = SimpleNamespace(trading=trading, paid={}, paid_ns={})
        return compare_orders(
            SimpleNamespace(
                orders=self.told, fills=self.fills, realised=self.realised, states=self.states, book=book,
                core=core,
            )
        )  # fmt: skip

    def found(self) -> list[tuple[str, int]]:
        """(explanation, number of the cause) of each order."""
        return [(pair.why, pair.cause) for pair in self.pairs()]


def test_an_order_that_fills_on_both_sides_at_once_is_the_same():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1, fill_s=2.1)
    scene.live(3)
    scene.replay(3)
    assert scene.found() == [(why.SAME, 0), (why.SAME, 0)]


def test_a_fill_at_another_time_is_a_cause_and_names_what_follows_from_it():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1, fill_s=9)
    scene.live(3)
    scene.state(3, is_resting=True, action=BUY)
    found = scene.pairs()
    assert [(pair.why, pair.cause) for pair in found] == [(why.QUEUE_THERE, 1), (why.POSITION, 1)]
    assert "filled -7.0 s after the replay's" in found[0].detail
    assert found[1].detail == "+10.00 here, +0.00 in the replay"
    assert [pair.is_cause for pair in found] == [True, False]


def test_positions_that_became_equal_again_begin_anew():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1, fill_s=9)
    scene.live(3)
    scene.state(3)
    scene.live(20, fill_s=21, end_s=21)
    scene.replay(20)
    scene.replay(30)
    scene.state(30)
    assert scene.found() == [
        (why.QUEUE_THERE, 1), (why.POSITION, 1), (why.QUEUE_THERE, 3), (why.POSITION, 3),
    ]  # fmt: skip


def test_the_same_fill_a_moment_apart_is_a_cause_where_a_decision_comes_between():
    scene = Scene()
    scene.live(1, fill_s=2.2, end_s=2.2)
    scene.replay(1, fill_s=1.9)
    scene.replay(2)
    scene.state(2, position_e2=1_000)
    found = scene.pairs()
    assert [(pair.why, pair.cause) for pair in found] == [(why.MOMENT, 1), (why.POSITION, 1)]
    assert found[0].detail == "+0.00 here, +10.00 in the replay"


def test_a_fill_is_known_to_a_decision_by_its_place_in_the_recording_not_by_its_time():
    """REST told the fill after the newest frame and before the decision, which has that frame's time."""
    scene = Scene()
    scene.live(1, fill_s=5, end_s=5)
    scene.replay(1, fill_s=5)
    scene.fills[0]["noted_ns"] += S // 2
    scene.live(5)
    scene.state(5, position_e2=1_000, is_resting=True, action=BUY, order=(0, 0, S), line=line_at(5) + 1)
    assert scene.found()[1] == (why.KEPT_THERE, 1)  # positions are equal


def test_an_order_held_back_is_none_of_the_differences():
    scene = Scene()
    scene.live(1, words="order_cost_usd: 6 $, allowed 5 $")
    (pair,) = scene.pairs()
    assert (pair.why, pair.detail, pair.differs) == (why.HELD_BACK, "order_cost_usd: 6 $, allowed 5 $", False)
    assert (pair.live.qty_e2, pair.cause) == (0, 0)


def test_an_order_of_the_replay_alone_was_kept_here_because_the_first_one_had_run_out_there():
    scene = Scene()
    scene.live(1)
    number = scene.replay(1)
    scene.ends[0, 0, number] = ReplayEnd(61 * S, "its life was over")
    scene.replay(70)
    scene.state(70)
    found = scene.pairs()
    assert [(pair.why, pair.cause) for pair in found] == [(why.LIVED_HERE, 1), (why.KEPT_HERE, 1)]
    assert found[0].detail == "its life was over"


def test_an_order_that_is_held_back_leaves_the_one_before_it_at_rest():
    scene = Scene()
    scene.live(1)
    scene.replay(1)
    scene.live(5, words="the order before it is not ended yet")
    scene.replay(9)
    scene.state(9)
    assert scene.found() == [(why.LIVED_HERE, 1), (why.HELD_BACK, 0), (why.KEPT_HERE, 1)]


def test_a_replay_that_filled_after_ours_had_gone_says_so():
    scene = Scene()
    scene.live(1, end_s=5)
    scene.replay(1, fill_s=6)
    (pair,) = scene.pairs()
    assert (pair.why, pair.differs, pair.slippage_e4) == (why.ENDED_HERE, True, None)


def test_an_order_that_ended_for_another_one_names_that_ones_cause():
    """The first fills here alone; so the third is sent here alone and replaces the second."""
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    first = scene.replay(1)
    scene.ends[0, 0, first] = ReplayEnd(3 * S, REPLACED)
    scene.live(3, end_s=6.5)
    scene.replay(3, fill_s=8)
    scene.live(6, replaces=True)
    scene.state(6, is_resting=True, action=BUY)
    assert scene.found() == [(why.QUEUE_THERE, 1), (why.ENDED_HERE, 1), (why.POSITION, 1)]


def test_an_order_of_another_size_is_a_consequence_only_where_positions_differ():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1)
    scene.live(3, qty_e2=500)
    scene.replay(3)
    scene.state(3)
    assert scene.found()[1] == (why.POSITION, 1)
    alone = Scene()
    alone.live(3, qty_e2=500)
    alone.replay(3)
    alone.state(3)
    assert alone.found() == [(why.UNEXPLAINED, 1)]


def test_positions_that_no_fill_explains_are_unexplained():
    scene = Scene()
    scene.live(3)
    scene.state(3, position_e2=500)
    (pair,) = scene.pairs()
    assert (pair.why, pair.cause) == (why.UNEXPLAINED, 1)
    assert "no order before shows why" in pair.detail


def test_cash_is_short_in_the_replay_only_where_it_differs():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1, fill_s=2)
    scene.lines[0]["cash_e6"] -= 50_000
    scene.lines[0]["fee_e6"] = 50_000
    scene.live(3)
    scene.state(3, position_e2=1_000, is_allowed=False, cash_e6=CAPITAL_E6 - 4_050_000)
    found = scene.pairs()
    assert [pair.why for pair in found] == [why.FEES, why.CASH]
    assert found[1].detail == "96.000000 $ here, 95.950000 $ in the replay"
    assert found[1].cause == 1


def test_a_position_of_an_earlier_session_is_a_cause_of_its_own():
    scene = Scene()
    scene.realised.opening_e2[TICKER] = 500
    scene.live(3)
    scene.state(3)
    (pair,) = scene.pairs()
    assert (pair.why, pair.cause) == (why.OPENING, 1)
    assert pair.detail == "+5.00 here, +0.00 in the replay"


def test_a_position_of_an_earlier_session_that_the_recording_tells_is_on_both_sides():
    scene = Scene()
    scene.realised = RealisedOrders({TICKER: 500})
    scene.live(3, fill_s=4, end_s=4)
    scene.replay(3, fill_s=4)
    scene.state(3, position_e2=500)
    assert scene.found() == [(why.SAME, 0)]
    scene.live(5)
    scene.state(5)  # a replay that lost it: the opening explains nothing
    assert scene.found()[1] == (why.UNEXPLAINED, 2)


def test_a_fill_of_an_order_that_the_session_did_not_send_is_a_cause_of_its_own():
    scene = Scene()
    scene.live(1, fill_s=2, end_s=2)
    scene.replay(1, fill_s=2)
    scene.fills.append(scene.fills[0] | {"client_id": "by-hand", "line": line_at(3), "seen_ns": 3 * S})
    scene.live(5)
    scene.state(5, position_e2=1_000)
    found = scene.pairs()
    assert [(pair.why, pair.cause) for pair in found] == [(why.SAME, 0), (why.ELSEWHERE, 2)]
    assert found[1].detail == "+20.00 here, +10.00 in the replay"


def test_takers_with_the_same_fills_are_the_same_whenever_the_replay_looked_at_its_account():
    scene = Scene("taker")
    scene.live(1, fill_s=1.1, end_s=1.1)
    scene.replay(1, fill_s=9)  # nothing happened until then: its next look came late
    assert scene.found() == [(why.SAME, 0)]


def test_takers_that_paid_otherwise_met_another_book():
    scene = Scene("taker")
    scene.live(1, fill_s=1.1, end_s=1.1)
    scene.replay(1, fill_s=1.05)
    scene.lines[0]["cash_e6"] -= 100_000
    scene.realised.row_times[TICKER] = [round(1.04 * S)]
    assert scene.found() == [(why.UNEXPLAINED, 1)]
    scene.realised.by_id["kp-1"].joined_ns = round(1.1 * S)
    scene.realised.row_times[TICKER] = [round(1.07 * S)]
    assert scene.found() == [(why.LATER_HERE, 1)]


def test_takers_that_filled_otherwise_differ():
    scene = Scene("taker")
    scene.live(1)
    scene.replay(1, fill_s=1.05)
    scene.realised.row_times[TICKER] = [round(1.05 * S)]
    assert scene.found() == [(why.EARLIER_HERE, 1)]
