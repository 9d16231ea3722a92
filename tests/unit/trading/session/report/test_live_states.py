"""Account at the exchange as a decision knew it: by the order of the recording."""

from types import SimpleNamespace

from kalshi_platform.trading.session.report.explaining import LiveState
from kalshi_platform.trading.session.report.live_states import LiveStates
from kalshi_platform.trading.session.report.realised import RealisedOrder, RealisedOrders
from kalshi_platform.trading.session.report.session_replay import signed_e2

CAPITAL_E6 = 50_000_000


def told(now_ns: int, line: int, name: str = "kp-1", **more) -> dict:
    order = {"group": 0, "slot": 1, "now_ns": now_ns, "ticker": "A-1", "action": "BUY_YES", "line": line}
    return order | {"client_id": name} | more


def fill(line: int, side: str, qty_e2: int, cash_e6: int, ticker: str = "A-1") -> dict:
    return {
        "client_id": "kp-1", "ticker": ticker, "side": side, "qty_e2": qty_e2, "cash_e6": cash_e6,
        "line": line,
    }  # fmt: skip


def states(orders, fills=(), ended_ns=None, paid=None) -> LiveStates:
    realised = RealisedOrders()
    for order in orders:
        if name := order["client_id"]:
            realised.by_id[name] = RealisedOrder(name, ended_ns=ended_ns)
    core = SimpleNamespace(
        trading=SimpleNamespace(capital_e6=CAPITAL_E6), paid=paid or {}, paid_ns=dict.fromkeys(paid or {}, 90)
    )
    book = SimpleNamespace(groups={"A-1": 0}, placed_line={"A-1": 3})
    return LiveStates(
        SimpleNamespace(orders=orders, fills=list(fills), realised=realised, core=core, book=book)
    )


def test_position_and_cash_are_those_of_the_fills_noted_before():
    fills = [fill(5, "bid", 300, -1_200_000), fill(8, "ask", 100, 390_000), fill(9, "bid", 7, -1, "B-1")]
    known = states([told(10, 4)], fills, ended_ns=60)
    assert known.at((0, 1, 70), 5, "A-1")[0] == 0
    assert known.at((0, 1, 70), 6, "A-1") == LiveState(300, False, False, "", CAPITAL_E6 - 1_200_000)
    assert known.at((0, 1, 70), 99, "A-1") == LiveState(200, False, False, "", CAPITAL_E6 - 810_000)
    assert known.at((0, 1, 70), 99, "B-1").position_e2 == 7


def test_an_outcome_that_was_paid_is_cash():
    known = states([told(10, 4)], [fill(5, "ask", 300, -1_200_000)], paid={"A-1": 2_500})
    assert known.at((0, 1, 89), 99, "A-1").cash_e6 == CAPITAL_E6 - 1_200_000
    # 3 NO pay 0.75 each
    assert known.at((0, 1, 90), 99, "A-1").cash_e6 == CAPITAL_E6 - 1_200_000 + 2_250_000


def test_an_order_rests_until_it_ends():
    known = states([told(10, 4)], ended_ns=60)
    assert known.at((0, 1, 59), 20, "A-1") == LiveState(0, True, False, "BUY_YES", CAPITAL_E6, (0, 1, 10))
    assert known.at((0, 1, 60), 20, "A-1") == LiveState(0, False, False, "", CAPITAL_E6)
    assert known.at((0, 0, 59), 20, "A-1").order is None  # another slot
    assert known.at((0, 1, 59), 20, "B-1").order is None  # the slot has another market


def test_an_order_whose_answer_comes_after_the_decision_is_on_its_way():
    assert states([told(10, 30)]).at((0, 1, 59), 20, "A-1").on_way


def test_an_order_that_was_held_back_leaves_the_one_before_it():
    known = states([told(10, 4), told(20, 8, "")])
    assert known.at((0, 1, 59), 20, "A-1").order == (0, 1, 10)


def test_the_next_order_at_the_exchange_is_one_that_was_sent():
    known = states([told(10, 4), told(20, 8, ""), told(30, 9, "kp-2")])
    assert known.next_after((0, 1, 10)) == (0, 1, 30)
    assert known.next_after((0, 1, 30)) is None


def test_a_fill_changes_the_yes_position():
    assert [signed_e2(fill(1, side, 300, 0)) for side in ("bid", "ask")] == [300, -300]


def test_a_position_of_an_earlier_session_is_paid_although_the_session_never_ordered_there():
    known = states([], paid={"A-1": 2_500})
    known._played.realised.opening_e2["A-1"] = 400
    assert known.at((0, 1, 90), 99, "A-1").cash_e6 == CAPITAL_E6 + 1_000_000  # 4 YES pay 0.25 each


def test_what_filled_before_the_market_had_a_slot_brought_its_group_no_cash():
    known = states([told(10, 4)], [fill(2, "bid", 300, -1_200_000), fill(5, "bid", 100, -410_000)])
    assert known.at((0, 1, 70), 99, "A-1") == LiveState(
        400, True, False, "BUY_YES", CAPITAL_E6 - 410_000, (0, 1, 10)
    )


def test_a_position_of_an_earlier_session_counts():
    known = states([told(10, 4)], [fill(5, "bid", 300, -1_200_000)])
    known._played.realised.opening_e2["A-1"] = -100
    assert [known.at((0, 1, 70), line, "A-1").position_e2 for line in (5, 6)] == [-100, 200]
