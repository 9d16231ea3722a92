"""Ledger of what the exchange filled and paid, by hand."""

from types import SimpleNamespace

from kalshi_platform.trading.session.report.realised_ledger import realised_rows


def fill(at_ns: int, side: str, qty_e2: int, cash_e6: int, ticker: str = "A-1") -> dict:
    return {
        "at_ns": at_ns, "ticker": ticker, "side": side, "qty_e2": qty_e2, "price_e4": 4_000,
        "cash_e6": cash_e6, "fee_e6": 70, "is_taker": side == "bid", "action": "BUY_YES", "client_id": "kp-1",
    }  # fmt: skip


def rows_of(*fills: dict, paid: dict[str, int], opening: dict[str, int] | None = None):
    core = SimpleNamespace(paid=paid, paid_ns=dict.fromkeys(paid, 50))
    book = SimpleNamespace(event_of=lambda ticker: ticker[0])
    realised = SimpleNamespace(opening_e2=opening or {})
    return realised_rows(SimpleNamespace(fills=list(fills), core=core, book=book, realised=realised))


def test_fills_and_payments_stand_in_order_of_time_with_the_position_after_each():
    found = rows_of(
        fill(10, "bid", 300, -1_200_070), fill(20, "ask", 500, 1_999_930), fill(60, "bid", 100, -1, "B-1"),
        paid={"A-1": 2_500, "C-1": 10_000},
    )  # fmt: skip
    assert [(r.at_ns, r.kind, r.qty_e2, r.cash_e6, r.position_e2) for r in found] == [
        (10, "taker", 300, -1_200_070, 300),
        (20, "maker", 500, 1_999_930, -200),
        (50, "settlement", 200, 1_500_000, 0),  # 2 NO pay 0.75 each
        (60, "taker", 100, -1, 100),
    ]
    assert [r.event for r in found] == ["A", "A", "A", "B"]


def test_a_market_that_was_left_without_a_position_pays_nothing():
    found = rows_of(fill(10, "bid", 300, -1), fill(20, "ask", 300, 1), paid={"A-1": 10_000})
    assert [r.kind for r in found] == ["taker", "maker"]


def test_a_position_of_an_earlier_session_is_paid_without_a_fill_in_this_one():
    (row,) = rows_of(paid={"A-1": 2_500}, opening={"A-1": -300, "B-1": 100})
    assert (row.kind, row.ticker, row.qty_e2, row.cash_e6) == ("settlement", "A-1", 300, 2_250_000)


def test_a_position_of_an_earlier_session_counts():
    found = rows_of(fill(10, "ask", 300, 1), paid={"A-1": 10_000}, opening={"A-1": 700})
    assert [(r.qty_e2, r.position_e2) for r in found] == [(300, 400), (400, 0)]
